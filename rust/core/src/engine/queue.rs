//! A queue of what threads of the engine are to do.

use std::collections::VecDeque;

use crate::sync::{Condvar, Mutex};

/// A queue that ends when it is closed.
pub(super) struct Queue<T> {
    inner: Mutex<(VecDeque<T>, bool)>,
    filled: Condvar,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            inner: Mutex::new((VecDeque::new(), false)),
            filled: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Hands the item back when the queue is closed.
    pub(super) fn push(&self, item: T) -> std::result::Result<(), T> {
        let mut inner = self.inner.lock();
        if inner.1 {
            return Err(item);
        }
        inner.0.push_back(item);
        self.filled.notify_one();
        Ok(())
    }

    /// Adds all of them at once, for one consumer; hands them back when the queue is closed.
    pub(super) fn push_all(&self, items: Vec<T>) -> std::result::Result<(), Vec<T>> {
        let mut inner = self.inner.lock();
        if inner.1 {
            return Err(items);
        }
        inner.0.extend(items);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes everything that waits, at least one, into `taken`, which is empty; nothing once closed and empty. Its
    /// memory is what the next ones wait in.
    pub(super) fn take_all(&self, taken: &mut VecDeque<T>) {
        let mut inner = self.inner.lock();
        while inner.0.is_empty() && !inner.1 {
            self.filled.wait(&mut inner);
        }
        std::mem::swap(&mut inner.0, taken);
    }

    pub(super) fn take_one(&self) -> Option<T> {
        let mut inner = self.inner.lock();
        while inner.0.is_empty() && !inner.1 {
            self.filled.wait(&mut inner);
        }
        inner.0.pop_front()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.inner.lock().0.len()
    }

    /// The first of those that wait, as many as there are of `count`.
    pub(super) fn take_first(&self, count: usize) -> VecDeque<T> {
        let mut inner = self.inner.lock();
        let count = count.min(inner.0.len());
        let later = inner.0.split_off(count);
        std::mem::replace(&mut inner.0, later)
    }

    pub(super) fn close(&self) {
        self.inner.lock().1 = true;
        self.filled.notify_all();
    }
}
