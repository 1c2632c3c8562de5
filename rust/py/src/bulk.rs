//! `BulkLoader`: many entries into a new or empty store at once.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use pyo3::prelude::*;
use pyo3::types::PyList;
use sopasync_core::{BulkLoader as CoreLoader, Error};

use crate::error::{closed, exception, from_core};
use crate::fork::{Guarded, Stamp};
use crate::item_id::next_item_id;
use crate::key::Codec;
use crate::participant::{Batch, Piece, Values, batch, rows};
use crate::transaction::StoreInfo;
use crate::value::Form;

/// A load being filled. Nothing of it shows before `finish`; dropping it takes everything back.
#[pyclass(frozen, module = "sopasync._core")]
pub struct BulkLoader {
    loader: Guarded<Mutex<Option<CoreLoader>>>,
    codec: Arc<Codec>,
    form: Arc<Form>,
    stamp: Stamp,
}

impl BulkLoader {
    pub fn new(loader: CoreLoader, codec: Arc<Codec>, form: Arc<Form>) -> Self {
        Self {
            loader: Guarded::new(Mutex::new(Some(loader))),
            codec,
            form,
            stamp: Stamp::now(),
        }
    }

    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Option<CoreLoader>>> {
        self.stamp.check(py)?;
        self.loader.get().try_lock().ok_or_else(|| {
            let message =
                "another call of this bulk load is still running. Wait for it before the next one";
            exception(py, "TransactionStateError", message, &[])
        })
    }
}

impl BulkLoader {
    fn load(&self, py: Python<'_>, keys: &Batch, values: &Values<'_>) -> PyResult<()> {
        let values = values.contents(py, keys)?;
        let unique = self.codec.unique;
        let mut loader = self.lock(py)?;
        let loader = loader.as_mut().ok_or_else(|| closed(py, "the bulk load"))?;
        let mut add_all = || -> Result<(), Error> {
            let mut raw = Vec::new();
            for ((key, meta), value) in keys.iter().zip(&values) {
                if unique {
                    loader.add(key, meta, value)?;
                } else {
                    raw.clear();
                    raw.extend_from_slice(key);
                    raw.extend(next_item_id());
                    loader.add(&raw, meta, value)?;
                }
            }
            Ok(())
        };
        py.detach(&mut add_all)
            .map_err(|error| from_core(py, &error))
    }
}

#[pymethods]
impl BulkLoader {
    #[getter]
    fn store(&self, py: Python<'_>) -> PyResult<StoreInfo> {
        let loader = self.lock(py)?;
        let loader = loader.as_ref().ok_or_else(|| closed(py, "the bulk load"))?;
        Ok(StoreInfo::of(py, loader.store().clone()))
    }

    #[getter]
    fn rows(&self, py: Python<'_>) -> PyResult<u64> {
        let loader = self.lock(py)?;
        Ok(loader
            .as_ref()
            .ok_or_else(|| closed(py, "the bulk load"))?
            .rows())
    }

    fn add(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let keys = batch(&self.codec, keys, true)?;
        self.load(py, &keys, &Values::of(&self.form, values)?)
    }

    fn add_items(&self, py: Python<'_>, items: &Bound<'_, PyList>) -> PyResult<()> {
        let whole = Piece {
            start: 0,
            count: usize::MAX,
            bytes: usize::MAX,
        };
        let (keys, values) = rows(&self.codec, &self.form, items, whole)?;
        self.load(py, &keys, &values)
    }

    fn finish(&self, py: Python<'_>) -> PyResult<u64> {
        let loader = self
            .lock(py)?
            .take()
            .ok_or_else(|| closed(py, "the bulk load"))?;
        let info = py
            .detach(|| loader.finish())
            .map_err(|error| from_core(py, &error))?;
        Ok(info.seq)
    }

    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        let loader = self.lock(py)?.take();
        py.detach(|| drop(loader));
        Ok(())
    }
}
