//! A transaction: one snapshot to read, writes kept aside until it commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crossbeam_epoch as epoch;
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

use super::core::Engine;
use super::options::{Isolation, TransactionOptions};
use super::part::{Part, after, high_key, low_key, visit_entry};
use super::scan::{ScanRange, Visit, scan};
use super::sequencer::{Commit, CommitInfo, Done};
use crate::error::{Error, Result};
use crate::limits::{
    EXTENT_BYTES_MIN, INLINE_WRITE_BYTES_MAX, KEY_BYTES_MAX, META_BYTES_MAX, STORE_NAME_BYTES_MAX,
    VALUE_BYTES_MAX,
};
use crate::page::LargeRef;
use crate::tree::{Cursor, Reader, rank};
use crate::txn::{
    Before, Claims, MergeOp, NewValue, RecordWriter, Snapshot, StoreClaims, StoreInfo, Write,
};

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

/// A moment inside a transaction to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    journal: usize,
}

/// One change, with what was there before.
enum Change {
    Entry {
        part: usize,
        key: Box<[u8]>,
        before: Before,
    },
    Created(usize),
    Removed(usize),
}

/// See the module. Dropping it rolls it back; nothing waits for that.
pub struct Transaction {
    engine: Arc<Engine>,
    snapshot: Arc<Snapshot>,
    options: TransactionOptions,
    parts: Vec<Part>,
    index: FxHashMap<u64, usize>,
    names: Vec<(String, Option<u64>)>,
    catalogue: bool,
    extents: Vec<LargeRef>,
    journal: Option<Vec<Change>>,
    write_bytes: usize,
}

impl Transaction {
    pub(super) fn new(engine: Arc<Engine>, options: TransactionOptions) -> Self {
        let snapshot = engine.published.load_full();
        Self {
            engine,
            snapshot,
            options,
            parts: Vec::new(),
            index: FxHashMap::default(),
            names: Vec::new(),
            catalogue: false,
            extents: Vec::new(),
            journal: None,
            write_bytes: 0,
        }
    }

    /// Commit number of the snapshot it reads.
    pub fn seq(&self) -> u64 {
        self.snapshot.seq
    }

    /// Has anything been written?
    pub fn has_writes(&self) -> bool {
        self.parts
            .iter()
            .any(|part| part.created || part.removed || !part.writes.is_empty())
    }

    /// Bytes of keys and values written, roughly.
    pub fn write_bytes(&self) -> usize {
        self.write_bytes
    }

    fn tracks(&self, access: Access) -> bool {
        access.track && !self.options.read_only && self.options.isolation == Isolation::Serializable
    }

    fn ensure_writable(&self) -> Result<()> {
        if self.options.read_only {
            return Err(Error::ReadOnly {
                what: "the transaction",
            });
        }
        if self.engine.options.read_only {
            return Err(Error::ReadOnly {
                what: "the database",
            });
        }
        self.engine.ensure_open()
    }

    // --- stores ---

    /// The stores it sees, in order of creation.
    pub fn stores(&mut self) -> Vec<StoreInfo> {
        self.catalogue = true;
        let seen = self.snapshot.stores.iter().map(|store| &store.info);
        let made = self
            .parts
            .iter()
            .filter(|part| part.created)
            .map(|part| &part.info);
        let removed = |id| {
            self.index
                .get(&id)
                .is_some_and(|part| self.parts[*part].removed)
        };
        seen.chain(made)
            .filter(|info| !removed(info.id))
            .map(|info| (**info).clone())
            .collect()
    }

    /// The store of that name.
    pub fn find_store(&mut self, name: &str) -> Option<StoreInfo> {
        let own = self
            .parts
            .iter()
            .rev()
            .find(|part| part.created && part.info.name == name);
        if let Some(part) = own
            && !part.removed
        {
            return Some((*part.info).clone());
        }
        let found = self
            .snapshot
            .stores
            .by_name(name)
            .map(|store| Arc::clone(&store.info));
        if self.tracks(Access::default()) {
            self.names
                .push((name.to_owned(), found.as_ref().map(|info| info.id)));
        }
        let found = found?;
        let removed = self
            .index
            .get(&found.id)
            .is_some_and(|part| self.parts[*part].removed);
        (!removed).then(|| (*found).clone())
    }

