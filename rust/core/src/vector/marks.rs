//! Which vectors of a part were deleted, and by which commit.
//!
//! Most never are, so a place for 64 of them is made when the first of these is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Commit that deleted a vector that nobody deleted.
pub(super) const ALIVE: u64 = u64::MAX;

const TOGETHER: usize = 64;

type Block = OnceLock<Box<[AtomicU64; TOGETHER]>>;

/// See the module. Any thread may note a deletion while others look.
#[derive(Default)]
pub(super) struct Marks {
    count: usize,
    blocks: Vec<Block>,
    dead: AtomicUsize,
}

impl Marks {
    /// So many vectors, none of them deleted.
    pub(super) fn of(count: usize) -> Self {
        let blocks = (0..count.div_ceil(TOGETHER)).map(|_| Block::new());
        Self {
            count,
            blocks: blocks.collect(),
            dead: AtomicUsize::new(0),
        }
    }

    /// One more vector.
    pub(super) fn push(&mut self) {
        if self.count.is_multiple_of(TOGETHER) {
            self.blocks.push(Block::new());
        }
        self.count += 1;
    }

    /// How many vectors there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many are deleted.
    pub(super) fn dead(&self) -> usize {
        self.dead.load(Ordering::Relaxed)
    }

    /// Commit that deleted a vector, or `ALIVE`.
    #[inline]
    pub(super) fn get(&self, slot: u32) -> u64 {
        let slot = slot as usize;
        let block = self.blocks[slot / TOGETHER].get();
        block.map_or(ALIVE, |block| {
            block[slot % TOGETHER].load(Ordering::Relaxed)
        })
    }

    /// Notes a deletion once.
    pub(super) fn mark(&self, slot: u32, seq: u64) {
        let slot = slot as usize;
        let block = self.blocks[slot / TOGETHER]
            .get_or_init(|| Box::new([const { AtomicU64::new(ALIVE) }; TOGETHER]));
        if block[slot % TOGETHER].swap(seq, Ordering::Relaxed) == ALIVE {
            self.dead.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Bytes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        let made = self.blocks.iter().filter(|block| block.get().is_some());
        self.blocks.len() * size_of::<Block>() + made.count() * TOGETHER * size_of::<AtomicU64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_is_deleted_once_and_its_neighbours_are_not() {
        let mut marks = Marks::of(100);
        for _ in 0..100 {
            marks.push();
        }
        assert_eq!((marks.count(), marks.dead()), (200, 0));
        for slot in [0, 63, 64, 199, 64] {
            marks.mark(slot, 7);
        }
        let dead: Vec<u32> = (0..200).filter(|slot| marks.get(*slot) != ALIVE).collect();
        assert_eq!((dead, marks.dead()), (vec![0, 63, 64, 199], 4));
        assert_eq!(marks.get(63), 7);
    }
}
