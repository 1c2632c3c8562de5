//! The threads of an engine: the committer, the checkpointer (see there) and the I/O workers.
//!
//! None of them is needed for correctness: without them (`Options::background` false) commits run
//! on the calling thread and checkpoints when asked for.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::checkpointer::{self, Wanted};
use super::core::Engine;
use super::queue::Queue;
use super::sequencer::{Commit, Waiter};
use super::transaction::CommitTicket;
use crate::error::{Error, Result};
use crate::limits::IO_THREADS;
use crate::sync::thread;

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
            self.spawn("sopasync-checkpoint", move || checkpointer::run(&owned))?;
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
    pub(super) fn why_late(&self) -> Error {
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

/// Ends the queue with the committer, so that nobody waits for one who is gone, and the group that he alone would have written.
struct LastOne<'a>(&'a Engine);

impl Drop for LastOne<'_> {
    fn drop(&mut self) {
        let queue = &self.0.submissions.queue;
        queue.close();
        let mut rest = VecDeque::new();
        queue.take_all(&mut rest);
        for late in rest {
            self.0.refuse(late);
        }
        if let Some(reason) = self.0.poisoned() {
            self.0.abandon_open(&reason);
        }
    }
}

/// Sequences what arrived, makes it durable, and meanwhile lets the next batch gather.
fn run_committer(engine: &Engine) {
    let _last = LastOne(engine);
    let _whole = engine.or_poison("the committer");
    let mut batch = VecDeque::new();
    loop {
        engine.submissions.queue.take_all(&mut batch);
        if batch.is_empty() {
            return;
        }
        engine.throttle();
        engine.commit_batch(batch.drain(..));
    }
}
