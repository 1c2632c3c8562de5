//! Where maintenance works: a little in memory, more in files that the system may write out.

use std::cell::Cell;
use std::io;

use memmap2::MmapMut;
use sopasync_vector::graph::{Heap, Place, Room};

use crate::disk::Scratch;
use crate::engine::Database;

/// Room for one piece of work.
pub(super) struct WorkRoom<'a> {
    db: &'a Database,
    /// Bytes that may still lie in memory.
    heap: Cell<usize>,
}

impl<'a> WorkRoom<'a> {
    pub(super) fn new(db: &'a Database, heap_bytes: usize) -> Self {
        Self {
            db,
            heap: Cell::new(heap_bytes),
        }
    }
}

impl Room for WorkRoom<'_> {
    fn take(&self, bytes: usize) -> io::Result<Box<dyn Place>> {
        match self.heap.get().checked_sub(bytes) {
            Some(left) => {
                self.heap.set(left);
                if bytes == 0 {
                    return Heap.take(0);
                }
                // Not the allocator's, which would keep it.
                Ok(Box::new(InMemory(MmapMut::map_anon(bytes)?)))
            }
            None => Ok(Box::new(OnDisk(self.db.scratch(bytes)?))),
        }
    }
}

struct InMemory(MmapMut);

impl Place for InMemory {
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

struct OnDisk(Box<dyn Scratch>);

impl Place for OnDisk {
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}
