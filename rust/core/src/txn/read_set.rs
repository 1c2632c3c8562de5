//! What a transaction has read of one store: what must still be so when it commits.

use rustc_hash::FxHashSet;

/// A set of keys grows up to at least so many of them; the next ones go into another.
const GROWS_TO: usize = 1 << 14;

/// Keys that were seen.
///
/// No large set ever grows: to move its keys into one with more room takes milliseconds, and this is done on the thread of an
/// event loop. Each set after the first has room for twice as many as the one before.
#[derive(Debug, Default)]
pub(crate) struct Points {
    newest: FxHashSet<Box<[u8]>>,
    full: Vec<FxHashSet<Box<[u8]>>>,
}

impl Points {
    fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    fn len(&self) -> usize {
        self.newest.len() + self.full.iter().map(FxHashSet::len).sum::<usize>()
    }

    #[inline]
    fn contains(&self, key: &[u8]) -> bool {
        self.newest.contains(key) || self.full.iter().any(|set| set.contains(key))
    }

    #[inline]
    fn insert(&mut self, key: &[u8]) {
        if self.contains(key) {
            return;
        }
        if self.newest.len() >= GROWS_TO && self.newest.len() == self.newest.capacity() {
            self.begin_another();
        }
        self.newest.insert(key.into());
    }

    #[cold]
    fn begin_another(&mut self) {
        let room = 2 * self.newest.len();
        let next = FxHashSet::with_capacity_and_hasher(room, rustc_hash::FxBuildHasher);
        self.full.push(std::mem::replace(&mut self.newest, next));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let sets = self.full.iter().chain([&self.newest]);
        sets.flatten().map(AsRef::as_ref)
    }
}

/// Points, ranges and the number of entries.
#[derive(Debug, Default)]
pub(crate) struct ReadSet {
    pub(super) points: Points,
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
        self.points.insert(key);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_remembered_once_however_many_there_are_and_no_large_set_grows() {
        const KEYS: u32 = 300_000;
        let mut reads = ReadSet::default();
        for key in (0..KEYS).chain(0..KEYS) {
            reads.point(&key.to_be_bytes());
        }
        assert_eq!(reads.len(), KEYS as usize);
        let points = &reads.points;
        let mut seen: Vec<u32> = (points.iter())
            .map(|key| u32::from_be_bytes(key.try_into().expect("four bytes")))
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..KEYS).collect::<Vec<_>>());
        assert!(points.full.len() > 2);
        for set in &points.full {
            assert_eq!(set.len(), set.capacity());
        }
        assert!(points.full[0].len() < 2 * GROWS_TO);
    }
}
