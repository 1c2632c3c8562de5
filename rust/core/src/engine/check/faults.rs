//! What a check found, and how it is told.

use std::fmt;

use super::{PAGES_FILE, page_offset};

/// Faults that are listed; a database with more is beyond listing.
const FAULTS_MAX: usize = 10_000;
/// Bytes of a key that are shown.
const KEY_SHOWN_BYTES: usize = 48;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Everything that is wrong, in the order it was found.
    pub faults: Vec<Fault>,
    /// Faults that were found after the list was full.
    pub faults_not_listed: u64,
    /// Derived files that are missing or damaged. No data is lost with them: they are built again.
    pub derived_faults: Vec<DerivedFault>,
    /// Commit that was verified.
    pub seq: u64,
    /// Stores.
    pub stores: u64,
    /// Removed stores whose pages are still to be freed.
    pub removed_stores: u64,
    /// Entries of all stores.
    pub entries: u64,
    /// Values kept outside the leaves.
    pub large_values: u64,
    /// Base pages in use by stores, each read.
    pub pages: u64,
    /// Bytes of these pages.
    pub bytes: u64,
    /// Base pages that only the last checkpoint uses, each read.
    pub checkpoint_pages: u64,
    /// Base pages in use that could not be reached because of damage above them.
    pub unverified_pages: u64,
    /// Length of the page file, in base pages.
    pub file_pages: u64,
    /// Free base pages.
    pub free_pages: u64,
    /// Base pages kept for old snapshots only.
    pub waiting_pages: u64,
    /// Base pages of commits and transactions that were under way.
    pub in_flight_pages: u64,
    /// Base pages that count as in use and hold nothing.
    pub leaked_pages: u64,
    /// Groups in the log since the last checkpoint.
    pub log_groups: u64,
    /// Their bytes.
    pub log_bytes: u64,
}

/// A derived file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedFault {
    /// Name of the store it belongs to.
    pub store: String,
    /// Its number.
    pub number: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for DerivedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store,
            number,
            reason,
        } = self;
        write!(
            f,
            "segment {number} of store '{store}' is not usable: {reason}. Nothing is lost; it is built again from the store"
        )
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the damaged file; empty when files are sound and an index does not say what its store says.
    pub file: String,
    /// Byte in it where the damaged part begins.
    pub offset: u64,
    /// Name of the store that is affected, when it is one.
    pub store: Option<String>,
    /// The encoded keys that are affected.
    pub keys: Option<KeyRange>,
    /// What is wrong, and what it affects.
    pub sentence: String,
}

/// Encoded keys from `lower` on, below `upper`; without an upper end when that is None.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// First key that may be inside.
    pub lower: Vec<u8>,
    /// First key outside.
    pub upper: Option<Vec<u8>>,
}

impl CheckReport {
    /// Was nothing wrong?
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, .. } = self;
        if file.is_empty() {
            return f.write_str(&self.sentence);
        }
        write!(f, "{file}, byte {offset}: {}", self.sentence)
    }
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.lower.is_empty(), &self.upper) {
            (true, None) => write!(f, "all keys"),
            (true, Some(upper)) => write!(f, "the keys below {}", shown(upper)),
            (false, None) => write!(f, "the keys from {} on", shown(&self.lower)),
            (false, Some(upper)) => {
                write!(
                    f,
                    "the keys from {} to {}",
                    shown(&self.lower),
                    shown(upper)
                )
            }
        }
    }
}

fn shown(key: &[u8]) -> String {
    let cut = key.len().min(KEY_SHOWN_BYTES);
    let more = if cut < key.len() { "..." } else { "" };
    format!("\"{}{more}\"", key[..cut].escape_ascii())
}

/// Gathers a report.
pub(super) struct Faults {
    pub(super) report: CheckReport,
    page_bytes: usize,
}

impl Faults {
    pub(super) fn new(page_bytes: usize) -> Self {
        Self {
            report: CheckReport::default(),
            page_bytes,
        }
    }

    pub(super) fn push(&mut self, fault: Fault) {
        if self.report.faults.len() < FAULTS_MAX {
            self.report.faults.push(fault);
        } else {
            self.report.faults_not_listed += 1;
        }
    }

    /// Something wrong that belongs to no store.
    pub(super) fn file(&mut self, file: &str, offset: u64, sentence: impl Into<String>) {
        self.push(Fault {
            file: file.to_owned(),
            offset,
            store: None,
            keys: None,
            sentence: sentence.into(),
        });
    }

    /// Something wrong with a page that belongs to no store.
    pub(super) fn page(&mut self, id: u64, sentence: impl Into<String>) {
        self.file(PAGES_FILE, page_offset(id, self.page_bytes), sentence);
    }

    /// Something wrong with a page of a store.
    pub(super) fn entries(&mut self, id: u64, store: &str, keys: KeyRange, sentence: String) {
        self.push(Fault {
            file: PAGES_FILE.to_owned(),
            offset: page_offset(id, self.page_bytes),
            store: Some(store.to_owned()),
            keys: Some(keys),
            sentence,
        });
    }

    pub(super) fn into_report(self) -> CheckReport {
        self.report
    }
}
