//! The engine of one open database, shared by all its handles, transactions and threads.
//!
//! Locks, in the order in which they may be taken together:
//! `checkpoint` > `flow` > `sequencer` > `published_log` > the pager's space. `log` is only taken
//! by the thread that holds the writer's role (`flow.writing`), and by a checkpoint after its work.
//!
//! Invariants
//! E1  A commit is acknowledged only after its group was synced (`Durability::Full`).
//! E2  Snapshots are published in commit order, and only of groups that were written.
//! E3  After a log error nothing is acknowledged and nothing is written any more. A panic while the tip is being changed,
//!     or a group written, is such an error: what it left half done is never built on.
//! E4  Everybody who waits for a commit is told what became of it, also when the error is not that group's own.

use std::sync::{Arc, OnceLock};

use crossbeam_epoch as epoch;

use super::attached::Attached;
use super::checkpoint::Checkpoints;
use super::checkpointer::{Checkpointer, Wanted};
use super::committer::Submissions;
use super::maintenance::Maintenance;
use super::open::{FOLLOWER_GROUPS, group_number};
use super::options::{Durability, Isolation, Options};
use super::payload::record_header;
use super::recent::Recent;
use super::sequencer::{Commit, CommitInfo, OpenGroup, SealedGroup, Sequencer, Waiter};
use super::statistics::Counters;
use super::watchers::Watchers;
use crate::disk::{Disk, LockGuard};
use crate::error::{Error, Result};
use crate::limits::{GROUP_BYTES_SOFT_MAX, LOG_GROUP_BYTES_MAX};
use crate::log::{FileLog, Group, LogPosition, SegmentPool};
use crate::mutants::mutant;
use crate::pager::Pager;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{ArcSwap, Condvar, Mutex, MutexGuard, thread};
use crate::txn::{Snapshot, Tip};

/// See the module.
pub(crate) struct Engine {
    // Constant after construction.
    pub(super) options: Options,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) database_id: u128,
    pub(super) pager: Pager,
    pub(super) pool: Option<SegmentPool>,
    // Synchronised in themselves.
    pub(super) published: ArcSwap<Snapshot>,
    pub(super) next_store_id: AtomicU64,
    pub(super) counters: Counters,
    pub(super) closed: AtomicBool,
    pub(super) submissions: Submissions,
    pub(super) maintenance: Maintenance,
    /// Shared with the engine a follower goes on with.
    pub(super) attached: Arc<Attached>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) recent: Arc<Recent>,
    pub(super) last_background_error: Mutex<Option<String>>,
    pub(super) poison: OnceLock<String>,
    pub(super) checkpointer: Checkpointer,
    // Protected by their locks.
    pub(super) sequencer: Mutex<Sequencer>,
    flow: Mutex<Flow>,
    landed: Condvar,
    /// Where the log stands after the published group.
    pub(super) published_log: Mutex<LogPosition>,
    pub(super) log: Mutex<Option<FileLog>>,
    pub(super) checkpoint: Mutex<Checkpoints>,
    pub(super) owner: Mutex<Option<Box<dyn LockGuard>>>,
}

/// Who writes the log, and how far it is durable.
struct Flow {
    writing: bool,
    durable: u64,
}

/// The parts an opening puts together.
pub(super) struct Parts {
    pub(super) options: Options,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) pager: Pager,
    pub(super) tip: Tip,
    pub(super) log: Option<FileLog>,
    pub(super) log_position: LogPosition,
    pub(super) checkpoints: Checkpoints,
    pub(super) owner: Option<Box<dyn LockGuard>>,
}

