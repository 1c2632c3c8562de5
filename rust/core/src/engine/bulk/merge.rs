//! Merging sorted sources into one ascending stream without duplicates.

use super::sort::SortBuffer;
use super::spill::SpillReader;
use crate::error::{Error, Result};
use crate::tree::TreeReader;

/// Entries in ascending order.
#[expect(clippy::large_enum_variant, reason = "a merge has a few dozen of them")]
pub(super) enum Source {
    /// Ascending input that went into pages before the first entry out of order came.
    Tree(TreeReader),
    Spilled(SpillReader),
    /// Sorted in memory, with the index of the present entry.
    Memory(SortBuffer, usize),
}

impl Source {
    /// A source in memory, before its first entry.
    pub(super) fn memory(buffer: SortBuffer) -> Self {
        Self::Memory(buffer, usize::MAX)
    }

    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Tree(reader) => reader.advance(),
            Self::Spilled(reader) => reader.advance(),
            Self::Memory(buffer, index) => {
                *index = index.wrapping_add(1);
                Ok(*index < buffer.len())
            }
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        match self {
            Self::Tree(reader) => reader.key(),
            Self::Spilled(reader) => reader.key(),
            Self::Memory(buffer, index) => buffer.key(*index),
        }
    }

    #[inline]
    fn payload(&self) -> &[u8] {
        match self {
            Self::Tree(reader) => reader.payload(),
            Self::Spilled(reader) => reader.payload(),
            Self::Memory(buffer, index) => buffer.payload(*index),
        }
    }
}

/// What comes out of a merge.
pub(super) enum Merged<'a> {
    /// The next entry.
    Entry(&'a [u8], &'a [u8]),
    /// The payload of an entry whose key was given a newer one.
    Replaced(&'a [u8], &'a [u8]),
}

/// Hands the entries of all sources to `each`, ascending; the oldest source comes first in the list.
/// Of equal keys the newest is the entry, and the others follow as replaced.
pub(super) fn merge(
    sources: &mut [Source],
    each: &mut dyn FnMut(Merged<'_>) -> Result<()>,
) -> Result<()> {
    let mut heap = Heap::new(sources)?;
    let mut last: Option<Vec<u8>> = None;
    while let Some(source) = heap.first() {
        let (key, payload) = (source.key(), source.payload());
        match &mut last {
            Some(last) if key < last.as_slice() => {
                let reason = "sorted entries of a bulk load came back in another order";
                return Err(Error::corruption("a temporary file", 0, reason));
            }
            Some(last) if key == last.as_slice() => each(Merged::Replaced(key, payload))?,
            Some(last) => {
                last.clear();
                last.extend_from_slice(key);
                each(Merged::Entry(key, payload))?;
            }
            None => {
                last = Some(key.to_vec());
                each(Merged::Entry(key, payload))?;
            }
        }
        heap.advance()?;
    }
    Ok(())
}

/// A binary heap of sources, least present key first, the newest first among equal ones.
struct Heap<'s> {
    sources: &'s mut [Source],
    order: Vec<usize>,
}

impl<'s> Heap<'s> {
    fn new(sources: &'s mut [Source]) -> Result<Self> {
        let mut heap = Self {
            order: Vec::with_capacity(sources.len()),
            sources,
        };
        for index in 0..heap.sources.len() {
            if heap.sources[index].advance()? {
                heap.order.push(index);
            }
        }
        for place in (0..heap.order.len() / 2).rev() {
            heap.sink(place);
        }
        Ok(heap)
    }

    fn first(&self) -> Option<&Source> {
        self.order.first().map(|index| &self.sources[*index])
    }

    fn advance(&mut self) -> Result<()> {
        let index = self.order[0];
        if !self.sources[index].advance()? {
            self.order.swap_remove(0);
        }
        self.sink(0);
        Ok(())
    }

    #[inline]
    fn comes_before(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.order[a], self.order[b]);
        match self.sources[a].key().cmp(self.sources[b].key()) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => a > b,
            std::cmp::Ordering::Greater => false,
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let mut least = 2 * place + 1;
            if least >= self.order.len() {
                return;
            }
            if least + 1 < self.order.len() && self.comes_before(least + 1, least) {
                least += 1;
            }
            if !self.comes_before(least, place) {
                return;
            }
            self.order.swap(place, least);
            place = least;
        }
    }
}
