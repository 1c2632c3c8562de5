//! The group being formed: transactions in commit order, validated and applied to the tip.

use std::sync::Arc;

use crossbeam_epoch::Guard;

use super::core::Engine;
use super::options::Isolation;
use super::recent::RecentGroup;
use super::transaction::CommitTicket;
use crate::error::{Error, Result};
use crate::log::LogPosition;
use crate::page::LargeRef;
use crate::pager::Pager;
use crate::sync::MutexGuard;
use crate::txn::{Claims, Sealed, Snapshot, Tip};

/// Where a commit stands in the order of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Commit number; that of the snapshot when nothing was written.
    pub seq: u64,
    /// The group it was made durable with.
    pub stamp: u64,
}

/// Called once with the outcome of a submitted commit, on a thread of the engine.
pub type Done = Box<dyn FnOnce(Result<CommitInfo>) + Send>;

/// Whom to tell what became of a commit. Dropped before that, because a thread of the engine panicked or nobody went on
/// with it, he is told that it was not made; once its group was on its way to the log, that nobody knows.
pub(super) struct Waiter {
    done: Option<Done>,
    sealed: bool,
    /// Where what the engine is through with is left. Gone before he is told, so that his own is the last.
    ticket: Option<CommitTicket>,
}

impl Waiter {
    pub(super) fn new(done: Done, ticket: CommitTicket) -> Self {
        Self {
            done: Some(done),
            sealed: false,
            ticket: Some(ticket),
        }
    }

    fn ticket(&self) -> &CommitTicket {
        self.ticket.as_ref().expect("he was not told yet")
    }

    pub(super) fn tell(mut self, outcome: Result<CommitInfo>) {
        self.ticket = None;
        if let Some(done) = self.done.take() {
            done(outcome);
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.ticket = None;
        if let Some(done) = self.done.take() {
            let reason = "the engine gave it up; please report this".to_owned();
            done(Err(match self.sealed {
                true => Error::OutcomeUnknown { reason },
                false => Error::Poisoned { reason },
            }));
        }
    }
}

/// A transaction that asks to be committed.
pub(super) struct Commit {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) isolation: Isolation,
    pub(super) claims: Claims,
    pub(super) record: Vec<u8>,
    pub(super) extents: Vec<LargeRef>,
}

/// What the sequencer's lock protects.
pub(super) struct Sequencer {
    pub(super) tip: Tip,
    pub(super) open: OpenGroup,
}

/// The transactions sequenced since the last group was sealed.
#[derive(Default)]
pub(super) struct OpenGroup {
    records: Vec<Vec<u8>>,
    bytes: usize,
    extents: bool,
    done: Vec<(Waiter, CommitInfo)>,
}

/// A group on its way to the log.
pub(super) struct SealedGroup {
    pub(super) state: Sealed,
    pub(super) first_seq: u64,
    pub(super) records: Vec<Vec<u8>>,
    pub(super) extents: bool,
    pub(super) done: Vec<(Waiter, CommitInfo)>,
}

impl SealedGroup {
    /// Its records, for those who read changes: it was written, and the log goes on at `end`.
    pub(super) fn take_recent(&mut self, end: LogPosition) -> RecentGroup {
        RecentGroup {
            first_seq: self.first_seq,
            stamp: self.state.stamp,
            records: std::mem::take(&mut self.records),
            end,
        }
    }

    /// Gives the records, which nobody needs any more, back to those who handed them over.
    pub(super) fn give_back(&mut self, mut records: Vec<Vec<u8>>) {
        for (waiter, info) in &self.done {
            let record = &mut records[(info.seq - self.first_seq) as usize];
            waiter.ticket().leave_record(std::mem::take(record));
        }
    }
}

impl OpenGroup {
    pub(super) fn push(&mut self, record: Vec<u8>, extents: bool) {
        self.bytes += record.len();
        self.records.push(record);
        self.extents |= extents;
    }

    pub(super) fn when_durable(&mut self, done: Waiter, info: CommitInfo, claims: Claims) {
        done.ticket().leave_claims(claims);
        self.done.push((done, info));
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Tells everybody that this group was not written, and will not be.
    pub(super) fn abandon(self, reason: &str) {
        for (waiter, _) in self.done {
            let reason = reason.to_owned();
            waiter.tell(Err(Error::Poisoned { reason }));
        }
    }
}

impl Sequencer {
    /// Takes back what was changed without being in the open group. After an error nothing may be sequenced any more.
    pub(super) fn rebuild(&mut self, pager: &Pager, guard: &Guard) -> Result<()> {
        let records = self.open.records.iter().map(Vec::as_slice);
        self.tip.rebuild(records, pager, guard)
    }

    /// Closes the open group, unless nothing happened.
    pub(super) fn seal(&mut self, page_bytes: usize) -> Option<SealedGroup> {
        if self.open.records.is_empty() && self.tip.fresh.is_unchanged() {
            return None;
        }
        Some(self.seal_applied(page_bytes))
    }

    /// Closes the group, also when what was applied changed no page: a store without entries.
    pub(super) fn seal_applied(&mut self, page_bytes: usize) -> SealedGroup {
        let mut group = std::mem::take(&mut self.open);
        for (waiter, _) in &mut group.done {
            waiter.sealed = true;
        }
        let state = self.tip.seal(page_bytes);
        SealedGroup {
            first_seq: state.seq + 1 - group.records.len() as u64,
            state,
            records: group.records,
            extents: group.extents,
            done: group.done,
        }
    }
}

impl Engine {
    /// Takes back what was changed without being in the open group. If that fails, nobody can commit any more, nor can
    /// those who wait for the open group.
    pub(super) fn rebuild(&self, mut sequencer: MutexGuard<'_, Sequencer>, guard: &Guard) {
        let Err(error) = sequencer.rebuild(&self.pager, guard) else {
            return;
        };
        self.poison(&error);
        let open = std::mem::take(&mut sequencer.open);
        drop(sequencer);
        open.abandon(&error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimDisk;
    use crate::engine::open::FOLLOWER_GROUPS;
    use crate::{Database, Options, TransactionOptions};

    #[test]
    fn commits_end_before_the_numbers_of_groups_do() {
        let options = Options {
            background: false,
            ..Options::default()
        };
        let db = Database::open(Arc::new(SimDisk::new(1)), options).expect("a new database");
        let create = |name: &str| {
            let mut tx = db.begin(TransactionOptions::default()).expect("it is open");
            tx.create_store(name, 1, b"").expect("a store");
            tx.commit()
        };
        let skipped = FOLLOWER_GROUPS - 10;
        db.engine().sequencer.lock().tip.stamp += skipped;
        let (made, error) = (0..)
            .find_map(|number| Some((number, create(&number.to_string()).err()?)))
            .expect("they end");
        assert!(made > 0, "not before");
        assert!(matches!(error, Error::Poisoned { .. }), "{error}");
        db.close().expect("it closes");
    }
}
