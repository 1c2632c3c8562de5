//! What the best posting of a block can be: pairs (occurrences, length of the field) of which every posting is matched
//! or beaten by one. A bound on scores that holds whatever the average length becomes.
//!
//! ```text
//! impacts := pairs-1:u8  (tf - tf before - 1:varint  length - length before:varint)*
//! ```
//!
//! Invariants
//! 1. Pairs ascend in both numbers (the first in strictly so).
//! 2. For every posting added there is a pair with no fewer occurrences and no greater length.

use super::bytes::{Put, Take};
use super::failure::{Failure, Result};

/// More pairs are merged into fewer, which loosens the bound and keeps invariant 2.
pub(crate) const PAIRS_MAX: usize = 4;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Impacts {
    pairs: [(u32, u32); PAIRS_MAX],
    count: usize,
}

impl Impacts {
    /// Of these postings.
    pub(crate) fn of(tfs: &[u32], lengths: &[u32]) -> Self {
        let mut impacts = Self::default();
        for (tf, length) in tfs.iter().zip(lengths) {
            impacts.add(*tf, *length);
        }
        impacts
    }

    pub(crate) fn pairs(&self) -> &[(u32, u32)] {
        &self.pairs[..self.count]
    }

    #[inline]
    pub(crate) fn add(&mut self, tf: u32, length: u32) {
        if self
            .pairs()
            .iter()
            .any(|pair| pair.0 >= tf && pair.1 <= length)
        {
            return;
        }
        let mut kept = [(0, 0); PAIRS_MAX + 1];
        let mut count = 0;
        for pair in self.pairs() {
            if !(pair.0 <= tf && pair.1 >= length) {
                kept[count] = *pair;
                count += 1;
            }
        }
        let at = kept[..count].partition_point(|pair| pair.0 < tf);
        kept.copy_within(at..count, at + 1);
        kept[at] = (tf, length);
        count += 1;
        if count > PAIRS_MAX {
            // Many occurrences are rare: the bound loosens there.
            kept[count - 2] = (kept[count - 1].0, kept[count - 2].1);
            count -= 1;
        }
        self.pairs.copy_from_slice(&kept[..PAIRS_MAX]);
        self.count = count;
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for (tf, length) in other.pairs() {
            self.add(*tf, *length);
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.count > 0, "a block has postings");
        out.push(self.count as u8 - 1);
        let mut before = (0, 0);
        for pair in self.pairs() {
            out.put_varint(u64::from(pair.0 - before.0 - 1));
            out.put_varint(u64::from(pair.1 - before.1));
            before = *pair;
        }
    }

    pub(crate) fn decode(take: &mut Take<'_>) -> Result<Self> {
        let count = usize::from(take.byte()?) + 1;
        if count > PAIRS_MAX {
            return Err(Failure::Malformed("a bound of a block has too many pairs"));
        }
        let mut impacts = Self {
            count,
            ..Self::default()
        };
        let wrong = Failure::Malformed("a bound of a block is too large");
        let mut before = (0u32, 0u32);
        for pair in &mut impacts.pairs[..count] {
            let (tf, length) = (take.number()?, take.number()?);
            let tf = before.0.checked_add(tf).and_then(|tf| tf.checked_add(1));
            *pair = (
                tf.ok_or(wrong.clone())?,
                before.1.checked_add(length).ok_or(wrong.clone())?,
            );
            before = *pair;
        }
        Ok(impacts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_posting_is_matched_or_beaten(postings in prop::collection::vec((1u32..30, 0u32..40), 1..200)) {
            let mut impacts = Impacts::default();
            for (tf, length) in &postings {
                impacts.add(*tf, *length);
            }
            for (tf, length) in &postings {
                prop_assert!(impacts.pairs().iter().any(|pair| pair.0 >= *tf && pair.1 <= *length));
            }
            prop_assert!(impacts.pairs().is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
            let mut bytes = Vec::new();
            impacts.encode(&mut bytes);
            prop_assert_eq!(Impacts::decode(&mut Take::new(&bytes)).unwrap(), impacts);
        }
    }
}
