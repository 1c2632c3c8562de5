//! Reading sealed columns.

use std::ops::{Bound, Range};

use super::{HEADER_BYTES, MAGIC, ROW_BYTES};
use crate::columns::is_inverted;
use crate::error::{Error, Result};
use crate::evaluate::{Fields, Source, select};
use crate::filter::Filter;
use crate::selection::{Gather, Selection};

/// Columns over bytes that `seal` made: a slice, a mapping, anything that lends bytes and always the same ones.
#[derive(Debug, Clone)]
pub struct SealedColumns<B> {
    bytes: B,
    slots: u32,
    fields: usize,
}

/// One row of the field table, every place checked against the length of the bytes (D1).
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub name: &'a [u8],
    slots: u32,
    single: bool,
    everywhere: bool,
    present: &'a [u8],
    keys: u32,
    key_ends: &'a [u8],
    key_bytes: &'a [u8],
    posting_ends: &'a [u8],
    postings: &'a [u8],
}

impl<B: AsRef<[u8]>> SealedColumns<B> {
    /// Looks at the header and the field table; the rest is looked at when it is used.
    pub fn open(bytes: B) -> Result<Self> {
        let data = bytes.as_ref();
        if !data.starts_with(&MAGIC) {
            return Err(Error::damaged("they do not begin as columns do"));
        }
        let slots = u32_at(data, 8)?;
        let fields = u32_at(data, 12)? as usize;
        let opened = Self {
            bytes,
            slots,
            fields,
        };
        for index in 0..fields {
            opened.field_at(index)?;
        }
        Ok(opened)
    }

    /// Number of payloads.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// The slots that match. A field that no payload has matches nothing; see `check_fields`.
    pub fn select(&self, filter: &Filter) -> Result<Selection> {
        select(self, filter)
    }

