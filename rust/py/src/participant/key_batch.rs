//! `KeyBatch`: keys that are encoded a piece at a time, for one call on more of them than a turn may encode.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;

use super::batch::Batch;
use super::call::extend;
use crate::key::{Codec, KeyCodec};

/// Encoded keys of one store, in the order in which they were given.
#[pyclass(frozen, module = "sopasync._core")]
pub struct KeyBatch {
    codec: Arc<Codec>,
    keys: Mutex<Batch>,
}

impl KeyBatch {
    /// The keys, which it has no more.
    pub fn take(&self) -> Batch {
        std::mem::take(&mut self.keys.lock())
    }
}

#[pymethods]
impl KeyBatch {
    #[new]
    fn new(codec: &Bound<'_, KeyCodec>) -> Self {
        Self {
            codec: Arc::clone(&codec.get().codec),
            keys: Mutex::default(),
        }
    }

    fn extend(&self, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        // Out of the lock: encoding a key may run Python code that comes here again.
        let mut batch = self.take();
        let extended = extend(&mut batch, &self.codec, keys, false);
        *self.keys.lock() = batch;
        extended
    }

    fn __len__(&self) -> usize {
        self.keys.lock().len()
    }
}
