//! How a search goes about each part, by what it is estimated to take: known before it runs, so that an event loop can hand a
//! long one to a thread.
//!
//! The constants are those of one machine; what matters is where the ways cross, and there they take about as long as each other.

use std::ops::Bound;

use super::VectorStore;
use super::pull::first_of;
use super::query::VectorQuery;
use super::rows::{PROVISIONAL, VECTOR};
use crate::engine::Transaction;
use crate::error::Result;

/// What a search may take when it may not wait, in nanoseconds.
pub(super) const INLINE_NANOS_MAX: u64 = 1_000_000;
/// A machine may be so many times slower than the one whose constants these are.
pub(super) const SLOWER: u64 = 2;
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

/// How the nearest of a part are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By measuring every row that may be a hit.
    Scan,
    /// By the codes of a flat segment, first.
    Codes,
    /// By the codes of a graph, without walking, first.
    Among,
    /// By codes of which it is known how far rows may lie from them, missing nothing.
    Bounded,
    /// Along a graph, visiting at most so many rows.
    Walk { budget: usize },
}

/// What the planner knows of a part and of a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Rows in the part.
    pub(super) count: usize,
    /// Rows that the filter leaves; all of them without one.
    pub(super) matches: usize,
    /// Is there a filter?
    pub(super) filtered: bool,
    pub(super) row_bytes: usize,
    /// Bytes of a row's code that a scan reads, if the part has such codes.
    pub(super) scan_code: Option<usize>,
    /// Bytes of a row's code in the graph, 0 when it has none, if the part has a graph.
    pub(super) graph_code: Option<usize>,
    /// Bytes of a row's code by which nothing is missed, if there are such codes.
    pub(super) bounded_code: Option<usize>,
    pub(super) queries: usize,
    pub(super) ef: usize,
    pub(super) k: usize,
    /// Nothing may be missed.
    pub(super) exact: bool,
}

/// Rows that follow each other.
const SCAN_NANOS: f64 = 1.0;
const SCAN_BYTES_PER_NANO: f64 = 24.0;
/// Rows here and there.
const GATHER_NANOS: f64 = 6.0;
const GATHER_BYTES_PER_NANO: f64 = 14.0;
/// What a gathered row waits for memory, when all of them do not fit into the cache.
const GATHER_WAIT_NANOS: f64 = 12.0;
const CACHE_BYTES: usize = 16 << 20;
/// A bitmap is read in words; rows of which so many pass are measured together with the others.
const DENSE: f64 = 0.75;
/// Codes take more work for each byte than rows.
const CODE_BYTES_PER_NANO: f64 = 10.0;
/// A walk visits so many rows on the way down, and so many for each candidate it keeps.
const WALK_VISITS: f64 = 80.0;
const WALK_VISITS_PER_CANDIDATE: f64 = 14.0;
/// Of keeping candidates in order, for each row visited.
const VISIT_NANOS: f64 = 8.0;
/// A walk with a test asks it of every row, and follows more links.
const TEST_NANOS: f64 = 10.0;
/// Rows whose codes look near are measured: so many times k, and some.
const RERANKED_TIMES: usize = 2;
const RERANKED_MORE: usize = 8;

/// What is read of each row besides its code, when nothing may be missed.
const REACH_BYTES: usize = 4;
const MEASURED_TIMES: f64 = 2.0;
/// Less than this is in the cache, and measured as quickly.
const BOUNDED_BYTES_MIN: usize = 1 << 20;
/// More queries than these have rows measured for all of them while they are in the cache.
const BOUNDED_QUERIES_MAX: usize = 4;

