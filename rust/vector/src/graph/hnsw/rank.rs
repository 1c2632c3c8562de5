//! Ranks: rows by level, highest first, then by a hash. So the rows of a level are the first ranks, and any run of ranks is a
//! sample of all rows.

use super::build::{level_of, mixed};
use crate::graph::Options;

/// How a row stands before a build: the level it has in a graph that is there already, or one of these.
/// It is to be inserted.
pub(super) const NEW: u8 = u8::MAX;
/// It is equal to one that stands for it, and in no list.
pub(super) const EQUAL: u8 = u8::MAX - 1;

/// No level above this one.
pub(super) const LEVEL_MAX: usize = 24;

/// Bits of a key: the level upside down, whether the row is new, and as many of its hash as there is room for.
const LEVEL_SHIFT: u32 = 59;
const HASH_SHIFT: u32 = 6;
const NEW_BIT: u64 = 1 << (64 - HASH_SHIFT);
const LEVELS: u64 = (1 << (64 - LEVEL_SHIFT)) - 1;

/// Rows in their order.
#[derive(Debug)]
pub(super) struct Ranks<'a> {
    /// The slot of each rank.
    pub(super) order: &'a [u32],
    /// How many ranks are on each level.
    pub(super) sizes: Vec<usize>,
}

/// The level of a key.
fn level(key: u64) -> usize {
    (LEVELS - (key >> LEVEL_SHIFT)) as usize
}

impl<'a> Ranks<'a> {
    /// Those of all rows that are not equal to others. `keyed` is room for a key and a slot of each row.
    pub(super) fn of(
        options: &Options,
        standing: &[u8],
        keyed: &mut [[u64; 2]],
        order: &'a mut [u32],
    ) -> Self {
        let old = standing.iter().filter(|&&level| level < EQUAL);
        // A walk begins at the first rank, which has to be there already where anything is.
        let top = old.max().map_or(LEVEL_MAX, |&top| usize::from(top));
        let mut count = 0;
        for (&before, slot) in standing.iter().zip(0..) {
            let (level, new) = match before {
                EQUAL => continue,
                NEW => (level_of(options, slot).min(top), NEW_BIT),
                level => (usize::from(level), 0),
            };
            let upside_down = LEVELS - (level as u64).min(LEVELS);
            let hash = mixed(!options.seed, slot) >> HASH_SHIFT;
            keyed[count] = [upside_down << LEVEL_SHIFT | new | hash, u64::from(slot)];
            count += 1;
        }
        let keyed = &mut keyed[..count];
        keyed.sort_unstable();
        let order = &mut order[..count];
        for (rank, [_, slot]) in order.iter_mut().zip(&*keyed) {
            *rank = *slot as u32;
        }
        let top = keyed.first().map_or(0, |first| level(first[0]));
        let sizes = (0..=top).map(|at| keyed.partition_point(|row| level(row[0]) >= at));
        Self {
            order,
            sizes: sizes.collect(),
        }
    }
}