    /// Makes a store. When another transaction commits the same store first (same name, kind and
    /// options), this one writes to that.
    pub fn create_store(&mut self, name: &str, kind: u8, options: &[u8]) -> Result<StoreInfo> {
        self.ensure_writable()?;
        if name.is_empty() || name.len() > STORE_NAME_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a store's name has 1 to {STORE_NAME_BYTES_MAX} bytes; this one has {}",
                name.len()
            )));
        }
        let names_before = self.names.len();
        let found = self.find_store(name);
        // Creation does not depend on what it saw: it joins or conflicts by name at commit.
        self.names.truncate(names_before);
        if found.is_some() {
            return Err(Error::StoreExists {
                store: name.to_owned(),
            });
        }
        let info = Arc::new(StoreInfo {
            id: self.engine.next_store_id.fetch_add(1, Ordering::AcqRel),
            name: name.to_owned(),
            kind,
            options: options.to_vec(),
        });
        let place = self.parts.len();
        self.parts.push(Part::new(Arc::clone(&info), None, true));
        self.index.insert(info.id, place);
        self.note(Change::Created(place));
        Ok((*info).clone())
    }

    /// Removes a store with everything in it.
    pub fn remove_store(&mut self, id: u64) -> Result<()> {
        self.ensure_writable()?;
        let place = self.part(id)?;
        self.parts[place].removed = true;
        self.note(Change::Removed(place));
        Ok(())
    }

    #[inline]
    fn part(&mut self, id: u64) -> Result<usize> {
        if let Some(&place) = self.index.get(&id) {
            if self.parts[place].removed {
                return Err(Error::StoreNotFound {
                    store: self.parts[place].info.name.clone(),
                });
            }
            return Ok(place);
        }
        let Some(store) = self.snapshot.stores.get(id) else {
            return Err(Error::StoreNotFound {
                store: format!("number {id}"),
            });
        };
        let place = self.parts.len();
        self.parts
            .push(Part::new(Arc::clone(&store.info), store.root, false));
        self.index.insert(id, place);
        Ok(place)
    }

    // --- reading ---

    /// Hands the entry of `key` (ride-along part, value) to `visit`, without copying where it can.
    #[inline]
    pub fn visit<R>(
        &mut self,
        store: u64,
        key: &[u8],
        access: Access,
        visit: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> Result<Option<R>> {
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
        let blind = matches!(own, Some(Write::Put { .. } | Write::Delete));
        let found = visit_entry(&reader, part.root, key, own, visit)?;
        if track && !blind {
            part.reads.point(key);
        }
        Ok(found)
    }

    /// The entry of `key`.
    pub fn get(&mut self, store: u64, key: &[u8], access: Access) -> Result<Option<Entry>> {
        self.visit(store, key, access, |meta, value| Entry {
            meta: meta.to_vec(),
            value: value.to_vec(),
        })
    }

    /// Is there an entry of `key`? Reads no value that lies out of line.
    pub fn contains(&mut self, store: u64, key: &[u8], access: Access) -> Result<bool> {
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
        let blind = matches!(own, Some(Write::Put { .. } | Write::Delete));
        let before = !blind && crate::tree::get(&reader, part.root, key)?.is_some();
        let found = own.map_or(before, |write| write.leaves_entry(before));
        if track && !blind {
            part.reads.point(key);
        }
        Ok(found)
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

    /// The key of the entry that comes after `count` others in the range; `None` past its end.
    /// Takes a few page reads, whatever the count, unless the transaction wrote to the store.
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
        if !self.parts[place].writes.is_empty() {
            return self.skip_by_scan(store, range, count, access);
        }
        let track = self.tracks(access);
        let part = &mut self.parts[place];
        let guard = epoch::pin();
        let reader = Reader {
            pager: &self.engine.pager,
            guard: &guard,
            wait: access.may_wait,
        };
        let (low, high) = (low_key(range.low), high_key(range.high));
        let first = rank(&reader, part.root, std::ops::Bound::Included(&low))?;
        let total = part.root.map_or(0, |root| root.count);
        let end = match &high {
            Some(high) => rank(&reader, part.root, std::ops::Bound::Included(high))?,
            None => total,
        };
        let found = if count >= end.saturating_sub(first) {
            None
        } else {
            let place = if range.reverse {
                end - 1 - count
            } else {
                first + count
            };
            let mut cursor = Cursor::nth(&reader, part.root, place)?;
            cursor.next()?.map(|(leaf, index)| leaf.key(index))
        };
        if track {
            let (mut low, mut high) = (low, high);
            match &found {
                Some(key) if range.reverse => low.clone_from(key),
                Some(key) => high = Some(after(key)),
                None => {}
            }
            part.reads.range(low, high);
        }
        Ok(found)
    }

    fn skip_by_scan(
        &mut self,
        store: u64,
        range: &ScanRange<'_>,
        count: u64,
        access: Access,
    ) -> Result<Option<Vec<u8>>> {
        let limit = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let range = ScanRange {
            limit,
            limit_bytes: usize::MAX,
            keys_only: true,
            ..*range
        };
        let (mut seen, mut key) = (0, Vec::new());
        self.scan(store, &range, access, &mut |found, _, _| {
            seen += 1;
            if seen == limit {
                key = found.to_vec();
            }
        })?;
        Ok((seen == limit).then_some(key))
    }

    /// The number of entries. Takes no page reads, unless the transaction wrote to the store.
    pub fn count(&mut self, store: u64, access: Access) -> Result<u64> {
        self.engine.ensure_open()?;
        let place = self.part(store)?;
        let track = self.tracks(access);
        let mut count = self.parts[place].root.map_or(0, |root| root.count);
        let guard = epoch::pin();
        let reader = Reader {
            pager: &self.engine.pager,
            guard: &guard,
            wait: access.may_wait,
        };
        let part = &mut self.parts[place];
        for (key, write) in part.writes.keys() {
            let before = crate::tree::get(&reader, part.root, key)?.is_some();
            match (before, write.leaves_entry(before)) {
                (false, true) => count += 1,
                (true, false) => count -= 1,
                _ => {}
            }
        }
        if track {
            part.reads.count();
            part.writes
                .keys()
                .for_each(|(key, _)| part.reads.point(key));
        }
        Ok(count)
    }

    // --- writing ---

    pub(super) fn check_key(key: &[u8]) -> Result<()> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Error::KeyTooLong {
                length: key.len(),
                limit: KEY_BYTES_MAX,
            });
        }
        Ok(())
    }

    pub(super) fn check_meta(meta: &[u8]) -> Result<()> {
        if meta.len() > META_BYTES_MAX {
            return Err(Error::ValueTooLarge {
                length: meta.len(),
                limit: META_BYTES_MAX,
            });
        }
        Ok(())
    }

    /// Gives `key` a value, whatever was there. Reads nothing. Values of 64 KiB and more are
    /// written to the page file at once: with `may_wait` false, very long ones are `WouldBlock`.
    pub fn put(
        &mut self,
        store: u64,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
        may_wait: bool,
    ) -> Result<()> {
        self.ensure_writable()?;
        Self::check_key(key)?;
        Self::check_meta(meta)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(Error::ValueTooLarge {
                length: value.len(),
                limit: VALUE_BYTES_MAX,
            });
        }
        if value.len() > INLINE_WRITE_BYTES_MAX && !may_wait {
            return Err(Error::WouldBlock);
        }
        let place = self.part(store)?;
        let new = if value.len() < EXTENT_BYTES_MIN {
            NewValue::Inline(value.into())
        } else {
            NewValue::Extent(self.write_extent(value)?)
        };
        self.write_bytes += key.len() + meta.len() + value.len();
        self.set(
            place,
            key,
            Write::Put {
                meta: meta.into(),
                value: new,
            },
        );
        Ok(())
    }

    fn write_extent(&mut self, value: &[u8]) -> Result<LargeRef> {
        let pager = &self.engine.pager;
        let mut extent = LargeRef {
            id: 0,
            length: value.len() as u64,
            stamp: 0,
            hash: xxh3_64(value),
        };
        let span = extent.span(pager.page_bytes());
        extent.id = pager.allocate(span);
        if let Err(error) = pager.write_run(extent.id, value) {
            pager.release(extent.id, span);
            return Err(error);
        }
        self.extents.push(extent);
        Ok(extent)
    }

    /// Changes the ride-along part of an entry, if it is there at commit. Reads nothing.
    pub fn put_meta(&mut self, store: u64, key: &[u8], meta: &[u8]) -> Result<()> {
        self.ensure_writable()?;
        Self::check_key(key)?;
        Self::check_meta(meta)?;
        let place = self.part(store)?;
        self.write_bytes += key.len() + meta.len();
        let write = match self.parts[place].writes.get(key).cloned() {
            Some(write) => write.then_meta(meta),
            None => Write::new_edit().then_meta(meta),
        };
        self.set(place, key, write);
        Ok(())
    }

    /// Takes `key` away, if it is there at commit. Reads nothing.
    pub fn delete(&mut self, store: u64, key: &[u8]) -> Result<()> {
        self.ensure_writable()?;
        Self::check_key(key)?;
        let place = self.part(store)?;
        self.write_bytes += key.len();
        self.set(place, key, Write::Delete);
        Ok(())
    }

    /// Applies a commutative operation at commit. It reads nothing, so it conflicts with nothing.
    pub fn merge(&mut self, store: u64, key: &[u8], op: MergeOp, operand: &[u8]) -> Result<()> {
        self.ensure_writable()?;
        Self::check_key(key)?;
        let place = self.part(store)?;
        let before = self.parts[place].writes.get(key).cloned();
        let write = before
            .unwrap_or_else(Write::new_edit)
            .then_merge(op, operand)?;
        self.write_bytes += key.len() + operand.len();
        self.set(place, key, write);
        Ok(())
    }

    fn set(&mut self, part: usize, key: &[u8], write: Write) {
        let before = self.parts[part].writes.set(key, write);
        if self.journal.is_some() {
            self.note(Change::Entry {
                part,
                key: key.into(),
                before,
            });
        }
    }

    fn note(&mut self, change: Change) {
        if let Some(journal) = &mut self.journal {
            journal.push(change);
        }
    }

    /// Marks this moment.
    pub fn savepoint(&mut self) -> Savepoint {
        Savepoint {
            journal: self.journal.get_or_insert_default().len(),
        }
    }

    /// Takes back every write since `savepoint`. What was read since stays read.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        let journal = self.journal.get_or_insert_default();
        if savepoint.journal > journal.len() {
            return Err(Error::invalid("the savepoint was rolled back already"));
        }
        for change in journal.drain(savepoint.journal..).rev() {
            match change {
                Change::Entry { part, key, before } => {
                    self.parts[part].writes.restore(&key, before);
                }
                Change::Created(part) => {
                    self.parts[part].created = false;
                    self.parts[part].removed = true;
                }
                Change::Removed(part) => self.parts[part].removed = false,
            }
        }
        Ok(())
    }

    // --- ending ---

    /// Commits, and returns when the commit is durable.
    pub fn commit(mut self) -> Result<CommitInfo> {
        let Some(commit) = self.take_commit()? else {
            return Ok(self.nothing_written());
        };
        let engine = Arc::clone(&self.engine);
        drop(self);
        engine.throttle();
        let info = engine.sequence(commit, None).result?;
        engine.wait_durable(info.stamp)?;
        Ok(info)
    }

    /// Hands the transaction to the committer and returns at once; `done` is called with the
    /// outcome. An error here means that nothing was handed over, and `done` is not called.
    pub fn submit(mut self, done: Done) -> Result<CommitTicket> {
        let ticket = CommitTicket::new();
        let Some(commit) = self.take_commit()? else {
            ticket.take();
            done(Ok(self.nothing_written()));
            return Ok(ticket);
        };
        let engine = Arc::clone(&self.engine);
        drop(self);
        engine.submit(commit, ticket.clone(), done);
        Ok(ticket)
    }

    /// Takes everything back. The same as dropping it.
    pub fn rollback(self) {
        drop(self);
    }

    fn nothing_written(&self) -> CommitInfo {
        CommitInfo {
            seq: self.snapshot.seq,
            stamp: self.snapshot.stamp,
        }
    }

    fn take_commit(&mut self) -> Result<Option<Commit>> {
        self.engine.ensure_open()?;
        if !self.has_writes() {
            return Ok(None);
        }
        let mut record = RecordWriter::default();
        let kept = |part: &&Part| !part.removed;
        for part in self
            .parts
            .iter()
            .filter(|part| part.removed && !part.created)
        {
            // A creation that was rolled back looks the same but never was at the snapshot.
            if self.snapshot.stores.get(part.info.id).is_some() {
                record.remove(part.info.id);
            }
        }
        for part in self.parts.iter().filter(kept).filter(|part| part.created) {
            record.create(&part.info);
        }
        for part in self
            .parts
            .iter()
            .filter(kept)
            .filter(|part| !part.writes.is_empty())
        {
            record.store(part.info.id);
            part.writes.record(&mut record);
        }
        let record = record.finish();
        if record.is_empty() {
            return Ok(None);
        }
        Ok(Some(Commit {
            snapshot: Arc::clone(&self.snapshot),
            isolation: self.options.isolation,
            extents: self.used_extents(),
            record,
            claims: self.claims(),
        }))
    }

    /// The extents the record names; the others are given back.
    fn used_extents(&mut self) -> Vec<LargeRef> {
        let written = std::mem::take(&mut self.extents);
        if written.is_empty() {
            return written;
        }
        let mut used = Vec::new();
        for part in self.parts.iter().filter(|part| !part.removed) {
            for (_, write) in part.writes.keys() {
                if let Write::Put {
                    value: NewValue::Extent(extent),
                    ..
                } = write
                {
                    used.push(*extent);
                }
            }
        }
        let unused: Vec<LargeRef> = written
            .into_iter()
            .filter(|extent| !used.contains(extent))
            .collect();
        self.engine.release_extents(&unused);
        used
    }

    fn claims(&mut self) -> Claims {
        let first_wins = self.options.isolation == Isolation::Snapshot;
        let mut claims = Claims {
            stores: Vec::new(),
            names: std::mem::take(&mut self.names),
            catalogue: self.catalogue && self.options.isolation == Isolation::Serializable,
        };
        for part in std::mem::take(&mut self.parts) {
            let never_was =
                part.removed && (part.created || self.snapshot.stores.get(part.info.id).is_none());
            if never_was {
                continue;
            }
            let written = if first_wins && !part.removed {
                part.writes
                    .keys()
                    .filter(|(_, write)| !matches!(write, Write::Edit { meta: None, .. }))
                    .map(|(key, _)| key.into())
                    .collect()
            } else {
                Vec::new()
            };
            if part.writes.is_empty() && part.reads.is_empty() && !part.removed && !part.created {
                continue;
            }
            claims.stores.push(StoreClaims {
                id: part.info.id,
                name: part.info.name.clone(),
                created: part.created,
                removed: part.removed,
                reads: part.reads,
                written,
            });
        }
        claims
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.engine
            .release_extents(&std::mem::take(&mut self.extents));
    }
}

/// A commit on its way, that can be taken back until it is sequenced.
#[derive(Clone)]
pub struct CommitTicket {
    state: Arc<AtomicU8>,
}

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl CommitTicket {
    fn new() -> Self {
        Self {
            state: Arc::new(AtomicU8::new(WAITING)),
        }
    }

    /// Takes the commit back: true when it was not sequenced yet. It is rolled back then, and its
    /// `done` is called with `Error::Withdrawn`.
    pub fn withdraw(&self) -> bool {
        self.turn(WITHDRAWN)
    }

    /// The committer's side: false when it was withdrawn.
    pub(super) fn take(&self) -> bool {
        self.turn(TAKEN)
    }

    fn turn(&self, to: u8) -> bool {
        self.state
            .compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}
