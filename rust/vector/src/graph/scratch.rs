//! What a search needs besides its request, kept from one to the next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use super::nearest::{Nearest, place};
use super::visited::Visited;

/// Buffers of one search.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) visited: Visited,
    pub(super) nearest: Nearest,
    /// The hits.
    pub(super) best: Nearest,
    pub(super) walk: Walk,
    /// The query as the walk reads it.
    pub(super) code: Vec<u8>,
    pub(super) slots: Vec<u32>,
    pub(super) distances: Vec<f32>,
    /// Places a level is begun at.
    pub(super) entries: Vec<u32>,
}

impl Scratch {
    /// Begin the next level at the nearest places of this one.
    pub(super) fn leave(&mut self, count: usize) {
        let found = self.nearest.keys().iter().take(count);
        self.entries.clear();
        self.entries.extend(found.map(|&key| place(key)));
    }
}

/// Buffers of one step.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) fresh: Vec<u32>,
    pub(super) slots: Vec<u32>,
    pub(super) distances: Vec<f32>,
    /// Candidates that a filtered walk will follow.
    pub(super) frontier: BinaryHeap<Reverse<u64>>,
    pub(super) blocked: Vec<u32>,
}

/// Kept while nobody searches: enough for the threads of a large machine, whose marks may be a byte per row each.
const KEPT_MAX: usize = 32;

static POOL: Mutex<Vec<Scratch>> = Mutex::new(Vec::new());

/// A scratch taken from the pool, which goes back when dropped.
#[derive(Debug)]
pub(super) struct Borrowed(Option<Scratch>);

/// Take a scratch.
pub(super) fn borrow() -> Borrowed {
    let kept = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
    Borrowed(Some(kept.unwrap_or_default()))
}

impl Deref for Borrowed {
    type Target = Scratch;

    fn deref(&self) -> &Scratch {
        self.0.as_ref().expect("there until dropped")
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Scratch {
        self.0.as_mut().expect("there until dropped")
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < KEPT_MAX {
            pool.extend(self.0.take());
        }
    }
}
