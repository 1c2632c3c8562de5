//! Links of one level, and the walk along them.
//!
//! A *place* names a row within a level: on the lowest its slot, above its *rank* (see the build), from which the order gives
//! the slot.

use crate::graph::nearest::{Nearest, key};
use crate::graph::rows::{Rows, prefetch};
use crate::graph::scratch::{Scratch, Walk};
use crate::graph::visited::Visited;

/// What stands behind the last link of a row.
pub(super) const NONE: u32 = u32::MAX;

/// Candidates kept on levels above the lowest, and how many of them the level below begins at. Following the nearest alone
/// would visit a few rows less, and too often end in the wrong region of data that lies in clusters.
pub(super) const DESCENT: usize = 8;
pub(super) const ENTRIES: usize = 2;

/// The links of one level.
pub(super) trait Layer {
    /// How many places there are.
    fn count(&self) -> usize;
    /// Call `each` with every link of a place.
    fn links(&self, place: u32, each: impl FnMut(u32));
    /// The links of a place that were not seen before, which are seen from now on, in place of what was in `fresh`.
    fn fresh(&self, place: u32, visited: &mut Visited, fresh: &mut Vec<u32>);
    /// Ask for the links of a place that will be needed soon.
    fn prefetch(&self, place: u32);
    /// The slots of places, in `buffer` or as they are.
    fn slots<'s>(&self, places: &'s [u32], buffer: &'s mut Vec<u32>) -> &'s [u32];
}

/// The lowest level as written: `width` links for each slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base<'a> {
    pub(super) width: usize,
    pub(super) links: &'a [[u8; 4]],
}

impl Layer for Base<'_> {
    fn count(&self) -> usize {
        self.links.len() / self.width
    }

    #[inline(always)]
    fn links(&self, place: u32, mut each: impl FnMut(u32)) {
        let at = place as usize * self.width;
        for link in &self.links[at..at + self.width] {
            let link = u32::from_le_bytes(*link);
            if link == NONE {
                break;
            }
            each(link);
        }
    }

    #[inline(always)]
    fn fresh(&self, place: u32, visited: &mut Visited, fresh: &mut Vec<u32>) {
        let at = place as usize * self.width;
        let links = self.links[at..at + self.width].iter();
        let links = links.map(|link| u32::from_le_bytes(*link));
        visited.sift(links.take_while(|&link| link != NONE), self.width, fresh);
    }

    #[inline(always)]
    fn prefetch(&self, place: u32) {
        let at = place as usize * self.width;
        prefetch(self.links, at);
        prefetch(self.links, at + 16);
    }

    #[inline(always)]
    fn slots<'s>(&self, places: &'s [u32], _buffer: &'s mut Vec<u32>) -> &'s [u32] {
        places
    }
}

/// A level above as written: the links of rank r are those from offset r to offset r + 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upper<'a> {
    pub(super) order: &'a [[u8; 4]],
    pub(super) offsets: &'a [[u8; 4]],
    pub(super) links: &'a [[u8; 4]],
}

impl Layer for Upper<'_> {
    fn count(&self) -> usize {
        self.offsets.len() - 1
    }

    #[inline(always)]
    fn links(&self, place: u32, each: impl FnMut(u32)) {
        let at = place as usize;
        let from = u32::from_le_bytes(self.offsets[at]) as usize;
        let to = u32::from_le_bytes(self.offsets[at + 1]) as usize;
        self.links[from..to]
            .iter()
            .map(|link| u32::from_le_bytes(*link))
            .for_each(each);
    }

    #[inline(always)]
    fn fresh(&self, place: u32, visited: &mut Visited, fresh: &mut Vec<u32>) {
        let at = place as usize;
        let from = u32::from_le_bytes(self.offsets[at]) as usize;
        let to = u32::from_le_bytes(self.offsets[at + 1]) as usize;
        let links = self.links[from..to].iter();
        visited.sift(
            links.map(|link| u32::from_le_bytes(*link)),
            to - from,
            fresh,
        );
    }

    #[inline(always)]
    fn prefetch(&self, place: u32) {
        prefetch(self.offsets, place as usize);
    }

    #[inline(always)]
    fn slots<'s>(&self, places: &'s [u32], buffer: &'s mut Vec<u32>) -> &'s [u32] {
        buffer.clear();
        buffer.extend((places.iter()).map(|&place| u32::from_le_bytes(self.order[place as usize])));
        buffer
    }
}

/// A level while it is built: `width` links for each place. The distances along them are computed when somebody asks: kept,
/// they would take as much memory again.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) width: usize,
    pub(super) links: &'a mut [u32],
}

impl<'a> Table<'a> {
    /// A level without links, in the place of what was in `links`.
    pub(super) fn new(width: usize, links: &'a mut [u32]) -> Self {
        links.fill(NONE);
        Self { width, links }
    }

    /// How many places there are.
    pub(super) fn places(&self) -> usize {
        self.links.len() / self.width
    }

    /// The links of a place.
    #[inline(always)]
    pub(super) fn of(&self, place: u32) -> &[u32] {
        let at = place as usize * self.width;
        let links = &self.links[at..at + self.width];
        let used = links.iter().position(|&link| link == NONE);
        &links[..used.unwrap_or(self.width)]
    }

