//! Building: rows are inserted in batches.
//!
//! ```text
//! order     by ranks (see there): a batch is a sample of all rows
//! a batch   1. each row looks for its neighbours in the graph as it was before the batch     in parallel, nothing changes
//!           2. links to the batch's rows are added; full lists are chosen anew               in parallel, each its own list
//! ```
//!
//! As no row of a batch sees another, neither threads nor their timing change the outcome, and nothing is locked
//! (the idea is that of Manohar and others, "ParlayANN", 2024). A batch is a small part of what is in the graph, so
//! what its rows miss of each other hardly shows.
//!
//! B1. Rank r is on level l exactly when r < sizes[l]; sizes[0] counts all rows of the graph.
//! B2. A link goes to a row that is in the graph, never to the row itself, and no list holds one twice.

use std::sync::atomic::Ordering;

use super::layer::{DESCENT, ENTRIES, Growing, Layer, Table, Towards};
use super::parallel::each_chunk;
use super::rank::LEVEL_MAX;
use super::select::select;
use crate::graph::nearest::{distance, key, place};
use crate::graph::rows::Rows;
use crate::graph::scratch::{Scratch, Walk};
use crate::graph::{BuildError, Options, Work};

/// A batch is at most this part of the rows in the graph,
const BATCH_PART: usize = 32;

/// and of the rows inserted so far: those of a graph that was there may be far from where the new ones are,
const BATCH_PART_NEW: usize = 8;

/// and at most so many rows, so that stopping is quick.
const BATCH_MAX: usize = 1024;

/// Rows that a thread takes at once.
const CHUNK: usize = 16;

/// A graph that grows.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) options: Options,
    /// The slot of each rank.
    pub(super) order: &'a [u32],
    /// How many ranks are on each level.
    pub(super) sizes: Vec<usize>,
    pub(super) base: Table<'a>,
    pub(super) upper: Vec<Table<'a>>,
}

/// The links a row chose, level by level from its highest.
#[derive(Clone, Debug, Default)]
struct Chosen {
    keys: Vec<u64>,
    ends: Vec<usize>,
}

/// A list that is full, with links that want to be in it.
#[derive(Debug)]
struct Full {
    place: u32,
    wanted: Vec<u64>,
}

