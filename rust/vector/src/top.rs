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
    /// The limit, or the distance of the worst of k.
    bound: f32,
    kept: Kept<S>,
}

#[derive(Clone, Debug)]
enum Kept<S> {
    /// In their order: for a few that beats a heap, and most of all where they come in order.
    Few(Vec<Hit<S>>),
    Many(BinaryHeap<Hit<S>>),
}

/// So many are kept in order.
const FEW_MAX: usize = 64;
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
            bound: if k == 0 { f32::NEG_INFINITY } else { limit },
            kept: if k <= FEW_MAX {
                Kept::Few(Vec::with_capacity(k))
            } else {
                Kept::Many(BinaryHeap::with_capacity(k.min(ROOM_MAX)))
            },
        }
    }

    /// A hit further away than this is not among the nearest; one as far may be, by its slot.
    #[inline]
    #[must_use]
    pub fn bound(&self) -> f32 {
        self.bound
    }

    /// Take a hit if it is among the nearest.
    #[inline]
    pub fn push(&mut self, distance: f32, slot: S) {
        // Written so that NaN fails: T2.
        if distance <= self.bound {
            self.push_near(Hit { distance, slot });
        }
    }

    fn push_near(&mut self, hit: Hit<S>) {
        let worst = match &mut self.kept {
            Kept::Few(kept) => {
                insert(kept, self.k, hit);
                kept.last()
            }
            Kept::Many(heap) if heap.len() < self.k => {
                heap.push(hit);
                heap.peek()
            }
            Kept::Many(heap) => {
                if let Some(mut worst) = heap.peek_mut()
                    && hit < *worst
                {
                    *worst = hit;
                }
                heap.peek()
            }
        };
        let worst = worst.map(|worst| worst.distance);
        if self.is_full() {
            self.bound = worst.unwrap_or(f32::NEG_INFINITY);
        }
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.kept {
            Kept::Few(kept) => kept.len(),
            Kept::Many(heap) => heap.len(),
        }
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether k are kept.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.k
    }

    /// Those kept, the nearest first.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Hit<S>> {
        match self.kept {
            Kept::Few(kept) => kept,
            Kept::Many(heap) => heap.into_sorted_vec(),
        }
    }
}

/// Put a hit where it belongs among at most `k`; the worst goes when there is no room.
#[inline]
fn insert<S: Ord + Copy>(kept: &mut Vec<Hit<S>>, k: usize, hit: Hit<S>) {
    if kept.len() < k {
        kept.push(hit);
    } else if kept.last().is_none_or(|worst| hit >= *worst) {
        return;
    }
    let mut at = kept.len() - 1;
    while at > 0 && hit < kept[at - 1] {
        kept[at] = kept[at - 1];
        at -= 1;
    }
    kept[at] = hit;
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
    fn few_and_many_are_kept_alike() {
        let mut random = crate::random::Random::new(5);
        for k in [1, 2, FEW_MAX - 1, FEW_MAX, FEW_MAX + 1, 200] {
            let mut hits: Vec<Hit> = (0..500)
                .map(|slot| Hit {
                    distance: random.below(100) as f32 - 10.0,
                    slot,
                })
                .collect();
            let mut top = TopK::within(k, 80.0);
            for hit in &hits {
                top.push(hit.distance, hit.slot);
            }
            hits.retain(|hit| hit.distance <= 80.0);
            hits.sort();
            hits.truncate(k);
            assert_eq!(top.into_sorted(), hits, "{k}");
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
