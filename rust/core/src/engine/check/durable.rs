//! The root copies and the catalogue of the last checkpoint, as the file has them (C1, C2).

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use super::faults::Faults;
use crate::error::{Error, Result};
use crate::pager::root::{COPIES, COPY_BYTES, Root};
use crate::pager::{PAGES_FILE, Pager};
use crate::txn::Stores;

/// All copies are whole while the database is open: opening mends what a crash tore.
pub(super) fn root_copies(pager: &Pager, root: &Root, faults: &mut Faults) {
    for copy in 0..COPIES {
        let offset = copy * COPY_BYTES;
        let found = match Root::read_copy(&**pager.file(), copy) {
            Ok(found) => found,
            Err(error) => {
                faults.file(PAGES_FILE, offset, format!("root copy {copy}: {error}"));
                continue;
            }
        };
        let wanted = root.number % 2 == copy % 2;
        let Some(found) = found else {
            faults.file(PAGES_FILE, offset, unreadable(copy, wanted));
            continue;
        };
        let expected = if wanted {
            root.number
        } else {
            root.number.wrapping_sub(1)
        };
        if found.number != expected || (wanted && found != *root) {
            faults.file(
                PAGES_FILE,
                offset,
                format!(
                    "root copy {copy} holds root {} and should hold root {expected}: a write was lost",
                    found.number
                ),
            );
        }
    }
}

fn unreadable(copy: u64, wanted: bool) -> String {
    let harm = if wanted {
        "the other copy of the newest root still serves"
    } else {
        "it is of the root before, and no longer needed"
    };
    format!(
        "root copy {copy} does not match its checksum; {harm}. A checkpoint after a commit writes it anew"
    )
}

/// The catalogue and what it says.
pub(super) fn catalogue(pager: &Pager, root: &Root, faults: &mut Faults) {
    let (page, length, hash) = root.catalogue;
    if length == 0 {
        return;
    }
    let mut bytes = vec![0; length as usize];
    let what =
        "it lists the stores and the pages in use, and the database cannot be opened without it";
    if let Err(error) = read(pager, page, &mut bytes) {
        faults.page(
            page,
            format!("the catalogue cannot be read: {error}; {what}"),
        );
        return;
    }
    if xxh3_64(&bytes) != hash {
        faults.page(
            page,
            format!("the catalogue's checksum does not match its content; {what}"),
        );
        return;
    }
    let Some((stores, next_id, runs)) = Stores::decode(&bytes) else {
        faults.page(page, format!("the catalogue makes no sense; {what}"));
        return;
    };
    check_stores(page, &stores, next_id, faults);
    check_runs(pager, page, length, &runs, faults);
}

fn read(pager: &Pager, page: u64, bytes: &mut [u8]) -> Result<()> {
    let offset = page * pager.page_bytes() as u64;
    let read = pager.file().read_at(bytes, offset);
    read.map_err(|error| Error::io(PAGES_FILE, "read", &error))
}

fn check_stores(page: u64, stores: &Stores, next_id: u64, faults: &mut Faults) {
    let mut names = HashSet::new();
    let mut last = None;
    for store in stores.iter() {
        let (id, name) = (store.info.id, &store.info.name);
        if !names.insert(name) {
            faults.page(
                page,
                format!("the catalogue has two stores of the name '{name}'"),
            );
        }
        if last.is_some_and(|last| last >= id) || id >= next_id {
            faults.page(
                page,
                format!("the catalogue gives store '{name}' the number {id}, out of order"),
            );
        }
        last = Some(id);
    }
}

fn check_runs(pager: &Pager, page: u64, length: u64, runs: &[(u64, u64)], faults: &mut Faults) {
    let span = length.div_ceil(pager.page_bytes() as u64);
    let mut end = pager.first_page();
    for &(start, count) in runs {
        if start < end || count == 0 {
            faults.page(
                page,
                format!("the catalogue lists the pages from {start} on out of order"),
            );
        }
        end = start + count;
        if start < page + span && page < end {
            faults.page(
                page,
                "the catalogue lies on pages that it lists as in use by a store",
            );
        }
    }
}