impl Shape {
    /// The way that is estimated to be the quickest, and what it takes for one query, in nanoseconds.
    pub(super) fn best(&self) -> (Way, u64) {
        let scan = (Way::Scan, self.scan());
        if self.exact {
            let bounded = self.bounded().filter(|nanos| *nanos < scan.1);
            let (way, nanos) = bounded.map_or(scan, |nanos| (Way::Bounded, nanos));
            return (way, nanos as u64);
        }
        let codes = self.scan_code.filter(|_| !self.is_sparse());
        let codes = codes.map(|code| (Way::Codes, self.codes(code)));
        let walk = self.graph_code.map(|code| self.walk(code));
        let among = self.graph_code.filter(|code| *code > 0);
        let among = among.map(|code| (Way::Among, self.rows(self.matches, code) + self.reranked()));
        let ways = [Some(scan), codes, walk, among];
        let best = ways
            .into_iter()
            .flatten()
            .min_by(|one, other| one.1.total_cmp(&other.1));
        best.map_or((Way::Scan, 0), |(way, nanos)| (way, nanos as u64))
    }

    fn is_sparse(&self) -> bool {
        (self.matches as f64) < DENSE * self.count as f64
    }

    fn scan(&self) -> f64 {
        self.rows(self.matches, self.row_bytes)
    }

    /// Measuring rows of that many bytes, as far as they may be hits.
    fn rows(&self, matches: usize, bytes: usize) -> f64 {
        if self.is_sparse() {
            let words = (self.count / 64) as f64;
            return words + matches as f64 * self.gathered(bytes);
        }
        self.count as f64 * (SCAN_NANOS + bytes as f64 / SCAN_BYTES_PER_NANO)
    }

    fn gathered(&self, bytes: usize) -> f64 {
        let wait = if self.count * bytes > CACHE_BYTES {
            GATHER_WAIT_NANOS
        } else {
            0.0
        };
        GATHER_NANOS + wait + bytes as f64 / GATHER_BYTES_PER_NANO
    }

    fn reranked(&self) -> f64 {
        let rows = self.k.saturating_mul(RERANKED_TIMES);
        let rows = rows.saturating_add(RERANKED_MORE).min(self.matches);
        rows as f64 * self.gathered(self.row_bytes)
    }

    fn codes(&self, code: usize) -> f64 {
        let bytes = (self.count * code) as f64;
        bytes / CODE_BYTES_PER_NANO + self.reranked()
    }

    /// Going by codes without missing anything, where that can be done.
    fn bounded(&self) -> Option<f64> {
        let code = self.bounded_code?;
        let few = self.matches * self.row_bytes < BOUNDED_BYTES_MIN || self.k >= self.matches;
        if few || self.queries > BOUNDED_QUERIES_MAX {
            return None;
        }
        // Each of the first rows is near until nearer ones are found; rows about as near as the last of k are measured too.
        let (k, matches) = (self.k as f64, self.matches as f64);
        let measured = (k * MEASURED_TIMES * (1.0 + (matches / k).ln())).min(matches);
        let codes = self.rows(self.matches, code + REACH_BYTES);
        Some(codes + measured * self.gathered(self.row_bytes))
    }

    fn walk(&self, code: usize) -> (Way, f64) {
        let bytes = if code == 0 { self.row_bytes } else { code };
        let rate = (self.matches.max(1) as f64 / self.count.max(1) as f64).min(1.0);
        let candidates = self.ef.max(self.k) as f64;
        let visits = WALK_VISITS + WALK_VISITS_PER_CANDIDATE * candidates / rate;
        let test = if self.filtered { TEST_NANOS } else { 0.0 };
        let nanos = visits * (VISIT_NANOS + test + self.gathered(bytes));
        let budget = if self.filtered {
            self.matches // beyond this, measuring them would have been quicker
        } else {
            usize::MAX
        };
        (Way::Walk { budget }, nanos + self.reranked())
    }
}

