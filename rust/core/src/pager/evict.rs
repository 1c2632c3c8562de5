//! Making room: CLOCK (Corbató 1968) over a queue of the clean frames.
//!
//! A page joins the queue when it is read, or when a checkpoint has written it. The hand takes
//! the oldest: used since it last came by, it goes to the back; otherwise it is evicted. Entries
//! of pages that died meanwhile are dropped on the way, and swept out when they pile up.
//!
//! Invariant
//! V1  Every clean resident page has an entry in the queue.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use crossbeam_epoch::{self as epoch, Guard};

use super::{Pager, table};
use crate::sync::Mutex;

/// Entries one call looks at, at most: a reader pays a bounded price.
const STEPS_MAX: usize = 256;
/// Evicted frames after which those whose readers are gone are destroyed.
const EVICTED_PER_COLLECTION: u64 = 64;
/// Queue length below which dead entries do not matter.
const SWEEP_MIN: usize = 4096;

/// The clean pages, oldest first.
#[derive(Default)]
pub(super) struct Clock {
    queue: Mutex<VecDeque<u64>>,
}

impl Pager {
    /// Notes pages that can be evicted from now on (V1).
    pub(super) fn enqueue(&self, ids: impl IntoIterator<Item = u64>) {
        let mut queue = self.clock.queue.lock();
        queue.extend(ids);
        let resident = self.resident_bytes.load(Ordering::Relaxed) / self.page_bytes;
        if queue.len() > SWEEP_MIN + 2 * resident {
            self.sweep_queue(&mut queue);
        }
    }

    /// Leaves one entry per resident page.
    fn sweep_queue(&self, queue: &mut VecDeque<u64>) {
        let guard = epoch::pin();
        let mut seen = rustc_hash::FxHashSet::default();
        queue.retain(|id| self.table.get(*id, &guard).is_some() && seen.insert(*id));
    }

    /// Evicts until the cache is within its size, or enough has been looked at for one call.
    #[cold]
    pub(super) fn evict(&self, guard: &Guard) {
        let evicted = self.evict_some(guard);
        let before = self.evictions.fetch_add(evicted, Ordering::Relaxed);
        // A reader of many pages under one guard evicts far more than the epoch destroys by itself.
        if before / EVICTED_PER_COLLECTION != (before + evicted) / EVICTED_PER_COLLECTION {
            table::collect(EVICTED_PER_COLLECTION as usize, guard);
        }
    }

    fn evict_some(&self, guard: &Guard) -> u64 {
        let mut evicted = 0;
        // Somebody else is at it: one hand is enough.
        let Some(mut queue) = self.clock.queue.try_lock() else {
            return evicted;
        };
        for _ in 0..STEPS_MAX {
            if !self.is_over_full() {
                break;
            }
            let Some(id) = queue.pop_front() else { break };
            let Some(frame) = self.table.get(id, guard) else {
                continue;
            };
            if frame.is_dirty() {
                // P3: another page by that number; it joins when it has been written.
                continue;
            }
            if frame.untouch() {
                queue.push_back(id);
            } else if self.table.remove_same(frame, guard) {
                self.resident_bytes
                    .fetch_sub(frame.bytes.len(), Ordering::Relaxed);
                evicted += 1;
            }
        }
        evicted
    }
}
