//! What a transaction has read of one store: what must still be so when it commits.

use rustc_hash::FxHashSet;

/// Points, ranges and the number of entries.
#[derive(Debug, Default)]
pub(crate) struct ReadSet {
    pub(super) points: FxHashSet<Box<[u8]>>,
    /// Half-open ranges; no upper end is the end of the store.
    pub(super) ranges: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) count: bool,
}

impl ReadSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty() && self.ranges.is_empty() && !self.count
    }

    /// How many keys and ranges were seen.
    pub(crate) fn len(&self) -> usize {
        self.points.len() + self.ranges.len()
    }

    /// An entry, or its absence, was seen.
    #[inline]
    pub(crate) fn point(&mut self, key: &[u8]) {
        if !self.points.contains(key) {
            self.points.insert(key.into());
        }
    }

    /// Everything in `low..high` was seen. A range that continues the last one extends it.
    pub(crate) fn range(&mut self, low: Vec<u8>, high: Option<Vec<u8>>) {
        if let Some((start, end)) = self.ranges.last_mut() {
            if end.as_ref() == Some(&low) {
                *end = high;
                return;
            }
            if high.as_ref() == Some(start) {
                *start = low;
                return;
            }
        }
        self.ranges.push((low, high));
    }

    /// The same, for ranges that are likely to be seen again and again.
    pub(crate) fn range_once(&mut self, low: Vec<u8>, high: Option<Vec<u8>>) {
        let known = |range: &(Vec<u8>, Option<Vec<u8>>)| range.0 == low && range.1 == high;
        if !self.ranges.iter().any(known) {
            self.range(low, high);
        }
    }

    /// The number of entries was seen.
    pub(crate) fn count(&mut self) {
        self.count = true;
    }
}
