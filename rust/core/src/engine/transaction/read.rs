//! Reading: single entries and ranges.

use crossbeam_epoch as epoch;

use super::Transaction;
use crate::engine::part::{Part, after, high_key, low_key, visit_cell, visit_entry};
use crate::engine::scan::{ScanRange, Visit, scan};
use crate::error::Result;
use crate::page::{Cell, CellValue, LargeRef};
use crate::pager::{PinnedValue, ValueBytes};
use crate::tree::{ABREAST, Reader, get_abreast};
use crate::txn::{NewValue, Write};

/// How a read is done.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Read from disk when it must be; otherwise the answer is `Error::WouldBlock`, nothing has
    /// happened, and the call may be repeated on a thread that can wait.
    pub may_wait: bool,
    /// Remember it, so that the commit fails when it has changed. Reads that decide nothing
    /// (statistics, displays) need not be.
    pub track: bool,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            may_wait: true,
            track: true,
        }
    }
}

/// A value with the part that rides along with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The ride-along part.
    pub meta: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// A value that is there, or whose place is kept.
#[derive(Debug)]
pub enum KeptValue {
    /// To be read, by any thread.
    Pinned(PinnedValue),
    /// A copy: short values, and those of a follower.
    Copied(Vec<u8>),
}

/// Where the value of `key` lies out of line, if it does.
fn large_of(
    reader: &Reader<'_>,
    part: &Part,
    own: Option<&Write>,
    key: &[u8],
) -> Result<Option<LargeRef>> {
    Ok(match own {
        Some(Write::Put {
            value: NewValue::Extent(extent),
            ..
        }) => Some(*extent),
        Some(_) => None,
        None => match crate::tree::get(reader, part.root, key)? {
            Some(Cell {
                value: CellValue::Large(large),
                ..
            }) => Some(large),
            _ => None,
        },
    })
}

/// Does a write leave nothing of what was there, so that it need not be read?
fn is_blind(own: Option<&Write>) -> bool {
    matches!(own, Some(Write::Put { .. } | Write::Delete))
}

