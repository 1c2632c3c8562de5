//! How a search goes about it, and what it will cost: known before it runs, so that an event loop can hand a long one to a
//! thread.

use super::VectorStore;
use super::pull::first_of;
use super::query::VectorQuery;
use super::rows::{PROVISIONAL, VECTOR};
use crate::engine::Transaction;
use crate::error::Result;
use std::ops::Bound;

/// What a search may take when it may not wait, in nanoseconds.
pub(super) const INLINE_NANOS_MAX: u64 = 1_000_000;
/// Bytes of rows that are measured in a nanosecond, on the safe side.
const BYTES_PER_NANO: u64 = 10;
const NANOS_PER_PULLED_ROW: u64 = 1_000;
const NANOS_PER_OWN_ROW: u64 = 500;
const NANOS_PER_QUERY: u64 = 5_000;

/// What a search is going to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Rows to be read from the store into the index first.
    pub rows_to_pull: u64,
    /// Rows to be measured one by one, at most.
    pub rows_to_scan: u64,
    /// Time it will take, in nanoseconds: a rough estimate.
    pub nanos: u64,
}

impl VectorStore {
    /// What a query will cost at this snapshot. Takes a few page reads at most; those not in memory are `WouldBlock` when it
    /// may not wait.
    pub fn query_cost(
        &self,
        tx: &mut Transaction,
        query: &VectorQuery<'_>,
        may_wait: bool,
    ) -> Result<Cost> {
        let space = self.index.space();
        let queries = (query.vectors.len() / space.row_bytes()).max(1) as u64;
        let rows_to_pull = self.index.rows_to_pull(tx, self.id, may_wait)?;
        let known = self
            .index
            .view
            .load()
            .as_ref()
            .map_or(0, |view| view.chunk_rows() as u64);
        let own = if tx.wrote_to(self.id) {
            let (low, high) = (first_of(VECTOR, PROVISIONAL), [VECTOR + 1]);
            let (low, high) = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
            tx.count_range(self.id, low, high, super::pull::aside(may_wait))?
        } else {
            0
        };
        let rows_to_scan = known + rows_to_pull + own;
        let bytes = rows_to_scan * space.prepared_bytes() as u64 * queries;
        Ok(Cost {
            rows_to_pull,
            rows_to_scan,
            nanos: NANOS_PER_QUERY * queries
                + bytes / BYTES_PER_NANO
                + rows_to_pull * NANOS_PER_PULLED_ROW
                + own * NANOS_PER_OWN_ROW,
        })
    }
}
