//! `Postings`: where one term stands, as plain arrays; what codecs read and write.
//!
//! Invariants
//! 1. `slots`, `tfs` and `lengths` are of one length; slots ascend strictly; every tf is at least 1.
//! 2. `positions` holds, posting after posting, tf varints: the first position, then the distance to the one before.

use super::bytes::{Put, Take, varints_length};
use super::failure::{Failure, Result};
use crate::mutants::mutant;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Postings {
    pub(crate) slots: Vec<u32>,
    pub(crate) tfs: Vec<u32>,
    pub(crate) lengths: Vec<u32>,
    pub(crate) positions: Vec<u8>,
}

impl Postings {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.tfs.clear();
        self.lengths.clear();
        self.positions.clear();
    }

    pub(crate) fn push(&mut self, slot: u32, tf: u32, length: u32, positions: &[u8]) {
        self.slots.push(slot);
        self.tfs.push(tf);
        self.lengths.push(length);
        self.positions.extend_from_slice(positions);
    }

    /// Keeps the postings whose slot `keep` accepts; how many went.
    pub(crate) fn retain(&mut self, keep: impl Fn(u32) -> bool) -> Result<usize> {
        if self.slots.iter().all(|slot| keep(*slot)) {
            return Ok(0);
        }
        let old = std::mem::take(self);
        let mut positions = old.positions.as_slice();
        for at in 0..old.len() {
            let length = varints_length(positions, old.tfs[at] as usize)?;
            let (own, rest) = positions.split_at(length);
            if !mutant("text-lose-positions") {
                positions = rest;
            }
            if keep(old.slots[at]) {
                self.push(old.slots[at], old.tfs[at], old.lengths[at], own);
            }
        }
        Ok(old.len() - self.len())
    }

    /// Appends the short form, used where there are few: `(gap << 1 | tf is 1):varint [tf:varint] length:varint`.
    pub(crate) fn encode_short(&self, out: &mut Vec<u8>) {
        let mut before = 0;
        for at in 0..self.len() {
            put_posting(out, self.slots[at] - before, self.tfs[at]);
            out.put_varint(u64::from(self.lengths[at]));
            before = self.slots[at];
        }
    }

    /// Reads the short form; `bytes` are exactly its own.
    pub(crate) fn decode_short(&mut self, bytes: &[u8], count: usize) -> Result<()> {
        let mut take = Take::new(bytes);
        let mut slot = 0;
        for at in 0..count {
            let (gap, tf) = take_posting(&mut take)?;
            slot = next_slot(slot, gap, at == 0)?;
            self.slots.push(slot);
            self.tfs.push(tf);
            self.lengths.push(take.number()?);
        }
        take.end()
    }
}

pub(crate) fn put_posting(out: &mut Vec<u8>, gap: u32, tf: u32) {
    out.put_varint(u64::from(gap) << 1 | u64::from(tf == 1));
    if tf != 1 {
        out.put_varint(u64::from(tf));
    }
}

#[inline]
pub(crate) fn take_posting(take: &mut Take<'_>) -> Result<(u32, u32)> {
    let first = take.varint()?;
    let gap = u32::try_from(first >> 1).map_err(|_| Failure::Malformed("a slot is too large"))?;
    let tf = if first & 1 == 1 { 1 } else { take.number()? };
    if tf == 0 {
        return Err(Failure::Malformed("a posting without an occurrence"));
    }
    Ok((gap, tf))
}

/// The slot `gap` behind `slot`, which must be another one.
#[inline]
pub(crate) fn next_slot(slot: u32, gap: u32, first: bool) -> Result<u32> {
    let next = slot
        .checked_add(gap)
        .filter(|next| (first || gap > 0) && *next < u32::MAX);
    next.ok_or(Failure::Malformed("slots do not ascend"))
}

/// Reads `tf` positions from the front of `bytes`.
pub(crate) fn read_positions(bytes: &[u8], tf: usize, out: &mut Vec<u32>) -> Result<()> {
    out.clear();
    let mut take = Take::new(bytes);
    let mut position = 0u32;
    for _ in 0..tf {
        position = position
            .checked_add(take.number()?)
            .ok_or(Failure::Malformed("a position is too large"))?;
        out.push(position);
    }
    Ok(())
}
