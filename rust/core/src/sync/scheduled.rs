//! What `sync` names, as a scheduler runs it. A wait with a time limit never times out.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::Duration;

pub(crate) use shuttle::sync::atomic;
pub(crate) use shuttle::thread;

use shuttle::sync;

/// Of `parking_lot`: a panic while it is held leaves it unlocked.
#[derive(Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

/// Empty only within `Condvar::wait`.
pub(crate) struct MutexGuard<'a, T>(Option<sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard(Some(guard))
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(MutexGuard(Some(guard))),
            Err(TryLockError::Poisoned(poisoned)) => Some(MutexGuard(Some(poisoned.into_inner()))),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("present outside of a wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("present outside of a wait")
    }
}

/// Of `parking_lot`.
#[derive(Default)]
pub(crate) struct Condvar(sync::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(sync::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.0.take().expect("present outside of a wait");
        let held = self.0.wait(held).unwrap_or_else(PoisonError::into_inner);
        guard.0 = Some(held);
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) {
        self.wait(guard);
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Of `parking_lot`.
#[derive(Default)]
pub(crate) struct RwLock<T>(sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn read(&self) -> sync::RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> sync::RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module above.
#[derive(Default)]
pub(crate) struct Point(atomic::AtomicBool);

impl Point {
    pub(crate) fn pass(&self) {
        self.0.load(atomic::Ordering::Relaxed);
    }
}

/// The system's, whose every operation the scheduler may precede with another thread's.
pub(crate) struct ArcSwap<T> {
    inner: arc_swap::ArcSwap<T>,
    point: Point,
}

impl<T> ArcSwap<T> {
    pub(crate) fn new(value: Arc<T>) -> Self {
        Self {
            inner: arc_swap::ArcSwap::new(value),
            point: Point::default(),
        }
    }

    pub(crate) fn from_pointee(value: T) -> Self {
        Self::new(Arc::new(value))
    }

    pub(crate) fn load(&self) -> Arc<T> {
        self.load_full()
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        self.point.pass();
        self.inner.load_full()
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        self.point.pass();
        self.inner.store(value);
    }

    pub(crate) fn swap(&self, value: Arc<T>) -> Arc<T> {
        self.point.pass();
        self.inner.swap(value)
    }
}
