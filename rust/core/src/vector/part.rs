//! Vectors that lie together, in memory or in a mapped file, as a search sees them.

use sopasync_payload::Selection;
use sopasync_vector::scan::{Among, Keep, scan_ids};
use sopasync_vector::{Kernel, TopK, scan, scan_batch};

use super::marks::{ALIVE, Marks};
use super::records::Records;
use super::rows::Number;
use crate::mutants::mutant;

/// Numbers of vectors, ascending: commits and ordinals, little-endian, as they lie in segments.
#[derive(Clone, Copy, Default)]
pub(super) struct Numbers<'a> {
    pub(super) seqs: &'a [u8],
    pub(super) ordinals: &'a [u8],
}

/// The same, growing.
#[derive(Default)]
pub(super) struct NumberList {
    seqs: Vec<u8>,
    ordinals: Vec<u8>,
}

impl NumberList {
    pub(super) fn push(&mut self, number: Number) {
        self.seqs.extend_from_slice(&number.seq.to_le_bytes());
        self.ordinals
            .extend_from_slice(&number.ordinal.to_le_bytes());
    }

    pub(super) fn lend(&self) -> Numbers<'_> {
        Numbers {
            seqs: &self.seqs,
            ordinals: &self.ordinals,
        }
    }
}

impl Numbers<'_> {
    pub(super) fn count(&self) -> usize {
        self.ordinals.len() / 4
    }

    pub(super) fn get(&self, slot: u32) -> Number {
        let at = slot as usize * 4;
        let ordinal = self.ordinals[at..at + 4].try_into().expect("four bytes");
        Number {
            seq: self.seq(slot),
            ordinal: u32::from_le_bytes(ordinal),
        }
    }

    #[inline]
    pub(super) fn seq(&self, slot: u32) -> u64 {
        let at = slot as usize * 8;
        u64::from_le_bytes(self.seqs[at..at + 8].try_into().expect("eight bytes"))
    }

    pub(super) fn last(&self) -> Option<Number> {
        (self.count() as u32)
            .checked_sub(1)
            .map(|slot| self.get(slot))
    }

    /// The slot of a number, if it is here.
    pub(super) fn slot(&self, number: Number) -> Option<u32> {
        let (mut low, mut high) = (0, self.count() as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).cmp(&number) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

/// The vectors of a chunk or a segment, lent for a search. A *slot* is a vector's place in it.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// Prepared rows, one after the other.
    pub(super) rows: &'a [u8],
    /// Their numbers, ascending.
    pub(super) numbers: Numbers<'a>,
    /// Which of them are deleted; nothing when none can be.
    pub(super) deleted: Option<&'a Marks>,
    /// How many are deleted.
    pub(super) dead: usize,
    /// What is kept of their records, if anything is.
    pub(super) records: Records<'a>,
}

impl Part<'_> {
    pub(super) fn count(&self) -> usize {
        self.numbers.count()
    }

    pub(super) fn deleted_at(&self, slot: u32) -> u64 {
        self.deleted.map_or(ALIVE, |marks| marks.get(slot))
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
            .filter_map(|number| part.numbers.slot(*number))
            .collect();
        gone.sort_unstable();
        Self {
            check_created: part.numbers.last().is_some_and(|last| last.seq > seq)
                && !mutant("vector-show-later"),
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
        (!self.check_created || self.part.numbers.seq(slot) <= self.seq)
            && (!self.check_deleted || self.seq < self.part.deleted_at(slot))
            && (self.gone.is_empty() || self.gone.binary_search(&slot).is_err())
    }

    pub(super) fn part(&self) -> &Part<'a> {
        &self.part
    }

    /// The part of all rows that the filter leaves.
    pub(super) fn rate(&self) -> f32 {
        let matches = self
            .selection
            .map_or(self.part.count(), |selection| selection.count() as usize);
        matches as f32 / self.part.count().max(1) as f32
    }

    /// Hands what is visible and selected to a scan over codes.
    pub(super) fn among<R>(&self, scan: impl FnOnce(&Among<'_>) -> R) -> R {
        match self.selection.and_then(Selection::as_list) {
            Some(list) if self.sees_all() => scan(&Among::Slots(list)),
            Some(list) => scan(&Among::Slots(&self.seen(list))),
            None => scan(&Among::Kept(self)),
        }
    }

    fn seen(&self, list: &[u32]) -> Vec<u32> {
        let seen = list.iter().copied().filter(|slot| self.sees(*slot));
        seen.collect()
    }

    /// Is everything visible, and selected?
    pub(super) fn is_all(&self) -> bool {
        self.selection.is_none() && self.sees_all()
    }

    /// Visible and selected.
    #[inline]
    pub(super) fn passes(&self, slot: u32) -> bool {
        self.selection
            .is_none_or(|selection| selection.contains(slot))
            && self.sees(slot)
    }

    /// Collects the nearest visible rows by measuring all of them.
    pub(super) fn scan(&self, kernel: &Kernel, queries: &[u8], tops: &mut [TopK]) {
        let bytes = kernel.row_bytes();
        if let Some(list) = self.selection.and_then(Selection::as_list) {
            let seen: Vec<u32>;
            let ids = if self.sees_all() {
                list
            } else {
                seen = self.seen(list);
                &seen
            };
            for (query, top) in queries.chunks_exact(bytes).zip(tops) {
                scan_ids(kernel, query, self.part.rows, ids, top);
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
