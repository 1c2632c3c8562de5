//! Searching a graph that was written.

use std::cmp::Reverse;

use super::format::View;
use super::layer::{Layer, Towards};
use crate::graph::nearest::{Nearest, distance, key, place};
use crate::graph::rows::Rows;
use crate::graph::scratch::{self, Scratch};
use crate::graph::{Request, Search};
use crate::kernel::Kernel;
use crate::top::Hit;

/// Below this part of rows that pass, a walk steps over those that do not: see [`Filtered`].
const FEW: f32 = 0.4;

/// Candidates of a walk over codes whose exact distance is taken: so many times k, and some.
const EXACT_TIMES: usize = 3;
const EXACT_MORE: usize = 16;

/// One search.
pub(super) struct Searching<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) rows: Rows<'a>,
    pub(super) request: &'a Request<'a>,
}

impl Searching<'_> {
    pub(super) fn run(&self) -> Search {
        let request = self.request;
        assert_eq!(
            request.query.len(),
            self.rows.kernel().row_bytes(),
            "a query of another space"
        );
        if self.view.rows == 0 || request.k == 0 {
            return Search {
                hits: Vec::new(),
                visited: 0,
                exhausted: false,
            };
        }
        let mut scratch = scratch::borrow();
        let scratch = &mut *scratch;
        let mut code = std::mem::take(&mut scratch.code);
        let mut towards = Towards {
            query: request.query,
            rows: self.rows,
        };
        let mut by_codes = false;
        if let Some(codes) = &self.view.codes {
            let space = self.rows.kernel().space();
            let error = codes.encode(space, request.query, &mut scratch.distances, &mut code);
            if error <= codes.tolerance {
                by_codes = true;
                towards = Towards {
                    query: &code,
                    rows: Rows::new(Kernel::of(&codes.space), codes.rows),
                };
            }
        }
        let mut visited = 0;
        let entry = self.descend(&towards, scratch, &mut visited);
        let room = request.ef.max(request.k).min(self.view.rows);
        let early = match request.pass.test() {
            None => self.walk_all(&towards, entry, room, scratch, &mut visited),
            Some(test) => self.walk_some(&towards, entry, room, test, scratch, &mut visited),
        };
        let hits = self.finish(by_codes, scratch);
        let missing = hits.len() < request.k && visited < self.view.rows;
        scratch.code = code;
        Search {
            exhausted: early || missing,
            hits,
            visited,
        }
    }

    /// Go down the levels to the lowest.
    fn descend(&self, towards: &Towards<'_>, scratch: &mut Scratch, visited: &mut usize) -> u32 {
        let mut rank = 0;
        for layer in self.view.upper.iter().rev() {
            scratch.visited.begin(layer.count());
            scratch.nearest.begin(1);
            towards.enter(layer, rank, &mut scratch.visited, &mut scratch.nearest);
            *visited += 1 + towards.walk(
                layer,
                &mut scratch.visited,
                &mut scratch.nearest,
                &mut scratch.walk,
                usize::MAX,
            );
            rank = place(scratch.nearest.keys()[0]);
        }
        match self.view.upper.first() {
            None => self.view.entry,
            Some(layer) => layer.slots(&[rank], &mut scratch.slots)[0],
        }
    }

    /// Walk the lowest level when all rows pass. True when the budget ended it.
    fn walk_all(
        &self,
        towards: &Towards<'_>,
        entry: u32,
        room: usize,
        scratch: &mut Scratch,
        visited: &mut usize,
    ) -> bool {
        let base = &self.view.base;
        scratch.visited.begin(self.view.rows);
        scratch.nearest.begin(room);
        towards.enter(base, entry, &mut scratch.visited, &mut scratch.nearest);
        *visited += 1;
        *visited += towards.walk(
            base,
            &mut scratch.visited,
            &mut scratch.nearest,
            &mut scratch.walk,
            self.request.budget.saturating_sub(*visited),
        );
        *visited >= self.request.budget && scratch.nearest.peek().is_some()
    }

    /// Exact distances of the best candidates, and the rows equal to them.
    fn finish(&self, by_codes: bool, scratch: &mut Scratch) -> Vec<Hit> {
        let k = self.request.k;
        let found = scratch.nearest.keys();
        scratch.slots.clear();
        if by_codes {
            let enough = found
                .len()
                .min(k.saturating_mul(EXACT_TIMES).saturating_add(EXACT_MORE));
            scratch
                .slots
                .extend(found[..enough].iter().map(|&key| place(key)));
            for &slot in &scratch.slots {
                self.rows.prefetch(slot);
            }
            self.rows
                .gather(self.request.query, &scratch.slots, &mut scratch.distances);
        } else {
            scratch.slots.extend(found.iter().map(|&key| place(key)));
            scratch.distances.clear();
            scratch
                .distances
                .extend(found.iter().map(|&key| distance(key)));
        }
        let mut best = Nearest::default();
        best.begin(k);
        let test = self.request.pass.test();
        for (&slot, &distance) in scratch.slots.iter().zip(&scratch.distances) {
            let passes = |slot: &u32| test.is_none_or(|test| test(*slot));
            if !self.view.has_groups() {
                best.push(key(distance, slot)); // a candidate only when it passes
                continue;
            }
            if passes(&slot) {
                best.push(key(distance, slot));
            }
            for member in self.view.members_of(slot).filter(passes) {
                if key(distance, member) >= best.bound() {
                    break; // members ascend: none that follows is nearer
                }
                best.push(key(distance, member));
            }
        }
        (best.keys().iter())
            .map(|&key| Hit {
                distance: distance(key),
                slot: place(key),
            })
            .collect()
    }
}

