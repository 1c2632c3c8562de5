//! Vectors that lie together, in memory or in a mapped file, as a search sees them.

use std::sync::atomic::{AtomicU64, Ordering};

use sopasync_payload::Selection;
use sopasync_vector::scan::{Keep, scan_ids};
use sopasync_vector::{Kernel, TopK, scan, scan_batch};

use super::rows::Number;
use crate::mutants::mutant;

/// Commit that deleted a vector that nobody deleted.
pub(super) const ALIVE: u64 = u64::MAX;

/// The vectors of a chunk or a segment, lent for a search. A *slot* is a vector's place in it.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// Prepared rows, one after the other.
    pub(super) rows: &'a [u8],
    /// Their numbers, ascending, encoded one after the other.
    pub(super) numbers: &'a [u8],
    /// Commit that deleted each, or `ALIVE`; may be shorter when nothing is deleted.
    pub(super) deleted: &'a [AtomicU64],
    /// How many are deleted.
    pub(super) dead: usize,
}

impl Part<'_> {
    pub(super) fn count(&self) -> usize {
        self.numbers.len() / Number::BYTES
    }

    pub(super) fn number(&self, slot: u32) -> Number {
        let at = slot as usize * Number::BYTES;
        Number::decode(&self.numbers[at..at + Number::BYTES]).expect("twelve bytes")
    }

    fn seq(&self, slot: u32) -> u64 {
        let at = slot as usize * Number::BYTES;
        u64::from_be_bytes(self.numbers[at..at + 8].try_into().expect("eight bytes"))
    }

    fn last_seq(&self) -> u64 {
        match self.count() {
            0 => 0,
            count => self.seq(count as u32 - 1),
        }
    }

    /// The slot of a number, if it is here.
    pub(super) fn slot(&self, number: Number) -> Option<u32> {
        let wanted = number.encode();
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = (low + high) / 2;
            let at = middle * Number::BYTES;
            match self.numbers[at..at + Number::BYTES].cmp(&wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle as u32),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    pub(super) fn deleted_at(&self, slot: u32) -> u64 {
        let deleted = self.deleted.get(slot as usize);
        deleted.map_or(ALIVE, |deleted| deleted.load(Ordering::Relaxed))
    }
}

/// What one snapshot, one transaction and one filter leave of a part.
pub(super) struct Visible<'a> {
    part: Part<'a>,
    seq: u64,
    /// Some were created later than the snapshot.
    check_created: bool,
    check_deleted: bool,
    /// Slots the asking transaction deleted, ascending.
    gone: Vec<u32>,
    selection: Option<&'a Selection>,
}

impl<'a> Visible<'a> {
    /// What is visible at `seq` (V2), without the numbers in `gone`, and within the selection.
    pub(super) fn new(
        part: Part<'a>,
        seq: u64,
        gone: &[Number],
        selection: Option<&'a Selection>,
    ) -> Self {
        let mut gone: Vec<u32> = gone
            .iter()
            .filter_map(|number| part.slot(*number))
            .collect();
        gone.sort_unstable();
        Self {
            check_created: part.last_seq() > seq && !mutant("vector-show-later"),
            check_deleted: part.dead > 0 && !mutant("vector-ignore-tombstones"),
            part,
            seq,
            gone,
            selection,
        }
    }

    fn sees_all(&self) -> bool {
        !self.check_created && !self.check_deleted && self.gone.is_empty()
    }

    #[inline]
    pub(super) fn sees(&self, slot: u32) -> bool {
        (!self.check_created || self.part.seq(slot) <= self.seq)
            && (!self.check_deleted || self.seq < self.part.deleted_at(slot))
            && (self.gone.is_empty() || self.gone.binary_search(&slot).is_err())
    }

    /// Collects the nearest visible rows by measuring all of them.
    pub(super) fn scan(&self, kernel: &Kernel, queries: &[u8], tops: &mut [TopK]) {
        let bytes = kernel.row_bytes();
        if let Some(list) = self.selection.and_then(Selection::as_list) {
            let ids: Vec<u32> = list
                .iter()
                .copied()
                .filter(|slot| self.sees(*slot))
                .collect();
            for (query, top) in queries.chunks_exact(bytes).zip(tops) {
                scan_ids(kernel, query, self.part.rows, &ids, top);
            }
        } else if let [top] = tops {
            scan(kernel, queries, self.part.rows, self, top);
        } else {
            scan_batch(kernel, queries, self.part.rows, self, tops);
        }
    }
}

impl Keep for Visible<'_> {
    fn word(&self, index: usize, count: usize) -> u64 {
        let word = match self.selection.map(Selection::as_words) {
            None => u64::MAX,
            Some(Some(words)) => words.get(index).copied().unwrap_or(0),
            Some(None) => unreachable!("a list is looked up by its slots"),
        };
        if self.sees_all() {
            return word;
        }
        let first = index as u32 * 64;
        let mut left = word & (u64::MAX >> (64 - count));
        let mut kept = 0;
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            kept |= u64::from(self.sees(first + bit)) << bit;
        }
        kept
    }
}
