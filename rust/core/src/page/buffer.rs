//! A page in memory: a cache-line aligned run of bytes.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::arena;

const LINE_BYTES: usize = 64;

/// Owned bytes of one page or run of pages, aligned so that head arrays can be read as `u32`.
pub(crate) struct PageBuf {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the buffer is owned and has no interior mutability: it behaves like a `Box<[u8]>`.
unsafe impl Send for PageBuf {}
// SAFETY: as above.
unsafe impl Sync for PageBuf {}

impl PageBuf {
    /// A zeroed buffer of `bytes`, which must be a multiple of the cache line.
    pub(crate) fn zeroed(bytes: usize) -> Self {
        let start = Self::allocate(bytes);
        // SAFETY: `allocate` returns room for `bytes`.
        unsafe { start.as_ptr().write_bytes(0, bytes) };
        Self {
            start,
            length: bytes,
        }
    }

    /// A buffer with this content.
    pub(crate) fn copy_of(content: &[u8]) -> Self {
        let start = Self::allocate(content.len());
        // SAFETY: `allocate` returns room for the content, and a fresh buffer overlaps nothing.
        unsafe {
            start
                .as_ptr()
                .copy_from_nonoverlapping(content.as_ptr(), content.len())
        };
        Self {
            start,
            length: content.len(),
        }
    }

    /// Whether making many buffers of `bytes` now would have to wait for fresh memory; `stock` helps.
    pub(crate) fn is_scarce(bytes: usize) -> bool {
        arena::class_of(bytes).is_some_and(arena::is_low)
    }

    /// Makes memory for some buffers of `bytes` ready, which may take milliseconds.
    pub(crate) fn stock(bytes: usize) {
        if let Some(class) = arena::class_of(bytes) {
            arena::stock(class);
        }
    }

    fn layout(bytes: usize) -> Layout {
        assert!(
            bytes > 0 && bytes.is_multiple_of(LINE_BYTES),
            "page of {bytes} bytes"
        );
        Layout::from_size_align(bytes, LINE_BYTES).expect("a valid layout")
    }

    fn allocate(bytes: usize) -> NonNull<u8> {
        let layout = Self::layout(bytes);
        if let Some(class) = arena::class_of(bytes) {
            return arena::take(class);
        }
        // SAFETY: the layout has a size.
        NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
    }
}

impl Drop for PageBuf {
    fn drop(&mut self) {
        match arena::class_of(self.length) {
            Some(class) => arena::give_back(class, self.start),
            // SAFETY: it came from `alloc` with the same layout.
            None => unsafe { dealloc(self.start.as_ptr(), Self::layout(self.length)) },
        }
    }
}

impl Clone for PageBuf {
    fn clone(&self) -> Self {
        Self::copy_of(self)
    }
}

impl Deref for PageBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the buffer is owned, `length` long and was filled when it was made.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for PageBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` makes the borrow the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}