impl Transaction {
    /// Reads the entry of `key`: `read` is given the transaction's own write there. What was read is remembered.
    #[inline]
    fn read_entry<R>(
        &mut self,
        store: u64,
        key: &[u8],
        access: Access,
        read: impl FnOnce(&Reader<'_>, &Part, Option<&Write>) -> Result<R>,
    ) -> Result<R> {
        self.engine.ensure_open()?;
        let place = self.part(store)?;
        let track = self.tracks(access);
        let part = &mut self.parts[place];
        let guard = epoch::pin();
        let reader = Reader {
            pager: &self.engine.pager,
            guard: &guard,
            wait: access.may_wait,
        };
        let own = part.writes.get(key);
        let found = read(&reader, part, own)?;
        if track && !is_blind(own) {
            part.reads.point(key);
        }
        Ok(found)
    }

    /// Hands the entry of `key` (ride-along part, value) to `visit`, without copying where it can.
    #[inline]
    pub fn visit<R>(
        &mut self,
        store: u64,
        key: &[u8],
        access: Access,
        visit: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> Result<Option<R>> {
        self.read_entry(store, key, access, |reader, part, own| {
            visit_entry(reader, part.root, key, own, visit)
        })
    }

    /// Hands the entries of many keys, in their order, to `visit`, which gets nothing for one that is not there and says
    /// whether to go on. Much faster than one by one where they lie far from each other.
    pub fn visit_many<'k>(
        &mut self,
        store: u64,
        mut keys: impl Iterator<Item = &'k [u8]>,
        access: Access,
        mut visit: impl FnMut(Option<(&[u8], &[u8])>) -> bool,
    ) -> Result<()> {
        self.engine.ensure_open()?;
        let place = self.part(store)?;
        let track = self.tracks(access);
        let part = &mut self.parts[place];
        let guard = epoch::pin();
        let reader = Reader {
            pager: &self.engine.pager,
            guard: &guard,
            wait: access.may_wait,
        };
        let (mut some, mut cells) = (Vec::with_capacity(ABREAST), Vec::with_capacity(ABREAST));
        loop {
            some.clear();
            some.extend(keys.by_ref().take(ABREAST));
            if some.is_empty() {
                return Ok(());
            }
            get_abreast(&reader, part.root, &some, &mut cells)?;
            for (key, cell) in some.iter().zip(&cells) {
                let own = part.writes.get(key);
                let found = |meta: &[u8], value: &[u8]| visit(Some((meta, value)));
                let go_on = match (own, cell) {
                    (Some(_), _) => visit_entry(&reader, part.root, key, own, found)?,
                    (None, Some(cell)) => Some(visit_cell(&reader, *cell, found)?),
                    (None, None) => None,
                };
                if track && !is_blind(own) {
                    part.reads.point(key);
                }
                if !go_on.unwrap_or_else(|| visit(None)) {
                    return Ok(());
                }
            }
        }
    }

    /// The entry of `key`.
    pub fn get(&mut self, store: u64, key: &[u8], access: Access) -> Result<Option<Entry>> {
        self.visit(store, key, access, |meta, value| Entry {
            meta: meta.to_vec(),
            value: value.to_vec(),
        })
    }

    /// The value of `key`, a large one mapped where it lies in the page file: nothing is copied, and what is mapped stays as
    /// it is when it is overwritten, when the transaction ends and when the database is closed. Its checksum is
    /// verified when it is mapped for the first time since opening, and when `verify`.
    pub fn map_value(
        &mut self,
        store: u64,
        key: &[u8],
        access: Access,
        verify: bool,
    ) -> Result<Option<ValueBytes>> {
        self.read_entry(store, key, access, |reader, part, own| {
            if let Some(large) = large_of(reader, part, own, key)? {
                let (pager, wait) = (reader.pager, reader.wait);
                return pager.map_large(large, wait, verify, reader.guard).map(Some);
            }
            let copy = |_: &[u8], value: &[u8]| ValueBytes::Copied(value.to_vec());
            visit_entry(reader, part.root, key, own, copy)
        })
    }

    /// The value of `key`, a large one without reading it: its place is kept for whoever reads it, also when it is overwritten
    /// and when the transaction ends.
    pub fn pin_value(
        &mut self,
        store: u64,
        key: &[u8],
        access: Access,
    ) -> Result<Option<KeptValue>> {
        self.read_entry(store, key, access, |reader, part, own| {
            let large = large_of(reader, part, own, key)?;
            let pinned = large
                .map(|large| reader.pager.pin_large(large))
                .transpose()?;
            if let Some(pinned) = pinned.flatten() {
                return Ok(Some(KeptValue::Pinned(pinned)));
            }
            let copy = |_: &[u8], value: &[u8]| KeptValue::Copied(value.to_vec());
            visit_entry(reader, part.root, key, own, copy)
        })
    }

    /// Is there an entry of `key`? Reads no value that lies out of line.
    pub fn contains(&mut self, store: u64, key: &[u8], access: Access) -> Result<bool> {
        self.read_entry(store, key, access, |reader, part, own| {
            let before = !is_blind(own) && crate::tree::get(reader, part.root, key)?.is_some();
            Ok(own.map_or(before, |write| write.leaves_entry(before)))
        })
    }

    /// Visits the entries of a range. The last key visited, when a limit ended it and more follow.
    pub fn scan(
        &mut self,
        store: u64,
        range: &ScanRange<'_>,
        access: Access,
        visit: Visit<'_>,
    ) -> Result<Option<Vec<u8>>> {
        self.engine.ensure_open()?;
        let place = self.part(store)?;
        let track = self.tracks(access);
        let part = &mut self.parts[place];
        let guard = epoch::pin();
        let reader = Reader {
            pager: &self.engine.pager,
            guard: &guard,
            wait: access.may_wait,
        };
        let last = scan(&reader, part.root, &part.writes, range, visit)?;
        if track && !range.is_empty() && range.limit > 0 {
            let (mut low, mut high) = (low_key(range.low), high_key(range.high));
            match &last {
                Some(last) if range.reverse => low.clone_from(last),
                Some(last) => high = Some(after(last)),
                None => {}
            }
            part.reads.range(low, high);
        }
        Ok(last)
    }
}
