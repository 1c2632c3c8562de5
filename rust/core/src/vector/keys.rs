//! Going through the keys of a vector store in their order.

use std::ops::Bound;

use super::VectorStore;
use super::rows::{KEY, key_row};
use crate::engine::{Access, ScanRange, Transaction};
use crate::error::Result;

/// Keys, and the one to go on after, unless they are the last.
pub type KeyPage = (Vec<Vec<u8>>, Option<Vec<u8>>);

impl VectorStore {
    /// Up to `limit` keys that have a vector, in their order, after `after`; and the key to go on after, unless these
    /// were the last.
    pub fn keys(
        &self,
        tx: &mut Transaction,
        after: Option<&[u8]>,
        limit: usize,
        access: Access,
    ) -> Result<KeyPage> {
        let (low, high) = (key_row(after.unwrap_or_default()), [KEY + 1]);
        let range = ScanRange {
            low: match after {
                Some(_) => Bound::Excluded(&low),
                None => Bound::Included(&low),
            },
            high: Bound::Excluded(&high),
            limit,
            keys_only: true,
            ..ScanRange::default()
        };
        let mut keys = Vec::with_capacity(limit.min(1024));
        let next = tx.scan(self.id, &range, access, &mut |row, _, _| {
            keys.push(row[1..].to_vec());
        })?;
        Ok((keys, next.map(|row| row[1..].to_vec())))
    }
}
