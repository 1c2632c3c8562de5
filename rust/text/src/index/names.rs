//! The names of documents: the keys their users gave them, by slot, so that a search can say whom it found.
//!
//! ```text
//! part := (shared:varint rest:bytes)*          each: the bytes shared with the name before, and those that follow
//! ```
//! A part covers 32 slots from a multiple of 32 on; the last one may have fewer. Documents whose deletion was merged have an empty name.

use std::ops::Range;

use super::bytes::{Put, Take};
use super::failure::{Failure, Result};
use super::keys::{NAMES, with};
use super::rows::{Rows, RowsMut};

/// Slots in a part.
pub(crate) const PART: u32 = 32;

const WRONG: Failure = Failure::Malformed("a name shares more than the one before has");

/// Names in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes they take in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * 8
    }

    pub(crate) fn push(&mut self, name: &[u8]) {
        self.bytes.extend_from_slice(name);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn get(&self, at: usize) -> Option<&[u8]> {
        let end = *self.ends.get(at)?;
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[begin..end])
    }

    pub(crate) fn extend(&mut self, others: &Self) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&others.bytes);
        self.ends.extend(others.ends.iter().map(|end| begin + end));
    }

    /// Forgets those behind the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    pub(crate) fn encode(&self, range: Range<usize>, out: &mut Vec<u8>) {
        let mut before: &[u8] = &[];
        for name in range.filter_map(|at| self.get(at)) {
            before = put(name, before, out);
        }
    }

    /// Reads so many names.
    pub(crate) fn take(take: &mut Take<'_>, count: u64) -> Result<Self> {
        if count > take.rest().len() as u64 {
            return Err(Failure::Malformed("there are fewer names than documents"));
        }
        let mut names = Self {
            bytes: Vec::new(),
            ends: Vec::with_capacity(count as usize),
        };
        let mut before = 0..0;
        for _ in 0..count {
            let (shared, rest) = (take.number()? as usize, take.bytes()?);
            if shared > before.len() {
                return Err(WRONG);
            }
            let begin = names.bytes.len();
            names
                .bytes
                .extend_from_within(before.start..before.start + shared);
            names.bytes.extend_from_slice(rest);
            names.ends.push(names.bytes.len());
            before = begin..names.bytes.len();
        }
        Ok(names)
    }
}

/// Writes a name behind another, and returns it.
fn put<'n>(name: &'n [u8], before: &[u8], out: &mut Vec<u8>) -> &'n [u8] {
    let shared = name.iter().zip(before).take_while(|(a, b)| a == b).count();
    out.put_varint(shared as u64);
    out.put_bytes(&name[shared..]);
    name
}

/// The name of the document in a slot of the merged index.
pub(crate) fn name_at(rows: &dyn Rows, slot: u32, name: &mut Vec<u8>) -> Result<()> {
    name.clear();
    let mut result = Err(Failure::Malformed("a document has no name"));
    rows.get(&with(NAMES, &(slot / PART).to_be_bytes()), &mut |row| {
        result = nth(row, slot % PART, name);
    })?;
    result
}

fn nth(row: &[u8], place: u32, name: &mut Vec<u8>) -> Result<()> {
    let mut take = Take::new(row);
    for _ in 0..=place {
        let shared = take.number()? as usize;
        if shared > name.len() {
            return Err(WRONG);
        }
        name.truncate(shared);
        name.extend_from_slice(take.bytes()?);
    }
    Ok(())
}

/// The names of a part, which are `count`.
pub(crate) fn read_part(rows: &dyn Rows, number: u32, count: u32) -> Result<Names> {
    let mut names = Ok(Names::default());
    rows.get(&with(NAMES, &number.to_be_bytes()), &mut |row| {
        names = Names::take(&mut Take::new(row), u64::from(count));
    })?;
    let names = names?;
    if names.len() < count as usize {
        return Err(Failure::Malformed(
            "a part of the table of names is missing",
        ));
    }
    Ok(names)
}

/// Writes a part; the bytes of its row.
pub(crate) fn write_part(rows: &dyn RowsMut, number: u32, names: &Names) -> Result<usize> {
    let mut row = Vec::new();
    names.encode(0..names.len(), &mut row);
    rows.put(&with(NAMES, &number.to_be_bytes()), &row)?;
    Ok(row.len())
}
