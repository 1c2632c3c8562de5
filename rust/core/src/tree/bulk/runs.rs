//! A set of pages that were mostly taken in a row: neighbouring runs are kept as one.

use std::collections::BTreeMap;

/// Runs by their first page; no two of them touch.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    by_start: BTreeMap<u64, u64>,
}

impl Runs {
    /// Adds a run that is not in the set.
    pub(crate) fn insert(&mut self, mut start: u64, mut span: u64) {
        if let Some((&before, length)) = self.by_start.range_mut(..start).next_back() {
            assert!(
                before + *length <= start,
                "S1: page {start} was taken twice"
            );
            if before + *length == start {
                *length += span;
                // Runs grow at their end: a look at what follows is rarely needed.
                (start, span) = (before, *length);
            }
        }
        if let Some(length) = self.by_start.remove(&(start + span)) {
            span += length;
        }
        self.by_start.insert(start, span);
    }

    /// Takes a run away that is in the set.
    pub(crate) fn remove(&mut self, start: u64, span: u64) {
        let (&run, &length) = self
            .by_start
            .range(..=start)
            .next_back()
            .expect("the run is in the set");
        let (end, run_end) = (start + span, run + length);
        assert!(end <= run_end, "S1: page {start} was not taken");
        self.by_start.remove(&run);
        if run < start {
            self.by_start.insert(run, start - run);
        }
        if end < run_end {
            self.by_start.insert(end, run_end - end);
        }
    }

    /// The runs, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.by_start.iter().map(|(start, span)| (*start, *span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_join_and_part_again() {
        let mut runs = Runs::default();
        for (start, span) in [(10, 2), (14, 1), (12, 2), (30, 5), (15, 1)] {
            runs.insert(start, span);
        }
        assert_eq!(runs.iter().collect::<Vec<_>>(), [(10, 6), (30, 5)]);
        runs.remove(12, 1);
        runs.remove(30, 1);
        runs.remove(34, 1);
        assert_eq!(runs.iter().collect::<Vec<_>>(), [(10, 2), (13, 3), (31, 3)]);
    }
}