    /// Give a place other links, at most `width`.
    pub(super) fn set(&mut self, place: u32, links: impl Iterator<Item = u32>) {
        let at = place as usize * self.width;
        let all = &mut self.links[at..at + self.width];
        let mut used = 0;
        for link in links {
            all[used] = link;
            used += 1;
        }
        all[used..].fill(NONE);
    }

    /// Add a link to a place that has room for it.
    pub(super) fn append(&mut self, place: u32, link: u32) {
        let at = place as usize * self.width + self.of(place).len();
        self.links[at] = link;
    }
}

/// A level while it is built, with the order that ranks are places in; without one, places are slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growing<'a> {
    pub(super) table: &'a Table<'a>,
    pub(super) order: Option<&'a [u32]>,
}

impl Growing<'_> {
    /// The slot of a place.
    #[inline(always)]
    pub(super) fn slot(&self, place: u32) -> u32 {
        self.order.map_or(place, |order| order[place as usize])
    }
}

impl Layer for Growing<'_> {
    fn count(&self) -> usize {
        self.table.places()
    }

    #[inline(always)]
    fn links(&self, place: u32, each: impl FnMut(u32)) {
        self.table.of(place).iter().copied().for_each(each);
    }

    #[inline(always)]
    fn fresh(&self, place: u32, visited: &mut Visited, fresh: &mut Vec<u32>) {
        let links = self.table.of(place);
        visited.sift(links.iter().copied(), links.len(), fresh);
    }

    #[inline(always)]
    fn prefetch(&self, place: u32) {
        let at = place as usize * self.table.width;
        prefetch(self.table.links, at);
        prefetch(self.table.links, at + 16);
    }

    #[inline(always)]
    fn slots<'s>(&self, places: &'s [u32], buffer: &'s mut Vec<u32>) -> &'s [u32] {
        match self.order {
            None => places,
            Some(order) => {
                buffer.clear();
                buffer.extend(places.iter().map(|&place| order[place as usize]));
                buffer
            }
        }
    }
}

/// A walk's way of measuring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Towards<'a> {
    pub(super) query: &'a [u8],
    pub(super) rows: Rows<'a>,
}

impl Towards<'_> {
    /// Start at a place: it is seen, and a candidate.
    fn enter<L: Layer>(&self, layer: &L, place: u32, visited: &mut Visited, nearest: &mut Nearest) {
        let mut buffer = Vec::new();
        let slot = layer.slots(&[place], &mut buffer)[0];
        if visited.insert(place) {
            nearest.push(key(self.rows.distance(self.query, slot), place));
        }
    }

    /// Walk a whole level, from the entries of the scratch to the nearest `room` places. Gives how many were visited.
    pub(super) fn level<L: Layer>(
        &self,
        layer: &L,
        room: usize,
        budget: usize,
        scratch: &mut Scratch,
    ) -> usize {
        scratch.visited.begin(layer.count());
        scratch.nearest.begin(room);
        for &entry in &scratch.entries {
            self.enter(layer, entry, &mut scratch.visited, &mut scratch.nearest);
        }
        let (visited, nearest) = (&mut scratch.visited, &mut scratch.nearest);
        let begun = scratch.entries.len();
        begun
            + self.walk(
                layer,
                visited,
                nearest,
                &mut scratch.walk,
                budget.saturating_sub(begun),
            )
    }

    /// Measure the first `count` places of a level, all it has, instead of walking: the nearest `room` are kept.
    pub(super) fn whole<L: Layer>(
        &self,
        layer: &L,
        count: usize,
        room: usize,
        scratch: &mut Scratch,
    ) {
        let Scratch { nearest, walk, .. } = scratch;
        nearest.begin(room);
        walk.fresh.clear();
        walk.fresh.extend(0..count as u32);
        self.measure(layer, nearest, walk);
    }

    /// Follow the nearest candidate not followed yet, until all that are kept were, or `budget` rows were visited.
    /// Gives how many were.
    fn walk<L: Layer>(
        &self,
        layer: &L,
        visited: &mut Visited,
        nearest: &mut Nearest,
        buffers: &mut Walk,
        budget: usize,
    ) -> usize {
        let mut count = 0;
        while count < budget {
            let Some(place) = nearest.follow() else { break };
            if let Some(next) = nearest.peek() {
                layer.prefetch(next);
            }
            layer.fresh(place, visited, &mut buffers.fresh);
            count += self.measure(layer, nearest, buffers);
        }
        count
    }

    /// Measure the fresh places and offer them as candidates. Gives how many there were.
    #[inline(always)]
    fn measure<L: Layer>(&self, layer: &L, nearest: &mut Nearest, buffers: &mut Walk) -> usize {
        let slots = layer.slots(&buffers.fresh, &mut buffers.slots);
        self.rows.gather(self.query, slots, &mut buffers.distances);
        for (&place, &distance) in buffers.fresh.iter().zip(&buffers.distances) {
            if nearest.push(key(distance, place)) {
                layer.prefetch(place);
            }
        }
        slots.len()
    }
}
