//! How a database is opened, and how a transaction begins.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::limits::{
    LOG_SEGMENT_BYTES_DEFAULT, PAGE_BYTES_DEFAULT, PAGE_BYTES_MAX, PAGE_BYTES_MIN, is_page_bytes,
};

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After its group was synced: it survives a crash and a loss of power.
    Full,
    /// After its group was handed to the operating system: it survives the end of the process, but
    /// the last moments (up to the sync interval) may be lost with the machine. What survives is
    /// still a prefix of the commits.
    Relaxed,
}

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory for pages.
    pub cache_bytes: usize,
    /// Base page; fixed when the database is made, and ignored afterwards.
    pub page_bytes: usize,
    /// When a commit is acknowledged.
    pub durability: Durability,
    /// Open without taking ownership, and follow the owner's log with `refresh`.
    pub read_only: bool,
    /// Make the database when there is none.
    pub create: bool,
    /// Log length at which a checkpoint begins.
    pub checkpoint_log_bytes: u64,
    /// Longest time between checkpoints while there are commits.
    pub checkpoint_interval: Duration,
    /// Length of a log segment.
    pub segment_bytes: u64,
    /// Bytes of log that are kept after a checkpoint for those who read changes; the oldest go first.
    pub changes_kept_bytes: u64,
    /// Run the committer, the checkpointer and I/O workers. Without them, `submit` commits on the
    /// calling thread and checkpoints happen only when asked for: for simulation.
    pub background: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
            page_bytes: PAGE_BYTES_DEFAULT,
            durability: Durability::Full,
            read_only: false,
            create: true,
            checkpoint_log_bytes: 64 << 20,
            checkpoint_interval: Duration::from_secs(60),
            segment_bytes: LOG_SEGMENT_BYTES_DEFAULT,
            changes_kept_bytes: 0,
            background: true,
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<()> {
        let page = self.page_bytes;
        if !is_page_bytes(page) {
            return Err(Error::invalid(format!(
                "page_bytes is {page}; give a power of two from {PAGE_BYTES_MIN} to {PAGE_BYTES_MAX}"
            )));
        }
        if self.cache_bytes < 16 * page {
            return Err(Error::invalid(format!(
                "cache_bytes is {}; give at least sixteen pages of {page} bytes",
                self.cache_bytes
            )));
        }
        Ok(())
    }
}

/// What a transaction is protected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// As if transactions ran one after the other, in the order of their commit numbers.
    #[default]
    Serializable,
    /// Reads one snapshot; two transactions that write the same key cannot both commit. Write skew
    /// is possible.
    Snapshot,
    /// Reads one snapshot; the last commit wins.
    NoCheck,
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransactionOptions {
    /// What it is protected from.
    pub isolation: Isolation,
    /// Refuse writes; nothing read is remembered.
    pub read_only: bool,
}
