//! Positions and counts: which entry is the n-th, how many there are. The nodes of a tree count what is below them, and a
//! transaction's writes know what they change in it (`txn::effects`), so neither is walked through.

use std::ops::Bound;

use crossbeam_epoch as epoch;

use super::{Access, Transaction};
use crate::engine::part::{after, high_key, low_key};
use crate::engine::scan::ScanRange;
use crate::error::Result;
use crate::page::ChildRef;
use crate::tree::{Cursor, Reader, get, rank};
use crate::txn::WriteSet;

fn moved(number: u64, change: i64) -> u64 {
    let moved = number.checked_add_signed(change);
    moved.expect("no more entries are taken away than there are")
}

/// The entries of a store as the transaction sees them.
struct Numbered<'a> {
    reader: &'a Reader<'a>,
    root: Option<ChildRef>,
    writes: &'a WriteSet,
}

impl Numbered<'_> {
    fn was_there(&self, key: &[u8]) -> Result<bool> {
        Ok(get(self.reader, self.root, key)?.is_some())
    }

    /// How many entries of the snapshot lie below `key`.
    fn rank(&self, key: &[u8]) -> Result<u64> {
        rank(self.reader, self.root, Bound::Included(key))
    }

    /// How many entries lie below `key`, or in all.
    fn below(&self, key: Option<&[u8]>) -> Result<u64> {
        let before = match key {
            Some(key) => self.rank(key)?,
            None => self.root.map_or(0, |root| root.count),
        };
        let change = (self.writes).change_below(key, &mut |key| self.was_there(key))?;
        Ok(moved(before, change))
    }

    /// The key of entry number `place`, which is there.
    fn key_at(&self, place: u64) -> Result<Option<Vec<u8>>> {
        let blocks = self.writes.counted();
        // The block it is in, or behind: the last one that does not begin after it.
        let (mut first, mut end) = (0, blocks.len());
        while end - first > 1 {
            let middle = first.midpoint(end);
            let begins = self.rank(blocks[middle].start)?;
            if moved(begins, blocks[middle].before) <= place {
                first = middle;
            } else {
                end = middle;
            }
        }
        let mut change = blocks[first].before;
        let low = Bound::Included(blocks[first].start);
        for (key, write) in self.writes.range(low, Bound::Unbounded) {
            let number = moved(self.rank(key)?, change);
            if number > place {
                break;
            }
            let was_there = self.was_there(key)?;
            if number == place && write.leaves_entry(was_there) {
                return Ok(Some(key.to_vec()));
            }
            change += write.effect(was_there);
        }
        let committed = moved(place, -change);
        let mut cursor = Cursor::nth(self.reader, self.root, committed)?;
        Ok(cursor.next()?.map(|(leaf, index)| leaf.key(index)))
    }
}

impl Transaction {
    /// Hands the numbered entries of a store to `ask`.
    fn numbered<R>(
        &mut self,
        place: usize,
        may_wait: bool,
        ask: impl FnOnce(Numbered<'_>) -> Result<R>,
    ) -> Result<R> {
        let guard = epoch::pin();
        let reader = Reader {
            pager: &self.engine.pager,
            guard: &guard,
            wait: may_wait,
        };
        let part = &mut self.parts[place];
        let root = part.root;
        let was_there = &mut |key: &[u8]| Ok(get(&reader, root, key)?.is_some());
        part.writes.count_effects(may_wait, was_there)?;
        ask(Numbered {
            reader: &reader,
            root,
            writes: &part.writes,
        })
    }

    /// The key of the entry that comes after `count` others in the range; `None` past its end. Takes a few page reads,
    /// whatever the count, and as many more as there are new writes of the transaction itself to the store.
    pub fn skip(
        &mut self,
        store: u64,
        range: &ScanRange<'_>,
        count: u64,
        access: Access,
    ) -> Result<Option<Vec<u8>>> {
        self.engine.ensure_open()?;
        let place = self.part(store)?;
        if range.is_empty() {
            return Ok(None);
        }
        let (mut low, mut high) = (low_key(range.low), high_key(range.high));
        let found = self.numbered(place, access.may_wait, |entries| {
            let first = entries.below(Some(&low))?;
            let end = entries.below(high.as_deref())?;
            if count >= end.saturating_sub(first) {
                return Ok(None);
            }
            entries.key_at(if range.reverse {
                end - 1 - count
            } else {
                first + count
            })
        })?;
        if self.tracks(access) {
            match &found {
                Some(key) if range.reverse => low.clone_from(key),
                Some(key) => high = Some(after(key)),
                None => {}
            }
            self.parts[place].reads.range(low, high);
        }
        Ok(found)
    }

    /// The number of entries. Takes no page reads, unless the transaction wrote to the store.
    pub fn count(&mut self, store: u64, access: Access) -> Result<u64> {
        self.engine.ensure_open()?;
        let place = self.part(store)?;
        let count = self.numbered(place, access.may_wait, |entries| entries.below(None))?;
        if self.tracks(access) {
            let part = &mut self.parts[place];
            part.reads.count();
            part.writes
                .keys()
                .for_each(|(key, _)| part.reads.point(key));
        }
        Ok(count)
    }

    /// The number of entries in the range as the transaction sees it.
    pub fn count_range(
        &mut self,
        store: u64,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
        access: Access,
    ) -> Result<u64> {
        let range = ScanRange {
            low,
            high,
            ..ScanRange::default()
        };
        if range.is_empty() {
            return Ok(0);
        }
        self.engine.ensure_open()?;
        let (low, high) = (low_key(low), high_key(high));
        let place = self.part(store)?;
        let count = self.numbered(place, access.may_wait, |entries| {
            let end = entries.below(high.as_deref())?;
            Ok(end.saturating_sub(entries.below(Some(&low))?))
        })?;
        if self.tracks(access) {
            self.parts[place].reads.range_once(low, high);
        }
        Ok(count)
    }

    /// How many entries of the snapshot lie in the range, without those this transaction wrote. A few page reads; remembers
    /// nothing.
    pub fn count_committed(
        &mut self,
        store: u64,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
        may_wait: bool,
    ) -> Result<u64> {
        self.engine.ensure_open()?;
        let place = self.part(store)?;
        let root = self.parts[place].root;
        let guard = epoch::pin();
        let reader = Reader {
            pager: &self.engine.pager,
            guard: &guard,
            wait: may_wait,
        };
        let first = rank(&reader, root, Bound::Included(&low_key(low)))?;
        let end = match high_key(high) {
            Some(high) => rank(&reader, root, Bound::Included(&high))?,
            None => root.map_or(0, |root| root.count),
        };
        Ok(end.saturating_sub(first))
    }
}
