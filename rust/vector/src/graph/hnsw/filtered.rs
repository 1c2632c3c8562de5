//! A walk when only some rows pass.
//!
//! When many do, the walk goes over all rows and keeps those that pass. When few do, that looks at many rows for nothing:
//! then a link to a row that does not pass is replaced by that row's own links, and only rows that pass are measured
//! (the idea of ACORN-1: Patel and others, "ACORN: Performant and Predicate-Agnostic Search Over Vector Embeddings and
//! Structured Data", 2024). Where no row passes around a candidate, those that do not are measured as well, to get away.

use std::cmp::Reverse;

use super::format::View;
use super::layer::{Layer, Towards};
use crate::graph::nearest::{key, place};
use crate::graph::scratch::Scratch;

/// One such walk.
pub(super) struct Filtered<'a, 'b> {
    pub(super) view: &'a View<'a>,
    pub(super) towards: &'a Towards<'a>,
    pub(super) test: &'a dyn Fn(u32) -> bool,
    pub(super) scratch: &'b mut Scratch,
}

impl Filtered<'_, '_> {
    /// Whether a row, or one equal to it, may be returned.
    fn passes(&self, slot: u32) -> bool {
        (self.test)(slot)
            || self.view.has_groups() && self.view.members_of(slot).any(|slot| (self.test)(slot))
    }

    /// Walk until no candidate can better what is kept, or `budget` rows were visited. Gives their number, and whether
    /// candidates were left.
    pub(super) fn run(&mut self, room: usize, few: bool, budget: usize) -> (usize, bool) {
        self.scratch.visited.begin(self.view.rows);
        self.scratch.nearest.begin(room);
        self.scratch.walk.frontier.clear();
        self.scratch.walk.fresh.clear();
        for &entry in &self.scratch.entries {
            if self.scratch.visited.insert(entry) {
                self.scratch.walk.fresh.push(entry);
            }
        }
        let mut count = self.measure(None);
        while let Some(Reverse(nearest)) = self.scratch.walk.frontier.pop() {
            if nearest > self.scratch.nearest.bound() {
                return (count, false);
            }
            if count >= budget {
                return (count, true);
            }
            count += if few {
                self.step_over(place(nearest))
            } else {
                self.step(place(nearest))
            };
        }
        (count, false)
    }

    /// Measure everything a candidate leads to.
    fn step(&mut self, place: u32) -> usize {
        let Scratch { visited, walk, .. } = &mut *self.scratch;
        self.view.base.fresh(place, visited, &mut walk.fresh);
        self.measure(None)
    }

    /// Measure the rows that pass among those a candidate leads to, and among those behind the others.
    fn step_over(&mut self, place: u32) -> usize {
        let base = &self.view.base;
        let mut fresh = std::mem::take(&mut self.scratch.walk.fresh);
        let mut blocked = std::mem::take(&mut self.scratch.walk.blocked);
        fresh.clear();
        blocked.clear();
        base.links(place, |link| {
            if self.scratch.visited.insert(link) {
                if self.passes(link) {
                    fresh.push(link);
                } else {
                    base.prefetch(link);
                    blocked.push(link);
                }
            }
        });
        let mut read = 0;
        for &over in &blocked {
            if fresh.len() >= base.width {
                break;
            }
            read += 1;
            base.links(over, |link| {
                if !self.scratch.visited.contains(link) && self.passes(link) {
                    self.scratch.visited.insert(link);
                    fresh.push(link);
                }
            });
        }
        let passing = !fresh.is_empty();
        if !passing {
            std::mem::swap(&mut fresh, &mut blocked);
        }
        self.scratch.walk.fresh = fresh;
        self.scratch.walk.blocked = blocked;
        read + self.measure(Some(passing))
    }

    /// Measure the fresh rows: candidates all of them, kept when they pass.
    fn measure(&mut self, passing: Option<bool>) -> usize {
        let mut distances = std::mem::take(&mut self.scratch.distances);
        let fresh = std::mem::take(&mut self.scratch.walk.fresh);
        self.towards
            .rows
            .gather(self.towards.query, &fresh, &mut distances);
        for (&slot, &distance) in fresh.iter().zip(&distances) {
            let key = key(distance, slot);
            if key < self.scratch.nearest.bound() {
                self.scratch.walk.frontier.push(Reverse(key));
                if passing.unwrap_or_else(|| self.passes(slot)) {
                    self.scratch.nearest.push(key);
                }
            }
        }
        let count = fresh.len();
        self.scratch.distances = distances;
        self.scratch.walk.fresh = fresh;
        count
    }
}
