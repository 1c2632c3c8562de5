//! A group of commits that a change feed is handing out, wherever it was had from.

use std::sync::Arc;

use super::payload::malformed_at;
use super::recent::RecentGroup;
use crate::error::{Error, Result};
use crate::log::LogPosition;
use crate::wire::Take;

/// A group of the log and how far it is handed out.
pub(super) struct Group {
    pub(super) records: Records,
    /// Where in them the next commit's record begins.
    pub(super) at: usize,
    /// Number of the next commit.
    pub(super) next: u64,
    pub(super) last: u64,
    pub(super) stamp: u64,
    pub(super) position: LogPosition,
}

/// The records of a group.
pub(super) enum Records {
    /// As the log has them, one after the other.
    Logged(Vec<u8>),
    /// As the sequencer had them.
    Kept(Arc<RecentGroup>),
}

impl Group {
    pub(super) fn kept(group: Arc<RecentGroup>) -> Self {
        Self {
            at: 0,
            next: group.first_seq,
            last: group.last_seq(),
            stamp: group.stamp,
            position: group.end,
            records: Records::Kept(group),
        }
    }

    fn malformed(&self) -> Error {
        malformed_at(self.position)
    }

    /// The record of the next commit, and where the one after it begins.
    pub(super) fn record(&self) -> Result<(&[u8], usize)> {
        let payload = match &self.records {
            Records::Kept(group) => return Ok((&group.records[self.at], self.at + 1)),
            Records::Logged(payload) => payload,
        };
        let mut take = Take::new(&payload[self.at..]);
        let record = take.bytes().ok_or_else(|| self.malformed())?;
        let end = payload.len() - take.rest().len();
        if (self.next == self.last) != (end == payload.len()) {
            return Err(self.malformed());
        }
        Ok((record, end))
    }
}
