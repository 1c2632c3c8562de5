//! Checkpoints: writing what is only in memory, so that the log before it can go.
//!
//! The published snapshot is immutable, so commits and readers go on while its pages are written.
//! Order: pages and catalogue, sync, root, sync, and only then is the log shortened and the last
//! checkpoint's snapshot let go (P1 of `pager`, R1 of `pager::root`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::core::Engine;
use crate::error::{Error, Result};
use crate::log::LogPosition;
use crate::mutants::mutant;
use crate::pager::root::Root;
use crate::pager::{Pace, Pager, Pin};
use crate::sync::thread;
use crate::txn::Snapshot;

/// Writes of a checkpoint between two rests, of at most 64 KiB each: what a commit's sync may have to wait for.
const PORTION_WRITES: u32 = 4;
/// Longest number in a catalogue.
const VARINT_BYTES_MAX: usize = 10;
/// Longest rest.
const REST_MAX: Duration = Duration::from_millis(20);

/// The newest durable checkpoint.
pub(super) struct Checkpoints {
    pub(super) root: Root,
    /// Holds the checkpoint's pages; `None` only while opening.
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// The run that holds the catalogue.
    pub(super) catalogue: Option<(u64, u64)>,
    /// Trees loaded since: the group that took each in, and what keeps its pages from being reused.
    ///
    /// Replay reads the pages of a loaded tree when a later record changes it, so none of them may
    /// be overwritten, dead or not, before a durable checkpoint holds what came of the tree.
    pub(super) loads: Vec<(u64, Pin)>,
}

/// What a checkpoint is made of.
pub(super) struct Moment<'a> {
    pub(super) snapshot: &'a Arc<Snapshot>,
    pub(super) log: LogPosition,
    pub(super) runs: Vec<(u64, u64)>,
    pub(super) dirty: Vec<u64>,
    pub(super) next_store_id: u64,
    /// Where the catalogue goes: pages taken out at the moment itself. Later ones might have been
    /// freed by a group after it, and the log that is replayed from here may name them as an extent's.
    pub(super) room: (u64, u64),
}

/// Takes out pages for the catalogue of a snapshot that reaches `runs`; as many as it can need.
pub(super) fn catalogue_room(
    pager: &Pager,
    snapshot: &Snapshot,
    runs: &[(u64, u64)],
) -> (u64, u64) {
    let most =
        snapshot.stores.encode(u64::MAX, &[]).len() + VARINT_BYTES_MAX * (1 + 2 * runs.len());
    let span = most.div_ceil(pager.page_bytes()) as u64;
    (pager.allocate(span), span)
}

impl Checkpoints {
    /// Makes `moment` the durable checkpoint.
    pub(super) fn write(
        &mut self,
        pager: &Pager,
        moment: &Moment<'_>,
        pace: Pace<'_>,
    ) -> Result<u64> {
        let (page, room) = moment.room;
        let written = pager
            .write_dirty(&moment.dirty, pace)
            .inspect_err(|_| pager.release(page, room))?;
        let catalogue = moment
            .snapshot
            .stores
            .encode(moment.next_store_id, &moment.runs);
        let span = catalogue.len().div_ceil(pager.page_bytes()) as u64;
        assert!(
            span <= room,
            "a catalogue of {span} pages in a room of {room}"
        );
        if room > span {
            pager.release(page + span, room - span);
        }
        let root = Root {
            number: self.root.number + 1,
            stamp: moment.snapshot.stamp,
            seq: moment.snapshot.seq,
            log: moment.log,
            catalogue: (page, catalogue.len() as u64, xxh3_64(&catalogue)),
            ..self.root
        };
        pager
            .write_run(page, &catalogue)
            .inspect_err(|_| pager.release(page, span))?;
        write_root(pager, root)?;
        self.root = root;
        if let Some((old, span)) = self.catalogue.replace((page, span)) {
            pager.release(old, span);
        }
        self.snapshot =
            Some(Arc::clone(moment.snapshot)).filter(|_| !mutant("checkpoint-unpinned"));
        self.loads
            .retain(|(group, _)| *group > moment.snapshot.stamp);
        pager.reclaim();
        Ok(written)
    }
}

