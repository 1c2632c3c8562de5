//! Keys of a write-set, compared where they lie: following a pointer for each comparison would cost a cache miss, and
//! dozens of them per key in a transaction of many rows.

use std::cmp::Ordering;
use std::ops::Deref;

/// Bytes that are at hand.
const SHORT_BYTES: usize = 24;

/// A key with its first bytes beside each other in the map's nodes.
#[derive(Debug, Clone)]
pub(crate) struct WriteKey<'k> {
    /// Zeros behind a shorter key.
    first: [u8; SHORT_BYTES],
    whole: Whole<'k>,
}

#[derive(Debug, Clone)]
enum Whole<'k> {
    /// `first` has all of it: so many bytes.
    Short(u8),
    Owned(Box<[u8]>),
    Borrowed(&'k [u8]),
}

impl<'k> WriteKey<'k> {
    fn new(key: &[u8], long: impl FnOnce() -> Whole<'k>) -> Self {
        let mut first = [0; SHORT_BYTES];
        let count = key.len().min(SHORT_BYTES);
        first[..count].copy_from_slice(&key[..count]);
        let whole = if key.len() <= SHORT_BYTES {
            Whole::Short(count as u8)
        } else {
            long()
        };
        Self { first, whole }
    }

    pub(super) fn borrowed(key: &'k [u8]) -> Self {
        Self::new(key, || Whole::Borrowed(key))
    }

    fn words(&self) -> [u64; SHORT_BYTES / 8] {
        let (words, _) = self.first.as_chunks::<8>();
        std::array::from_fn(|index| u64::from_be_bytes(words[index]))
    }
}

impl WriteKey<'static> {
    pub(super) fn owned(key: &[u8]) -> Self {
        Self::new(key, || Whole::Owned(key.into()))
    }
}

impl Deref for WriteKey<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.whole {
            Whole::Short(length) => &self.first[..usize::from(*length)],
            Whole::Owned(key) => key,
            Whole::Borrowed(key) => key,
        }
    }
}

impl Ord for WriteKey<'_> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        // The zeros behind a short key are no bytes of it, so equal words decide nothing.
        let words = self.words().cmp(&other.words());
        words.then_with(|| (**self).cmp(&**other))
    }
}

impl PartialOrd for WriteKey<'_> {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for WriteKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for WriteKey<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SplitMix64;

    #[test]
    fn keys_compare_as_their_bytes_do() {
        let mut random = SplitMix64::new(3);
        let mut key = || -> Vec<u8> {
            let length = [0, 1, 7, 8, 22, 23, 24, 25, 26, 60][random.below(10)];
            let mut key = vec![0; length];
            for _ in 0..random.below(4).min(length) {
                key[random.below(length)] = [1, 255][random.below(2)];
            }
            key
        };
        for _ in 0..100_000 {
            let (a, b) = (key(), key());
            assert_eq!(&*WriteKey::owned(&a), &a[..]);
            let compared = WriteKey::owned(&a).cmp(&WriteKey::borrowed(&b));
            assert_eq!(compared, a.cmp(&b), "{a:?} against {b:?}");
        }
    }
}
