//! Following a database that another process owns: its last checkpoint, and its log from there.
//!
//! A follower writes nothing. Its pages above the checkpoint live in memory only; when the owner
//! has written a newer checkpoint, the follower starts over from that. Pages of the old one may
//! be reused then: a transaction that meets one gets `SnapshotExpired` and begins again.

use std::sync::Arc;

use crossbeam_epoch as epoch;

use super::core::Engine;
use super::open::{Replay, has_log, load, no_database};
use super::options::Options;
use super::payload::{named_runs, records};
use crate::disk::{Disk, File};
use crate::error::{Error, Result};
use crate::log::LogReader;
use crate::pager::PAGES_FILE;
use crate::pager::root::Root;

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
    for _ in 0..TRIES_MAX {
        let root = Root::read_newest(&*file)?;
        match try_open(&disk, &options, Arc::clone(&file), root) {
            // The owner wrote a checkpoint meanwhile: what we read may be of two ages. A page is
            // only reused after the root that lets it go is there.
            Err(Error::SnapshotExpired | Error::LogRecycled | Error::Corruption { .. })
                if Root::read_newest(&*file)? != root => {}
            result => return result,
        }
    }
    Err(Error::SnapshotExpired)
}

fn try_open(
    disk: &Arc<dyn Disk>,
    options: &Options,
    file: Arc<dyn File>,
    root: Root,
) -> Result<(Engine, Follower)> {
    let loaded = load(options, file, root, true)?;
    let mut replay = Replay::new(loaded, true);
    let log = replay.follow(disk)?;
    let parts = replay.into_parts(options.clone(), Arc::clone(disk), None, None);
    let follower = Follower {
        disk: Arc::clone(disk),
        options: options.clone(),
        log,
        base_stamp: root.stamp,
    };
    Ok((Engine::new(parts), follower))
}

impl Follower {
    /// Takes new groups in; another engine to go on with, when the owner wrote a checkpoint.
    pub(super) fn refresh(&mut self, engine: &Engine) -> Result<Option<Engine>> {
        let root = Root::read_newest(&**engine.pager.file())?;
        if root.stamp == self.base_stamp {
            match self.take_groups(engine) {
                Ok(()) => return Ok(None),
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
            let database_id = engine.checkpoint.lock().root.database_id;
            self.log = Some(LogReader::open(Arc::clone(&self.disk), database_id, None)?);
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
            let guard = epoch::pin();
            for record in records(&frame)? {
                sequencer.tip.apply(record, &engine.pager, &guard)?;
                sequencer.tip.seq += 1;
            }
            drop(sequencer);
            engine.publish_followed();
        }
        Ok(())
    }
}
