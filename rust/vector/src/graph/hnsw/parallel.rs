//! The same work for each of many things, on several threads.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::graph::scratch::{self, Scratch};

/// Call `each` with chunks of `items`, the place of a chunk's first item and a scratch, on up to `threads` threads.
pub(super) fn each_chunk<T: Send>(
    threads: usize,
    items: &mut [T],
    chunk: usize,
    each: impl Fn(usize, &mut [T], &mut Scratch) + Sync,
) {
    let chunks = items.len().div_ceil(chunk);
    let others = threads.min(chunks).saturating_sub(1);
    let Some(others) = NonZeroUsize::new(others) else {
        each(0, items, &mut scratch::borrow());
        return;
    };
    let work = Mutex::new(items.chunks_mut(chunk).enumerate());
    let run = || {
        let mut scratch = scratch::borrow();
        loop {
            let next = work.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((at, items)) = next else { break };
            each(at * chunk, items, &mut scratch);
        }
    };
    thread::scope(|scope| {
        for _ in 0..others.get() {
            scope.spawn(run);
        }
        run();
    });
}