impl Engine {
    pub(super) fn new(mut parts: Parts) -> Self {
        let tip = &mut parts.tip;
        let stamp = tip.stamp - 1;
        let pin = parts.pager.live.pin(stamp);
        let snapshot = Snapshot::new(stamp, tip.seq, tip.stores.clone(), pin);
        if parts.options.durability == Durability::Relaxed && !mutant("reuse-before-durable") {
            parts.pager.hold_freed();
        }
        Self {
            pool: parts.log.as_ref().map(FileLog::pool),
            published: ArcSwap::from_pointee(snapshot),
            next_store_id: AtomicU64::new(tip.next_store_id),
            counters: Counters::default(),
            closed: AtomicBool::new(false),
            submissions: Submissions::default(),
            maintenance: Maintenance::default(),
            attached: Arc::default(),
            watchers: Arc::default(),
            recent: Arc::default(),
            last_background_error: Mutex::new(None),
            poison: OnceLock::new(),
            checkpointer: Checkpointer::default(),
            flow: Mutex::new(Flow {
                writing: false,
                durable: stamp,
            }),
            sequencer: Mutex::new(Sequencer {
                tip: parts.tip,
                open: OpenGroup::default(),
            }),
            landed: Condvar::new(),
            published_log: Mutex::new(parts.log_position),
            log: Mutex::new(parts.log),
            database_id: parts.checkpoints.root.database_id,
            checkpoint: Mutex::new(parts.checkpoints),
            owner: Mutex::new(parts.owner),
            pager: parts.pager,
            options: parts.options,
            disk: parts.disk,
        }
    }

