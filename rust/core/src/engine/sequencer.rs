//! The group being formed: transactions in commit order, validated and applied to the tip.

use std::sync::Arc;

use crossbeam_epoch::Guard;
use parking_lot::MutexGuard;

use super::core::Engine;
use super::options::Isolation;
use crate::error::{Error, Result};
use crate::page::LargeRef;
use crate::pager::Pager;
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
    done: Vec<(Done, CommitInfo)>,
}

/// A group on its way to the log.
pub(super) struct SealedGroup {
    pub(super) state: Sealed,
    pub(super) first_seq: u64,
    pub(super) records: Vec<Vec<u8>>,
    pub(super) extents: bool,
    pub(super) done: Vec<(Done, CommitInfo)>,
}

impl OpenGroup {
    pub(super) fn push(&mut self, record: Vec<u8>, extents: bool) {
        self.bytes += record.len();
        self.records.push(record);
        self.extents |= extents;
    }

    pub(super) fn when_durable(&mut self, done: Done, info: CommitInfo) {
        self.done.push((done, info));
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn into_done(self) -> Vec<(Done, CommitInfo)> {
        self.done
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
        let group = std::mem::take(&mut self.open);
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
        let unknown = Error::OutcomeUnknown {
            reason: error.to_string(),
        };
        for (done, _) in open.into_done() {
            done(Err(unknown.clone()));
        }
    }
}
