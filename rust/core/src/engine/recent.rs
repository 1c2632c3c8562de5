//! The groups that were published last, kept in memory while somebody reads changes.
//!
//! Who follows commits as they happen takes a group from here, as the sequencer had it: nothing is read from the log
//! again, checked or copied. Who is farther behind reads the log, which has everything that is here.
//!
//! Invariants
//! R1  A group is here before it is published, so whoever sees a commit and follows closely finds it.
//! R2  At most `RECENT_BYTES_MAX` are kept, and nothing while nobody reads changes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::limits::RECENT_BYTES_MAX;
use crate::log::LogPosition;
use crate::mutants::mutant;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// What a record takes besides its bytes, about.
const RECORD_OVERHEAD: usize = 48;

/// A group as it was written to the log.
pub(super) struct RecentGroup {
    pub(super) first_seq: u64,
    pub(super) stamp: u64,
    /// One for each commit.
    pub(super) records: Vec<Vec<u8>>,
    /// Where the log goes on after it.
    pub(super) end: LogPosition,
}

impl RecentGroup {
    /// Number of its last commit.
    pub(super) fn last_seq(&self) -> u64 {
        self.first_seq + self.records.len() as u64 - 1
    }

    fn bytes(&self) -> usize {
        let records = self.records.iter();
        records.map(|record| record.len() + RECORD_OVERHEAD).sum()
    }
}

#[derive(Default)]
struct Kept {
    groups: VecDeque<Arc<RecentGroup>>,
    bytes: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct Recent {
    readers: AtomicUsize,
    kept: Mutex<Kept>,
}

impl Recent {
    /// Keeps a group that is going to be published; hands it back when nobody reads changes.
    pub(super) fn push(&self, group: RecentGroup) -> Option<RecentGroup> {
        if group.records.is_empty() || self.readers.load(Ordering::Acquire) == 0 {
            return Some(group);
        }
        let mut kept = self.kept.lock();
        if self.readers.load(Ordering::Acquire) == 0 && !mutant("threads-keep-for-nobody") {
            return Some(group); // the last one has gone meanwhile
        }
        kept.bytes += group.bytes();
        kept.groups.push_back(Arc::new(group));
        while kept.bytes > RECENT_BYTES_MAX
            && let Some(oldest) = kept.groups.pop_front()
        {
            kept.bytes -= oldest.bytes(); // R2
        }
        None
    }

    /// Bytes that are kept, about.
    pub(super) fn bytes(&self) -> usize {
        self.kept.lock().bytes
    }

    /// The group with the commit after `seq`, if it is here.
    fn after(&self, seq: u64) -> Option<Arc<RecentGroup>> {
        let kept = self.kept.lock();
        let at = kept.groups.partition_point(|group| group.last_seq() <= seq);
        kept.groups
            .get(at)
            .filter(|group| group.first_seq <= seq + 1 || mutant("feed-skip-evicted"))
            .map(Arc::clone)
    }
}

/// One who reads changes: while there is any, groups are kept.
pub(super) struct RecentReader(Arc<Recent>);

impl RecentReader {
    pub(super) fn new(recent: &Arc<Recent>) -> Self {
        recent.readers.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(recent))
    }

    /// The group with the commit after `seq`, if it is kept.
    pub(super) fn after(&self, seq: u64) -> Option<Arc<RecentGroup>> {
        self.0.after(seq)
    }
}

impl Drop for RecentReader {
    fn drop(&mut self) {
        // Under the lock, so that no group comes after the last reader has gone (R2).
        let mut kept = self.0.kept.lock();
        if self.0.readers.fetch_sub(1, Ordering::AcqRel) == 1 {
            *kept = Kept::default();
        }
    }
}
