//! Filling the index of a relation that is added to a store that was there before: in the transaction that adds it, piece by
//! piece, so that one commit brings both, or neither.
//!
//! L1  All of the store is claimed, whatever the isolation: when another transaction writes to it meanwhile, one of the two
//!     commits fails. What each item refers to is claimed as by whoever writes it (X5).
//! L2  A piece that ends in `WouldBlock` has written nothing.

use std::ops::Bound;

use super::entry::Entries;
use super::write::check_target;
use crate::engine::{Access, Link, ScanRange, Transaction};
use crate::error::{Error, Result};
use crate::mutants::mutant;

/// Bytes of items in a piece, about.
const BYTES_MAX: usize = 1 << 20;

/// What came of a piece.
#[derive(Debug, Default)]
pub struct Filled {
    /// The key to go on after; `None` at the end of the store.
    pub next: Option<Vec<u8>>,
    /// Keys of items that cannot be in the index, or refer to what is not there, and why.
    pub refused: Vec<(Vec<u8>, Error)>,
}

/// Makes the entries of `items` items after the key `after`, of those that can have one.
pub fn fill(
    tx: &mut Transaction,
    store: u64,
    link: &Link,
    after: Option<&[u8]>,
    items: usize,
    access: Access,
) -> Result<Filled> {
    if after.is_none() && !mutant("relation-fill-skip-claim") {
        tx.claim_range_firmly(store, Bound::Unbounded, Bound::Unbounded)?;
    }
    let mut entries = Entries::default();
    let mut rows = Vec::new();
    let range = ScanRange {
        low: after.map_or(Bound::Unbounded, Bound::Excluded),
        limit: items,
        limit_bytes: BYTES_MAX,
        ..ScanRange::default()
    };
    let next = tx.scan(store, &range, access, &mut |key, meta, value| {
        let row = entries.row(&link.definition, key, meta, value.unwrap_or_default());
        rows.push((key.to_vec(), row));
    })?;
    let mut filled = Filled {
        next,
        ..Filled::default()
    };
    let mut found = Vec::new();
    for (key, row) in rows {
        let checked = row.and_then(|row| {
            if let Some((entry, _)) = &row {
                check_target(tx, store, link, entry, &key, access)?;
            }
            Ok(row)
        });
        match checked {
            Ok(row) => found.extend(row),
            Err(error @ (Error::NotIndexable { .. } | Error::NoTarget(_))) => {
                filled.refused.push((key, error));
            }
            Err(error) => return Err(error),
        }
    }
    for (entry, content) in found {
        tx.put(link.id, &entry, &[], &content, true)?;
    }
    Ok(filled)
}
