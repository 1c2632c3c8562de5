//! How a search goes about it, and what it will cost: known before it runs, so that an event loop can hand a long one to a
//! thread.

use std::ops::Bound;

use sopasync_payload::Selection;
use sopasync_vector::graph::{Pass, Request};

use super::VectorStore;
use super::index::Index;
use super::part::Visible;
use super::pull::first_of;
use super::query::{Search, VectorQuery};
use super::rows::{PROVISIONAL, VECTOR};
use super::segment::Sealed;
use crate::engine::Transaction;
use crate::error::Result;

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

/// Matching rows are measured one by one while they have so few bytes.
const EXACT_BYTES_MAX: usize = 8 << 20;
/// Or while there are so many times fewer of them than candidates a graph would keep.
const EXACT_ROWS_PER_EF: usize = 20;
/// Nanoseconds of a graph's walk per candidate kept.
const NANOS_PER_CANDIDATE: u64 = 1_500;

impl Search<'_> {
    /// Takes the nearest of a segment in: through its graph, or by measuring what may be a hit.
    pub(super) fn segment(
        &mut self,
        index: &Index,
        segment: &Sealed,
        selection: Option<&Selection>,
    ) {
        let part = segment.part();
        let matches = selection.map_or(part.count(), |selection| selection.count() as usize);
        let ef = self.query.ef.unwrap_or(index.options.ef).max(self.query.k);
        let few = matches <= EXACT_ROWS_PER_EF.saturating_mul(ef)
            || (selection.is_some() && matches * index.kernel.row_bytes() <= EXACT_BYTES_MAX);
        // A distance limits how many hits there are, not how far a graph would have to walk for all of them.
        let all = self.query.exact || self.query.within.is_some();
        if all || few || !segment.has_graph() {
            if all || few || !self.scan_codes(&index.kernel, segment, selection) {
                self.scan(&index.kernel, part, self.seq, selection);
            }
            return;
        }
        let visible = Visible::new(part, self.seq, &self.own.gone, selection);
        let rate = matches as f32 / part.count() as f32;
        let test = |slot: u32| visible.passes(slot);
        let pass = if visible.is_all() {
            Pass::all()
        } else {
            Pass::when(&test, rate)
        };
        let bytes = index.kernel.row_bytes();
        for at in 0..self.tops.len() {
            let request = Request {
                query: &self.prepared[at * bytes..(at + 1) * bytes],
                k: self.query.k,
                ef,
                pass,
                // Beyond this, measuring everything would have been quicker.
                budget: if selection.is_some() {
                    matches
                } else {
                    usize::MAX
                },
            };
            // A graph of a library that was left out of this build is none: measuring is as right.
            let found = segment.file.search(&request).ok().flatten();
            match found {
                Some(found) if !found.exhausted => {
                    for hit in found.hits {
                        self.tops[at].push(hit.distance, part.numbers.get(hit.slot));
                    }
                }
                _ => self.scan_one(at, &index.kernel, &visible, &part),
            }
        }
    }
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
        let (mut known, mut walks) = (0, 0);
        if let Some(view) = self.index.view.load_full() {
            let all = query.exact || query.within.is_some();
            known += view.chunk_rows() as u64;
            for segment in &view.segments {
                if segment.has_graph() && !all {
                    walks += 1;
                } else {
                    known += segment.rows_to_measure(all) as u64;
                }
            }
        }
        let ef = query
            .ef
            .unwrap_or(self.index.options.ef)
            .max(query.k.min(1 << 20)) as u64;
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
            nanos: (NANOS_PER_QUERY + walks * ef * NANOS_PER_CANDIDATE) * queries
                + bytes / BYTES_PER_NANO
                + rows_to_pull * NANOS_PER_PULLED_ROW
                + own * NANOS_PER_OWN_ROW,
        })
    }
}
