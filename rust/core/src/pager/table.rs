//! The page table: an array of atomic pointers indexed by page id.
//!
//! A hit is one load. Entries are retired through an epoch (Fraser, "Practical lock-freedom",
//! 2004; crossbeam), so a reader that pinned before the removal may go on reading the frame.
//!
//! Invariants
//! B1  A frame is reachable through at most one entry, and is destroyed only after every guard
//!     that could have seen it was dropped.
//! B2  An entry is set only when it is empty.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use crossbeam_epoch::{Atomic, Guard, Owned, Shared};

use super::frame::Frame;
use crate::sync::Point;

const CHUNK_PAGES: usize = 1 << 15;
const CHUNKS_MAX: usize = 1 << 15;

/// Pages the table can name: 8 TiB of 8 KiB pages.
pub(super) const PAGES_MAX: u64 = (CHUNK_PAGES * CHUNKS_MAX) as u64;

/// Frames that one flush of a guard destroys at most: eight bags of 64.
const FRAMES_PER_FLUSH: usize = 512;

type Chunk = Box<[Atomic<Frame>]>;

pub(super) struct PageTable {
    chunks: Box<[OnceLock<Chunk>]>,
    point: Point,
}

impl PageTable {
    pub(super) fn new() -> Self {
        Self {
            chunks: (0..CHUNKS_MAX).map(|_| OnceLock::new()).collect(),
            point: Default::default(),
        }
    }

    #[inline]
    fn entry(&self, id: u64) -> Option<&Atomic<Frame>> {
        self.point.pass();
        let id = id as usize;
        self.chunks
            .get(id / CHUNK_PAGES)?
            .get()
            .map(|chunk| &chunk[id % CHUNK_PAGES])
    }

    fn entry_or_make(&self, id: u64) -> &Atomic<Frame> {
        self.point.pass();
        assert!(id < PAGES_MAX, "page {id} is past the largest page file");
        let id = id as usize;
        let chunk = self.chunks[id / CHUNK_PAGES]
            .get_or_init(|| (0..CHUNK_PAGES).map(|_| Atomic::null()).collect());
        &chunk[id % CHUNK_PAGES]
    }

    /// The resident frame of a page.
    #[inline]
    pub(super) fn get<'g>(&self, id: u64, guard: &'g Guard) -> Option<&'g Frame> {
        let shared = self.entry(id)?.load(Ordering::Acquire, guard);
        // SAFETY: B1: the pointer came from this table while `guard` was pinned.
        unsafe { shared.as_ref() }
    }

    /// Puts a new page in; its entry must be empty.
    pub(super) fn publish(&self, frame: Frame, guard: &Guard) {
        let id = frame.page.id;
        let new = Owned::new(frame);
        let result = self.entry_or_make(id).compare_exchange(
            Shared::null(),
            new,
            Ordering::AcqRel,
            Ordering::Acquire,
            guard,
        );
        assert!(result.is_ok(), "B2: page {id} is in the table already");
    }

    /// Puts a page that was read in, unless another reader was faster; the resident frame either way.
    pub(super) fn admit<'g>(&self, frame: Frame, guard: &'g Guard) -> (&'g Frame, bool) {
        let entry = self.entry_or_make(frame.page.id);
        let (shared, admitted) = match entry.compare_exchange(
            Shared::null(),
            Owned::new(frame),
            Ordering::AcqRel,
            Ordering::Acquire,
            guard,
        ) {
            Ok(shared) => (shared, true),
            Err(failed) => (failed.current, false),
        };
        // SAFETY: B1: the pointer is in this table, or was while `guard` was pinned, and is not null.
        (unsafe { shared.deref() }, admitted)
    }

    /// Takes a page out and frees it once no reader can hold it.
    pub(super) fn remove<'g>(&self, id: u64, guard: &'g Guard) -> Option<&'g Frame> {
        let shared = self
            .entry(id)?
            .swap(Shared::null(), Ordering::AcqRel, guard);
        if shared.is_null() {
            return None;
        }
        // SAFETY: B1: the swap made this the only path to the frame for later readers, and earlier
        // ones are covered by the epoch. It happens once, as the entry is null from here on.
        unsafe {
            guard.defer_destroy(shared);
            shared.as_ref()
        }
    }

    /// Takes exactly this frame out, if it still is the resident one.
    pub(super) fn remove_same(&self, frame: &Frame, guard: &Guard) -> bool {
        let Some(entry) = self.entry(frame.page.id) else {
            return false;
        };
        let current = entry.load(Ordering::Acquire, guard);
        self.point.pass();
        if !std::ptr::eq(current.as_raw(), frame) {
            return false;
        }
        let taken = entry
            .compare_exchange(
                current,
                Shared::null(),
                Ordering::AcqRel,
                Ordering::Acquire,
                guard,
            )
            .is_ok();
        if taken {
            // SAFETY: B1: as in `remove`.
            unsafe { guard.defer_destroy(current) };
        }
        taken
    }
}

/// Destroys about as many frames as were just retired, from those whose readers are gone. Left to itself the
/// epoch looks after 512 frames in 128 pins, and a busy writer retires more than that.
pub(super) fn collect(retired: usize, guard: &Guard) {
    for _ in 0..=retired / FRAMES_PER_FLUSH {
        guard.flush();
    }
}

impl Drop for PageTable {
    fn drop(&mut self) {
        for chunk in self.chunks.iter_mut().filter_map(OnceLock::get_mut) {
            for entry in chunk.iter_mut() {
                let taken = std::mem::replace(entry, Atomic::null());
                // SAFETY: `&mut self`: no reader is left, and the entry was just emptied.
                drop(unsafe { taken.try_into_owned() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use crossbeam_epoch as epoch;

    use super::*;
    use crate::page::{PageBuf, PageRef};

    const ROUNDS: u64 = if cfg!(miri) { 40 } else { 20_000 };
    const PAGES: u64 = 3;

    fn frame(id: u64, stamp: u64) -> Frame {
        let mut bytes = PageBuf::zeroed(512);
        bytes.fill(stamp as u8);
        Frame::fresh(bytes, PageRef { id, span: 1, stamp }, true)
    }

    /// What is read of a frame is what it was made of, as long as the guard lives.
    fn look(frame: &Frame) {
        std::thread::yield_now();
        let expected = frame.page.stamp as u8;
        assert!(frame.bytes.iter().all(|byte| *byte == expected));
    }

    #[test]
    fn a_frame_is_whole_for_whoever_found_it_while_others_come_and_go() {
        let table = PageTable::new();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for reader in 0..2 {
                let (table, stop) = (&table, &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        for id in 0..PAGES {
                            let guard = epoch::pin();
                            if let Some(found) = table.get(id, &guard) {
                                look(found);
                            } else if reader == 1 {
                                // As a reader that has read it from the disk.
                                look(table.admit(frame(id, 200), &guard).0);
                            }
                        }
                    }
                });
            }
            for round in 0..ROUNDS {
                let guard = epoch::pin();
                let id = round % PAGES;
                if let Some(removed) = table.remove(id, &guard) {
                    look(removed);
                }
                let (resident, _) = table.admit(frame(id, round % 100), &guard);
                look(resident);
                if round % 3 == 0 {
                    table.remove_same(resident, &guard);
                }
                collect(1, &guard);
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
