//! Making room: a CLOCK hand over the page table (Corbató 1968), clean frames only.

use std::sync::atomic::Ordering;

use crossbeam_epoch::Guard;

use super::Pager;

/// Table entries one call looks at, at most: a reader pays a bounded price.
const STEPS_MAX: u64 = 4096;

impl Pager {
    /// Evicts until the cache is within its size, or the hand has gone far enough for one call.
    #[cold]
    pub(super) fn evict(&self, guard: &Guard) {
        // Somebody else is at it: one hand is enough.
        let Some(mut hand) = self.hand.try_lock() else {
            return;
        };
        let end = self.space.lock().free.end();
        for _ in 0..STEPS_MAX.min(2 * end) {
            if self.resident_bytes.load(Ordering::Relaxed) <= self.cache_bytes {
                return;
            }
            *hand = if *hand + 1 >= end { 0 } else { *hand + 1 };
            let Some(frame) = self.table.get(*hand, guard) else {
                continue;
            };
            // P3: only what can be read again.
            if frame.is_dirty() || frame.untouch() {
                continue;
            }
            if self.table.remove_same(frame, guard) {
                self.resident_bytes
                    .fetch_sub(frame.bytes.len(), Ordering::Relaxed);
                self.evictions.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
