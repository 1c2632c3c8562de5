//! The change feed: what committed transactions changed, in their order, read from the log.
//!
//! A feed costs commits next to nothing: it reads what the log holds anyway, and what is kept of it after a checkpoint
//! (`Options::changes_kept_bytes`). It holds one group of the log in memory, and the changes it is about to hand
//! out; large values, which lie outside the log, are read when their commit's turn comes.
//!
//! Invariants
//! F1  Commits come in order, each once, none left out: after an error the next call goes on with the same one.
//! F2  A commit comes only when readers can see it; with full durability it is then durable.
//!     Indexes follow from the entries of their stores and do not come.
//!     Changes of entries of a store that has been removed since may be left out; its removal is not.
//! F3  What is no longer kept is `LogRecycled`, never left out silently.
//!
//! Who follows commits as they happen need not leave its thread for them: the groups published last are in memory, as the
//! sequencer had them (`recent`). Who is a little farther behind reads the log, which `next_resident` does from the
//! system's memory, as long as that is little.

use std::sync::Arc;

use crossbeam_epoch as epoch;
use rustc_hash::FxHashMap;

use super::core::Engine;
use super::database::Database;
use super::feed_group::{Group, Records};
use super::payload::malformed_at;
use super::recent::RecentReader;
use crate::error::{Error, Result};
use crate::log::{LogPosition, LogReader};
use crate::mutants::mutant;
use crate::page::LargeRef;
use crate::txn::{EntryOp, INDEX_KIND, MergeOp, Op, Record, StoreInfo, stamped};

/// What one committed transaction changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitChanges {
    /// Its commit number.
    pub seq: u64,
    /// In the order of stores, and of keys within a store.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The store.
    pub store: Arc<StoreInfo>,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What can happen to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was made.
    Created,
    /// It was removed.
    Removed,
    /// It was filled by a bulk load.
    Loaded,
    /// Something in it changed.
    Changed,
    /// An entry was written.
    Put {
        /// Its key.
        key: Vec<u8>,
        /// The ride-along part.
        meta: Vec<u8>,
        /// The value; `None` when it was large and has been overwritten since.
        value: Option<Vec<u8>>,
    },
    /// An entry, if it was there, was removed.
    Deleted {
        /// Its key.
        key: Vec<u8>,
    },
    /// The ride-along part of an entry, if it was there, was changed.
    MetaChanged {
        /// Its key.
        key: Vec<u8>,
        /// The new part.
        meta: Vec<u8>,
    },
    /// A commutative operation was applied.
    Merged {
        /// The key.
        key: Vec<u8>,
        /// Which one.
        operation: MergeOp,
        /// With what.
        operand: Vec<u8>,
    },
}

/// What is to be told of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// That it changed, once for each commit; not what. Reads no values.
    That,
    /// Everything.
    What,
}

/// Reads changes; see the module.
pub struct ChangeFeed {
    database: Database,
    /// The groups published last, as long as they are in memory.
    recent: RecentReader,
    /// Reads the others.
    reader: LogReader,
    /// Where it has to go on, and after which commit, when groups were not had from it.
    ahead: Option<(LogPosition, u64)>,
    /// The last commit handed out.
    seq: u64,
    /// The group read last, while commits of it are still to be handed out.
    group: Option<Group>,
    stores: Catalogue,
}

/// The stores that changes name.
#[derive(Default)]
struct Catalogue {
    known: FxHashMap<u64, Arc<StoreInfo>>,
    /// Stores made by two transactions at once are one: the later number stands for the earlier.
    joined: FxHashMap<u64, u64>,
}

impl Database {
    /// Reads changes from the commit after `seq` on. `LogRecycled` when they are kept no longer.
    pub fn changes(&self, seq: u64) -> Result<ChangeFeed> {
        let engine = self.engine();
        engine.ensure_open()?;
        let newest = self.last_seq();
        if seq > newest {
            return Err(Error::invalid(format!(
                "changes after commit {seq} were asked for, and the newest commit is {newest}"
            )));
        }
        let disk = Arc::clone(&engine.disk);
        let reader = LogReader::after(disk, engine.database_id, seq, newest)?;
        Ok(ChangeFeed {
            database: self.clone(),
            recent: RecentReader::new(&engine.recent),
            reader,
            ahead: None,
            seq,
            group: None,
            stores: Catalogue::default(),
        })
    }

    /// Bytes of commits that are kept in memory for those who read changes, about.
    pub fn recent_bytes(&self) -> usize {
        self.engine().recent.bytes()
    }
}

impl ChangeFeed {
    /// The last commit handed out, or the one it began after.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Commits that are there, in order: about `bytes` of them, at least one if there is any. Reads files.
    /// `wanted` says what of which store to hand out; commits without any of it are handed out empty.
    pub fn next(
        &mut self,
        bytes: usize,
        wanted: &dyn Fn(&StoreInfo) -> Wanted,
    ) -> Result<Vec<CommitChanges>> {
        self.gather(bytes, None, wanted)
    }

