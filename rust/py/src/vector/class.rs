//! The class `VectorParticipant`.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt};
use sopasync_core::Transaction;
use sopasync_core::vector::{KnownFilter, VectorStore};

use super::call::{Call, Search};
use super::filters::{packed_name, plain_name};
use super::hit::Unpacking;
use super::rows::{push_row, push_rows, quick_row};
use crate::completions::Completions;
use crate::error::invalid_argument;
use crate::filter::parse_filter;
use crate::key::Codec;
use crate::miss::{miss_or_error, repeat};
use crate::participant::{Answer, INLINE, KeyBatch, Parts, Reading, Values, WAITING, batch};
use crate::transaction::Shared;
use crate::value::Form;

type Object<'py> = PyResult<Bound<'py, PyAny>>;

/// One vector store inside one transaction.
#[pyclass(frozen, module = "sopasync._core")]
pub struct VectorParticipant {
    shared: Arc<Shared>,
    store: VectorStore,
    codec: Arc<Codec>,
    unpacking: Arc<Unpacking>,
    /// The last call that returned `MISS`.
    missed: Mutex<Option<Call<'static>>>,
    /// The last search took more than its share of a turn.
    took_long: AtomicBool,
}

/// As many turns as there are between two looks at the clock may take so long each.
const TURN_MAX: Duration = Duration::from_micros(50);

impl VectorParticipant {
    pub fn new(
        shared: Arc<Shared>,
        store: VectorStore,
        codec: Arc<Codec>,
        decode: Py<PyAny>,
    ) -> Self {
        let unpacking = Unpacking {
            codec: Arc::clone(&codec),
            decode,
        };
        Self {
            shared,
            store,
            codec,
            unpacking: Arc::new(unpacking),
            missed: Mutex::new(None),
            took_long: AtomicBool::new(false),
        }
    }

    /// Runs a search, and notes whether it took long, as one that has to wait does.
    fn search<'py>(&self, py: Python<'py>, search: Search, begun: Instant) -> Object<'py> {
        self.took_long.store(true, Ordering::Relaxed);
        let found = self.run(py, Call::Query(Box::new(search)))?;
        let long = self.missed.lock().is_some() || begun.elapsed() > TURN_MAX;
        self.took_long.store(long, Ordering::Relaxed);
        Ok(found)
    }

    /// The filter that Python has packed, known by that from now on.
    fn known_filter(&self, py: Python<'_>, packed: &[u8]) -> PyResult<Arc<KnownFilter>> {
        let name = packed_name(packed);
        match self.store.known_filter(&name) {
            Some(known) => Ok(known),
            None => Ok(self.store.know_filter(&name, parse_filter(py, packed)?)),
        }
    }

    /// Runs a call inline; keeps it when it would have to wait.
    fn run<'py>(&self, py: Python<'py>, call: Call<'_>) -> Object<'py> {
        match self
            .shared
            .with(py, |tx| call.run(tx, &self.store, INLINE))?
        {
            Ok(found) => found.present(py, &self.codec),
            Err(error) => miss_or_error(py, &error, || {
                *self.missed.lock() = Some(call.into_owned());
            }),
        }
    }

    fn key(&self, key: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
        let mut encoded = Vec::with_capacity(32);
        self.codec.write(&mut encoded, key)?;
        Ok(encoded)
    }
}

#[pymethods]
impl VectorParticipant {
    #[getter]
    fn store_id(&self) -> u64 {
        self.store.id()
    }

