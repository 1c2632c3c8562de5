//! Where the large arrays of a build lie: in memory, or wherever the caller has more room.
//!
//! A build knows beforehand how much it needs: one place is taken for all of it, and cut into arrays.
//!
//! R1. A place begins at a multiple of 64 bytes in memory, and every array in it does.

use std::io;

use bytemuck::{Pod, Zeroable};

/// Arrays begin at multiples of this: a cache line.
const ALIGN: usize = 64;

/// Gives places to work in.
pub trait Room {
    /// A place of so many bytes, all of them zero.
    fn take(&self, bytes: usize) -> io::Result<Box<dyn Place>>;
}

/// Bytes to work in, until dropped: R1.
pub trait Place: Send {
    /// All of them.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// Room in memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

impl Room for Heap {
    fn take(&self, bytes: usize) -> io::Result<Box<dyn Place>> {
        let blocks = vec![Block::zeroed(); bytes.div_ceil(ALIGN)];
        Ok(Box::new(InMemory { blocks, bytes }))
    }
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Block([u8; ALIGN]);

struct InMemory {
    blocks: Vec<Block>,
    bytes: usize,
}

impl Place for InMemory {
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.bytes]
    }
}

/// How many bytes an array takes of a place.
pub(super) fn bytes_of<T>(count: usize) -> usize {
    (count * size_of::<T>()).next_multiple_of(ALIGN)
}

/// Arrays are cut off its front.
#[derive(Debug)]
pub(super) struct Cutter<'a>(&'a mut [u8]);

impl<'a> Cutter<'a> {
    pub(super) fn new(place: &'a mut dyn Place) -> Self {
        Self(place.bytes_mut())
    }

    /// The next array.
    ///
    /// # Panics
    /// When the place was taken too small.
    pub(super) fn take<T: Pod>(&mut self, count: usize) -> &'a mut [T] {
        let (array, rest) = std::mem::take(&mut self.0).split_at_mut(bytes_of::<T>(count));
        self.0 = rest;
        bytemuck::cast_slice_mut(&mut array[..count * size_of::<T>()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_zeros_begin_at_cache_lines_and_do_not_overlap() {
        let mut place = Heap
            .take(bytes_of::<u8>(70) + bytes_of::<u64>(3) + bytes_of::<u32>(0))
            .expect("room");
        let mut cutter = Cutter::new(&mut *place);
        let bytes = cutter.take::<u8>(70);
        let numbers = cutter.take::<u64>(3);
        assert!(cutter.take::<u32>(0).is_empty());
        assert!(bytes.iter().all(|&byte| byte == 0) && numbers == [0; 3]);
        assert!(bytes.as_ptr().addr().is_multiple_of(ALIGN));
        assert!(numbers.as_ptr().addr().is_multiple_of(ALIGN));
        bytes.fill(1);
        numbers.fill(u64::MAX);
        assert!(bytes.iter().all(|&byte| byte == 1));
    }
}
