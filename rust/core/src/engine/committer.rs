//! The threads of an engine: the committer, the checkpointer and the I/O workers.
//!
//! None of them is needed for correctness: without them (`Options::background` false) commits run
//! on the calling thread and checkpoints when asked for.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::core::{Engine, Wanted};
use super::options::Durability;
use super::sequencer::{Commit, Waiter};
use super::transaction::CommitTicket;
use crate::error::{Error, Result};
use crate::limits::{GIVE_BACK_INTERVAL, IO_THREADS, PACK_WHEN_QUIET, RELAXED_SYNC_INTERVAL};
use crate::sync::{Condvar, Mutex, thread};

/// A job for a thread that may wait.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Transactions handed over, in the order of arrival.
#[derive(Default)]
pub(super) struct Submissions {
    pub(super) queue: Queue<Submission>,
}

/// A commit with whom to tell.
pub(super) struct Submission {
    pub(super) commit: Commit,
    pub(super) ticket: CommitTicket,
    pub(super) done: Waiter,
}

/// A queue that ends when it is closed.
pub(super) struct Queue<T> {
    inner: Mutex<(VecDeque<T>, bool)>,
    filled: Condvar,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            inner: Mutex::new((VecDeque::new(), false)),
            filled: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Hands the item back when the queue is closed.
    fn push(&self, item: T) -> std::result::Result<(), T> {
        let mut inner = self.inner.lock();
        if inner.1 {
            return Err(item);
        }
        inner.0.push_back(item);
        self.filled.notify_one();
        Ok(())
    }

    /// Adds all of them at once, for one consumer; hands them back when the queue is closed.
    fn push_all(&self, items: Vec<T>) -> std::result::Result<(), Vec<T>> {
        let mut inner = self.inner.lock();
        if inner.1 {
            return Err(items);
        }
        inner.0.extend(items);
        self.filled.notify_one();
        Ok(())
    }

    /// Everything that waits, at least one; nothing once closed and empty.
    fn take_all(&self) -> VecDeque<T> {
        let mut inner = self.inner.lock();
        while inner.0.is_empty() && !inner.1 {
            self.filled.wait(&mut inner);
        }
        std::mem::take(&mut inner.0)
    }

    fn take_one(&self) -> Option<T> {
        let mut inner = self.inner.lock();
        while inner.0.is_empty() && !inner.1 {
            self.filled.wait(&mut inner);
        }
        inner.0.pop_front()
    }

    fn close(&self) {
        self.inner.lock().1 = true;
        self.filled.notify_all();
    }
}

/// The running threads of an engine.
pub(super) struct Threads {
    jobs: Arc<Queue<Job>>,
    handles: Vec<thread::JoinHandle<()>>,
}

impl Threads {
    pub(super) fn start(engine: &Arc<Engine>) -> Result<Self> {
        let mut threads = Self {
            jobs: Arc::new(Queue::default()),
            handles: Vec::new(),
        };
        match threads.start_all(engine) {
            Ok(()) => Ok(threads),
            Err(error) => {
                // Those that are there would keep the database, and its lock, for ever.
                threads.stop(engine);
                Err(error)
            }
        }
    }

