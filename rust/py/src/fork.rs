//! Telling a forked child from its parent.
//!
//! Threads do not survive a fork, and locks they held stay held: in the child nothing of the engine may be used, waited for
//! or dropped. Python calls `_after_fork` in every child it makes, which makes all stamps of the parent foreign, and
//! `_before_fork` before it makes one.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{exception, from_core};
use crate::registry;

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Counts one more fork on the way from the first process to this one.
#[pyfunction]
pub fn _after_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    registry::leave_to_parent();
}

/// Copies mapped values aside: the child will read them too, and nothing is kept in the file for a child.
#[pyfunction]
pub fn _before_fork(py: Python<'_>) -> PyResult<()> {
    py.detach(registry::detach_mapped)
        .map_err(|error| from_core(py, &error))
}

/// Has Python call both around every fork of its own, where there are such things.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let Some(register) = py.import("os")?.getattr_opt("register_at_fork")? else {
        return Ok(());
    };
    let keywords = PyDict::new(py);
    keywords.set_item("after_in_child", wrap_pyfunction!(_after_fork, module)?)?;
    keywords.set_item("before", wrap_pyfunction!(_before_fork, module)?)?;
    register.call((), Some(&keywords))?;
    Ok(())
}

/// The process something was made in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64);

impl Stamp {
    /// This process.
    pub fn now() -> Self {
        Self(GENERATION.load(Ordering::Relaxed))
    }

    /// Whether this is still that process.
    pub fn is_here(self) -> bool {
        self == Self::now()
    }

    /// Refuses to go on in a child.
    pub fn check(self, py: Python<'_>) -> PyResult<()> {
        if self.is_here() {
            return Ok(());
        }
        let message = "this database was opened before fork(), and does not survive it. Open it anew in the child, \
                       after the parent has closed it";
        Err(exception(py, "ForkedProcessError", message, &[]))
    }
}

/// Something of the engine that is dropped only in the process that made it.
pub struct Guarded<T> {
    stamp: Stamp,
    value: Option<T>,
}

impl<T> Guarded<T> {
    pub fn new(value: T) -> Self {
        Self {
            stamp: Stamp::now(),
            value: Some(value),
        }
    }

    /// The value. Check the stamp of its owner first.
    pub fn get(&self) -> &T {
        self.value.as_ref().expect("present until it is dropped")
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        if !self.stamp.is_here() {
            std::mem::forget(self.value.take());
        }
    }
}
