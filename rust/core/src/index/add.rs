//! Adding many items at once: their entries are made first, and then written in the order of each index.
//!
//! A1  Only where an index refuses nothing but fields without a place in an order: none is unique, and none refers to another
//!     store. So once all entries are made nothing fails.

use super::entry::Entries;
use super::write::claim;
use crate::engine::{Links, Transaction};
use crate::error::Result;

/// Entries of items that are to be added.
#[derive(Debug, Default)]
pub struct NewEntries {
    entries: Entries,
    /// Of each index, and where each entry ends.
    rows: Vec<(Vec<u8>, Vec<usize>)>,
}

impl NewEntries {
    /// For a store with these indexes; `None` unless they are such (A1).
    pub fn of(links: &Links) -> Option<Self> {
        let refuses = |definition: &crate::txn::IndexDefinition| {
            definition.unique || definition.reference.is_some()
        };
        let mut indexes = links.indexes.iter();
        let rows = links.indexes.iter().map(|_| Default::default()).collect();
        (!indexes.any(|link| refuses(&link.definition))).then_some(Self {
            entries: Entries::default(),
            rows,
        })
    }

    /// Makes the entries of an item, whose key the transaction has found absent, and claims that.
    pub fn make(
        &mut self,
        tx: &mut Transaction,
        store: u64,
        links: &Links,
        key: &[u8],
        (meta, value): (&[u8], &[u8]),
    ) -> Result<()> {
        claim(tx, store, key)?;
        for (link, (bytes, ends)) in links.indexes.iter().zip(&mut self.rows) {
            let fields = self.entries.fields(&link.definition, key, meta, value)?;
            if let Some(fields) = fields {
                bytes.extend_from_slice(fields);
                bytes.extend_from_slice(key);
                ends.push(bytes.len());
            }
        }
        Ok(())
    }

    /// Writes them.
    pub fn write(self, tx: &mut Transaction, links: &Links) -> Result<()> {
        for (link, (bytes, ends)) in links.indexes.iter().zip(&self.rows) {
            let starts = std::iter::once(&0).chain(ends);
            let mut rows: Vec<&[u8]> = starts.zip(ends).map(|(a, b)| &bytes[*a..*b]).collect();
            rows.sort_unstable();
            for row in rows {
                tx.put(link.id, row, &[], &[], true)?;
            }
        }
        Ok(())
    }
}
