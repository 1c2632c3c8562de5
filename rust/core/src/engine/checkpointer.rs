//! The checkpointer: the thread that writes checkpoints, and keeps ready what commits will need.
//!
//! Invariants
//! A1  Whoever asks for a checkpoint is told once: what came of one that began after he asked, or why there is none, also
//!     when the thread ends by a panic.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::core::Engine;
use super::options::Durability;
use super::queue::Queue;
use crate::error::Result;
use crate::limits::{GIVE_BACK_INTERVAL, PACK_WHEN_QUIET, RELAXED_SYNC_INTERVAL};
use crate::sync::{Condvar, Mutex, thread};

/// Called once with what came of a checkpoint, on a thread of the engine.
pub type CheckpointDone = Box<dyn FnOnce(Result<()>) + Send>;

/// The engine's side: what is wanted of the thread, and who waits for it.
#[derive(Default)]
pub(super) struct Checkpointer {
    wanted: Mutex<Wanted>,
    filled: Condvar,
    asked: Queue<CheckpointDone>,
}

/// What the checkpointer is asked to do.
#[derive(Default, Clone, Copy)]
pub(super) struct Wanted {
    /// Because the log is long, or memory short.
    pub(super) checkpoint: bool,
    pub(super) maintain: bool,
    /// A checkpoint, by somebody who waits for it.
    pub(super) asked: bool,
    pub(super) stop: bool,
}

impl Wanted {
    fn is_something(self) -> bool {
        self.checkpoint || self.maintain || self.asked || self.stop
    }
}

/// Tells those who still wait for a checkpoint why there is none, when the thread ends (A1).
struct LastOne<'a>(&'a Engine);

impl Drop for LastOne<'_> {
    fn drop(&mut self) {
        let asked = &self.0.checkpointer.asked;
        asked.close();
        for done in asked.take_first(usize::MAX) {
            done(Err(self.0.why_late()));
        }
    }
}

/// The checkpointer.
pub(super) fn run(engine: &Engine) {
    let _last = LastOne(engine);
    let _whole = engine.or_poison("the checkpointer");
    let relaxed = engine.options.durability == Durability::Relaxed;
    let interval = engine.options.checkpoint_interval;
    let (mut last, mut given_back) = (Instant::now(), Instant::now());
    loop {
        let owing = engine.pool.as_ref().filter(|pool| pool.owes_space());
        let patience = match (relaxed, owing) {
            (true, _) => RELAXED_SYNC_INTERVAL.min(interval),
            (false, Some(_)) => GIVE_BACK_INTERVAL.min(interval),
            (false, None) => interval,
        };
        let wanted = engine.wait_wanted(patience);
        if wanted.asked {
            engine.checkpoint_for_all();
        }
        if wanted.stop {
            return;
        }
        if let Some(pool) = owing.filter(|_| given_back.elapsed() >= GIVE_BACK_INTERVAL) {
            pool.give_space_back();
            given_back = Instant::now();
        }
        if relaxed {
            engine.sync_log();
        }
        if wanted.maintain {
            engine.pager.stock_buffers();
            if let Some(pool) = &engine.pool {
                engine.note_background(pool.maintain());
            }
        }
        if wanted.checkpoint || last.elapsed() >= interval {
            let result = engine.checkpoint();
            // Only when nothing asked for it: a busy writer needs the free pages again.
            let result = result.and_then(|()| match wanted.checkpoint {
                true => Ok(()),
                false => engine
                    .compact(PACK_WHEN_QUIET.0, PACK_WHEN_QUIET.1)
                    .map(|_| ()),
            });
            engine.note_background(result);
            last = Instant::now();
        }
    }
}

impl Engine {
    /// Has a checkpoint written of what is published now, and `done` told what came of it.
    pub(super) fn begin_checkpoint(&self, done: CheckpointDone) -> Result<()> {
        if !self.options.background {
            done(self.checkpoint());
            return Ok(());
        }
        let late = self.checkpointer.asked.push(done);
        late.map_err(|_| self.why_late())?;
        self.want(Wanted {
            asked: true,
            ..Wanted::default()
        });
        Ok(())
    }

    /// One checkpoint for all who have asked. Until it is written they stay in the queue (A1).
    fn checkpoint_for_all(&self) {
        let asked = &self.checkpointer.asked;
        let before = asked.len();
        let result = self.checkpoint();
        for done in asked.take_first(before) {
            done(result.clone());
        }
    }

    /// Asks the checkpointer for something.
    pub(super) fn want(&self, more: Wanted) {
        if !more.is_something() {
            return;
        }
        let mut wanted = self.checkpointer.wanted.lock();
        let before = *wanted;
        wanted.checkpoint |= more.checkpoint;
        wanted.maintain |= more.maintain;
        wanted.asked |= more.asked;
        wanted.stop |= more.stop;
        if !before.is_something() {
            self.checkpointer.filled.notify_all();
        }
    }

    /// What the checkpointer is asked for, within `patience`.
    fn wait_wanted(&self, patience: Duration) -> Wanted {
        let mut wanted = self.checkpointer.wanted.lock();
        if !wanted.is_something() {
            self.checkpointer.filled.wait_for(&mut wanted, patience);
        }
        let taken = *wanted;
        *wanted = Wanted {
            stop: taken.stop,
            ..Wanted::default()
        };
        taken
    }

    /// Remembers a failure nobody waits for; the work is tried again later.
    fn note_background(&self, result: Result<()>) {
        if let Err(error) = result {
            self.counters
                .background_errors
                .fetch_add(1, Ordering::Relaxed);
            *self.last_background_error.lock() = Some(error.to_string());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes every group written so far durable; what those groups freed may be used again then.
    fn sync_log(&self) {
        let held = self.pager.take_held();
        let result = match self.log.lock().as_mut() {
            Some(log) => log.sync(),
            None => Ok(()),
        };
        match result {
            Ok(()) => self.pager.give_back(&held),
            Err(error) => self.poison(&error),
        }
    }
}