/// After an error the root may or may not be there: what it reaches must stay as it is.
fn write_root(pager: &Pager, root: Root) -> Result<()> {
    if !mutant("checkpoint-skip-page-sync") {
        pager.sync()?;
    }
    let written = root.write(&**pager.file());
    written
        .and_then(|()| pager.sync())
        .map_err(|error| match error {
            Error::Io {
                file,
                kind,
                message,
                ..
            } => Error::Io {
                file,
                operation: "sync",
                kind,
                message,
            },
            other => other,
        })
}

impl Engine {
    /// Writes a checkpoint of the newest published commit. Commits go on meanwhile.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        let mut checkpoints = self.checkpoint.lock();
        let _whole = self.or_poison("a checkpoint");
        self.ensure_sound()?;
        self.sweep_removed()?;
        // What it holds from now on is not given back to commits.
        self.pager.stock_buffers();
        let early = mutant("threads-checkpoint-of-two-moments").then(|| self.published.load_full());
        let moment_log = self.published_log.lock();
        let snapshot = early.unwrap_or_else(|| self.published.load_full());
        let (runs, mut dirty) = self.pager.checkpoint_sets();
        let room = catalogue_room(&self.pager, &snapshot, &runs);
        let held = self.pager.take_held();
        let log = *moment_log;
        drop(moment_log);
        dirty.sort_unstable();
        let settled = checkpoints.root.log == log
            && checkpoints
                .snapshot
                .as_ref()
                .is_some_and(|last| last.stamp == snapshot.stamp);
        if settled && dirty.is_empty() {
            self.pager.release(room.0, room.1);
            self.pager.give_back(&held);
            return Ok(());
        }
        let next_store_id = self.next_store_id.load(Ordering::Acquire);
        let moment = Moment {
            snapshot: &snapshot,
            log,
            runs,
            dirty,
            next_store_id,
            room,
        };
        let written = match checkpoints.write(&self.pager, &moment, &mut self.pace()) {
            Ok(written) => written,
            Err(error) => {
                self.pager.hold_on(held);
                // A failed sync may have dropped pages that are marked clean, and a root that may
                // be there forbids to reuse its pages: nothing may build on either. A failed write
                // (a full disk) harms nothing: the pages are still dirty, the log still whole.
                if matches!(
                    error,
                    Error::Io {
                        operation: "sync",
                        ..
                    }
                ) && !mutant("checkpoint-forgive-sync-error")
                {
                    self.poison(&error);
                }
                return Err(error);
            }
        };
        // The checkpoint is after every group that freed these.
        self.pager.give_back(&held);
        self.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
        self.counters
            .checkpoint_seq
            .store(snapshot.seq, Ordering::Relaxed);
        self.counters
            .checkpoint_bytes
            .fetch_add(written, Ordering::Relaxed);
        self.shorten_log(log)?;
        self.pager.trim_file(self.closed.load(Ordering::Acquire))
    }

    /// Keeps the device free for the log: pages go out in small portions, each synced, with a
    /// rest as long as the portion took. Not when memory is short or somebody waits for the end.
    fn pace(&self) -> impl FnMut() -> Result<()> {
        let mut writes = 0;
        move || {
            writes += 1;
            let hurry = self.closed.load(Ordering::Acquire)
                || self.pager.dirty_bytes() > self.pager.cache_bytes() / 2;
            if hurry || !self.options.background || writes % PORTION_WRITES != 0 {
                return Ok(());
            }
            if let Some(pool) = self.pool.as_ref().filter(|pool| !pool.is_ready()) {
                // A commit that finds no segment ready makes one itself. A failure is its to tell.
                let _ = pool.maintain();
            }
            self.pager.stock_buffers();
            let started = Instant::now();
            self.pager.sync()?;
            thread::sleep(started.elapsed().min(REST_MAX));
            Ok(())
        }
    }

    fn shorten_log(&self, position: LogPosition) -> Result<()> {
        if let Some(log) = self.log.lock().as_mut() {
            log.truncate_before(position)?;
            self.counters
                .log_size
                .store(log.size_bytes(), Ordering::Relaxed);
        }
        match &self.pool {
            Some(pool) if self.closed.load(Ordering::Acquire) => pool.keep_what_is_used(),
            Some(pool) => {
                pool.keep_what_is_used()?;
                if !self.options.background {
                    pool.forget_removed(); // nobody comes to give it back in steps
                }
                pool.maintain()
            }
            None => Ok(()),
        }
    }
}
