//! Reading a store through an index.

use std::ops::Bound;

use super::define::{describe, entry_range};
use super::entry::fields_end;
use crate::engine::{Access, Link, ScanRange, Transaction};
use crate::error::{Error, Result};

/// Told of an item: its entry in the index, and its key, ride-along part and value in the store.
pub type VisitItem<'v> = &'v mut dyn FnMut(&[u8], &[u8], &[u8], Option<&[u8]>);

/// Visits the items whose entries lie in a range, in the order of the index. The last entry visited, when a limit ended it
/// and more follow. With `keys_only` the items themselves are not read: ride-along parts are empty then.
pub fn scan(
    tx: &mut Transaction,
    store: u64,
    link: &Link,
    range: &ScanRange<'_>,
    access: Access,
    visit: VisitItem<'_>,
) -> Result<Option<Vec<u8>>> {
    let (low, high) = entry_range(range.low, range.high);
    let of_entries = ScanRange {
        low,
        high,
        keys_only: !link.definition.unique,
        ..*range
    };
    let mut found = Found::default();
    let next = tx.scan(link.id, &of_entries, access, &mut |entry, _, value| {
        found.push(link, entry, value);
    })?;
    if let Some(error) = found.failure {
        return Err(error);
    }
    let mut bytes = 0;
    for (entry, key) in found.iter() {
        if range.keys_only {
            visit(entry, key, &[], None);
            continue;
        }
        if bytes >= range.limit_bytes {
            // The entries were short and their items are not: the rest is for the next page.
            return Ok(found.before(entry));
        }
        let there = tx.visit(store, key, access, |meta, value| {
            bytes += key.len() + value.len();
            visit(entry, key, meta, Some(value));
        })?;
        if there.is_none() {
            let definition = &link.definition;
            return Err(Error::corruption(
                describe(&definition.store, &definition.name),
                0,
                "it has an entry of an item that is not there",
            ));
        }
    }
    Ok(next)
}

/// Entries that were met, one after the other in one buffer.
#[derive(Default)]
struct Found {
    bytes: Vec<u8>,
    /// Where each entry ends, where its key in the store begins, and where that ends.
    places: Vec<(usize, usize, usize)>,
    failure: Option<Error>,
}

impl Found {
    fn push(&mut self, link: &Link, entry: &[u8], value: Option<&[u8]>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(entry);
        let end = self.bytes.len();
        if link.definition.unique {
            self.bytes
                .extend_from_slice(value.expect("a scan with values gives them"));
            self.places.push((end, end, self.bytes.len()));
            return;
        }
        match fields_end(&link.definition, entry) {
            Ok(fields) => self.places.push((end, start + fields, end)),
            Err(error) => self.failure = Some(error),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let starts = std::iter::once(0).chain(self.places.iter().map(|(_, _, end)| *end));
        starts
            .zip(&self.places)
            .map(|(start, (entry, key, end))| (&self.bytes[start..*entry], &self.bytes[*key..*end]))
    }

    /// The entry that was met before this one.
    fn before(&self, entry: &[u8]) -> Option<Vec<u8>> {
        let mut last = None;
        for (other, _) in self.iter() {
            if other == entry {
                break;
            }
            last = Some(other.to_vec());
        }
        last
    }
}

/// The entry that comes after `count` others in the range; `None` past its end. Counted, as `Transaction::skip` does.
pub fn skip(
    tx: &mut Transaction,
    link: &Link,
    range: &ScanRange<'_>,
    count: u64,
    access: Access,
) -> Result<Option<Vec<u8>>> {
    let (low, high) = entry_range(range.low, range.high);
    let of_entries = ScanRange {
        low,
        high,
        ..*range
    };
    tx.skip(link.id, &of_entries, count, access)
}

/// How many entries lie in the range.
pub fn count(
    tx: &mut Transaction,
    link: &Link,
    low: Bound<&[u8]>,
    high: Bound<&[u8]>,
    access: Access,
) -> Result<u64> {
    let (low, high) = entry_range(low, high);
    tx.count_range(link.id, low, high, access)
}
