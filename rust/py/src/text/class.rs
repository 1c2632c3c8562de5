//! The class `SearchParticipant`.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sopasync_core::text::TextStore;
use sopasync_core::{Error, Transaction};
use sopasync_text::Schema;
use sopasync_text::highlight::FragmentOptions;

use super::operation::{Documents, Operation};
use super::request::Request;
use super::schema::{Term, parse_query, terms};
use super::texts::Texts;
use crate::completions::Completions;
use crate::error::{from_core, invalid_argument};
use crate::filter::parse_filter;
use crate::key::Codec;
use crate::miss::{miss_or_error, repeat};
use crate::participant::{INLINE, KeyBatch, Parts, Reading, WAITING, batch};
use crate::transaction::Shared;

type Object<'py> = PyResult<Bound<'py, PyAny>>;

/// One search store inside one transaction.
#[pyclass(frozen, module = "sopasync._core")]
pub struct SearchParticipant {
    shared: Arc<Shared>,
    store: TextStore,
    codec: Arc<Codec>,
    reading: Reading,
    /// The last call that returned `MISS`.
    missed: Mutex<Option<Operation>>,
}

impl SearchParticipant {
    pub fn new(shared: Arc<Shared>, store: TextStore, codec: Arc<Codec>) -> Self {
        Self {
            shared,
            store,
            reading: Reading::new(Arc::clone(&codec), Parts::KeysAndValues),
            codec,
            missed: Mutex::new(None),
        }
    }

    /// Runs a call inline, unless it is a long one or has to wait: then it is kept.
    fn run<'py>(&self, py: Python<'py>, operation: Operation) -> Object<'py> {
        let error = if operation.is_long() {
            // Looks whether the transaction is open and idle, as running it would.
            self.shared.with(py, |_| ())?;
            Error::WouldBlock
        } else {
            let answer = (self.shared).with(py, |tx| operation.run(tx, &self.store, INLINE))?;
            match answer {
                Ok(answer) => {
                    let Reading { entries, parts, .. } = &self.reading;
                    return answer.into_python(py, entries, *parts, None);
                }
                Err(error) => error,
            }
        };
        miss_or_error(py, &error, || *self.missed.lock() = Some(operation))
    }

    /// How the store makes terms at the transaction's snapshot. One row, nearly always in memory: waited for where it is called.
    fn schema(&self, py: Python<'_>) -> PyResult<Arc<Schema>> {
        let schema = self.shared.with(py, |tx| self.store.schema(tx, true))?;
        schema.map_err(|error| from_core(py, &error))
    }

    fn documents(
        &self,
        py: Python<'_>,
        keys: &Bound<'_, PyAny>,
        texts: &Bound<'_, PyAny>,
        payloads: &Bound<'_, PyAny>,
    ) -> PyResult<Documents> {
        let keys = batch(&self.codec, keys, false)?;
        let mut copied = Texts::default();
        for document in texts.try_iter()? {
            copied.push(&document?)?;
        }
        let mut packed = Vec::with_capacity(keys.len());
        for payload in payloads.try_iter()? {
            let payload: Option<Vec<u8>> = payload?.extract()?;
            packed.push(payload.unwrap_or_default());
        }
        if copied.len() != keys.len() || packed.len() != keys.len() {
            return Err(invalid_argument(
                py,
                "give texts and a payload for each key",
            ));
        }
        Ok(Documents {
            keys,
            texts: copied,
            payloads: packed,
        })
    }
}

#[pymethods]
impl SearchParticipant {
    #[getter]
    fn store_id(&self) -> u64 {
        self.store.id()
    }

    /// The options in force, and those that it is being changed to, if there are any.
    fn options(&self, py: Python<'_>) -> PyResult<(Vec<u8>, Option<Vec<u8>>)> {
        let options = self.shared.with(py, |tx| self.store.options(tx, true))?;
        let options = options.map_err(|error| from_core(py, &error))?;
        Ok((options.in_force, options.wanted))
    }

    /// Changes the options; what makes other terms than before is done in the background.
    fn change(&self, py: Python<'_>, options: &[u8]) -> PyResult<()> {
        let changed = self
            .shared
            .with(py, |tx| self.store.change(tx, options, true))?;
        changed.map_err(|error| from_core(py, &error))
    }

    /// The terms of a text in a field.
    fn terms(&self, py: Python<'_>, field: usize, text: &str) -> PyResult<Vec<Term>> {
        let schema = self.schema(py)?;
        terms(py, &schema, field, text)
    }

    /// Adds documents, replacing those of the same keys; how many were replaced.
    fn put<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        texts: &Bound<'py, PyAny>,
        payloads: &Bound<'py, PyAny>,
    ) -> Object<'py> {
        let documents = self.documents(py, keys, texts, payloads)?;
        self.run(py, Operation::Put(documents))
    }

    /// Replaces documents that are there: -1, or the index of the first that is not.
    fn update<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        texts: &Bound<'py, PyAny>,
        payloads: &Bound<'py, PyAny>,
    ) -> Object<'py> {
        let documents = self.documents(py, keys, texts, payloads)?;
        self.run(py, Operation::Update(documents))
    }

    /// Deletes documents; how many were there.
    fn delete<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> Object<'py> {
        let keys = batch(&self.codec, keys, false)?;
        self.run(py, Operation::Delete { keys })
    }

    fn get<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> Object<'py> {
        let mut bytes = Vec::new();
        self.codec.write(&mut bytes, key)?;
        self.run(py, Operation::Get { key: bytes })
    }

    fn contains<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> Object<'py> {
        let mut bytes = Vec::new();
        self.codec.write(&mut bytes, key)?;
        self.run(py, Operation::Contains { key: bytes })
    }

    fn count<'py>(&self, py: Python<'py>) -> Object<'py> {
        self.run(py, Operation::Count)
    }

    fn statistics<'py>(&self, py: Python<'py>) -> Object<'py> {
        self.run(py, Operation::Statistics)
    }

    #[pyo3(signature = (query, limit, offset=0, filter=None, highlight=None, among=None))]
    #[expect(clippy::too_many_arguments, reason = "named in Python")]
    fn search<'py>(
        &self,
        py: Python<'py>,
        query: &[u8],
        limit: usize,
        offset: usize,
        filter: Option<&Bound<'py, PyBytes>>,
        highlight: Option<(usize, usize)>,
        among: Option<&Bound<'py, KeyBatch>>,
    ) -> Object<'py> {
        let schema = self.schema(py)?;
        let query = parse_query(py, query, &schema)?;
        let filter = filter
            .map(|packed| parse_filter(py, packed.as_bytes()))
            .transpose()?;
        let highlight = highlight.map(|(count, length)| FragmentOptions { count, length });
        if highlight.is_some() && !schema.stored {
            let message = "the store does not keep its texts, so there is nothing to highlight: make it with stored=True";
            return Err(invalid_argument(py, message));
        }
        let request = Request {
            query,
            limit,
            offset,
            filter,
            among: among.map(|keys| keys.get().take()),
            highlight,
            schema,
        };
        self.run(py, Operation::Search(Box::new(request)))
    }

    fn retry(
        &self,
        py: Python<'_>,
        completions: &Bound<'_, Completions>,
        token: u64,
    ) -> PyResult<()> {
        repeat(py, &self.shared, completions, token, || {
            let operation = self.missed.lock().take()?;
            let store = self.store.clone();
            let run = move |tx: &mut Transaction| operation.run(tx, &store, WAITING);
            let reading = Reading::new(Arc::clone(&self.codec), self.reading.parts);
            Some((run, reading))
        })
    }
}
