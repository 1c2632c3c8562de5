//! Building from a graph that is there already: its rows keep their links, the others are inserted.
//!
//! Rows of the old graph may be gone. A row that was linked to them is linked to what they led to instead, as far as the choice of
//! links wants it (the idea of FreshDiskANN: Singh and others, 2021).
//!
//! M1. `slots` gives each row of the old graph its slot among the new rows, or [`GONE`]; no slot twice.
//! M2. The row at the new slot is byte for byte the row of the old graph.

use super::build::Builder;
use super::format::{View, each};
use super::layer::{Growing, Layer, NONE};
use super::parallel::each_chunk;
use super::rank::NEW;
use super::select::select;
use crate::graph::Work;
use crate::graph::nearest::{key, place};
use crate::graph::rows::Rows;

/// In place of a slot: the row is not among the new ones.
pub const GONE: u32 = u32::MAX;

/// Rows that a thread takes at once.
const CHUNK: usize = 256;

/// Rows whose links are looked at before they are written down.
const PORTION: usize = 4096;

/// The old graph, and where its rows are now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) slots: &'a [u32],
}

/// The links a row gets, from those of the old graph.
#[derive(Clone, Debug, Default)]
struct List {
    old: u32,
    new: u32,
    links: Vec<u32>,
}

impl Start<'_> {
    /// Say of each new slot which level it had in the old graph, if it was in it.
    pub(super) fn mark(&self, standing: &mut [u8]) {
        let mut mark = |slots: &mut dyn Iterator<Item = u32>, level: u8| {
            for old in slots {
                match self.slots[old as usize] {
                    GONE => {}
                    slot => standing[slot as usize] = level,
                }
            }
        };
        mark(&mut (0..self.view.rows as u32), 0);
        mark(&mut each(self.view.members), NEW);
        for (at, layer) in self.view.upper.iter().enumerate() {
            mark(&mut each(&self.view.order[..layer.count()]), at as u8 + 1);
        }
    }

    /// Give the rows of the old graph their links. `rank_of` is room for a number of each row.
    pub(super) fn copy(&self, builder: &mut Builder<'_>, rank_of: &mut [u32], work: &Work<'_>) {
        let new_slot = |old: u32| self.slots[old as usize];
        self.relink(builder, 0, &self.view.base, new_slot, work);
        let above = builder.sizes.get(1).copied().unwrap_or(0);
        rank_of.fill(GONE);
        for (rank, &slot) in (0..).zip(&builder.order[..above]) {
            rank_of[slot as usize] = rank;
        }
        let new_rank = |old: u32| {
            let old = u32::from_le_bytes(self.view.order[old as usize]);
            match new_slot(old) {
                GONE => GONE,
                slot => rank_of[slot as usize],
            }
        };
        for level in 1..builder.sizes.len() {
            self.relink(builder, level, &self.view.upper[level - 1], new_rank, work);
        }
    }

    /// Copy the links of a level, portion by portion.
    fn relink<L: Layer + Sync>(
        &self,
        builder: &mut Builder<'_>,
        level: usize,
        old_layer: &L,
        new: impl Fn(u32) -> u32 + Sync,
        work: &Work<'_>,
    ) {
        let count = old_layer.count();
        let mut lists = vec![List::default(); PORTION.min(count)];
        for first in (0..count).step_by(PORTION) {
            let lists = &mut lists[..PORTION.min(count - first)];
            for (old, list) in (first as u32..).zip(&mut *lists) {
                (list.old, list.new) = (old, new(old));
            }
            let layer = builder.layer(level);
            each_chunk(work.threads, lists, CHUNK, |_, lists, _| {
                let there = lists.iter_mut().filter(|list| list.new != GONE);
                there.for_each(|list| links(list, layer, builder.rows, old_layer, &new));
            });
            for list in lists.iter().filter(|list| list.new != GONE) {
                let links = list.links.iter().copied();
                builder.table(level).set(list.new, links);
            }
        }
    }
}

/// The links a row had, and what those that are gone led to.
fn links<L: Layer>(
    list: &mut List,
    layer: Growing<'_>,
    rows: Rows<'_>,
    old_layer: &L,
    new: impl Fn(u32) -> u32,
) {
    let mut gone = Vec::new();
    list.links.clear();
    old_layer.links(list.old, |link| match new(link) {
        GONE => gone.push(link),
        link => list.links.push(link),
    });
    if gone.is_empty() {
        return;
    }
    for &link in &gone {
        old_layer.links(link, |behind| list.links.push(new(behind)));
    }
    list.links.sort_unstable();
    list.links.dedup();
    let others = list
        .links
        .iter()
        .filter(|&&link| link != GONE && link != list.new);
    let slot = layer.slot(list.new);
    let mut candidates: Vec<u64> = others
        .map(|&link| key(rows.between(slot, layer.slot(link)), link))
        .collect();
    candidates.sort_unstable();
    let mut chosen = Vec::new();
    select(layer, rows, &candidates, layer.table.width, &mut chosen);
    list.links.clear();
    list.links.extend(chosen.iter().map(|&key| place(key)));
}

const _: () = assert!(GONE == NONE, "both mean that there is nothing");
