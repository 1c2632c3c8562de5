//! Many queries at once: each is searched for by itself, so several threads can take a part of them each.

use std::thread;

use super::behind::Met;
use super::query::Search;
use crate::error::Result;
use crate::sync::processors;

/// Each thread has work of so many nanoseconds at least, many times what it takes to begin one.
const NANOS_MIN: u64 = 1_000_000;
/// Threads that search for one call, at most.
const THREADS_MAX: usize = 8;

impl Search<'_> {
    /// Has `run` search for all queries, which is estimated to take so many nanoseconds: on several threads when those are many.
    pub(super) fn shared_out(
        &mut self,
        nanos: u64,
        run: impl Fn(&mut Self) -> Result<()> + Sync,
    ) -> Result<()> {
        let worth = usize::try_from(nanos / NANOS_MIN).unwrap_or(usize::MAX);
        let threads = worth.min(processors()).min(THREADS_MAX);
        self.on_threads(threads, run)
    }

    fn on_threads(
        &mut self,
        threads: usize,
        run: impl Fn(&mut Self) -> Result<()> + Sync,
    ) -> Result<()> {
        if threads < 2 || self.tops.len() < 2 {
            return run(self);
        }
        let parts = self.split(threads).into_iter();
        let mut parts: Vec<(Self, Option<Result<()>>)> = parts.map(|part| (part, None)).collect();
        let (first, others) = parts.split_first_mut().expect("there are two or more");
        thread::scope(|scope| {
            for (part, result) in others {
                let run = &run;
                let search = move || *result = Some(run(part));
                let builder = thread::Builder::new().name("sopasync-search".to_owned());
                // Where the system gives no thread, that part is searched for below.
                let _ = builder.spawn_scoped(scope, search);
            }
            first.1 = Some(run(&mut first.0));
        });
        for (mut part, result) in parts {
            result.unwrap_or_else(|| run(&mut part))?;
            self.tops.append(&mut part.tops);
        }
        Ok(())
    }

    /// Gives its queries away, in parts that follow each other.
    fn split(&mut self, parts: usize) -> Vec<Self> {
        let each = self.tops.len().div_ceil(parts);
        let bytes = self.prepared.len() / self.tops.len();
        let mut tops = std::mem::take(&mut self.tops).into_iter();
        let prepared = self.prepared.chunks(each * bytes);
        prepared
            .map(|prepared| Self {
                query: self.query,
                prepared: prepared.to_vec(),
                seq: self.seq,
                tops: tops.by_ref().take(each).collect(),
                met: Met::default(), // what they have was looked at before
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::vector::VectorQuery;
    use crate::vector::hits::{Holder, Place};
    use crate::vector::rows::Number;
    use sopasync_vector::TopK;

    const BYTES: usize = 4;

    fn search(queries: u32) -> Search<'static> {
        Search {
            query: VectorQuery::new(&[], 1),
            prepared: (0..queries).flat_map(u32::to_le_bytes).collect(),
            seq: 7,
            tops: (0..queries).map(|_| TopK::new(1)).collect(),
            met: Met::default(),
        }
    }

    /// Gives each query one hit: its own number, as it stands in what was prepared.
    fn find_itself(part: &mut Search<'_>) -> Result<()> {
        let rows = part.prepared.chunks_exact(BYTES);
        assert_eq!(rows.len(), part.tops.len());
        for (row, top) in rows.zip(&mut part.tops) {
            let slot = u32::from_le_bytes(row.try_into().expect("of four bytes"));
            let number = Number {
                seq: 1,
                ordinal: slot,
            };
            let holder = Holder::Own;
            top.push(
                0.0,
                Place {
                    number,
                    holder,
                    slot,
                },
            );
        }
        Ok(())
    }

    #[test]
    fn every_query_is_searched_for_once_and_keeps_its_place() {
        for queries in [1, 2, 3, 7, 8, 9, 1000] {
            for threads in [1, 2, 3, 8] {
                let mut search = search(queries);
                search.on_threads(threads, find_itself).unwrap();
                let found = search.tops.into_iter().flat_map(TopK::into_sorted);
                let slots: Vec<u32> = found.map(|hit| hit.slot.slot).collect();
                assert_eq!(slots, (0..queries).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_goes_wrong_on_any_thread_is_what_the_search_gives() {
        for bad in 0..9 {
            let run = |part: &mut Search<'_>| {
                let refused = part.prepared.contains(&bad);
                if refused {
                    return Err(Error::invalid("refused"));
                }
                find_itself(part)
            };
            // Zeros are among the bytes of every part, each other number in one.
            assert!(search(9).on_threads(4, run).is_err(), "{bad}");
        }
    }
}
