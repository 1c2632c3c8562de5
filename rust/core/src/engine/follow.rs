//! Following a database that another process owns: its last checkpoint, and its log from there.
//!
//! A follower writes nothing. Its pages above the checkpoint live in memory only; when the owner
//! has written a newer checkpoint, the follower starts over from that. Pages of the old one may
//! be reused then: a transaction that meets one gets `SnapshotExpired` and begins again.

use std::sync::Arc;

use crossbeam_epoch as epoch;

use super::core::Engine;
use super::open::{Replay, load, no_database};
use super::options::Options;
use super::payload::records;
use crate::disk::Disk;
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
    log: LogReader,
    /// Commit the loaded checkpoint holds.
    base_seq: u64,
}

/// Loads the newest checkpoint and the log after it.
pub(super) fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Engine, Follower)> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_open(&disk, &options) {
            // The owner wrote a checkpoint meanwhile: what we read may be of two ages.
            Err(Error::SnapshotExpired | Error::LogRecycled | Error::Corruption { .. })
                if tries < TRIES_MAX && overtaken(&disk)? => {}
            result => return result,
        }
    }
}

/// Has the owner a chance to overtake us? Only then is a second look worth it.
fn overtaken(disk: &Arc<dyn Disk>) -> Result<bool> {
    let lock = disk.try_lock(super::open::LOCK_FILE);
    Ok(lock
        .map_err(|error| Error::io("lock", "look at", &error))?
        .is_none())
}

fn try_open(disk: &Arc<dyn Disk>, options: &Options) -> Result<(Engine, Follower)> {
    options.check()?;
    if !super::open::contains(&**disk, PAGES_FILE)? {
        return Err(no_database(&**disk));
    }
    let file = disk
        .open_read_only(PAGES_FILE)
        .map_err(|e| Error::io(PAGES_FILE, "open", &e))?;
    let root = Root::read_newest(&*file)?;
    let loaded = load(options, file, root, true)?;
    let mut replay = Replay::new(loaded, true);
    let log = replay.follow(disk)?;
    let parts = replay.into_parts(options.clone(), Arc::clone(disk), None, None);
    let follower = Follower {
        disk: Arc::clone(disk),
        options: options.clone(),
        log,
        base_seq: root.seq,
    };
    Ok((Engine::new(parts), follower))
}

impl Follower {
    /// Takes new groups in; another engine to go on with, when the owner wrote a checkpoint.
    pub(super) fn refresh(&mut self, engine: &Engine) -> Result<Option<Engine>> {
        let root = Root::read_newest(&**engine.pager.file())?;
        if root.seq == self.base_seq {
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
        while let Some(frame) = self.log.next_group()? {
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
