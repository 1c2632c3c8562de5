//! Transactions on their way from event loops to the committers.
//!
//! Invariants
//! Q1  At most one committer sequences, so that batches are sequenced in the order of their arrival and nobody waits for
//!     the sequencer's lock. Another one takes the next batch while the first waits for the disk.
//! Q2  A committer is woken only when there is something for it to sequence.

use parking_lot::{Condvar, Mutex};

use super::sequencer::{Commit, Done};
use super::transaction::CommitTicket;

/// Transactions handed over, in the order of arrival.
#[derive(Default)]
pub(super) struct Submissions {
    inner: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    queue: Vec<Submission>,
    /// A committer is sequencing: what arrives waits until it is done.
    sequencing: bool,
    /// Committers that wait for work.
    idle: usize,
    closed: bool,
}

impl Submissions {
    /// Hands them back when nobody takes any more.
    pub(super) fn push_all(
        &self,
        items: Vec<Submission>,
    ) -> std::result::Result<(), Vec<Submission>> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(items);
        }
        inner.queue.extend(items);
        self.wake_one(&inner);
        Ok(())
    }

    fn wake_one(&self, inner: &Waiting) {
        if !inner.sequencing && inner.idle > 0 && !inner.queue.is_empty() {
            self.filled.notify_one();
        }
    }

    /// Everything that waits, at least one, for the only committer that sequences until `sequenced`; nothing once closed
    /// and empty.
    pub(super) fn take_all(&self) -> Vec<Submission> {
        let mut inner = self.inner.lock();
        inner.idle += 1;
        while (inner.queue.is_empty() || inner.sequencing)
            && !(inner.closed && inner.queue.is_empty())
        {
            self.filled.wait(&mut inner);
        }
        inner.idle -= 1;
        inner.sequencing = !inner.queue.is_empty();
        std::mem::take(&mut inner.queue)
    }

    /// The one who took the last batch has sequenced it.
    pub(super) fn sequenced(&self) {
        let mut inner = self.inner.lock();
        inner.sequencing = false;
        self.wake_one(&inner);
        if inner.closed {
            self.filled.notify_all();
        }
    }

    pub(super) fn close(&self) {
        self.inner.lock().closed = true;
        self.filled.notify_all();
    }
}

/// A commit with whom to tell.
pub(super) struct Submission {
    pub(super) commit: Commit,
    pub(super) ticket: CommitTicket,
    pub(super) done: Done,
}
