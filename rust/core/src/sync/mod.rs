//! The locks, atomics and threads that the engine is built from.
//!
//! They are those of the system. With the feature `interleavings`, for tests only, they are those of a scheduler (shuttle)
//! that runs one thread at a time and chooses, at each of these operations, which one goes on: every run follows from a
//! seed, and one that fails can be run again. What only counts, or is locked for a few instructions in which nothing else
//! can happen, need not come from here.

use std::num::NonZero;
use std::sync::OnceLock;

#[cfg(feature = "interleavings")]
mod scheduled;

#[cfg(feature = "interleavings")]
pub(crate) use scheduled::{ArcSwap, Condvar, Mutex, MutexGuard, Point, RwLock, atomic, thread};

#[cfg(not(feature = "interleavings"))]
pub(crate) use arc_swap::ArcSwap;
#[cfg(not(feature = "interleavings"))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(feature = "interleavings"))]
pub(crate) use std::{sync::atomic, thread};

/// How many threads the system runs at once, at least 1.
pub(crate) fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// A place where the scheduler may let another thread go on, beside an operation that it does not know.
#[cfg(not(feature = "interleavings"))]
#[derive(Default)]
pub(crate) struct Point;

#[cfg(not(feature = "interleavings"))]
impl Point {
    #[inline(always)]
    pub(crate) fn pass(&self) {}
}
