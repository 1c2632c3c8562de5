//! A log in memory, shared by its clones: for tests of what stands on a log, with several writers too.
//!
//! It keeps the promises of `CommitLog` as a log in a cluster would: an append with a stale `expected_head` loses,
//! and `crash` forgets what was not synced.

use std::sync::Arc;

use parking_lot::Mutex;

use super::commit_log::{CommitLog, Group, GroupFrame, LogPosition};
use crate::{Error, Result};

/// One handle on a log in memory; positions count groups from 0 in segment 0.
#[derive(Clone, Default)]
pub struct MemoryLog {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    groups: Vec<StoredGroup>,
    /// Groups before this index have been given up.
    truncated: usize,
    /// Groups before this index survive a crash.
    synced: usize,
}

struct StoredGroup {
    first_seq: u64,
    count: u32,
    stamp: u64,
    payload: Vec<u8>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the groups that were appended and not synced.
    pub fn crash(&self) {
        let mut shared = self.shared.lock();
        let synced = shared.synced;
        shared.groups.truncate(synced);
    }
}

fn position(index: usize) -> LogPosition {
    LogPosition {
        segment: 0,
        offset: index as u64,
    }
}

impl Shared {
    fn last_seq(&self) -> Option<u64> {
        let last = self.groups.last()?;
        Some(last.first_seq + u64::from(last.count) - 1)
    }
}

impl CommitLog for MemoryLog {
    fn append(&mut self, expected_head: u64, group: &Group<'_>) -> Result<LogPosition> {
        let mut shared = self.shared.lock();
        if let Some(last_seq) = shared.last_seq()
            && last_seq != expected_head
        {
            return Err(Error::invalid(format!(
                "the log ends with commit {last_seq}, not {expected_head}: another writer appended"
            )));
        }
        if group.count == 0 || group.first_seq != expected_head + 1 {
            return Err(Error::invalid(format!(
                "a group of {} commits from {} cannot follow commit {expected_head}",
                group.count, group.first_seq
            )));
        }
        shared.groups.push(StoredGroup {
            first_seq: group.first_seq,
            count: group.count,
            stamp: group.stamp,
            payload: group.payload.concat(),
        });
        Ok(position(shared.groups.len() - 1))
    }

    fn sync(&mut self) -> Result<()> {
        let mut shared = self.shared.lock();
        shared.synced = shared.groups.len();
        Ok(())
    }

    fn head(&self) -> LogPosition {
        position(self.shared.lock().groups.len())
    }

    fn read(
        &self,
        from: LogPosition,
        each: &mut dyn FnMut(GroupFrame<'_>) -> Result<()>,
    ) -> Result<LogPosition> {
        let shared = self.shared.lock();
        let from = from.offset as usize;
        if from < shared.truncated {
            return Err(Error::LogRecycled);
        }
        for (index, group) in shared.groups.iter().enumerate().skip(from) {
            each(GroupFrame {
                first_seq: group.first_seq,
                count: group.count,
                stamp: group.stamp,
                payload: &group.payload,
                position: position(index),
                end: position(index + 1),
            })?;
        }
        Ok(position(shared.groups.len()))
    }

    fn truncate_before(&mut self, position: LogPosition) -> Result<()> {
        let mut shared = self.shared.lock();
        let index = position.offset as usize;
        if index > shared.groups.len() {
            return Err(Error::invalid(
                "the log cannot be truncated beyond its head",
            ));
        }
        // Positions count from the beginning, so the slots stay and only their payloads go.
        for group in &mut shared.groups[..index] {
            group.payload = Vec::new();
        }
        shared.truncated = shared.truncated.max(index);
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        let shared = self.shared.lock();
        let kept = shared.groups.iter().skip(shared.truncated);
        kept.map(|group| group.payload.len() as u64).sum()
    }
}
