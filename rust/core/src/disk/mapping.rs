//! Bytes of a file, to read without copying them where the disk can.

use std::io;
use std::ops::Range;

use bytemuck::{Pod, Zeroable};

/// The bytes of a file, or of a part of it, that nobody changes. They start at a multiple of 64 in memory, those of
/// a part when its offset is one.
pub trait Mapping: Send + Sync + 'static {
    /// All of them.
    fn bytes(&self) -> &[u8];
    /// Reads what of a part is not in memory yet. Where touching the bytes would end the process, because the disk
    /// fails, this is an error.
    fn load(&self, _part: Range<usize>) -> io::Result<()> {
        Ok(())
    }
    /// Makes the bytes independent of the file, at the same place in memory, also for those who are reading them.
    fn detach(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes to work in until this is dropped. They start at a multiple of 64 in memory.
pub trait Scratch: Send + 'static {
    /// All of them.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// What a copy is made of, so that it begins where a mapped page could.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Block([u8; 64]);

/// A copy in memory: what a disk without mappings gives.
pub(super) struct Copied {
    blocks: Vec<Block>,
    length: usize,
}

impl Copied {
    /// Zeros, to be filled.
    pub(super) fn new(length: usize) -> Self {
        Self {
            blocks: vec![Block::zeroed(); length.div_ceil(64)],
            length,
        }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.length]
    }
}

impl Mapping for Copied {
    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.length]
    }
}

impl Scratch for Copied {
    fn bytes_mut(&mut self) -> &mut [u8] {
        Self::bytes_mut(self)
    }
}
