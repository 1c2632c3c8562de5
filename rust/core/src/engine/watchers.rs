//! Who wants to be told of the next commit.

use super::core::Engine;
use super::database::Database;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Told the number of the newest commit.
pub(crate) type Watch = Box<dyn FnOnce(u64) + Send>;

/// Each is told once. Shared with the engine a follower goes on with.
#[derive(Default)]
pub(super) struct Watchers {
    /// Whether there may be any: so that a commit nobody watches takes no lock.
    any: AtomicBool,
    waiting: Mutex<Vec<Watch>>,
}

impl Watchers {
    /// Tells everybody.
    pub(super) fn tell(&self, newest: u64) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let waiting = {
            let mut waiting = self.waiting.lock();
            self.any.store(false, Ordering::Release);
            std::mem::take(&mut *waiting)
        };
        for watch in waiting {
            watch(newest);
        }
    }

    fn add(&self, watch: Watch) {
        let mut waiting = self.waiting.lock();
        waiting.push(watch);
        self.any.store(true, Ordering::Release);
    }
}

impl Engine {
    /// Tells those who want to know of the next commit.
    pub(super) fn tell_watchers(&self) {
        self.watchers.tell(self.published.load().seq);
    }
}

impl Database {
    /// Calls `watch` once, as soon as a commit above `seq` is published, with the number of the newest; at the latest
    /// when the database is closed. On a thread of the engine, or at once on this one.
    pub fn when_published(&self, seq: u64, watch: Watch) {
        let engine = self.engine();
        engine.watchers.add(watch);
        // Looked at after it was added, so that no commit comes between.
        let newest = self.last_seq();
        if newest > seq || engine.ensure_open().is_err() {
            engine.watchers.tell(newest);
        }
    }
}