    /// The same, waiting for no device and reading groups of at most four times `bytes`; `WouldBlock` when there are
    /// commits and none can be had so.
    pub fn next_resident(
        &mut self,
        bytes: usize,
        wanted: &dyn Fn(&StoreInfo) -> Wanted,
    ) -> Result<Vec<CommitChanges>> {
        self.gather(bytes, Some(4 * bytes), wanted)
    }

    fn gather(
        &mut self,
        bytes: usize,
        limit: Option<usize>,
        wanted: &dyn Fn(&StoreInfo) -> Wanted,
    ) -> Result<Vec<CommitChanges>> {
        self.reader.set_limit(limit.map(|limit| limit as u64));
        let mut found = Vec::new();
        match self.gather_into(&mut found, bytes, limit, wanted) {
            // Those before come first: the next call meets the error again (F1).
            Err(_) if !found.is_empty() => Ok(found),
            result => result.map(|()| found),
        }
    }

    fn gather_into(
        &mut self,
        found: &mut Vec<CommitChanges>,
        bytes: usize,
        limit: Option<usize>,
        wanted: &dyn Fn(&StoreInfo) -> Wanted,
    ) -> Result<()> {
        let wanted = &|store: &StoreInfo| match store.kind {
            INDEX_KIND => Wanted::Nothing,
            _ => wanted(store),
        };
        let engine = self.database.engine();
        engine.ensure_open()?;
        let newest = engine.published.load().seq;
        let mut size = 0;
        while size < bytes {
            let Some(group) = &self.group else {
                if self.seq >= newest {
                    break; // F2
                }
                if self.read_group()? {
                    continue;
                }
                if found.is_empty() && !mutant("feed-hide-recycled") {
                    // Published, and not there: of a log that was not synced, a power cut took it (F3).
                    return Err(Error::LogRecycled);
                }
                break;
            };
            let (record, end) = group.record()?;
            if limit.is_some_and(|limit| record.len() > limit) {
                return Err(Error::WouldBlock);
            }
            let (seq, position) = (group.next, group.position);
            let place = Place {
                engine: &engine,
                seq,
                stamp: group.stamp,
                wait: limit.is_none(),
            };
            let changes = self.stores.changes(record, &place, wanted);
            if changes.is_err() && mutant("feed-skip-after-error") {
                self.go_on(end);
            }
            let changes = changes?.ok_or_else(|| malformed_at(position))?;
            let commit = CommitChanges { seq, changes };
            self.go_on(end);
            if commit.seq > self.seq {
                size += 64 + commit.changes.iter().map(Change::bytes).sum::<usize>();
                self.seq = commit.seq;
                found.push(commit);
            }
        }
        Ok(())
    }

    /// Goes on to the record at `end` (F1: only now that nothing can fail any more).
    fn go_on(&mut self, end: usize) {
        let group = self.group.as_mut().expect("a record of it was read");
        if group.next == group.last || mutant("feed-drop-rest-of-group") {
            self.group = None;
        } else {
            (group.at, group.next) = (end, group.next + 1);
        }
    }

    /// Has the next group; false at the end of the log.
    fn read_group(&mut self) -> Result<bool> {
        if let Some(group) = self.recent.after(self.seq) {
            let ahead = Some((group.end, group.last_seq()));
            self.ahead = ahead.filter(|_| !mutant("feed-forget-place"));
            self.group = Some(Group::kept(group));
            return Ok(true);
        }
        if let Some((position, last_seq)) = self.ahead {
            self.reader.go_on_at(position, last_seq)?;
            self.ahead = None;
        }
        let frame = match self.reader.next_group() {
            Err(Error::LogRecycled) if mutant("feed-hide-recycled") => None, // F3
            frame => frame?,
        };
        let Some(frame) = frame else {
            return Ok(false);
        };
        let (next, last, stamp, position) = (
            frame.first_seq,
            frame.last_seq(),
            frame.stamp,
            frame.position,
        );
        self.group = Some(Group {
            records: Records::Logged(self.reader.take_payload()),
            at: 0,
            next,
            last,
            stamp,
            position,
        });
        Ok(true)
    }
}

/// Where a change was read.
struct Place<'a> {
    engine: &'a Engine,
    seq: u64,
    stamp: u64,
    /// Whether a value may be read from the device.
    wait: bool,
}

impl Catalogue {
    /// What a record changed; none when it makes no sense.
    fn changes(
        &mut self,
        record: &[u8],
        place: &Place<'_>,
        wanted: &dyn Fn(&StoreInfo) -> Wanted,
    ) -> Result<Option<Vec<Change>>> {
        let mut changes = Vec::new();
        let mut open = None;
        for op in Record::new(record) {
            let Some(op) = op else {
                return Ok(None);
            };
            changes.extend(self.change(op, &mut open, place, wanted)?);
        }
        Ok(Some(changes))
    }

