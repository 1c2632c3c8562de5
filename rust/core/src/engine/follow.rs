//! Following a database that another process owns: its last checkpoint, and its log from there.
//!
//! A follower writes nothing. Its pages above the checkpoint live in memory only; when the owner
//! has written a newer checkpoint, the follower starts over from that. Pages of the old one may
//! be reused then: a transaction that meets one gets `SnapshotExpired` and begins again.

use std::sync::Arc;

use crossbeam_epoch as epoch;

use super::core::Engine;
use super::open::{NO_LOG, Replay, has_log, load, no_database};
use super::options::Options;
use super::payload::{named_runs, records};
use crate::disk::{Disk, File};
use crate::error::{Error, Result};
use crate::log::{LogPosition, LogReader};
use crate::mutants::mutant;
use crate::pager::root::Root;
use crate::pager::{Follows, PAGES_FILE};
use crate::sync::Mutex;

/// Checkpoints the owner may write while one is being loaded, before that is given up.
const TRIES_MAX: usize = 10;

/// Where a follower stands.
pub(super) struct Follower {
    disk: Arc<dyn Disk>,
    options: Options,
    /// None while there is no log: a database that was copied and never opened for writing.
    log: Option<LogReader>,
    /// Group the loaded checkpoint holds: one that moves pages, or frees them, has no commit.
    base_stamp: u64,
    /// The end of the groups that are published, for the pager to see whether there are more.
    taken: Arc<Mutex<Option<LogPosition>>>,
    /// A group was taken in by half: what is here is of no use for the groups after it.
    broken: bool,
}

/// Loads the newest checkpoint and the log after it.
pub(super) fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Engine, Follower)> {
    options.check()?;
    if !super::open::contains(&*disk, PAGES_FILE)? {
        return Err(no_database(&*disk));
    }
    let file = disk
        .open_read_only(PAGES_FILE)
        .map_err(|e| Error::io(PAGES_FILE, "open", &e))?;
    let mut seen = None;
    for _ in 0..TRIES_MAX {
        let root = Root::read_newest(&*file)?;
        let error = match try_open(&disk, &options, Arc::clone(&file), root) {
            Err(
                error @ (Error::SnapshotExpired | Error::LogRecycled | Error::Corruption { .. }),
            ) => error,
            result => return result,
        };
        // The owner may have written meanwhile, so that what was read is of two ages: a page is only reused after the
        // root, or the group, that lets it go is there. When neither came between two tries, it is damaged.
        let end = log_end(&disk, root).filter(|_| !mutant("follow-look-at-roots-only"));
        let found = (Root::read_newest(&*file)?, end);
        if seen.replace(found) == Some(found) {
            return Err(error);
        }
    }
    Err(Error::SnapshotExpired)
}

/// Where the log that belongs to a checkpoint ends; `None` when that cannot be told.
fn log_end(disk: &Arc<dyn Disk>, root: Root) -> Option<LogPosition> {
    let from = Some(root.log).filter(|position| *position != NO_LOG);
    let mut log = LogReader::open(Arc::clone(disk), root.database_id, from).ok()?;
    while log.next_group().ok()?.is_some() {}
    Some(log.position())
}

fn try_open(
    disk: &Arc<dyn Disk>,
    options: &Options,
    file: Arc<dyn File>,
    root: Root,
) -> Result<(Engine, Follower)> {
    let loaded = load(options, file, root)?;
    let mut replay = Replay::new(loaded, true);
    let log = replay.follow(disk)?;
    let taken = Arc::new(Mutex::new(log.as_ref().map(LogReader::position)));
    let parts = replay.into_parts(options.clone(), Arc::clone(disk), None, None);
    let (own_disk, own_taken) = (Arc::clone(disk), Arc::clone(&taken));
    parts.pager.follow(Follows {
        root,
        has_log_gone_on: Box::new(move || {
            let taken = *own_taken.lock();
            has_log_gone_on(&own_disk, root.database_id, taken)
        }),
    });
    let follower = Follower {
        disk: Arc::clone(disk),
        options: options.clone(),
        log,
        base_stamp: root.stamp,
        taken,
        broken: false,
    };
    Ok((Engine::new(parts), follower))
}

/// Is there a group behind `taken`, or one that cannot be told? Without a log so far, is there one now?
fn has_log_gone_on(disk: &Arc<dyn Disk>, database_id: u128, taken: Option<LogPosition>) -> bool {
    if taken.is_none() {
        return has_log(&**disk).unwrap_or(true);
    }
    let log = LogReader::open(Arc::clone(disk), database_id, taken);
    log.and_then(|mut log| Ok(log.next_group()?.is_some()))
        .unwrap_or(true)
}

impl Follower {
    /// Takes new groups in; another engine to go on with, when the owner wrote a checkpoint.
    pub(super) fn refresh(&mut self, engine: &Engine) -> Result<Option<Engine>> {
        let root = Root::read_newest(&**engine.pager.file())?;
        if root.stamp == self.base_stamp && !self.broken {
            self.broken = !mutant("follow-go-on-after-half");
            match self.take_groups(engine) {
                Ok(()) => {
                    self.broken = false;
                    return Ok(None);
                }
                Err(Error::LogRecycled | Error::SnapshotExpired) => {}
                Err(error) => return Err(error),
            }
        }
        let (engine, follower) = open(Arc::clone(&self.disk), self.options.clone())?;
        *self = follower;
        Ok(Some(engine))
    }

    fn take_groups(&mut self, engine: &Engine) -> Result<()> {
        if self.log.is_none() && has_log(&*self.disk)? {
            let disk = Arc::clone(&self.disk);
            self.log = Some(LogReader::open(disk, engine.database_id, None)?);
        }
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        while let Some(frame) = log.next_group()? {
            for (id, span) in named_runs(&frame, engine.pager.page_bytes())? {
                // A page of ours may lie where the owner put it: begin again, and keep it free.
                if !engine.pager.reserve(id, span) {
                    return Err(Error::SnapshotExpired);
                }
            }
            let mut sequencer = engine.sequencer.lock();
            if frame.first_seq != sequencer.tip.seq + 1 {
                // Not the group after the last one: another log stands where the one that was followed was.
                return Err(Error::SnapshotExpired);
            }
            let guard = epoch::pin();
            for record in records(&frame)? {
                sequencer.tip.replay(record, &engine.pager, &guard)?;
                sequencer.tip.seq += 1;
            }
            drop(sequencer);
            let end = frame.end;
            engine.publish_followed();
            *self.taken.lock() = Some(end);
        }
        Ok(())
    }
}

impl Engine {
    /// Publishes what a follower applied.
    fn publish_followed(&self) {
        let mut sequencer = self.sequencer.lock();
        let mut group = sequencer.seal_applied(self.pager.page_bytes());
        let frames = std::mem::take(&mut group.state.pages.frames);
        self.pager.install(frames, &epoch::pin());
        drop(sequencer);
        self.publish(
            group,
            LogPosition {
                segment: 0,
                offset: 0,
            },
        );
        self.tell_watchers();
    }
}
