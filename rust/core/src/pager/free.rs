//! Which page numbers may be given out.
//!
//! Single pages are given out lowest first, so that the end of the file falls free when fewer are
//! needed; longer runs come from a short free run that holds them. When nothing fits, the file grows.

use std::collections::{BTreeMap, BTreeSet};

use super::lowest::Lowest;

/// Free runs that are looked at for the one nearest to the front.
const CANDIDATES_MAX: usize = 32;
/// Pages of a run that become single ones when one is needed.
const SINGLES_AT_ONCE: u64 = 64;

/// The free base pages below `end`, and everything from `end` on.
pub(super) struct FreePages {
    /// Pages given back one by one; they are in no run.
    singles: Lowest,
    by_start: BTreeMap<u64, u64>,
    by_length: BTreeSet<(u64, u64)>,
    end: u64,
}

impl FreePages {
    /// Everything that is in none of the ascending `used` runs, from `first` on.
    pub(super) fn around(used: &[(u64, u64)], first: u64) -> Self {
        let mut free = Self {
            singles: Lowest::default(),
            by_start: BTreeMap::new(),
            by_length: BTreeSet::new(),
            end: first,
        };
        for &(start, span) in used.iter().filter(|(start, _)| *start >= first) {
            if start > free.end {
                free.insert_run(free.end, start - free.end);
            }
            free.end = start + span;
        }
        free
    }

    /// The first page past everything ever given out.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Free pages below `end`.
    pub(super) fn free_pages(&self) -> u64 {
        self.singles.len() as u64 + self.by_start.values().sum::<u64>()
    }

