//! Memory for pages: buffers of a few sizes, carved from 2 MiB blocks that ask for huge pages.
//!
//! A cache of gigabytes under 4 KiB mappings spends much of a look-up on address translation, and
//! buffers that go back to the general allocator are unmapped and faulted in again. Blocks are
//! kept for the life of the process and shared by all its databases.
//!
//! The first touch of a block has the system clear 2 MiB, which takes from a fraction of a millisecond to, on a virtual
//! machine that gets its memory at that moment, ten. `stock` does it ahead of need, on a thread nobody waits for.
//!
//! Invariants
//! A1  A buffer on a free list belongs to nobody; taking it off the list makes the taker its owner.
//! A2  Buffers of a class are `MIN << class` bytes, aligned to a cache line, inside a live block.

use std::alloc::{Layout, alloc, handle_alloc_error};
use std::ptr::NonNull;

use parking_lot::Mutex;

use crate::limits::{NODE_BYTES_MAX, PAGE_BYTES_MIN};

const BLOCK_BYTES: usize = 2 << 20;
const CLASSES: usize = (NODE_BYTES_MAX / PAGE_BYTES_MIN).ilog2() as usize + 1;

struct FreeList(Vec<NonNull<u8>>);

// SAFETY: A1: a listed buffer has no owner, so which thread takes it does not matter.
unsafe impl Send for FreeList {}

static FREE: [Mutex<FreeList>; CLASSES] = [const { Mutex::new(FreeList(Vec::new())) }; CLASSES];

/// The class of buffers of exactly `bytes`, if there is one.
pub(super) fn class_of(bytes: usize) -> Option<usize> {
    let fits = bytes.is_power_of_two() && (PAGE_BYTES_MIN..=NODE_BYTES_MAX).contains(&bytes);
    fits.then(|| (bytes / PAGE_BYTES_MIN).ilog2() as usize)
}

/// A buffer of that class, its content undefined.
pub(super) fn take(class: usize) -> NonNull<u8> {
    let mut free = FREE[class].lock();
    if let Some(buffer) = free.0.pop() {
        return buffer;
    }
    free.0.extend(buffers(new_block(), class));
    free.0.pop().expect("a block holds a buffer")
}

/// Whether there are fewer buffers of that class than a block holds.
pub(super) fn is_low(class: usize) -> bool {
    FREE[class].lock().0.len() < (BLOCK_BYTES / PAGE_BYTES_MIN) >> class
}

/// Makes buffers of that class ready when there are few.
pub(super) fn stock(class: usize) {
    if !is_low(class) {
        return;
    }
    let block = new_block();
    // SAFETY: the block was just allocated with this length and belongs to nobody else.
    unsafe { block.as_ptr().write_bytes(0, BLOCK_BYTES) };
    FREE[class].lock().0.extend(buffers(block, class));
}

/// The buffers of that class that a block is cut into.
fn buffers(block: NonNull<u8>, class: usize) -> impl Iterator<Item = NonNull<u8>> {
    let offsets = (0..BLOCK_BYTES).step_by(PAGE_BYTES_MIN << class);
    // SAFETY: A2: `offset` lies inside the block of `BLOCK_BYTES`.
    offsets.map(move |offset| unsafe { block.add(offset) })
}

/// Takes a buffer back.
pub(super) fn give_back(class: usize, buffer: NonNull<u8>) {
    FREE[class].lock().0.push(buffer);
}

fn new_block() -> NonNull<u8> {
    let layout = Layout::from_size_align(BLOCK_BYTES, BLOCK_BYTES).expect("a valid layout");
    // SAFETY: the layout has a size.
    let block = unsafe { alloc(layout) };
    let Some(block) = NonNull::new(block) else {
        handle_alloc_error(layout)
    };
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        use rustix::mm::{Advice, madvise};
        // SAFETY: the range was just allocated; the advice changes no content. A refusal only
        // means small pages.
        let _ = unsafe { madvise(block.as_ptr().cast(), BLOCK_BYTES, Advice::LinuxHugepage) };
    }
    block
}
