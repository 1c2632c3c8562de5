//! Building: rows are inserted in batches.
//!
//! ```text
//! order     rows by level, highest first, then by a hash: the rank of a row. So the rows of a level are the first ranks,
//!           and a batch is a sample of all rows
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

use super::layer::{DESCENT, ENTRIES, Growing, Table, Towards};
use super::parallel::each_chunk;
use super::select::select;
use crate::graph::nearest::{distance, key, place};
use crate::graph::rows::Rows;
use crate::graph::scratch::Scratch;
use crate::graph::{BuildError, Options, Work};

/// A batch is at most this part of the rows in the graph,
const BATCH_PART: usize = 32;

/// and of the rows inserted so far: those of a graph that was there may be far from where the new ones are,
const BATCH_PART_NEW: usize = 8;

/// and at most so many rows, so that stopping is quick.
const BATCH_MAX: usize = 1024;

/// Rows that a thread takes at once.
const CHUNK: usize = 16;

/// No level above this one.
pub(super) const LEVEL_MAX: usize = 24;

/// A graph that grows.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) options: Options,
    /// The slot of each rank.
    pub(super) order: Vec<u32>,
    /// How many ranks are on each level.
    pub(super) sizes: Vec<usize>,
    pub(super) base: Table,
    pub(super) upper: Vec<Table>,
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
    /// An empty graph for the rows at `slots`; `places` rows in all.
    pub(super) fn new(
        rows: Rows<'a>,
        options: Options,
        places: usize,
        slots: impl Iterator<Item = u32>,
    ) -> Self {
        let mut ranked: Vec<(usize, u64, u32)> = slots
            .map(|slot| {
                let level = level_of(&options, slot);
                (LEVEL_MAX - level, mixed(!options.seed, slot), slot)
            })
            .collect();
        ranked.sort_unstable();
        let ranked = ranked
            .into_iter()
            .map(|row| (LEVEL_MAX - row.0, row.2))
            .collect();
        Self::of_ranked(rows, options, places, ranked)
    }

    /// A graph without links, for slots with their levels in the order of ranks.
    pub(super) fn of_ranked(
        rows: Rows<'a>,
        options: Options,
        places: usize,
        ranked: Vec<(usize, u32)>,
    ) -> Self {
        let top = ranked.first().map_or(0, |first| first.0);
        let sizes: Vec<usize> = (0..=top)
            .map(|level| ranked.partition_point(|row| row.0 >= level))
            .collect();
        let upper = sizes.iter().skip(1);
        Self {
            rows,
            options,
            order: ranked.into_iter().map(|row| row.1).collect(),
            upper: upper.map(|&size| Table::new(options.links, size)).collect(),
            sizes,
            base: Table::new(options.links * 2, places),
        }
    }

    /// A level, to walk on.
    pub(super) fn layer(&self, level: usize) -> Growing<'_> {
        match level {
            0 => Growing {
                table: &self.base,
                order: None,
            },
            _ => Growing {
                table: &self.upper[level - 1],
                order: Some(&self.order),
            },
        }
    }

    fn table(&mut self, level: usize) -> &mut Table {
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

    /// Insert the ranks of `todo` into a graph that has `present` rows.
    pub(super) fn insert(
        &mut self,
        todo: &[u32],
        mut present: usize,
        work: &Work<'_>,
    ) -> Result<(), BuildError> {
        let all = present + todo.len();
        let mut todo = todo;
        if present == 0 && !todo.is_empty() {
            todo = &todo[1..]; // the first has nothing to link to
            present = 1;
        }
        let mut chosen = Vec::new();
        let mut inserted = 0;
        while !todo.is_empty() {
            let size = (present / BATCH_PART).min(inserted / BATCH_PART_NEW);
            let size = size.clamp(1, BATCH_MAX).min(todo.len());
            let (batch, rest) = todo.split_at(size);
            chosen.resize(batch.len().max(chosen.len()), Chosen::default());
            self.look(batch, &mut chosen[..batch.len()], work)?;
            self.link(batch, &chosen[..batch.len()], work);
            present += size;
            inserted += size;
            todo = rest;
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
                    .set(own, keys.iter().map(|&link| (place(link), distance(link))));
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
                    table.append(target, place(link), distance(link));
                }
            } else {
                full.push(Full {
                    place: target,
                    wanted: links.iter().map(|link| link.1).collect(),
                });
            }
        }
        let (layer, rows) = (self.layer(level), self.rows);
        each_chunk(work.threads, &mut full, CHUNK, |_, full, _| {
            for full in full {
                let mut candidates = all_links(layer, rows, full.place);
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
                .set(full.place, links.map(|&link| (place(link), distance(link))));
        }
    }
}

/// The links of a place as keys, with the distances that are not known yet computed.
fn all_links(layer: Growing<'_>, rows: Rows<'_>, target: u32) -> Vec<u64> {
    let links = layer.table.of(target).iter();
    links
        .zip(layer.table.distances_of(target))
        .map(|(&link, &known)| {
            let distance = if known.is_nan() {
                rows.between(layer.slot(target), layer.slot(link))
            } else {
                known
            };
            key(distance, link)
        })
        .collect()
}