    pub(super) fn field_at(&self, index: usize) -> Result<Field<'_>> {
        let data = self.bytes.as_ref();
        let row = slice(
            data,
            (HEADER_BYTES + index * ROW_BYTES) as u64,
            ROW_BYTES as u64,
        )?;
        let present_count = u32_at(row, 24)?;
        let everywhere = present_count == self.slots;
        let stored = if everywhere { 0 } else { present_count };
        let keys = u32_at(row, 28)?;
        let key_ends = slice(data, u64_at(row, 32)?, u64::from(keys) * 4)?;
        let key_bytes = last_end(key_ends)?;
        let postings = u64_at(row, 64)?;
        let posting_bytes = postings
            .checked_mul(4)
            .ok_or_else(|| Error::damaged("a place is outside"))?;
        Ok(Field {
            name: slice(data, u64_at(row, 0)?, u64::from(u32_at(row, 8)?))?,
            slots: self.slots,
            single: u32_at(row, 12)? == 1,
            everywhere,
            present: slice(data, u64_at(row, 16)?, u64::from(stored) * 4)?,
            keys,
            key_ends,
            key_bytes: slice(data, u64_at(row, 40)?, u64::from(key_bytes))?,
            posting_ends: slice(data, u64_at(row, 48)?, u64::from(keys) * 4)?,
            postings: slice(data, u64_at(row, 56)?, posting_bytes)?,
        })
    }

    pub(super) fn fields(&self) -> usize {
        self.fields
    }

    pub(super) fn field(&self, name: &str) -> Result<Option<Field<'_>>> {
        let (mut low, mut high) = (0, self.fields);
        while low < high {
            let middle = low + (high - low) / 2;
            let field = self.field_at(middle)?;
            match field.name.cmp(name.as_bytes()) {
                std::cmp::Ordering::Equal => return Ok(Some(field)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }
}

impl<'a> Field<'a> {
    pub fn keys(&self) -> u32 {
        self.keys
    }

    pub fn key(&self, code: u32) -> Result<&'a [u8]> {
        let range = span(self.key_ends, code)?;
        self.key_bytes
            .get(range)
            .ok_or_else(|| Error::damaged("a key is outside"))
    }

    /// The packed slots of the keys from `first` up to, without, `last`.
    pub fn packed_slots(&self, first: u32, last: u32) -> Result<&'a [u8]> {
        if first >= last {
            return Ok(&[]);
        }
        let start = span(self.posting_ends, first)?.start;
        let end = span(self.posting_ends, last - 1)?.end;
        start
            .checked_mul(4)
            .zip(end.checked_mul(4))
            .and_then(|(start, end)| self.postings.get(start..end))
            .ok_or_else(|| Error::damaged("a posting is outside"))
    }

    /// The packed slots that have the field; none when all have.
    pub fn present(&self) -> Option<&'a [u8]> {
        (!self.everywhere).then_some(self.present)
    }

    /// The first code whose key is not below the bound; `after` when equal keys are below it too.
    fn lower_bound(&self, key: &[u8], after: bool) -> Result<u32> {
        let (mut low, mut high) = (0, self.keys);
        while low < high {
            let middle = low + (high - low) / 2;
            let probe = self.key(middle)?;
            if probe < key || (after && probe == key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn code_of(&self, key: &[u8]) -> Result<Option<u32>> {
        let code = self.lower_bound(key, false)?;
        Ok((code < self.keys && self.key(code)? == key).then_some(code))
    }

    fn gather(&self, gather: &mut Gather, packed: &[u8]) -> Result<()> {
        for slot in numbers(packed) {
            if slot >= self.slots {
                return Err(Error::damaged("a slot is outside"));
            }
            gather.add(slot);
        }
        Ok(())
    }

    fn range(&self, low: Bound<&[u8]>, high: Bound<&[u8]>) -> Result<Selection> {
        let first = match low {
            Bound::Included(key) => self.lower_bound(key, false)?,
            Bound::Excluded(key) => self.lower_bound(key, true)?,
            Bound::Unbounded => 0,
        };
        let last = match high {
            Bound::Included(key) => self.lower_bound(key, true)?,
            Bound::Excluded(key) => self.lower_bound(key, false)?,
            Bound::Unbounded => self.keys,
        };
        let inside = self.packed_slots(first, last)?;
        if self.single && inside.len() > self.postings.len() / 2 {
            // Every slot has exactly one value: fewer are outside than inside.
            let mut outside = Gather::new(self.slots);
            self.gather(&mut outside, self.packed_slots(0, first)?)?;
            self.gather(&mut outside, self.packed_slots(last, self.keys)?)?;
            return Ok(outside.finish().complement());
        }
        let mut gather = Gather::expecting(self.slots, inside.len() / 4);
        self.gather(&mut gather, inside)?;
        Ok(gather.finish())
    }
}

impl<B: AsRef<[u8]>> Fields for SealedColumns<B> {
    fn has_field(&self, field: &str) -> bool {
        matches!(self.field(field), Ok(Some(_)))
    }

    fn field_names(&self) -> Vec<String> {
        (0..self.fields)
            .filter_map(|index| self.field_at(index).ok())
            .map(|field| String::from_utf8_lossy(field.name).into_owned())
            .collect()
    }

    fn is_empty(&self) -> bool {
        self.slots == 0
    }
}

impl<B: AsRef<[u8]>> Source for SealedColumns<B> {
    fn slots(&self) -> u32 {
        self.slots
    }

    fn present(&self, field: &str) -> Result<Selection> {
        match self.field(field)? {
            None => Ok(Selection::none(self.slots)),
            Some(field) if field.everywhere => Ok(Selection::all(self.slots)),
            Some(field) => {
                let mut gather = Gather::expecting(self.slots, field.present.len() / 4);
                field.gather(&mut gather, field.present)?;
                Ok(gather.finish())
            }
        }
    }

    fn any_of(&self, field: &str, keys: &[Box<[u8]>]) -> Result<Selection> {
        let Some(field) = self.field(field)? else {
            return Ok(Selection::none(self.slots));
        };
        let mut lists = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(code) = field.code_of(key)? {
                lists.push(field.packed_slots(code, code + 1)?);
            }
        }
        let total: usize = lists.iter().map(|list| list.len() / 4).sum();
        let mut gather = Gather::expecting(self.slots, total);
        for list in lists {
            field.gather(&mut gather, list)?;
        }
        Ok(gather.finish())
    }

    fn range(
        &self,
        field: &str,
        low: &Bound<Box<[u8]>>,
        high: &Bound<Box<[u8]>>,
    ) -> Result<Selection> {
        let bounds = (
            low.as_ref().map(|key| &**key),
            high.as_ref().map(|key| &**key),
        );
        match self.field(field)? {
            Some(field) if !is_inverted(bounds) => field.range(bounds.0, bounds.1),
            _ => Ok(Selection::none(self.slots)),
        }
    }
}

/// Where the entry of a code lies, by the ends of all entries.
fn span(ends: &[u8], code: u32) -> Result<Range<usize>> {
    let at = code as usize * 4;
    let start = match code {
        0 => 0,
        _ => u32_at(ends, at - 4)?,
    };
    Ok(start as usize..u32_at(ends, at)? as usize)
}

fn last_end(ends: &[u8]) -> Result<u32> {
    match ends.len() {
        0 => Ok(0),
        length => u32_at(ends, length - 4),
    }
}

pub(super) fn numbers(packed: &[u8]) -> impl Iterator<Item = u32> + '_ {
    packed
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn slice(data: &[u8], at: u64, length: u64) -> Result<&[u8]> {
    let outside = || Error::damaged("a place is outside");
    let start = usize::try_from(at).map_err(|_| outside())?;
    let length = usize::try_from(length).map_err(|_| outside())?;
    let end = start.checked_add(length).ok_or_else(outside)?;
    data.get(start..end).ok_or_else(outside)
}

fn u32_at(data: &[u8], at: usize) -> Result<u32> {
    let bytes = slice(data, at as u64, 4)?;
    Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn u64_at(data: &[u8], at: usize) -> Result<u64> {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(slice(data, at as u64, 8)?);
    Ok(u64::from_le_bytes(bytes))
}