    fn start_all(&mut self, engine: &Arc<Engine>) -> Result<()> {
        // A follower commits nothing, and goes on with another engine when the owner has written a
        // checkpoint: no thread may keep the first one.
        if !engine.options.read_only {
            let owned = Arc::clone(engine);
            self.spawn("sopasync-commit", move || run_committer(&owned))?;
            let owned = Arc::clone(engine);
            self.spawn("sopasync-checkpoint", move || run_checkpointer(&owned))?;
        }
        for _ in 0..IO_THREADS {
            let jobs = Arc::clone(&self.jobs);
            self.spawn("sopasync-io", move || {
                while let Some(job) = jobs.take_one() {
                    // The panic has said so itself. The others' jobs are still to be done.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            })?;
        }
        Ok(())
    }

    pub(super) fn start_maintenance(&mut self, run: impl FnOnce() + Send + 'static) -> Result<()> {
        self.spawn("sopasync-maintain", run)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let handle = thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|error| Error::io("a thread", "start", &error))?;
        self.handles.push(handle);
        Ok(())
    }

    pub(super) fn run(&self, job: Job) -> Result<()> {
        self.jobs.push(job).map_err(|_| Error::Closed {
            what: "the database",
        })
    }

    /// Ends the threads after what was handed to them.
    pub(super) fn stop(self, engine: &Engine) {
        engine.submissions.queue.close();
        self.jobs.close();
        engine.maintenance.stop();
        engine.want(Wanted {
            stop: true,
            ..Wanted::default()
        });
        let own = thread::current().id();
        for handle in self
            .handles
            .into_iter()
            .filter(|handle| handle.thread().id() != own)
        {
            // A thread that panicked has said so already; there is nothing to add.
            let _ = handle.join();
        }
    }
}

impl Engine {
    /// Hands commits to the committer, all before it looks: they share a group.
    pub(super) fn submit(&self, submissions: Vec<Submission>) {
        if submissions.is_empty() {
            return;
        }
        if !self.options.background {
            return self.commit_batch(submissions);
        }
        let late = self.submissions.queue.push_all(submissions).err();
        for late in late.into_iter().flatten() {
            self.refuse(late);
        }
    }

    /// Nothing was done for it, and nothing will be.
    fn refuse(&self, late: Submission) {
        self.release_extents(&late.commit.extents);
        late.done.tell(Err(if late.ticket.take() {
            self.why_late()
        } else {
            Error::Withdrawn
        }));
    }

    /// Why the queue takes nothing more: it was closed with the database, or the committer ended by a panic.
    fn why_late(&self) -> Error {
        let closed = Error::Closed {
            what: "the database",
        };
        self.ensure_sound().err().unwrap_or(closed)
    }

    fn commit_batch(&self, batch: impl IntoIterator<Item = Submission>) {
        let stamps = batch
            .into_iter()
            .filter_map(|one| self.sequence_submission(one));
        if let Some(stamp) = stamps.last() {
            // The outcome was handed to each `done`.
            let _ = self.wait_durable(stamp);
        }
    }

    fn sequence_submission(&self, submission: Submission) -> Option<u64> {
        let Submission {
            commit,
            ticket,
            done,
        } = submission;
        if !ticket.take() {
            self.release_extents(&commit.extents);
            done.tell(Err(Error::Withdrawn));
            return None;
        }
        let sequenced = self.sequence(commit, Some(done));
        match (sequenced.result, sequenced.done) {
            (Ok(info), _) => Some(info.stamp),
            (Err(error), Some(done)) => {
                done.tell(Err(error));
                None
            }
            (Err(_), None) => unreachable!("an error hands `done` back"),
        }
    }
}

/// Ends the queue with the committer, so that nobody waits for one who is gone.
struct LastOne<'a>(&'a Engine);

impl Drop for LastOne<'_> {
    fn drop(&mut self) {
        let queue = &self.0.submissions.queue;
        queue.close();
        for late in queue.take_all() {
            self.0.refuse(late);
        }
    }
}

/// Sequences what arrived, makes it durable, and meanwhile lets the next batch gather.
fn run_committer(engine: &Engine) {
    let _last = LastOne(engine);
    let _whole = engine.or_poison("the committer");
    loop {
        let batch = engine.submissions.queue.take_all();
        if batch.is_empty() {
            return;
        }
        engine.throttle();
        engine.commit_batch(batch);
    }
}

fn run_checkpointer(engine: &Engine) {
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
    /// Remembers a failure nobody waits for; the work is tried again later.
    fn note_background(&self, result: Result<()>) {
        if let Err(error) = result {
            self.counters
                .background_errors
                .fetch_add(1, Ordering::Relaxed);
            *self.last_background_error.lock() = Some(error.to_string());
            thread::sleep(std::time::Duration::from_millis(50));
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
