//! Reading a store through an index.

use std::ops::{Bound, Range};

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
    if range.keys_only {
        for (entry, key) in found.iter() {
            visit(entry, key, &[], None);
        }
        return Ok(next);
    }
    let (mut bytes, mut visited, mut whole) = (0, 0, true);
    let mut entries = found.iter();
    let keys = found.iter().map(|(_, key)| key);
    tx.visit_many(store, keys, access, |there| {
        let (Some((entry, key)), Some((meta, value))) = (entries.next(), there) else {
            whole = false;
            return false;
        };
        bytes += key.len() + value.len();
        visited += 1;
        visit(entry, key, meta, Some(value));
        bytes < range.limit_bytes
    })?;
    if !whole {
        let definition = &link.definition;
        return Err(Error::corruption(
            describe(&definition.store, &definition.name),
            0,
            "it has an entry of an item that is not there",
        ));
    }
    if visited < found.len() {
        // The entries were short and their items are not: the rest is for the next page.
        return Ok(found.iter().nth(visited - 1).map(|(last, _)| last.to_vec()));
    }
    Ok(next)
}

/// Entries that were met, one after the other in one buffer.
#[derive(Default)]
struct Found {
    bytes: Vec<u8>,
    /// Where each entry ends, where its key in the store begins, and where that ends.
    places: Vec<(usize, usize, usize)>,
    /// Where the fields of the last entry lie that were looked for.
    fields: Range<usize>,
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
        // No fields begin with other ones (K2), so what begins with the last ones has the same.
        if self.fields.is_empty() || !entry.starts_with(&self.bytes[self.fields.clone()]) {
            match fields_end(&link.definition, entry) {
                Ok(length) => self.fields = start..start + length,
                Err(error) => {
                    self.failure = Some(error);
                    return;
                }
            }
        }
        self.places.push((end, start + self.fields.len(), end));
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let starts = std::iter::once(0).chain(self.places.iter().map(|(_, _, end)| *end));
        starts
            .zip(&self.places)
            .map(|(start, (entry, key, end))| (&self.bytes[start..*entry], &self.bytes[*key..*end]))
    }

    fn len(&self) -> usize {
        self.places.len()
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
