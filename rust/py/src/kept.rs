//! The class `KeptValue`: a stored value that is read later, beside other calls of its transaction and after its end.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sopasync_core::{KeptValue as CoreValue, PinnedValue};

use crate::completions::{Completions, Outcome};
use crate::error::{closed, from_core};
use crate::fork::{Guarded, Stamp};
use crate::key::Codec;
use crate::memory::{Blank, Filled};
use crate::participant::{Answer, Participant, Parts, Present, none};

enum Content {
    /// Its place in the page file is kept.
    Pinned(Guarded<Arc<PinnedValue>>),
    Copied(Py<PyBytes>),
}

/// A value whose bytes are there, or are kept where they are until it is dropped.
#[pyclass(frozen, module = "sopasync._core")]
pub struct KeptValue {
    content: Content,
    stamp: Stamp,
}

#[pymethods]
impl KeptValue {
    fn __len__(&self, py: Python<'_>) -> usize {
        match &self.content {
            Content::Pinned(pinned) => pinned.get().len(),
            Content::Copied(bytes) => bytes.bind(py).as_bytes().len(),
        }
    }

    /// Its bytes; the thread waits for the disk.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.stamp.check(py)?;
        let pinned = match &self.content {
            Content::Copied(bytes) => return Ok(bytes.bind(py).clone().into_any()),
            Content::Pinned(pinned) => pinned.get(),
        };
        let blank = Blank::of(py, pinned.len())?;
        py.detach(|| Filled::of(blank, |into| pinned.read(into)))
            .map(|filled| filled.into_bytes(py))
            .map_err(|error| from_core(py, &error))
    }

    /// Its bytes when they are in memory; otherwise `None`, and an engine thread reads them and tells `completions`.
    fn begin_read<'py>(
        &self,
        py: Python<'py>,
        participant: &Bound<'py, Participant>,
        completions: &Bound<'py, Completions>,
        token: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.stamp.check(py)?;
        let pinned = match &self.content {
            Content::Copied(bytes) => return Ok(bytes.bind(py).clone().into_any()),
            Content::Pinned(pinned) => Arc::clone(pinned.get()),
        };
        let (participant, completions) = (participant.get(), completions.get());
        let blank = Blank::of(py, pinned.len())?;
        completions.expect(token, participant.reading(Parts::Values));
        let sender = completions.sender();
        let job = move || {
            let filled = Filled::of(blank, |into| pinned.read(into));
            // The loop may drop the last of it from now on.
            drop(pinned);
            let outcome = match filled {
                Ok(filled) => Outcome::Answered(Answer::Other(Box::new(filled))),
                Err(error) => Outcome::Failed(error),
            };
            sender.send(token, outcome);
        };
        (participant.spawn(Box::new(job)))
            .map(|()| none(py))
            .map_err(|error| from_core(py, &error))
    }

    /// Its bytes when they are in memory; otherwise an engine thread reads them, for whoever waits for the `BegunRead`.
    fn begin_read_for_threads<'py>(
        &self,
        py: Python<'py>,
        participant: &Bound<'py, Participant>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.stamp.check(py)?;
        let pinned = match &self.content {
            Content::Copied(bytes) => return Ok(bytes.bind(py).clone().into_any()),
            Content::Pinned(pinned) => Arc::clone(pinned.get()),
        };
        let blank = Blank::of(py, pinned.len())?;
        let (sender, outcome) = sync_channel(1);
        let job = move || {
            let filled = Filled::of(blank, |into| pinned.read(into));
            drop(pinned);
            // Nobody takes it when the stream was left.
            let _ = sender.send(filled);
        };
        (participant.get().spawn(Box::new(job))).map_err(|error| from_core(py, &error))?;
        let begun = BegunRead {
            outcome: Guarded::new(Mutex::new(outcome)),
            stamp: Stamp::now(),
        };
        Ok(Bound::new(py, begun)?.into_any())
    }
}

/// A value that an engine thread is reading.
#[pyclass(frozen, module = "sopasync._core")]
pub struct BegunRead {
    outcome: Guarded<Mutex<Receiver<sopasync_core::Result<Filled>>>>,
    stamp: Stamp,
}

#[pymethods]
impl BegunRead {
    /// Its bytes, once; the thread, any thread, waits for them.
    fn bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.stamp.check(py)?;
        match py.detach(|| self.outcome.get().lock().recv()) {
            Ok(Ok(filled)) => Ok(filled.into_bytes(py)),
            Ok(Err(error)) => Err(from_core(py, &error)),
            Err(_) => Err(closed(py, "the database")),
        }
    }
}

/// What was found.
pub struct Kept(pub Option<CoreValue>);

impl Present for Kept {
    fn into_python<'py>(
        self: Box<Self>,
        py: Python<'py>,
        _codec: &Codec,
    ) -> PyResult<Bound<'py, PyAny>> {
        let content = match self.0 {
            Some(CoreValue::Pinned(pinned)) => Content::Pinned(Guarded::new(Arc::new(pinned))),
            Some(CoreValue::Copied(bytes)) => Content::Copied(PyBytes::new(py, &bytes).unbind()),
            None => return Ok(none(py)),
        };
        let stamp = Stamp::now();
        Ok(Bound::new(py, KeptValue { content, stamp })?.into_any())
    }
}
