//! Opening a database: making it, or loading its checkpoint and replaying the log after it.

use std::io;
use std::sync::Arc;

use crossbeam_epoch as epoch;

use super::bulk::remove_leftovers;
use super::checkpoint::{Checkpoints, Moment, catalogue_room};
use super::core::{Engine, Parts};
use super::options::Options;
use super::payload::{malformed, named_runs, names_loads, records};
use super::sweep::sweep_tip;
use crate::disk::{Disk, File};
use crate::error::{Error, Result};
use crate::log::{FileLog, GroupFrame, LogOptions, LogPosition, LogReader};
use crate::mutants::mutant;
use crate::pager::root::Root;
use crate::pager::{PAGES_FILE, Pager};
use crate::txn::{Gathered, Snapshot, Stores, Tip};

/// The page file until it is complete: a crash while a database is made leaves none behind.
pub(super) const UNFINISHED_FILE: &str = "pages-new";
pub(super) const LOCK_FILE: &str = "lock";
/// Stamps are `generation << GENERATION_SHIFT | group`.
pub(super) const GENERATION_SHIFT: u32 = 40;
/// Where the group numbers of followers begin.
pub(super) const FOLLOWER_GROUPS: u64 = 1 << (GENERATION_SHIFT - 1);
/// The last generation that a stamp has room for.
const GENERATION_MAX: u64 = u64::MAX >> GENERATION_SHIFT;
/// The number of a stamp's group in its generation.
pub(super) fn group_number(stamp: u64) -> u64 {
    stamp & (u64::MAX >> (u64::BITS - GENERATION_SHIFT))
}

/// Where the log begins when a database has none yet.
pub(super) const NO_LOG: LogPosition = LogPosition {
    segment: 0,
    offset: 0,
};

/// Opens the database for writing, and owns it.
pub(super) fn open_owner(disk: Arc<dyn Disk>, options: Options) -> Result<Engine> {
    options.check()?;
    let exists = contains(&*disk, PAGES_FILE)?;
    if !exists && !options.create {
        return Err(no_database(&*disk));
    }
    let owner = disk
        .try_lock(LOCK_FILE)
        .map_err(|error| Error::io(LOCK_FILE, "lock", &error))?
        .ok_or_else(|| Error::Locked {
            path: disk.describe(),
        })?;
    // Looked at again: the owner before us may have made it.
    if !contains(&*disk, PAGES_FILE)? {
        make(&*disk, &options)?;
    }
    remove_leftovers(&*disk)?;
    let file = disk
        .open(PAGES_FILE, false)
        .map_err(|e| Error::io(PAGES_FILE, "open", &e))?;
    let mut root = Root::read_newest(&*file)?;
    begin_generation(&*file, &mut root)?;
    let loaded = load(&options, file, root)?;
    let mut replay = Replay::new(loaded, false);
    let log = replay.run(&disk, &options)?;
    let root_is_stale = replay.root_is_stale || replay.pager.keeps_dead_extents();
    if replay.checkpoints.root.log == NO_LOG || root_is_stale {
        replay.log_position = log.head();
        replay.write_checkpoint()?;
    }
    Ok(Engine::new(replay.into_parts(
        options,
        disk,
        Some(log),
        Some(owner),
    )))
}

pub(super) fn no_database(disk: &dyn Disk) -> Error {
    Error::invalid(format!(
        "there is no database at {}. Open it with create, or check the path",
        disk.describe()
    ))
}

