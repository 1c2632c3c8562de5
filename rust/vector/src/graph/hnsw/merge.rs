//! Building from a graph that is there already: its rows keep their links, the others are inserted.
//!
//! Rows of the old graph may be gone. A row that was linked to them is linked to what they led to instead, as far as the choice of
//! links wants it (the idea of FreshDiskANN: Singh and others, 2021).
//!
//! M1. `slots` gives each row of the old graph its slot among the new rows, or [`GONE`]; no slot twice.
//! M2. The row at the new slot is byte for byte the row of the old graph.

use super::build::{Builder, LEVEL_MAX, level_of, mixed};
use super::format::View;
use super::layer::{Growing, Layer, NONE};
use super::parallel::each_chunk;
use super::select::select;
use crate::graph::nearest::{distance, key, place};
use crate::graph::rows::Rows;
use crate::graph::{Options, Work};

/// In place of a slot: the row is not among the new ones.
pub const GONE: u32 = u32::MAX;

/// Rows that a thread takes at once.
const CHUNK: usize = 256;

/// The old graph, and where its rows are now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) slots: &'a [u32],
}

impl Start<'_> {
    /// Of each new slot: the level it had in the old graph, if it was in it.
    pub(super) fn levels(&self, places: usize) -> Vec<Option<u8>> {
        let mut levels = vec![None; places];
        let mut linked = vec![true; self.view.rows];
        for member in self.view.members {
            linked[u32::from_le_bytes(*member) as usize] = false;
        }
        for (&slot, linked) in self.slots.iter().zip(linked) {
            if linked && slot != GONE {
                levels[slot as usize] = Some(0);
            }
        }
        for (at, layer) in self.view.upper.iter().enumerate() {
            for old in &self.view.order[..layer.count()] {
                let slot = self.slots[u32::from_le_bytes(*old) as usize];
                if slot != GONE {
                    levels[slot as usize] = Some(at as u8 + 1);
                }
            }
        }
        levels
    }

    /// A graph with the links of the old one, in which the rows without a level are still to be inserted. Also their ranks.
    pub(super) fn builder<'r>(
        &self,
        rows: Rows<'r>,
        options: Options,
        levels: &[Option<u8>],
        heads: impl Iterator<Item = u32>,
        work: &Work<'_>,
    ) -> (Builder<'r>, Vec<u32>) {
        let top = levels.iter().flatten().copied().max().unwrap_or(0);
        let mut ranked: Vec<(usize, bool, u64, u32)> = heads
            .map(|slot| {
                let old = levels[slot as usize];
                // A walk begins at the first rank, which has to be there.
                let level = old.map_or_else(
                    || level_of(&options, slot).min(usize::from(top)),
                    usize::from,
                );
                (
                    LEVEL_MAX - level,
                    old.is_none(),
                    mixed(!options.seed, slot),
                    slot,
                )
            })
            .collect();
        ranked.sort_unstable();
        let todo = (0..)
            .zip(&ranked)
            .filter(|(_, row)| row.1)
            .map(|(rank, _)| rank)
            .collect();
        let ranked = ranked
            .into_iter()
            .map(|row| (LEVEL_MAX - row.0, row.3))
            .collect();
        let mut builder = Builder::of_ranked(rows, options, levels.len(), ranked);
        self.copy_base(&mut builder, work);
        self.copy_upper(&mut builder, work);
        (builder, todo)
    }

    fn copy_base(&self, builder: &mut Builder<'_>, work: &Work<'_>) {
        let mut lists: Vec<(u32, u32, Vec<u64>)> = (0..)
            .zip(self.slots)
            .filter(|&(_, &slot)| slot != GONE)
            .map(|(old, &slot)| (old, slot, Vec::new()))
            .collect();
        let layer = builder.layer(0);
        self.relink(
            layer,
            builder.rows,
            &self.view.base,
            &mut lists,
            |old| self.slots[old as usize],
            work,
        );
        for (_, slot, keys) in &lists {
            builder
                .base
                .set(*slot, keys.iter().map(|&key| (place(key), distance(key))));
        }
    }

    fn copy_upper(&self, builder: &mut Builder<'_>, work: &Work<'_>) {
        let mut rank_of = vec![
            GONE;
            self.slots
                .len()
                .max(builder.base.links.len() / builder.base.width)
        ];
        let above = builder.sizes.get(1).copied().unwrap_or(0);
        for (rank, &slot) in (0..).zip(&builder.order[..above]) {
            rank_of[slot as usize] = rank;
        }
        let new_rank = |old: u32| match self.slots
            [u32::from_le_bytes(self.view.order[old as usize]) as usize]
        {
            GONE => GONE,
            slot => rank_of[slot as usize],
        };
        for level in 1..builder.sizes.len() {
            let old_layer = &self.view.upper[level - 1];
            let mut lists: Vec<(u32, u32, Vec<u64>)> = (0..old_layer.count() as u32)
                .map(|old| (old, new_rank(old), Vec::new()))
                .filter(|&(_, rank, _)| rank != GONE)
                .collect();
            self.relink(
                builder.layer(level),
                builder.rows,
                old_layer,
                &mut lists,
                new_rank,
                work,
            );
            for (_, rank, keys) in &lists {
                let table = &mut builder.upper[level - 1];
                table.set(*rank, keys.iter().map(|&key| (place(key), distance(key))));
            }
        }
    }

    /// Fill each list (old place, new place, links) with the old links, and with what those that are gone led to.
    fn relink<L: Layer + Sync>(
        &self,
        layer: Growing<'_>,
        rows: Rows<'_>,
        old_layer: &L,
        lists: &mut [(u32, u32, Vec<u64>)],
        new: impl Fn(u32) -> u32 + Sync,
        work: &Work<'_>,
    ) {
        each_chunk(work.threads, lists, CHUNK, |_, lists, _| {
            let (mut kept, mut gone) = (Vec::new(), Vec::new());
            for (old, own, keys) in lists {
                kept.clear();
                gone.clear();
                old_layer.links(*old, |link| match new(link) {
                    GONE => gone.push(link),
                    link => kept.push(link),
                });
                if gone.is_empty() {
                    // Their distances are computed when somebody asks.
                    keys.extend(kept.iter().map(|&link| key(f32::NAN, link)));
                    continue;
                }
                for &link in &gone {
                    old_layer.links(link, |behind| kept.push(new(behind)));
                }
                kept.sort_unstable();
                kept.dedup();
                let others = kept.iter().filter(|&&link| link != GONE && link != *own);
                let slot = layer.slot(*own);
                let mut candidates: Vec<u64> = others
                    .map(|&link| key(rows.between(slot, layer.slot(link)), link))
                    .collect();
                candidates.sort_unstable();
                select(layer, rows, &candidates, layer.table.width, keys);
            }
        });
    }
}

const _: () = assert!(GONE == NONE, "both mean that there is nothing");
