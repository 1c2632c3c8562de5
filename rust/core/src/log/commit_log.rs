//! The seam between the sequencer and what makes its groups durable: a file log, memory, later a cluster.
//!
//! Invariants of every implementation:
//!
//! 1. Groups come back in the order they were appended, whole, with no hole in their commit numbers.
//! 2. After `sync` returns Ok, every group appended before it survives a crash.
//! 3. An append with an `expected_head` that is not the last commit in the log changes nothing.

use crate::Result;

/// A place in the log: where a group begins, or where the next one will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// Number of the segment file.
    pub segment: u64,
    /// Bytes from the beginning of that file.
    pub offset: u64,
}

impl LogPosition {
    /// Bytes of an encoded position.
    pub const BYTES: usize = 16;

    /// Segment, then offset, both little-endian.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.segment.to_le_bytes());
        bytes[8..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }

    /// The reverse of `to_bytes`.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let whole = u128::from_le_bytes(bytes);
        Self {
            segment: whole as u64,
            offset: (whole >> 64) as u64,
        }
    }
}

/// The transactions one sync makes durable, as the sequencer hands them over.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// Commit number of the first transaction: one more than the last in the log.
    pub first_seq: u64,
    /// How many transactions, at least one; their commit numbers follow each other.
    pub count: u32,
    /// Position of the group in the order of births and deaths of pages.
    pub stamp: u64,
    /// The payload in pieces, stored one after the other.
    pub payload: &'a [&'a [u8]],
}

impl Group<'_> {
    /// Commit number of the last transaction.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + u64::from(self.count) - 1
    }

    /// Bytes of all pieces together.
    pub fn payload_bytes(&self) -> usize {
        self.payload.iter().map(|piece| piece.len()).sum()
    }
}

/// A group read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupFrame<'a> {
    /// Commit number of the first transaction.
    pub first_seq: u64,
    /// How many transactions.
    pub count: u32,
    /// Position of the group in the order of births and deaths of pages.
    pub stamp: u64,
    /// The pieces of `Group::payload`, joined.
    pub payload: &'a [u8],
    /// Where the group begins.
    pub position: LogPosition,
    /// Where reading goes on after it.
    pub end: LogPosition,
}

impl GroupFrame<'_> {
    /// Commit number of the last transaction.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + u64::from(self.count) - 1
    }
}

/// An append-only sequence of groups with one writer at a time.
pub trait CommitLog: Send {
    /// Adds a group and returns where it begins; it is not durable before `sync`. `expected_head` is the last
    /// commit number the caller knows to be in the log; it is refused when another writer got in between.
    fn append(&mut self, expected_head: u64, group: &Group<'_>) -> Result<LogPosition>;
    /// Makes every group appended so far durable.
    fn sync(&mut self) -> Result<()>;
    /// Where the next group goes.
    fn head(&self) -> LogPosition;
    /// Calls `each` for every group from `from` on, in order, and returns where it stopped: the head.
    fn read(
        &self,
        from: LogPosition,
        each: &mut dyn FnMut(GroupFrame<'_>) -> Result<()>,
    ) -> Result<LogPosition>;
    /// Gives up what lies before `position`; a checkpoint that no longer needs it must be durable.
    fn truncate_before(&mut self, position: LogPosition) -> Result<()>;
    /// Bytes between the truncation point and the head.
    fn size_bytes(&self) -> u64;
}