/// A walk when only some rows pass.
///
/// When many do, the walk goes over all rows and keeps those that pass. When few do, that looks at many rows for nothing:
/// then a link to a row that does not pass is replaced by that row's own links, and only rows that pass are measured
/// (the idea of ACORN-1: Patel and others, "ACORN: Performant and Predicate-Agnostic Search Over Vector Embeddings and
/// Structured Data", 2024). Where no row passes around a candidate, those that do not are measured as well, to get away.
struct Filtered<'a, 'b> {
    view: &'a View<'a>,
    towards: &'a Towards<'a>,
    test: &'a dyn Fn(u32) -> bool,
    scratch: &'b mut Scratch,
}

impl Filtered<'_, '_> {
    /// Whether a row, or one equal to it, may be returned.
    fn passes(&self, slot: u32) -> bool {
        (self.test)(slot)
            || self.view.has_groups() && self.view.members_of(slot).any(|slot| (self.test)(slot))
    }

    /// Walk until no candidate can better what is kept, or `budget` rows were visited. Gives their number, and whether
    /// candidates were left.
    fn run(&mut self, entry: u32, room: usize, few: bool, budget: usize) -> (usize, bool) {
        self.scratch.visited.begin(self.view.rows);
        self.scratch.nearest.begin(room);
        self.scratch.walk.frontier.clear();
        self.scratch.walk.fresh.clear();
        self.scratch.walk.fresh.push(entry);
        self.scratch.visited.insert(entry);
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
        walk.fresh.clear();
        self.view.base.links(place, |link| {
            if visited.insert(link) {
                walk.fresh.push(link);
            }
        });
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
        for &slot in &fresh {
            self.towards.rows.prefetch(slot);
        }
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

impl Searching<'_> {
    /// Walk the lowest level when only some rows pass. True when the budget ended it.
    fn walk_some(
        &self,
        towards: &Towards<'_>,
        entry: u32,
        room: usize,
        test: &dyn Fn(u32) -> bool,
        scratch: &mut Scratch,
        visited: &mut usize,
    ) -> bool {
        let mut filtered = Filtered {
            view: self.view,
            towards,
            test,
            scratch,
        };
        let budget = self.request.budget.saturating_sub(*visited);
        let (count, left) = filtered.run(entry, room, self.request.pass.rate() < FEW, budget);
        *visited += count;
        left
    }
}
