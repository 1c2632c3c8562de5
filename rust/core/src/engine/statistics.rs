//! What an engine counts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::core::Engine;

/// Counted since opening.
#[derive(Default)]
pub(crate) struct Counters {
    pub(super) commits: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) group_max: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) log_bytes: AtomicU64,
    /// Kept here because the log's lock is held during a sync.
    pub(super) log_size: AtomicU64,
    pub(super) checkpoints: AtomicU64,
    pub(super) checkpoint_bytes: AtomicU64,
    pub(super) throttled: AtomicU64,
    pub(super) moved_pages: AtomicU64,
    pub(super) checkpoint_seq: AtomicU64,
    pub(super) background_errors: AtomicU64,
}

/// Counters since opening, and states of this moment.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Newest published commit.
    pub last_seq: u64,
    /// Transactions made durable.
    pub commits: u64,
    /// Groups they were made durable in: one sync each.
    pub groups: u64,
    /// Most transactions in one group.
    pub group_max: u64,
    /// Commits refused by validation.
    pub conflicts: u64,
    /// Bytes of records written to the log.
    pub log_bytes: u64,
    /// Bytes of log that the next opening would replay.
    pub log_size: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Bytes of pages they wrote.
    pub checkpoint_bytes: u64,
    /// Pages that were moved towards the front of the file.
    pub moved_pages: u64,
    /// Newest commit the last checkpoint holds.
    pub checkpoint_seq: u64,
    /// Times a writer was slowed down.
    pub throttled: u64,
    /// Background work that failed and is tried again.
    pub background_errors: u64,
    /// The last such failure.
    pub last_background_error: Option<String>,
    /// Steps of maintenance: catching up, merging and clearing away what indexes derive.
    pub maintenance_steps: u64,
    /// Steps that failed and are tried again.
    pub maintenance_errors: u64,
    /// The last such failure.
    pub last_maintenance_error: Option<String>,
    /// Memory the cache may use, in bytes.
    pub cache_bytes: usize,
    /// Memory it uses.
    pub resident_bytes: usize,
    /// Part of it that is in memory only.
    pub dirty_bytes: usize,
    /// Pages read from the file.
    pub page_reads: u64,
    /// Pages given up.
    pub evictions: u64,
    /// Base page, in bytes.
    pub page_bytes: usize,
    /// Length of the page file, in base pages.
    pub file_pages: u64,
    /// Free base pages in it.
    pub free_pages: u64,
    /// Base pages that wait for old snapshots.
    pub waiting_pages: u64,
    /// Groups between the oldest snapshot held and the newest.
    pub oldest_snapshot_age: u64,
    /// Stores at the newest commit.
    pub stores: usize,
    /// Why no more writes are taken.
    pub poisoned: Option<String>,
}

impl Engine {
    pub(super) fn statistics(&self) -> Statistics {
        let published = self.published.load_full();
        let pager = self.pager.statistics();
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        let oldest = self.pager.live.oldest_held(published.stamp);
        Statistics {
            last_seq: published.seq,
            commits: load(&counters.commits),
            groups: load(&counters.groups),
            group_max: load(&counters.group_max),
            conflicts: load(&counters.conflicts),
            log_bytes: load(&counters.log_bytes),
            log_size: load(&counters.log_size),
            checkpoints: load(&counters.checkpoints),
            checkpoint_bytes: load(&counters.checkpoint_bytes),
            moved_pages: load(&counters.moved_pages),
            checkpoint_seq: load(&counters.checkpoint_seq),
            throttled: load(&counters.throttled),
            background_errors: load(&counters.background_errors),
            last_background_error: self.last_background_error.lock().clone(),
            maintenance_steps: load(&self.maintenance.steps),
            maintenance_errors: load(&self.maintenance.errors),
            last_maintenance_error: self.maintenance.last_error.lock().clone(),
            cache_bytes: self.pager.cache_bytes(),
            resident_bytes: pager.resident_bytes,
            dirty_bytes: pager.dirty_bytes,
            page_reads: pager.misses,
            evictions: pager.evictions,
            page_bytes: self.pager.page_bytes(),
            file_pages: pager.file_pages,
            free_pages: pager.free_pages,
            waiting_pages: pager.waiting_pages,
            oldest_snapshot_age: oldest.map_or(0, |stamp| published.stamp.saturating_sub(stamp)),
            stores: published.stores.iter().count(),
            poisoned: self.poisoned(),
        }
    }
}
