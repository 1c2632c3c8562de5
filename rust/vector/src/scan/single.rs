//! One query against many rows.

use std::ops::Range;

use super::keep::{Keep, each_bit, kept};
use crate::{Kernel, TopK};

/// Rows that are measured before their distances are looked at.
const BLOCK: usize = 256;

/// Of 64 rows so many must be kept for all of them to be measured: rows in a row are fetched by the processor
/// itself, and leaving some out costs more than measuring them.
const DENSE_MIN: u32 = 48;

/// Collect the nearest of all kept rows.
///
/// # Panics
/// When `query` is no prepared row, or `rows` are not whole ones.
pub fn scan(kernel: &Kernel, query: &[u8], rows: &[u8], keep: &impl Keep, top: &mut TopK) {
    scan_part(
        kernel,
        query,
        rows,
        0..rows.len() / kernel.row_bytes(),
        keep,
        top,
    );
}

/// Collect the nearest of the kept rows among some of all: one thread's part of a scan.
///
/// # Panics
/// As [`scan`], and when the part does not begin at a multiple of 64 or ends after the last row.
pub fn scan_part(
    kernel: &Kernel,
    query: &[u8],
    rows: &[u8],
    part: Range<usize>,
    keep: &impl Keep,
    top: &mut TopK,
) {
    measure_part(kernel, query, rows, part, keep, top);
}

/// Collect the nearest of the rows at certain places.
///
/// # Panics
/// As [`scan`], and when there is no row at one of the places.
pub fn scan_ids(kernel: &Kernel, query: &[u8], rows: &[u8], ids: &[u32], top: &mut TopK) {
    measure_ids(kernel, query, rows, ids, top);
}

/// The rows that some distances are of, in their order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Places<'a> {
    /// Those from one on, of which those take part whose bit is set.
    Run { first: usize, kept: &'a [u64] },
    /// All of these.
    Ids(&'a [u32]),
}

impl Places<'_> {
    /// The row of a distance, if it takes part.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<u32> {
        match self {
            Self::Run { first, kept } => {
                (kept[at / 64] >> (at % 64) & 1 == 1).then_some((first + at) as u32)
            }
            Self::Ids(ids) => Some(ids[at]),
        }
    }
}

/// Takes distances as they are measured, at most [`BLOCK`] at once.
pub(crate) trait Sink {
    fn take(&mut self, distances: &[f32], places: Places<'_>);
}

impl Sink for TopK {
    #[inline]
    fn take(&mut self, distances: &[f32], places: Places<'_>) {
        take(distances, self, |at| places.get(at));
    }
}

/// What [`scan_part`] does, with the distances of all rows that take part, and of some that do not.
pub(crate) fn measure_part(
    kernel: &Kernel,
    query: &[u8],
    rows: &[u8],
    part: Range<usize>,
    keep: &impl Keep,
    sink: &mut impl Sink,
) {
    let bytes = kernel.row_bytes();
    assert!(
        rows.len().is_multiple_of(bytes),
        "the rows are not whole ones of {bytes} bytes"
    );
    assert!(
        part.start.is_multiple_of(64) && part.end <= rows.len() / bytes,
        "no such part: {part:?}"
    );
    let mut work = Work {
        kernel,
        query,
        rows,
        sink,
        distances: [0.0; BLOCK],
        ids: [0; BLOCK],
        ids_count: 0,
    };
    let mut at = part.start;
    while at < part.end {
        let end = part.end.min(at + BLOCK);
        let mut words = [0; BLOCK / 64];
        let mut dense = true;
        for (index, word) in words.iter_mut().take((end - at).div_ceil(64)).enumerate() {
            *word = kept(keep, at / 64 + index, part.end);
            let count = (end - at - index * 64).min(64) as u32;
            dense &= word.count_ones() * 64 >= DENSE_MIN * count;
        }
        if dense {
            work.all(at..end, &words);
        } else {
            work.some(at, &words);
        }
        at = end;
    }
    work.flush();
}

/// The same with the rows at certain places.
pub(crate) fn measure_ids(
    kernel: &Kernel,
    query: &[u8],
    rows: &[u8],
    ids: &[u32],
    sink: &mut impl Sink,
) {
    let mut distances = [0.0; BLOCK];
    for ids in ids.chunks(BLOCK) {
        let distances = &mut distances[..ids.len()];
        kernel.gather(query, rows, ids, distances);
        sink.take(distances, Places::Ids(ids));
    }
}

struct Work<'a, S> {
    kernel: &'a Kernel,
    query: &'a [u8],
    rows: &'a [u8],
    sink: &'a mut S,
    distances: [f32; BLOCK],
    /// Kept rows that are still to be measured.
    ids: [u32; BLOCK],
    ids_count: usize,
}

impl<S: Sink> Work<'_, S> {
    /// Measure a block of rows and take the kept ones.
    fn all(&mut self, block: Range<usize>, words: &[u64; BLOCK / 64]) {
        let bytes = self.kernel.row_bytes();
        let distances = &mut self.distances[..block.len()];
        self.kernel.many(
            self.query,
            &self.rows[block.start * bytes..block.end * bytes],
            distances,
        );
        let places = Places::Run {
            first: block.start,
            kept: words,
        };
        self.sink.take(distances, places);
    }

    /// Note the kept rows, to be measured when there are enough of them.
    fn some(&mut self, first: usize, words: &[u64; BLOCK / 64]) {
        for (index, word) in words.iter().enumerate() {
            if self.ids_count + 64 > BLOCK {
                self.flush();
            }
            each_bit(*word, |bit| {
                self.ids[self.ids_count] = (first + index * 64 + bit) as u32;
                self.ids_count += 1;
            });
        }
    }

    fn flush(&mut self) {
        measure_ids(
            self.kernel,
            self.query,
            self.rows,
            &self.ids[..self.ids_count],
            self.sink,
        );
        self.ids_count = 0;
    }
}

/// Take what is near enough; most often nothing is, which is seen eight distances at a time.
#[inline]
pub(crate) fn take(distances: &[f32], top: &mut TopK, slot: impl Fn(usize) -> Option<u32>) {
    for (block, distances) in distances.chunks(8).enumerate() {
        let bound = top.bound();
        if distances
            .iter()
            .fold(false, |any, &distance| any | (distance <= bound))
        {
            for (index, &distance) in distances.iter().enumerate() {
                if distance <= top.bound()
                    && let Some(slot) = slot(block * 8 + index)
                {
                    top.push(distance, slot);
                }
            }
        }
    }
}
