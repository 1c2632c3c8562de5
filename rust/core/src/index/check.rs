//! Does an index say exactly what its store says (X1)?
//!
//! Every item is asked for its entry, and every entry for its item, a piece at a time, so memory stays bounded whatever the
//! sizes; both at one snapshot.

use std::ops::Bound;

use super::entry::Entries;
use super::state::{FIRST_ENTRY, State, state};
use crate::engine::{Access, Link, ScanRange, Transaction};
use crate::error::{Error, Result};

/// Items looked at in one step.
const ITEMS: usize = 1024;
/// Faults of one index that are told; the rest are counted.
const FAULTS_MAX: usize = 20;
const ACCESS: Access = Access {
    may_wait: true,
    track: false,
};

/// What is wrong with an index, a sentence and the key in the store for each; empty when nothing is. `go_on` ends it early.
pub fn check_index(
    tx: &mut Transaction,
    store: u64,
    link: &Link,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let complete = match state(tx, link.id, ACCESS)? {
        State::Ready => true,
        State::Building { .. } => false,
        // Told by its state; it serves nobody.
        State::Failed { .. } => return Ok(Vec::new()),
    };
    let mut faults = Faults {
        link,
        found: Vec::new(),
        more: 0,
    };
    if complete {
        every_item_has_its_entry(tx, store, link, &mut faults, go_on)?;
    }
    every_entry_has_its_item(tx, store, link, &mut faults, go_on)?;
    Ok(faults.finish())
}

struct Faults<'l> {
    link: &'l Link,
    found: Vec<(String, Vec<u8>)>,
    more: u64,
}

impl Faults<'_> {
    fn push(&mut self, what: &str, key: &[u8]) {
        if self.found.len() == FAULTS_MAX {
            self.more += 1;
            return;
        }
        let definition = &self.link.definition;
        let sentence = format!(
            "index '{}' of store '{}' {what}. Drop the index and make it again",
            definition.name, definition.store
        );
        self.found.push((sentence, key.to_vec()));
    }

    fn finish(mut self) -> Vec<(String, Vec<u8>)> {
        if self.more > 0 {
            let definition = &self.link.definition;
            let sentence = format!(
                "index '{}' of store '{}' has {} more such faults",
                definition.name, definition.store, self.more
            );
            self.found.push((sentence, Vec::new()));
        }
        self.found
    }
}

fn every_item_has_its_entry(
    tx: &mut Transaction,
    store: u64,
    link: &Link,
    faults: &mut Faults<'_>,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let mut entries = Entries::default();
    let mut after: Option<Vec<u8>> = None;
    loop {
        go_on()?;
        let mut rows = Vec::new();
        let low = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = tx.scan(store, &piece(low), ACCESS, &mut |key, meta, value| {
            let row = entries.row(&link.definition, key, meta, value.unwrap_or_default());
            rows.push((key.to_vec(), row));
        })?;
        for (key, row) in rows {
            match row {
                Ok(None) => {}
                Ok(Some((entry, content))) => {
                    let same = tx.visit(link.id, &entry, ACCESS, |_, value| value == content)?;
                    match same {
                        Some(true) => {}
                        Some(false) => {
                            faults.push("has the entry of an item for another one", &key)
                        }
                        None => faults.push("lacks the entry of an item", &key),
                    }
                }
                Err(Error::NotIndexable { .. }) => {
                    faults.push("is said to be complete, and an item cannot be in it", &key);
                }
                Err(error) => return Err(error),
            }
        }
        if next.is_none() {
            return Ok(());
        }
        after = next;
    }
}

fn every_entry_has_its_item(
    tx: &mut Transaction,
    store: u64,
    link: &Link,
    faults: &mut Faults<'_>,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let mut entries = Entries::default();
    let mut after: Option<Vec<u8>> = None;
    loop {
        go_on()?;
        let low = after
            .as_deref()
            .map_or(Bound::Included(&FIRST_ENTRY[..]), Bound::Excluded);
        let mut found = Vec::new();
        let next = tx.scan(link.id, &piece(low), ACCESS, &mut |entry, _, value| {
            found.push((entry.to_vec(), value.unwrap_or_default().to_vec()));
        })?;
        for (entry, content) in found {
            let key = if link.definition.unique {
                Ok(&content[..])
            } else {
                super::entry::fields_end(&link.definition, &entry).map(|end| &entry[end..])
            };
            let Ok(key) = key else {
                faults.push("has an entry that makes no sense", &entry);
                continue;
            };
            let row = tx.visit(store, key, ACCESS, |meta, value| {
                let row = entries.row(&link.definition, key, meta, value);
                row.ok().flatten().is_some_and(|(own, _)| own == entry)
            })?;
            match row {
                Some(true) => {}
                Some(false) => faults.push("has an entry that its item does not have", key),
                None => faults.push("has an entry of an item that is not there", key),
            }
        }
        if next.is_none() {
            return Ok(());
        }
        after = next;
    }
}

fn piece(low: Bound<&[u8]>) -> ScanRange<'_> {
    ScanRange {
        low,
        limit: ITEMS,
        ..ScanRange::default()
    }
}
