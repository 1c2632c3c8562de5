//! A page in memory: a zeroed, cache-line aligned run of bytes.

use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};

const LINE_BYTES: usize = 64;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; LINE_BYTES]);

/// Owned bytes of one page or run of pages, aligned so that head arrays can be read as `u32`.
#[derive(Clone)]
pub(crate) struct PageBuf {
    lines: Box<[Line]>,
}

impl PageBuf {
    /// A zeroed buffer of `bytes`, which must be a multiple of the cache line.
    pub(crate) fn zeroed(bytes: usize) -> Self {
        assert!(
            bytes > 0 && bytes.is_multiple_of(LINE_BYTES),
            "page of {bytes} bytes"
        );
        Self {
            lines: vec![Line::zeroed(); bytes / LINE_BYTES].into_boxed_slice(),
        }
    }
}

impl Deref for PageBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.lines)
    }
}

impl DerefMut for PageBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }
}
