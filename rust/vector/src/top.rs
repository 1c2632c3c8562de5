//! The k nearest of what was seen so far.
//!
//! T1. The result depends on the set of hits alone, not on the order they came in: equal distances are ordered by slot.
//! T2. A distance that is no number is never among the nearest.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A row and how far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit<S = u32> {
    /// The internal distance.
    pub distance: f32,
    /// The row's place, or whatever the caller orders ties by.
    pub slot: S,
}

impl<S: Ord> Eq for Hit<S> {}

impl<S: Ord> Ord for Hit<S> {
    fn cmp(&self, other: &Self) -> Ordering {
        // -0.0 and 0.0 are one distance; NaN does not get in: T2.
        self.distance
            .partial_cmp(&other.distance)
            .unwrap_or(Ordering::Equal)
            .then_with(|| self.slot.cmp(&other.slot))
    }
}

impl<S: Ord> PartialOrd for Hit<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Collects the k nearest within a limit.
#[derive(Clone, Debug)]
pub struct TopK<S = u32> {
    k: usize,
    limit: f32,
    heap: BinaryHeap<Hit<S>>,
}

/// Room made at once; a larger k grows as hits come.
const ROOM_MAX: usize = 1024;

impl<S: Ord + Copy> TopK<S> {
    /// Collect the `k` nearest.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self::within(k, f32::INFINITY)
    }

    /// Collect the `k` nearest among those at most `limit` away; `usize::MAX` for all of them.
    #[must_use]
    pub fn within(k: usize, limit: f32) -> Self {
        Self {
            k,
            limit,
            heap: BinaryHeap::with_capacity(k.min(ROOM_MAX)),
        }
    }

    /// A hit further away than this is not among the nearest; one as far may be, by its slot.
    #[must_use]
    pub fn bound(&self) -> f32 {
        if self.heap.len() < self.k {
            return self.limit;
        }
        self.heap
            .peek()
            .map_or(f32::NEG_INFINITY, |worst| worst.distance)
    }

    /// Take a hit if it is among the nearest.
    #[inline]
    pub fn push(&mut self, distance: f32, slot: S) {
        // Written so that NaN fails: T2.
        if distance <= self.bound() {
            self.push_near(Hit { distance, slot });
        }
    }

    fn push_near(&mut self, hit: Hit<S>) {
        if self.heap.len() < self.k {
            self.heap.push(hit);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && hit < *worst
        {
            *worst = hit;
        }
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Whether k are kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.heap.len() >= self.k
    }

    /// Those kept, the nearest first.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Hit<S>> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let distances = [3.0, 1.0, 2.0, 1.0, -0.0, 0.0, 2.0, 1.0];
        for turn in 0..distances.len() {
            let mut top = TopK::new(4);
            for at in 0..distances.len() {
                let slot = (at * 3 + turn) % distances.len();
                top.push(distances[slot], slot as u32);
            }
            let slots: Vec<u32> = top.into_sorted().iter().map(|hit| hit.slot).collect();
            assert_eq!(slots, [4, 5, 1, 3]);
        }
    }

    #[test]
    fn no_number_is_no_hit_and_the_limit_is_included() {
        let mut top = TopK::within(usize::MAX, 2.0);
        for (slot, distance) in [
            f32::NAN,
            2.0,
            2.0_f32.next_up(),
            -f32::NAN,
            f32::INFINITY,
            -1.0,
        ]
        .into_iter()
        .enumerate()
        {
            top.push(distance, slot as u32);
        }
        let found: Vec<_> = top.into_sorted().iter().map(|hit| hit.slot).collect();
        assert_eq!(found, [5, 1]);
    }

    #[test]
    fn none_is_nearest_of_zero() {
        let mut top = TopK::new(0);
        top.push(f32::NEG_INFINITY, 1_u32);
        top.push(1.0, 2);
        assert!(top.is_full() && top.into_sorted().is_empty());
    }
}