    #[pyo3(signature = (key, vector, payload=None))]
    fn upsert<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        vector: &Bound<'py, PyAny>,
        payload: Option<&Bound<'py, PyBytes>>,
    ) -> Object<'py> {
        let space = &self.store.options().space;
        let mut elements = Vec::with_capacity(space.row_bytes());
        push_row(space, vector, &mut elements)?;
        let call = Call::Upsert {
            key: self.key(key)?,
            elements,
            payload: Cow::Borrowed(payload.map_or(&[], |payload| payload.as_bytes())),
        };
        self.run(py, call)
    }

    #[pyo3(signature = (keys, vectors, payloads=None, first=0))]
    fn upsert_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        vectors: &Bound<'py, PyAny>,
        payloads: Option<&Bound<'py, PyAny>>,
        first: usize,
    ) -> Object<'py> {
        let keys = batch(&self.codec, keys, false)?;
        let mut elements = Vec::new();
        let count = push_rows(&self.store.options().space, vectors, first, &mut elements)?;
        if count != keys.len() {
            let message = format!(
                "{} ids and {count} vectors: give one vector for each id",
                keys.len()
            );
            return Err(invalid_argument(py, &message));
        }
        let packed = Form::packed();
        let held = payloads
            .map(|payloads| Values::of(&packed, payloads))
            .transpose()?;
        let payloads = match &held {
            Some(held) => held.contents(py, &keys)?,
            None => Vec::new(),
        };
        self.run(
            py,
            Call::UpsertMany {
                keys,
                vectors: elements,
                payloads,
            },
        )
    }

    fn delete<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> Object<'py> {
        let key = self.key(key)?;
        self.run(py, Call::Delete { key })
    }

    fn delete_many<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> Object<'py> {
        let keys = batch(&self.codec, keys, false)?;
        self.run(py, Call::DeleteMany { keys })
    }

    fn get<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> Object<'py> {
        let key = self.key(key)?;
        self.run(py, Call::Get { key })
    }

    fn get_many<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> Object<'py> {
        let keys = batch(&self.codec, keys, false)?;
        self.run(py, Call::GetMany { keys })
    }

    fn contains<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> Object<'py> {
        let key = self.key(key)?;
        self.run(py, Call::Contains { key })
    }

    fn count<'py>(&self, py: Python<'py>) -> Object<'py> {
        self.run(py, Call::Count)
    }

    fn scan<'py>(
        &self,
        py: Python<'py>,
        after: Option<Vec<u8>>,
        limit: usize,
        entries: bool,
    ) -> Object<'py> {
        self.run(
            py,
            Call::Scan {
                after,
                limit,
                entries,
            },
        )
    }

    #[pyo3(signature = (
        vectors, k, *, many=false, within=None, packed_filter=None, ef=None, exact=false, payloads=true, among=None,
        first=0
    ))]
    #[expect(clippy::too_many_arguments, reason = "named in Python")]
    fn query<'py>(
        &self,
        py: Python<'py>,
        vectors: &Bound<'py, PyAny>,
        k: Option<usize>,
        many: bool,
        within: Option<f32>,
        packed_filter: Option<&[u8]>,
        ef: Option<usize>,
        exact: bool,
        payloads: bool,
        among: Option<&Bound<'py, KeyBatch>>,
        first: usize,
    ) -> Object<'py> {
        let begun = Instant::now();
        let space = &self.store.options().space;
        let mut elements = Vec::with_capacity(space.row_bytes());
        if many {
            push_rows(space, vectors, first, &mut elements)?;
        } else {
            push_row(space, vectors, &mut elements)?;
        }
        let filter = packed_filter
            .map(|packed| self.known_filter(py, packed))
            .transpose()?;
        let search = Search {
            vectors: elements,
            many,
            k: k.unwrap_or(usize::MAX),
            within,
            filter,
            ef,
            exact,
            payloads,
            among: among.map(|keys| keys.get().take()),
            unpacking: Arc::clone(&self.unpacking),
        };
        self.search(py, search, begun)
    }

    /// `query` for what is asked most often, as it was given to `VectorStore.query`. None: it is something else, to be looked at
    /// and converted first.
    #[expect(clippy::too_many_arguments, reason = "they cross in one call")]
    fn find<'py>(
        &self,
        py: Python<'py>,
        vector: &Bound<'py, PyAny>,
        k: &Bound<'py, PyAny>,
        filter: &Bound<'py, PyAny>,
        ef: &Bound<'py, PyAny>,
        exact: &Bound<'py, PyAny>,
        payloads: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let begun = Instant::now();
        let space = &self.store.options().space;
        let (Some(k), Some(exact), Some(payloads)) = (count(k), flag(exact), flag(payloads)) else {
            return Ok(None);
        };
        let ef = match ef.is_none() {
            true => None,
            false => match count(ef) {
                None => return Ok(None),
                ef => ef,
            },
        };
        let filter = match filter.is_none() {
            true => None,
            false => match plain_name(filter).and_then(|name| self.store.known_filter(&name)) {
                None => return Ok(None),
                known => known,
            },
        };
        let mut elements = Vec::with_capacity(space.row_bytes());
        if !quick_row(space, vector, &mut elements)? {
            return Ok(None);
        }
        let search = Search {
            vectors: elements,
            many: false,
            k,
            within: None,
            filter,
            ef,
            exact,
            payloads,
            among: None,
            unpacking: Arc::clone(&self.unpacking),
        };
        self.search(py, search, begun).map(Some)
    }

    /// The last search took more than its share of a turn.
    #[getter]
    fn took_long(&self) -> bool {
        self.took_long.load(Ordering::Relaxed)
    }

    /// From now on `find` knows what this filter packs to, if it is a plain dict.
    fn know_filter(
        &self,
        py: Python<'_>,
        filter: &Bound<'_, PyAny>,
        packed: &[u8],
    ) -> PyResult<()> {
        if let Some(name) = plain_name(filter) {
            self.store
                .name_filter(&name, &self.known_filter(py, packed)?);
        }
        Ok(())
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let statistics = self.store.statistics();
        let dict = PyDict::new(py);
        dict.set_item("pulled_seq", statistics.pulled_seq)?;
        dict.set_item("tail_rows", statistics.tail_rows)?;
        dict.set_item("tail_deleted", statistics.tail_deleted)?;
        dict.set_item("memory_bytes", statistics.memory_bytes)?;
        dict.set_item("recall_estimate", statistics.recall_estimate)?;
        dict.set_item("broken_segments", statistics.broken_segments)?;
        let segments: PyResult<Vec<_>> = statistics
            .segments
            .into_iter()
            .map(|segment| {
                let one = PyDict::new(py);
                one.set_item("number", segment.number)?;
                one.set_item("kind", segment.kind)?;
                one.set_item("rows", segment.rows)?;
                one.set_item("deleted", segment.deleted)?;
                one.set_item("file_bytes", segment.file_bytes)?;
                one.set_item("recall_estimate", segment.recall_estimate)?;
                Ok(one)
            })
            .collect();
        dict.set_item("segments", segments?)?;
        Ok(dict)
    }

    fn retry(
        &self,
        py: Python<'_>,
        completions: &Bound<'_, Completions>,
        token: u64,
    ) -> PyResult<()> {
        repeat(py, &self.shared, completions, token, || {
            let call = self.missed.lock().take()?;
            let store = self.store.clone();
            let run = move |tx: &mut Transaction| {
                let found = call.run(tx, &store, WAITING)?;
                Ok(Answer::Other(Box::new(found)))
            };
            let reading = Reading::new(Arc::clone(&self.codec), Parts::KeysAndValues);
            Some((run, reading))
        })
    }
}

/// A whole number of 1 or more; what else may be meant is for Python to say.
fn count(given: &Bound<'_, PyAny>) -> Option<usize> {
    let number = given.cast_exact::<PyInt>().ok()?.extract().ok()?;
    (number > 0).then_some(number)
}

fn flag(given: &Bound<'_, PyAny>) -> Option<bool> {
    given.cast_exact::<PyBool>().ok().map(|flag| flag.is_true())
}