    pub(super) fn ensure_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed {
                what: "the database",
            });
        }
        Ok(())
    }

    /// Validates, applies and puts into the open group. `done` is called when that is durable.
    pub(super) fn sequence(&self, commit: Commit, done: Option<Waiter>) -> Sequenced {
        let result = self.try_sequence(&commit);
        match (result, done) {
            (Ok((info, mut sequencer)), done) => {
                sequencer
                    .open
                    .push(commit.record, !commit.extents.is_empty());
                if let Some(done) = done {
                    sequencer.open.when_durable(done, info, commit.claims);
                }
                Sequenced {
                    result: Ok(info),
                    done: None,
                }
            }
            (Err(error), done) => {
                self.release_extents(&commit.extents);
                if matches!(error, Error::Conflict { .. }) {
                    self.counters.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                Sequenced {
                    result: Err(error),
                    done,
                }
            }
        }
    }

    fn try_sequence(&self, commit: &Commit) -> Result<(CommitInfo, MutexGuard<'_, Sequencer>)> {
        if commit.record.len() >= LOG_GROUP_BYTES_MAX - 16 {
            return Err(Error::ValueTooLarge {
                length: commit.record.len(),
                limit: LOG_GROUP_BYTES_MAX - 16,
            });
        }
        let mut sequencer = self.sequencer.lock();
        while sequencer.open.bytes() > 0
            && sequencer.open.bytes() + commit.record.len() > GROUP_BYTES_SOFT_MAX
        {
            // The open group is long enough: let it go to the log first.
            let stamp = sequencer.tip.stamp;
            drop(sequencer);
            if self.wait_durable(stamp).is_err() {
                // It is the other group's outcome that is unknown.
                self.ensure_sound()?;
            }
            sequencer = self.sequencer.lock();
        }
        // Under the lock: closing waits for what was sequenced before, and nothing comes after.
        self.ensure_open()?;
        self.ensure_sound()?;
        if group_number(sequencer.tip.stamp) >= FOLLOWER_GROUPS {
            return Err(Error::Poisoned {
                reason: "it has no more numbers for groups of commits".to_owned(),
            });
        }
        let _whole = self.or_poison("sequencing a commit");
        let guard = epoch::pin();
        // Indexes are kept whatever the isolation.
        let others = commit.snapshot.stores.version() != sequencer.tip.stores.version();
        if commit.isolation != Isolation::NoCheck || commit.claims.any_read() || others {
            commit
                .claims
                .validate(&commit.snapshot, &sequencer.tip, &self.pager, &guard)?;
        }
        if let Err(refused) = sequencer.tip.apply(&commit.record, &self.pager, &guard) {
            if refused.half_way && !mutant("commit-keep-half") {
                self.rebuild(sequencer, &guard);
            }
            return Err(refused.error);
        }
        sequencer.tip.seq += 1; // only now: a refused commit leaves no hole
        let info = CommitInfo {
            seq: sequencer.tip.seq,
            stamp: sequencer.tip.stamp,
        };
        Ok((info, sequencer))
    }

    /// Gives back extents whose transaction is not going to commit.
    pub(super) fn release_extents(&self, extents: &[crate::page::LargeRef]) {
        for extent in extents.iter().filter(|_| !mutant("keep-aborted-extents")) {
            self.pager
                .release(extent.id, extent.span(self.pager.page_bytes()));
        }
    }

    /// Waits until group `stamp` is durable, writing groups itself while nobody else does.
    pub(super) fn wait_durable(&self, stamp: u64) -> Result<()> {
        let mut flow = self.flow.lock();
        while flow.durable < stamp {
            if let Some(reason) = self.poison.get() {
                drop(flow);
                let was_sealed = self.abandon_open(reason) >= stamp;
                let reason = reason.clone();
                return Err(match was_sealed {
                    true => Error::OutcomeUnknown { reason },
                    false => Error::Poisoned { reason },
                });
            }
            if flow.writing {
                self.landed.wait(&mut flow);
                continue;
            }
            flow.writing = true;
            drop(flow);
            let role = WriterRole { engine: self };
            let whole = self.or_poison("writing a group");
            let (durable, outcomes) = self.write_group();
            drop(whole);
            std::mem::forget(role);
            flow = self.flow.lock();
            flow.writing = false;
            if let Some(durable) = durable {
                flow.durable = durable;
            }
            self.landed.notify_all();
            // Only now: whoever is told may commit again, or close the database.
            drop(flow);
            for (waiter, outcome) in outcomes {
                waiter.tell(outcome);
            }
            if durable.is_some() {
                self.tell_watchers(); // after those who wait, so that their next commits are under way
            }
            flow = self.flow.lock();
        }
        Ok(())
    }

    /// Tells those who wait for the open group, which nobody writes any more; the last group that was sealed. Who writes
    /// groups takes those with him that wait when his own fails.
    pub(super) fn abandon_open(&self, reason: &str) -> u64 {
        let mut sequencer = self.sequencer.lock();
        let sealed = sequencer.tip.sealed;
        if !mutant("threads-forget-who-waits") {
            let open = std::mem::take(&mut sequencer.open);
            drop(sequencer);
            open.abandon(reason);
        }
        sealed
    }

    /// Waits for everything sequenced so far.
    pub(super) fn drain(&self) -> Result<()> {
        let stamp = {
            let sequencer = self.sequencer.lock();
            if sequencer.open.is_empty() && sequencer.tip.fresh.is_unchanged() {
                sequencer.tip.sealed
            } else {
                sequencer.tip.stamp
            }
        };
        self.wait_durable(stamp)
    }

    /// Seals the open group, makes it durable and publishes it. Its stamp, unless it failed, and whom to tell what.
    fn write_group(&self) -> (Option<u64>, Vec<(Waiter, Result<CommitInfo>)>) {
        let mut group = {
            let mut sequencer = self.sequencer.lock();
            let Some(mut group) = sequencer.seal(self.pager.page_bytes()) else {
                return (None, Vec::new());
            };
            let frames = std::mem::take(&mut group.state.pages.frames);
            // Under the lock: the next transaction reads these pages through the table.
            if mutant("threads-install-unlocked") {
                drop(sequencer);
            }
            self.pager.install(frames, &epoch::pin());
            group
        };
        let stamp = group.state.stamp;
        match self.write_log(&group) {
            Ok(position) => {
                let mut recent = Some(group.take_recent(position));
                if let Some(recent) = recent.take_if(|_| !mutant("threads-keep-late"))
                    && let Some(unread) = self.recent.push(recent)
                {
                    group.give_back(unread.records);
                }
                let done = self.publish(group, position);
                if let Some(late) = recent {
                    self.recent.push(late);
                }
                if mutant("threads-show-before-sync")
                    && let Some(log) = self.log.lock().as_mut()
                {
                    log.sync().expect("only tried on sound disks");
                }
                let outcomes = done.into_iter().map(|(done, info)| (done, Ok(info)));
                (Some(stamp), outcomes.collect())
            }
            Err(error) => {
                self.poison(&error);
                if mutant("commit-show-what-failed") {
                    self.publish(
                        group,
                        LogPosition {
                            segment: 0,
                            offset: 0,
                        },
                    );
                    return (None, Vec::new());
                }
                let outcome = match error {
                    Error::Poisoned { .. } => error, // it was refused before anything of it was written
                    error => Error::OutcomeUnknown {
                        reason: error.to_string(),
                    },
                };
                let waiting = group.done.into_iter();
                let outcomes = waiting.map(|(done, _)| (done, Err(outcome.clone())));
                (None, outcomes.collect())
            }
        }
    }

    fn write_log(&self, group: &SealedGroup) -> Result<LogPosition> {
        self.ensure_sound()?;
        if group.extents && !mutant("commit-skip-extent-sync") {
            // E1: the log names bytes of the page file: they come first.
            self.pager.sync()?;
        }
        let mut log = self.log.lock();
        let log = log.as_mut().ok_or(Error::Closed { what: "the log" })?;
        if group.records.is_empty() {
            return Ok(log.head());
        }
        let headers: Vec<Vec<u8>> = group.records.iter().map(|r| record_header(r)).collect();
        let payload: Vec<&[u8]> = headers
            .iter()
            .zip(&group.records)
            .flat_map(|(header, record)| [header.as_slice(), record.as_slice()])
            .collect();
        log.append(
            group.first_seq - 1,
            &Group {
                first_seq: group.first_seq,
                count: u32::try_from(group.records.len()).expect("a group fits the log's count"),
                stamp: group.state.stamp,
                payload: &payload,
            },
        )?;
        let skip = mutant("commit-skip-sync") || mutant("threads-show-before-sync");
        if self.options.durability == Durability::Full && !skip {
            let synced = log.sync();
            if !mutant("commit-forgive-log-error") {
                synced?;
            }
        }
        let bytes: usize = payload.iter().map(|piece| piece.len()).sum();
        self.count_group(group.records.len() as u64, bytes as u64);
        self.counters
            .log_size
            .store(log.size_bytes(), Ordering::Relaxed);
        let wanted = Wanted {
            checkpoint: log.size_bytes() >= self.options.checkpoint_log_bytes,
            maintain: self.pool.as_ref().is_some_and(|pool| !pool.is_ready())
                || self.pager.is_short_of_buffers(),
            ..Wanted::default()
        };
        self.want(wanted);
        Ok(log.head())
    }

    fn count_group(&self, commits: u64, bytes: u64) {
        self.counters.commits.fetch_add(commits, Ordering::Relaxed);
        self.counters.groups.fetch_add(1, Ordering::Relaxed);
        self.counters
            .group_max
            .fetch_max(commits, Ordering::Relaxed);
        self.counters.log_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Shows the group to readers. Whom to tell.
    pub(super) fn publish(
        &self,
        group: SealedGroup,
        position: LogPosition,
    ) -> Vec<(Waiter, CommitInfo)> {
        let state = group.state;
        let guard = epoch::pin();
        // One moment for all three: a checkpoint takes them together.
        let mut log = self.published_log.lock();
        let pin = self.pager.live.pin(state.stamp);
        let snapshot = Snapshot::new(state.stamp, state.seq, state.stores, pin);
        drop(self.published.swap(Arc::new(snapshot)));
        self.pager
            .publish(&state.pages.born, state.pages.dead, &guard);
        *log = position;
        drop(log);
        self.maintenance.published(&self.published.load().stores);
        if self.pager.dirty_bytes() > self.pager.cache_bytes() / 4 {
            self.want(Wanted {
                checkpoint: true,
                ..Wanted::default()
            });
        }
        group.done
    }

    /// Slows a writer down while pages that are in memory only take up much of the cache.
    pub(super) fn throttle(&self) {
        if !self.options.background {
            return;
        }
        let limit = self.pager.cache_bytes() / 2;
        for _ in 0..1000 {
            let over = self.pager.dirty_bytes().saturating_sub(limit);
            if over == 0 || self.poison.get().is_some() {
                return;
            }
            self.want(Wanted {
                checkpoint: true,
                ..Wanted::default()
            });
            self.counters.throttled.fetch_add(1, Ordering::Relaxed);
            let share = over as f64 / limit as f64;
            thread::sleep(std::time::Duration::from_micros(
                100 + (share * 5000.0) as u64,
            ));
            if share < 0.8 {
                return;
            }
        }
    }
}

/// The role of the one who writes groups, given up.
struct WriterRole<'a> {
    engine: &'a Engine,
}

impl Drop for WriterRole<'_> {
    fn drop(&mut self) {
        self.engine.flow.lock().writing = false;
        self.engine.landed.notify_all();
    }
}

/// What came of sequencing: an error hands `done` back to be called.
pub(super) struct Sequenced {
    pub(super) result: Result<CommitInfo>,
    pub(super) done: Option<Waiter>,
}