impl VectorStore {
    /// What a query will cost at this snapshot, its filter aside. Takes a few page reads at most; those not in memory are
    /// `WouldBlock` when it may not wait.
    pub fn query_cost(
        &self,
        tx: &mut Transaction,
        query: &VectorQuery<'_>,
        may_wait: bool,
    ) -> Result<Cost> {
        let space = self.index.space();
        let queries = (query.vectors.len() / space.row_bytes()).max(1) as u64;
        let rows_to_pull = self.index.rows_to_pull(tx, self.id, may_wait)?;
        let own = self.own_rows(tx, may_wait)?;
        let (mut rows_to_scan, mut nanos) = (rows_to_pull + own, 0);
        if let Some(view) = self.index.view.load_full() {
            rows_to_scan += view.chunk_rows() as u64;
            for segment in &view.segments {
                let (way, each) = segment.shape(&self.index, query, None).best();
                nanos += each;
                if way == Way::Scan {
                    rows_to_scan += segment.count() as u64;
                }
            }
            nanos += self.rows_nanos(view.chunk_rows());
        }
        nanos += self.rows_nanos((rows_to_pull + own) as usize) + NANOS_PER_QUERY;
        Ok(Cost {
            rows_to_pull,
            rows_to_scan,
            nanos: nanos * queries * SLOWER
                + rows_to_pull * NANOS_PER_PULLED_ROW
                + own * NANOS_PER_OWN_ROW,
        })
    }

    /// What measuring so many rows takes for one query.
    pub(super) fn rows_nanos(&self, rows: usize) -> u64 {
        let bytes = self.index.space().prepared_bytes() as f64;
        (rows as f64 * (SCAN_NANOS + bytes / SCAN_BYTES_PER_NANO)) as u64
    }

    /// Rows that the transaction itself has added.
    fn own_rows(&self, tx: &mut Transaction, may_wait: bool) -> Result<u64> {
        if !tx.wrote_to(self.id) {
            return Ok(0);
        }
        let (low, high) = (first_of(VECTOR, PROVISIONAL), [VECTOR + 1]);
        let (low, high) = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
        tx.count_range(self.id, low, high, super::pull::aside(may_wait))
    }

    /// What the transaction's own rows add to a search.
    pub(super) fn own_nanos(&self, tx: &mut Transaction, may_wait: bool) -> Result<u64> {
        let own = self.own_rows(tx, may_wait)?;
        Ok(self.rows_nanos(own as usize) + own * (NANOS_PER_OWN_ROW / SLOWER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(count: usize, matches: usize) -> Shape {
        Shape {
            count,
            matches,
            filtered: matches < count,
            row_bytes: 512,
            scan_code: None,
            graph_code: Some(128),
            bounded_code: Some(128),
            queries: 1,
            ef: 64,
            k: 10,
            exact: false,
        }
    }

    #[test]
    fn few_matches_are_measured_more_are_looked_at_by_codes_and_many_are_walked_to() {
        let way = |matches| shape(100_000, matches).best().0;
        assert_eq!(way(20), Way::Scan);
        assert_eq!(way(2_000), Way::Among);
        assert_eq!(way(50_000), Way::Walk { budget: 50_000 });
        assert_eq!(way(100_000), Way::Walk { budget: usize::MAX });
        assert_eq!(shape(50, 50).best().0, Way::Scan);
        assert_eq!(shape(300, 300).best().0, Way::Among);
    }

    #[test]
    fn nothing_is_missed_where_nothing_may_be() {
        let exact = |matches| Shape {
            exact: true,
            ..shape(100_000, matches)
        };
        for (matches, way) in [
            (10, Way::Scan),
            (1_000, Way::Scan),
            (5_000, Way::Bounded),
            (100_000, Way::Bounded),
        ] {
            assert_eq!(exact(matches).best().0, way, "{matches}");
        }
        let all = Shape {
            k: 100_000,
            ..exact(100_000)
        };
        let many = Shape {
            queries: 100,
            ..exact(100_000)
        };
        let unbounded = Shape {
            bounded_code: None,
            ..exact(100_000)
        };
        for shape in [all, many, unbounded] {
            assert_eq!(shape.best().0, Way::Scan);
        }
    }

    #[test]
    fn more_takes_longer() {
        for (less, more) in [(1_000, 2_000), (50_000, 100_000), (100_000, 1_000_000)] {
            let scan = |count| Shape {
                graph_code: None,
                ..shape(count, count)
            };
            assert!(scan(less).best().1 < scan(more).best().1);
        }
    }
}
