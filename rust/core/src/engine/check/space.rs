//! The space map against what the trees reach (C6).

use super::faults::Faults;
use crate::pager::{Audit, Bitmap};

/// Pages with two uses.
pub(super) fn overlaps(audit: &Audit, faults: &mut Faults) {
    for (page, what) in &audit.overlaps {
        faults.page(
            *page,
            format!(
                "page {page} is in use, and {what} at the same time: it may be overwritten. \
                 Back the database up and open the copy"
            ),
        );
    }
}

/// Pages that count as in use although no tree reaches them.
pub(super) fn unreached(reach: &Bitmap, seen: &Bitmap, faults: &mut Faults) {
    for (start, span) in reach.runs() {
        let mut page = start;
        while page < start + span {
            let first = page;
            while page < start + span && !seen.contains(page) {
                page += 1;
            }
            if page > first {
                leaked(first, page - first, faults);
            }
            page += 1;
        }
    }
}

fn leaked(first: u64, count: u64, faults: &mut Faults) {
    faults.report.leaked_pages += count;
    faults.page(
        first,
        format!(
            "{count} pages from page {first} on count as in use, and nothing refers to them. No data is \
             affected, only space; a backup leaves them out"
        ),
    );
}