    /// Every free run, in no order.
    pub(super) fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        let singles = self.singles.iter().map(|id| (id, 1));
        singles.chain(self.by_start.iter().map(|(start, span)| (*start, *span)))
    }

    fn insert_run(&mut self, mut start: u64, mut span: u64) {
        if let Some((&before, &length)) = self.by_start.range(..start).next_back()
            && before + length == start
        {
            self.remove_run(before, length);
            start = before;
            span += length;
        }
        if let Some((&after, &length)) = self.by_start.range(start..).next()
            && start + span == after
        {
            self.remove_run(after, length);
            span += length;
        }
        self.by_start.insert(start, span);
        self.by_length.insert((span, start));
    }

    fn remove_run(&mut self, start: u64, span: u64) {
        self.by_start.remove(&start);
        self.by_length.remove(&(span, start));
    }

    /// Takes `span` contiguous pages out.
    pub(super) fn allocate(&mut self, span: u64) -> u64 {
        if span == 1 {
            return self.allocate_single();
        }
        if let Some((length, start)) = self.fitting(span) {
            self.remove_run(start, length);
            if length > span {
                self.by_start.insert(start + span, length - span);
                self.by_length.insert((length - span, start + span));
            }
            return start;
        }
        let id = self.end;
        self.end += span;
        id
    }

    fn allocate_single(&mut self) -> u64 {
        let run = self.by_start.first_key_value();
        let run = run.map(|(&start, &length)| (start, length));
        if let Some((start, length)) = run
            && self.singles.first().is_none_or(|single| start < single)
        {
            // Some more of the run at once: bits are cheaper than runs.
            let taken = length.min(SINGLES_AT_ONCE);
            self.remove_run(start, length);
            (start..start + taken).for_each(|id| self.singles.insert(id));
            if length > taken {
                self.by_start.insert(start + taken, length - taken);
                self.by_length.insert((length - taken, start + taken));
            }
        }
        self.singles.pop().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        })
    }

    /// Among the shortest runs of at least `span` pages the foremost.
    fn fitting(&mut self, span: u64) -> Option<(u64, u64)> {
        let find = |runs: &BTreeSet<(u64, u64)>| {
            let fitting = runs.range((span, 0)..).take(CANDIDATES_MAX);
            fitting.copied().min_by_key(|(_, start)| *start)
        };
        find(&self.by_length).or_else(|| {
            self.settle();
            find(&self.by_length)
        })
    }

    /// The foremost free page below `end`.
    pub(super) fn first(&mut self) -> Option<u64> {
        let run = self.by_start.first_key_value().map(|(start, _)| *start);
        self.singles.first().into_iter().chain(run).min()
    }

    /// Takes exactly these pages out: a log record names where its extent lies.
    pub(super) fn reserve(&mut self, start: u64, span: u64) -> bool {
        self.settle();
        if start >= self.end {
            if start > self.end {
                self.insert_run(self.end, start - self.end);
            }
            self.end = start + span;
            return true;
        }
        let Some((&run, &length)) = self.by_start.range(..=start).next_back() else {
            return false;
        };
        let inside_end = (run + length).min(self.end);
        if start + span > inside_end && !(inside_end == self.end && start < inside_end) {
            return false;
        }
        self.remove_run(run, length);
        if start > run {
            self.insert_run(run, start - run);
        }
        if inside_end > start + span {
            self.insert_run(start + span, inside_end - start - span);
        }
        self.end = self.end.max(start + span);
        true
    }

    /// Gives pages back.
    pub(super) fn release(&mut self, start: u64, span: u64) {
        debug_assert!(start + span <= self.end);
        if span == 1 {
            self.singles.insert(start);
        } else {
            self.insert_run(start, span);
        }
    }

    /// Joins single pages to runs.
    fn settle(&mut self) {
        let singles = std::mem::take(&mut self.singles);
        let mut run = (0, 0);
        for id in singles.iter() {
            if run.0 + run.1 != id {
                if run.1 > 0 {
                    self.insert_run(run.0, run.1);
                }
                run = (id, 0);
            }
            run.1 += 1;
        }
        if run.1 > 0 {
            self.insert_run(run.0, run.1);
        }
    }

    /// Lowers `end` below a free run that reaches it; the new end.
    pub(super) fn trim(&mut self) -> u64 {
        self.settle();
        if let Some((&start, &span)) = self.by_start.last_key_value()
            && start + span == self.end
        {
            self.remove_run(start, span);
            self.end = start;
        }
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_never_given_out_twice_and_all_come_back() {
        let mut free = FreePages::around(&[(0, 2), (5, 3)], 2);
        assert_eq!((free.free_pages(), free.end()), (3, 8));
        let mut taken: Vec<(u64, u64)> = vec![(5, 3)];
        let mut state = 7u64;
        for round in 0..20_000u64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(round);
            if state >> 62 != 0 || taken.len() < 2 {
                let span = if state >> 40 & 3 == 0 {
                    1 + (state >> 20) % 9
                } else {
                    1
                };
                let id = free.allocate(span);
                assert!(
                    taken.iter().all(|(s, l)| id + span <= *s || s + l <= id),
                    "run {id}+{span} overlaps"
                );
                taken.push((id, span));
            } else {
                let (id, span) = taken.swap_remove((state >> 10) as usize % taken.len());
                free.release(id, span);
            }
            let used: u64 = taken.iter().map(|(_, span)| span).sum();
            assert_eq!(free.free_pages() + used + 2, free.end());
            if taken.len() > 200 {
                for (id, span) in taken.drain(..) {
                    free.release(id, span);
                }
                assert_eq!(free.trim(), 2);
            }
        }
    }

    #[test]
    fn a_named_run_can_be_reserved_once() {
        let mut free = FreePages::around(&[(2, 1), (10, 1)], 2);
        assert!(free.reserve(4, 3));
        assert!(!free.reserve(4, 1));
        assert!(!free.reserve(6, 2));
        assert!(free.reserve(20, 5));
        assert!(!free.reserve(9, 2));
        assert_eq!(free.end(), 25);
        assert_eq!(free.free_pages(), 1 + 3 + 9);
    }
}
