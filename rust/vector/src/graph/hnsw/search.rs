//! Searching a graph that was written.

use super::filtered::Filtered;
use super::format::View;
use super::layer::{DESCENT, ENTRIES, Layer, Towards};
use crate::graph::nearest::{distance, key, place};
use crate::graph::rows::Rows;
use crate::graph::scratch::{self, Scratch};
use crate::graph::{Request, Search};
use crate::kernel::Kernel;
use crate::top::Hit;

/// Below this part of rows that pass, a walk steps over those that do not: see [`Filtered`].
const FEW: f32 = 0.4;

/// A level of so few rows is measured whole instead of walked on: that takes no longer, and leads to the nearest of them.
const WHOLE_MAX: usize = 256;

/// Candidates of a walk over codes whose exact distance is taken: so many times k, and some.
const EXACT_TIMES: usize = 2;
const EXACT_MORE: usize = 8;

/// Candidates by codes whose exact distance is taken.
pub(super) fn candidates(k: usize) -> usize {
    k.saturating_mul(EXACT_TIMES).saturating_add(EXACT_MORE)
}

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
            if codes.stands_for(error) {
                by_codes = true;
                towards = Towards {
                    query: &code,
                    rows: Rows::new(Kernel::of(&codes.space), codes.rows),
                };
            }
        }
        let mut visited = self.descend(&towards, scratch);
        let room = request.ef.max(request.k).min(self.view.rows);
        let budget = request.budget.saturating_sub(visited);
        let early = match request.pass.test() {
            None => {
                visited += towards.level(&self.view.base, room, budget, scratch);
                visited >= request.budget && scratch.nearest.peek().is_some()
            }
            Some(test) => {
                let mut filtered = Filtered {
                    view: self.view,
                    towards: &towards,
                    test,
                    scratch,
                };
                let (count, left) = filtered.run(room, request.pass.rate() < FEW, budget);
                visited += count;
                left
            }
        };
        let hits = self.finish(by_codes, scratch);
        let missing = hits.len() < request.k.min(self.view.rows);
        scratch.code = code;
        Search {
            exhausted: early || missing,
            hits,
            visited,
        }
    }

    /// Go down the levels to the lowest. Gives how many were visited; the slots to begin at are in the scratch.
    fn descend(&self, towards: &Towards<'_>, scratch: &mut Scratch) -> usize {
        let mut visited = 0;
        scratch.entries.clear();
        scratch.entries.push(0);
        let upper = &self.view.upper;
        let few = upper.iter().position(|layer| layer.count() <= WHOLE_MAX);
        let walked = few.unwrap_or(upper.len());
        if let Some(layer) = few.map(|level| &upper[level]) {
            towards.whole(layer, layer.count(), ENTRIES, scratch);
            visited += layer.count();
            scratch.leave(ENTRIES);
        }
        for layer in upper[..walked].iter().rev() {
            visited += towards.level(layer, DESCENT, usize::MAX, scratch);
            scratch.leave(ENTRIES);
        }
        if self.view.upper.is_empty() {
            scratch.entries[0] = self.view.entry;
        } else {
            for entry in &mut scratch.entries {
                *entry = u32::from_le_bytes(self.view.order[*entry as usize]);
            }
        }
        visited
    }

    /// Exact distances of the best candidates, and the rows equal to them.
    fn finish(&self, by_codes: bool, scratch: &mut Scratch) -> Vec<Hit> {
        let k = self.request.k;
        let found = scratch.nearest.keys();
        scratch.slots.clear();
        if by_codes {
            let enough = found.len().min(candidates(k));
            scratch
                .slots
                .extend(found[..enough].iter().map(|&key| place(key)));
            self.rows
                .gather(self.request.query, &scratch.slots, &mut scratch.distances);
        } else {
            scratch.slots.extend(found.iter().map(|&key| place(key)));
            scratch.distances.clear();
            scratch
                .distances
                .extend(found.iter().map(|&key| distance(key)));
        }
        let Scratch {
            best,
            slots,
            distances,
            ..
        } = scratch;
        best.begin(k);
        let test = self.request.pass.test();
        for (&slot, &distance) in slots.iter().zip(&*distances) {
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