    fn change(
        &mut self,
        op: Op<'_>,
        open: &mut Option<Arc<StoreInfo>>,
        place: &Place<'_>,
        wanted: &dyn Fn(&StoreInfo) -> Wanted,
    ) -> Result<Option<Change>> {
        let (store, kind) = match op {
            Op::Create(info) => {
                let Some(store) = self.create(info, place.engine) else {
                    return Ok(None); // it was there already
                };
                (Some(store), ChangeKind::Created)
            }
            Op::Remove(id, info) => {
                let store = self.find(id, place.engine).or(info.map(Arc::new));
                (store, ChangeKind::Removed)
            }
            Op::Load(tree) => (self.find(tree.store, place.engine), ChangeKind::Loaded),
            Op::Store(id) => {
                *open = self.find(id, place.engine);
                return Ok(None);
            }
            Op::Entry(key, op) => {
                // A store that nobody can name any more was removed since.
                let Some(store) = open.clone() else {
                    return Ok(None);
                };
                let kind = match wanted(&store) {
                    Wanted::Nothing => return Ok(None),
                    Wanted::What => place.entry(key, op)?,
                    Wanted::That => {
                        *open = None; // said once
                        ChangeKind::Changed
                    }
                };
                return Ok(Some(Change { store, kind }));
            }
        };
        Ok(store
            .filter(|store| wanted(store) != Wanted::Nothing)
            .map(|store| Change { store, kind }))
    }

    fn create(&mut self, info: StoreInfo, engine: &Engine) -> Option<Arc<StoreInfo>> {
        let earlier = engine
            .published
            .load()
            .stores
            .by_name(&info.name)
            .map(|store| store.info.id)
            .filter(|id| *id < info.id);
        if let Some(earlier) = earlier {
            self.joined.insert(info.id, earlier);
            return None;
        }
        let info = Arc::new(info);
        self.known.insert(info.id, Arc::clone(&info));
        Some(info)
    }

    fn find(&mut self, id: u64, engine: &Engine) -> Option<Arc<StoreInfo>> {
        let id = match self.joined.get(&id) {
            Some(earlier) if !mutant("feed-forget-joined") => *earlier,
            _ => id,
        };
        if let Some(info) = self.known.get(&id) {
            return Some(Arc::clone(info));
        }
        let info = Arc::clone(&engine.published.load().stores.get(id)?.info);
        self.known.insert(id, Arc::clone(&info));
        Some(info)
    }
}

impl Place<'_> {
    fn stamped(&self, bytes: &[u8], at: Option<u16>) -> Vec<u8> {
        stamped(bytes, at.filter(|_| !mutant("feed-leave-stamps")), self.seq)
    }

    fn entry(&self, key: &[u8], op: EntryOp<'_>) -> Result<ChangeKind> {
        Ok(match op {
            EntryOp::Put { stamp, meta, value } => ChangeKind::Put {
                key: self.stamped(key, stamp.key_at),
                meta: meta.to_vec(),
                value: Some(self.stamped(value, stamp.value_at)),
            },
            EntryOp::PutExtent {
                stamp,
                meta,
                extent,
            } => ChangeKind::Put {
                key: self.stamped(key, stamp.key_at),
                meta: meta.to_vec(),
                value: self.large(extent)?,
            },
            EntryOp::Delete => ChangeKind::Deleted { key: key.to_vec() },
            EntryOp::Meta(meta) => ChangeKind::MetaChanged {
                key: key.to_vec(),
                meta: meta.to_vec(),
            },
            EntryOp::Merge(operation, operand) => ChangeKind::Merged {
                key: key.to_vec(),
                operation,
                operand: operand.to_vec(),
            },
        })
    }

    /// A large value, if it still lies where it was written; its checksum tells.
    fn large(&self, extent: LargeRef) -> Result<Option<Vec<u8>>> {
        let extent = LargeRef {
            stamp: self.stamp,
            ..extent
        };
        match self.engine.pager.large(extent, self.wait, &epoch::pin()) {
            Ok(value) => Ok(Some(value)),
            Err(Error::Corruption { .. } | Error::SnapshotExpired) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Change {
    fn bytes(&self) -> usize {
        match &self.kind {
            ChangeKind::Created
            | ChangeKind::Removed
            | ChangeKind::Loaded
            | ChangeKind::Changed => 64,
            ChangeKind::Put { key, meta, value } => {
                64 + key.len() + meta.len() + value.as_ref().map_or(0, Vec::len)
            }
            ChangeKind::Deleted { key } => 64 + key.len(),
            ChangeKind::MetaChanged { key, meta } => 64 + key.len() + meta.len(),
            ChangeKind::Merged { key, operand, .. } => 64 + key.len() + operand.len(),
        }
    }
}