/// A number as good as random for each slot and seed.
pub(super) fn mixed(seed: u64, slot: u32) -> u64 {
    let mut bits = seed ^ u64::from(slot).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The level of a slot: each has one row of `links` of the level below.
pub(super) fn level_of(options: &Options, slot: u32) -> usize {
    let part = ((mixed(options.seed, slot) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    ((-part.ln() / (options.links as f64).ln()) as usize).min(LEVEL_MAX)
}

impl<'a> Builder<'a> {
    /// A level, to walk on.
    pub(super) fn layer(&self, level: usize) -> Growing<'_> {
        match level {
            0 => Growing {
                table: &self.base,
                order: None,
            },
            _ => Growing {
                table: &self.upper[level - 1],
                order: Some(self.order),
            },
        }
    }

    pub(super) fn table(&mut self, level: usize) -> &mut Table<'a> {
        match level {
            0 => &mut self.base,
            _ => &mut self.upper[level - 1],
        }
    }

    /// The highest level of a rank.
    fn top_of(&self, rank: u32) -> usize {
        let above = self.sizes[1..].iter();
        above.take_while(|&&size| (rank as usize) < size).count()
    }

    /// A rank's place on a level.
    fn place_on(&self, level: usize, rank: u32) -> u32 {
        if level == 0 {
            self.order[rank as usize]
        } else {
            rank
        }
    }

    /// Insert the ranks of `todo` into a graph that has all others, `present` rows.
    pub(super) fn insert(
        &mut self,
        mut todo: impl Iterator<Item = u32>,
        mut present: usize,
        work: &Work<'_>,
    ) -> Result<(), BuildError> {
        let all = self.order.len();
        if present == 0 && todo.next().is_some() {
            present = 1; // the first has nothing to link to
        }
        let (mut batch, mut chosen) = (Vec::new(), Vec::new());
        let mut inserted = 0;
        while present < all {
            let size = (present / BATCH_PART).min(inserted / BATCH_PART_NEW);
            let size = size.clamp(1, BATCH_MAX).min(all - present);
            batch.clear();
            batch.extend(todo.by_ref().take(size));
            chosen.resize(size.max(chosen.len()), Chosen::default());
            self.look(&batch, &mut chosen[..size], work)?;
            self.link(&batch, &chosen[..size], work);
            present += size;
            inserted += size;
            (work.progress)(present, all);
        }
        Ok(())
    }

    /// The first half of a batch: each row's neighbours, in the graph as it is.
    fn look(
        &self,
        batch: &[u32],
        chosen: &mut [Chosen],
        work: &Work<'_>,
    ) -> Result<(), BuildError> {
        each_chunk(work.threads, chosen, CHUNK, |first, chosen, scratch| {
            for (chosen, &rank) in chosen.iter_mut().zip(&batch[first..]) {
                if work.stop.load(Ordering::Relaxed) {
                    return;
                }
                self.look_for(rank, scratch, chosen);
            }
        });
        if work.stop.load(Ordering::Relaxed) {
            return Err(BuildError::Stopped);
        }
        Ok(())
    }

    fn look_for(&self, rank: u32, scratch: &mut Scratch, chosen: &mut Chosen) {
        chosen.keys.clear();
        chosen.ends.clear();
        let towards = Towards {
            query: self.rows.row(self.order[rank as usize]),
            rows: self.rows,
        };
        let own_top = self.top_of(rank);
        scratch.entries.clear();
        scratch.entries.push(0);
        for level in (0..self.sizes.len()).rev() {
            let layer = self.layer(level);
            if level == 0 {
                for entry in &mut scratch.entries {
                    *entry = self.order[*entry as usize];
                }
            }
            let wide = level <= own_top;
            let room = if wide {
                self.options.ef_construction
            } else {
                DESCENT
            };
            towards.level(&layer, room, usize::MAX, scratch);
            if wide {
                let found = scratch.nearest.keys();
                select(
                    layer,
                    self.rows,
                    found,
                    self.options.links,
                    &mut chosen.keys,
                );
                chosen.ends.push(chosen.keys.len());
            }
            scratch.leave(ENTRIES);
        }
    }

    /// The second half of a batch: its rows get their links, and those they lead to get links back.
    fn link(&mut self, batch: &[u32], chosen: &[Chosen], work: &Work<'_>) {
        let highest = batch
            .iter()
            .map(|&rank| self.top_of(rank))
            .max()
            .unwrap_or(0);
        for level in (0..=highest).rev() {
            let mut back: Vec<(u32, u64)> = Vec::new();
            for (&rank, chosen) in batch.iter().zip(chosen) {
                let Some(at) = self.top_of(rank).checked_sub(level) else {
                    continue;
                };
                let from = if at == 0 { 0 } else { chosen.ends[at - 1] };
                let keys = &chosen.keys[from..chosen.ends[at]];
                let own = self.place_on(level, rank);
                back.extend(
                    keys.iter()
                        .map(|&link| (place(link), key(distance(link), own))),
                );
                self.table(level)
                    .set(own, keys.iter().map(|&link| place(link)));
            }
            back.sort_unstable();
            self.link_back(level, &back, work);
        }
    }

    fn link_back(&mut self, level: usize, back: &[(u32, u64)], work: &Work<'_>) {
        let mut full = Vec::new();
        for links in back.chunk_by(|one, other| one.0 == other.0) {
            let target = links[0].0;
            let table = self.table(level);
            if table.of(target).len() + links.len() <= table.width {
                for &(_, link) in links {
                    table.append(target, place(link));
                }
            } else {
                full.push(Full {
                    place: target,
                    wanted: links.iter().map(|link| link.1).collect(),
                });
            }
        }
        let (layer, rows) = (self.layer(level), self.rows);
        each_chunk(work.threads, &mut full, CHUNK, |_, full, scratch| {
            let mut candidates = Vec::new();
            for full in full {
                candidates.clear();
                all_links(layer, rows, full.place, &mut scratch.walk, &mut candidates);
                candidates.extend_from_slice(&full.wanted);
                candidates.sort_unstable();
                full.wanted.clear();
                select(
                    layer,
                    rows,
                    &candidates,
                    layer.table.width,
                    &mut full.wanted,
                );
            }
        });
        for full in &full {
            let links = full.wanted.iter();
            self.table(level)
                .set(full.place, links.map(|&link| place(link)));
        }
    }
}

/// Append the links of a place as keys.
fn all_links(
    layer: Growing<'_>,
    rows: Rows<'_>,
    target: u32,
    buffers: &mut Walk,
    out: &mut Vec<u64>,
) {
    let links = layer.table.of(target);
    let slots = layer.slots(links, &mut buffers.slots);
    rows.gather(rows.row(layer.slot(target)), slots, &mut buffers.distances);
    let keys = links.iter().zip(&buffers.distances);
    out.extend(keys.map(|(&link, &distance)| key(distance, link)));
}