pub(super) fn contains(disk: &dyn Disk, name: &str) -> Result<bool> {
    match disk.list() {
        Ok(names) => Ok(names.iter().any(|other| other == name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io(disk.describe(), "list", &error)),
    }
}

/// Has the folder a log? A copy made by a backup has none until it is opened for writing.
pub(super) fn has_log(disk: &dyn Disk) -> Result<bool> {
    let names = disk
        .list()
        .map_err(|error| Error::io(disk.describe(), "list", &error))?;
    Ok(names.iter().any(|name| name.starts_with("log-")))
}

fn make(disk: &dyn Disk, options: &Options) -> Result<()> {
    let failed =
        |what: &'static str| move |error: io::Error| Error::io(UNFINISHED_FILE, what, &error);
    let file = disk.open(UNFINISHED_FILE, true).map_err(failed("make"))?;
    file.set_len(0).map_err(failed("shorten"))?;
    let root = Root {
        page_bytes: options.page_bytes as u32,
        database_id: u128::from(disk.random_u64()) << 64 | u128::from(disk.random_u64()),
        generation: 0,
        number: 0,
        stamp: 0,
        seq: 0,
        log: NO_LOG,
        catalogue: (0, 0, 0),
    };
    root.write(&*file)?;
    Root { number: 1, ..root }.write(&*file)?;
    file.sync().map_err(failed("sync"))?;
    disk.rename(UNFINISHED_FILE, PAGES_FILE)
        .map_err(failed("rename"))?;
    disk.sync_folder()
        .map_err(|error| Error::io(disk.describe(), "sync", &error))
}

/// Makes the stamps of this opening differ from those of every earlier one, durably.
fn begin_generation(file: &dyn File, root: &mut Root) -> Result<()> {
    if root.generation >= GENERATION_MAX {
        return Err(Error::invalid(format!(
            "the database was opened for writing {GENERATION_MAX} times, as often as its format allows. Read it, and \
             load what it has into a new one"
        )));
    }
    // Into both slots when a crash tore the newest one, so that each is whole again (R2).
    let slots = if root.is_kept_twice(file)? { 1 } else { 2 };
    root.generation += 1;
    for _ in 0..slots {
        root.number += 1;
        root.write(file)?;
        file.sync()
            .map_err(|error| Error::io(PAGES_FILE, "sync", &error))?;
    }
    Ok(())
}

/// A checkpoint in memory.
pub(super) struct Loaded {
    pub(super) root: Root,
    pub(super) pager: Pager,
    pub(super) stores: Stores,
    pub(super) next_store_id: u64,
    catalogue: Option<(u64, u64)>,
}

/// The bytes of a catalogue; nothing when the file is too short. Of a follower, that may have been cut at this moment.
fn read_catalogue(file: &dyn File, offset: u64, length: u64) -> Result<Option<Vec<u8>>> {
    let failed = |error| Error::io(PAGES_FILE, "read", &error);
    if offset.saturating_add(length) > file.len().map_err(failed)? {
        return Ok(None);
    }
    let mut bytes = vec![0; length as usize];
    match file.read_at(&mut bytes, offset) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Reads a checkpoint's catalogue and sets the cache up around it.
pub(super) fn load(options: &Options, file: Arc<dyn File>, root: Root) -> Result<Loaded> {
    let page_bytes = root.page_bytes as usize;
    let (page, length, hash) = root.catalogue;
    let (mut stores, mut next_store_id, mut used) = (Stores::default(), 1, Vec::new());
    let mut catalogue = None;
    if length > 0 {
        let offset = page.saturating_mul(page_bytes as u64);
        let broken = |reason| Error::corruption(PAGES_FILE, offset, reason);
        let bytes = read_catalogue(&*file, offset, length)?
            .ok_or_else(|| broken("the file ends before the catalogue does"))?;
        if xxhash_rust::xxh3::xxh3_64(&bytes) != hash {
            return Err(broken(
                "the catalogue's checksum does not match its content",
            ));
        }
        (stores, next_store_id, used) =
            Stores::decode(&bytes).ok_or_else(|| broken("the catalogue makes no sense"))?;
        catalogue = Some((page, length.div_ceil(page_bytes as u64)));
    }
    let pager = Pager::new(file, page_bytes, options.cache_bytes, &used);
    if let Some((page, span)) = catalogue
        && !pager.reserve(page, span)
    {
        let offset = page * page_bytes as u64;
        return Err(Error::corruption(
            PAGES_FILE,
            offset,
            "the catalogue lies on a page in use",
        ));
    }
    Ok(Loaded {
        root,
        pager,
        stores,
        next_store_id,
        catalogue,
    })
}

/// Bytes of small commits that a replay applies together, at most.
const GATHERED_BYTES_MAX: usize = 8 << 20;

/// Brings a loaded checkpoint up to the end of the log.
pub(super) struct Replay {
    pager: Pager,
    tip: Tip,
    /// Records up to `tip.seq` that are not applied yet.
    gathered: Gathered,
    checkpoints: Checkpoints,
    log_position: LogPosition,
    /// The log names a tree that was loaded.
    loads_seen: bool,
    /// The log names runs outside the leaves' pages, or may: so long as nobody has looked through it.
    log_names_runs: bool,
    /// The newest checkpoint was written during a replay: it may reach extents whose pages were
    /// written again before the crash. The rest of the log gives them up; the next checkpoint is whole.
    root_is_stale: bool,
    /// Writes nothing: everything above the checkpoint stays in memory.
    follower: bool,
}

impl Replay {
    pub(super) fn new(loaded: Loaded, follower: bool) -> Self {
        let Loaded {
            root,
            pager,
            stores,
            next_store_id,
            catalogue,
        } = loaded;
        let pin = pager.live.pin(root.stamp);
        let snapshot = Snapshot::new(root.stamp, root.seq, stores.clone(), pin);
        // A follower numbers its groups above any stamp the owner gives out in this generation: it
        // meets those in the owner's pages, and must not take them for its own.
        let first =
            root.generation << GENERATION_SHIFT | if follower { FOLLOWER_GROUPS } else { 0 } | 1;
        Self {
            pager,
            tip: Tip::new(stores, first, root.seq, next_store_id),
            gathered: Gathered::default(),
            checkpoints: Checkpoints {
                root,
                snapshot: Some(Arc::new(snapshot)),
                catalogue,
                loads: Vec::new(),
            },
            loads_seen: false,
            log_names_runs: true,
            root_is_stale: false,
            log_position: root.log,
            follower,
        }
    }

    /// Applies the log as far as it goes, and hands the reader over to go on with.
    pub(super) fn follow(&mut self, disk: &Arc<dyn Disk>) -> Result<Option<LogReader>> {
        let root = self.checkpoints.root;
        let from = Some(root.log).filter(|position| *position != NO_LOG);
        if from.is_none() && !has_log(&**disk)? {
            return Ok(None);
        }
        let open = || LogReader::open(Arc::clone(disk), root.database_id, from);
        let groups = self.reserve_extents(open()?)?;
        let mut log = open()?;
        // No further than that, though the owner may have gone on: nothing is kept free for later groups.
        for _ in 0..groups {
            let Some(frame) = log.next_group()? else {
                break;
            };
            self.group(&frame)?;
        }
        self.publish()?;
        self.pager.end_replay();
        Ok(Some(log))
    }

    fn run(&mut self, disk: &Arc<dyn Disk>, options: &Options) -> Result<FileLog> {
        let from = Some(self.checkpoints.root.log).filter(|position| *position != NO_LOG);
        let database_id = self.checkpoints.root.database_id;
        if from.is_some() {
            self.reserve_extents(LogReader::open(Arc::clone(disk), database_id, from)?)?;
        }
        let log_options = LogOptions {
            segment_bytes: options.segment_bytes,
            database_id,
            kept_bytes: options.changes_kept_bytes,
        };
        let log = FileLog::open(Arc::clone(disk), log_options, from, &mut |frame| {
            self.group(&frame)
        })?;
        self.publish()?;
        if self.loads_seen && !mutant("bulk-skip-checkpoint-after-replay") {
            // While their pages are still set aside: from here on dead ones may be overwritten, and
            // both a replay from the old checkpoint and one written on the way would need them.
            self.log_position = log.head();
            self.write_checkpoint()?;
        }
        self.pager.end_replay();
        Ok(log)
    }

    /// Keeps replay from building pages where extents lie that later groups name; the number of groups looked at.
    fn reserve_extents(&mut self, mut log: LogReader) -> Result<u64> {
        let (mut found, mut groups) = (Vec::new(), 0);
        while let Some(frame) = log.next_group()? {
            found.append(&mut named_runs(&frame, self.pager.page_bytes())?);
            groups += 1;
        }
        if mutant("replay-ignores-extents") {
            found.clear();
        }
        self.log_names_runs = !found.is_empty();
        self.root_is_stale = self.pager.begin_replay(&found)?;
        Ok(groups)
    }

    fn group(&mut self, frame: &GroupFrame<'_>) -> Result<()> {
        let last = frame.last_seq();
        if last <= self.tip.seq {
            return Ok(());
        }
        if frame.first_seq != self.tip.seq + 1 {
            return Err(malformed(frame));
        }
        let records = records(frame)?;
        let mut named = Vec::new();
        if self.follower || self.log_names_runs {
            named = named_runs(frame, self.pager.page_bytes())?;
        }
        let names_runs = !named.is_empty();
        let kept_free = |&(id, span): &(u64, u64)| self.pager.is_kept_for_replay(id, span);
        if self.follower && !named.iter().all(kept_free) {
            // The owner crashed, and another group stands where one was a moment ago.
            return Err(Error::SnapshotExpired);
        }
        if names_runs {
            // The named pages may have been freed by the group before, or with a store that was
            // removed before: keep that order.
            self.publish()?;
            if !self.tip.stores.removed().is_empty() && !mutant("replay-skips-sweep") {
                sweep_tip(&mut self.tip, &self.pager)?;
                self.publish()?;
            }
        }
        // Twice what a running engine lets gather: nobody commits, and a store that is changed all over
        // would be written whole again and again.
        let limit = self.pager.cache_bytes() / 2;
        let gathered_max = GATHERED_BYTES_MAX.min(limit / 4);
        for (index, record) in records.iter().enumerate() {
            if mutant("replay-drops-a-record") && index + 1 == records.len() {
                self.tip.seq += 1;
                continue;
            }
            if self.gathered.bytes() + record.len() > gathered_max {
                self.apply_gathered()?;
            }
            let is_long = record.len() > gathered_max / 4;
            if is_long || !self.gathered.take(record, self.tip.seq + 1) {
                if !mutant("gather-skips-the-rest") {
                    self.apply_gathered()?;
                }
                self.tip.replay(record, &self.pager, &epoch::pin())?;
            }
            self.tip.seq += 1;
        }
        self.loads_seen |= names_runs && names_loads(frame)?;
        self.log_position = frame.end;
        let unpublished = self.tip.fresh.bytes();
        if names_runs || (unpublished > limit && !self.follower) {
            self.publish()?;
        }
        if self.pager.dirty_bytes() > limit && !self.follower {
            self.write_checkpoint()?;
            self.root_is_stale |= self.log_names_runs;
        }
        let outside = self.tip.fresh.bytes() + self.gathered.bytes();
        self.pager.count_outside(outside);
        Ok(())
    }

    /// Applies what was put off; the tip's number counts it already.
    fn apply_gathered(&mut self) -> Result<()> {
        match self.gathered.drain() {
            Some(record) => self.tip.replay(&record, &self.pager, &epoch::pin()),
            None => Ok(()),
        }
    }

    fn publish(&mut self) -> Result<()> {
        self.apply_gathered()?;
        self.pager.count_outside(0);
        let mut sealed = self.tip.seal(self.pager.page_bytes());
        let guard = epoch::pin();
        self.pager
            .install(std::mem::take(&mut sealed.pages.frames), &guard);
        self.pager
            .publish(&sealed.pages.born, sealed.pages.dead, &guard);
        Ok(())
    }

    fn write_checkpoint(&mut self) -> Result<()> {
        self.publish()?;
        let stamp = self.tip.stamp - 1;
        let pin = self.pager.live.pin(stamp);
        let snapshot = Arc::new(Snapshot::new(
            stamp,
            self.tip.seq,
            self.tip.stores.clone(),
            pin,
        ));
        let (runs, mut dirty) = self.pager.checkpoint_sets();
        dirty.sort_unstable();
        let room = catalogue_room(&self.pager, &snapshot, &runs);
        let moment = Moment {
            room,
            snapshot: &snapshot,
            log: self.log_position,
            runs,
            dirty,
            next_store_id: self.tip.next_store_id,
        };
        self.checkpoints
            .write(&self.pager, &moment, &mut || Ok(()))?;
        Ok(())
    }

    pub(super) fn into_parts(
        self,
        options: Options,
        disk: Arc<dyn Disk>,
        log: Option<FileLog>,
        owner: Option<Box<dyn crate::disk::LockGuard>>,
    ) -> Parts {
        Parts {
            options,
            disk,
            pager: self.pager,
            tip: self.tip,
            log_position: log.as_ref().map_or(self.log_position, FileLog::head),
            log,
            checkpoints: self.checkpoints,
            owner,
        }
    }
}
