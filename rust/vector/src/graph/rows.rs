//! Distances of one query to rows by their places.

use crate::kernel::Kernel;

/// Rows of one length, and their distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    kernel: Kernel,
    bytes: &'a [u8],
    row: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn new(kernel: Kernel, bytes: &'a [u8]) -> Self {
        Self {
            kernel,
            bytes,
            row: kernel.row_bytes(),
        }
    }

    /// The distance.
    pub(super) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// All of them.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// One row.
    #[inline(always)]
    pub(super) fn row(&self, slot: u32) -> &'a [u8] {
        let at = slot as usize * self.row;
        &self.bytes[at..at + self.row]
    }

    /// The distances of `query` to the rows at `slots`, into `out`, which gets their number.
    #[inline(always)]
    pub(super) fn gather(&self, query: &[u8], slots: &[u32], out: &mut Vec<f32>) {
        out.resize(slots.len(), 0.0);
        self.kernel.gather(query, self.bytes, slots, out);
    }

    /// The distance of two rows.
    #[inline(always)]
    pub(super) fn between(&self, one: u32, other: u32) -> f32 {
        self.kernel.distance(self.row(one), self.row(other))
    }

    /// The distance of `query` to one row.
    #[inline(always)]
    pub(super) fn distance(&self, query: &[u8], slot: u32) -> f32 {
        self.kernel.distance(query, self.row(slot))
    }
}

/// Ask for the cache line of a byte.
#[inline(always)]
pub(super) fn prefetch<T>(slice: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program sees and never faults, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, at);
}
