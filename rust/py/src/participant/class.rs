//! The class `Participant`.

use std::borrow::Cow;
use std::ops::Bound as Edge;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use sopasync_core::index::Way;
use sopasync_core::{Access, Error, MergeOp, Transaction};

use super::answer::Reading;
use super::batch::Batch;
use super::call::{Piece, Values, batch, rows, with_key};
use super::inline;
use super::operation::{Content, Operation, Range};
use super::present::{Entries, Parts, none};
use super::scope::Scope;
use crate::completions::Completions;
use crate::error::{from_core, invalid_argument};
use crate::key::Codec;
use crate::memory::Lent;
use crate::miss::{miss_or_error, repeat};
use crate::transaction::Shared;
use crate::value::Form;

/// On the caller's thread: never wait.
pub const INLINE: Access = Access {
    may_wait: false,
    track: true,
};
/// On an engine thread: do.
pub const WAITING: Access = Access {
    may_wait: true,
    track: true,
};

/// A call by items packs no more values than this, but for the one that exceeds it: it runs on an event loop's thread.
const ITEMS_BYTES_MAX: usize = 256 << 10;

type Object<'py> = PyResult<Bound<'py, PyAny>>;

/// One store inside one transaction.
#[pyclass(frozen, module = "sopasync._core")]
pub struct Participant {
    shared: Arc<Shared>,
    scope: Scope,
    entries: Entries,
    /// How many elements of its list the last call by items took.
    taken: AtomicUsize,
    /// The last call that returned `MISS`.
    missed: Mutex<Option<(Operation<'static>, Reading)>>,
}

impl Participant {
    pub fn new(shared: Arc<Shared>, store: u64, codec: Arc<Codec>, form: Arc<Form>) -> Self {
        let scope = Scope {
            store,
            unique: codec.unique,
            has_meta: codec.fields.is_some(),
        };
        Self {
            shared,
            scope,
            entries: Entries { codec, form },
            taken: AtomicUsize::new(0),
            missed: Mutex::new(None),
        }
    }

    pub fn reading(&self, parts: Parts) -> Reading {
        Reading {
            entries: self.entries.clone(),
            parts,
            default: None,
        }
    }

    /// As `Shared::spawn`.
    pub fn spawn(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), Error> {
        self.shared.spawn(job)
    }

    /// Refuses what is about the one value of a key.
    fn refuse_repeated(&self, py: Python<'_>) -> PyResult<()> {
        if self.scope.unique {
            return Ok(());
        }
        let message = "a store whose keys are not unique has no one value per key to change";
        Err(invalid_argument(py, message))
    }

    /// Runs a call inline; keeps it when it would have to wait.
    fn run<'py>(&self, py: Python<'py>, operation: Operation<'_>) -> Object<'py> {
        match self
            .shared
            .with(py, |tx| operation.run(tx, self.scope, INLINE))?
        {
            Ok(answer) => answer.into_python(py, &self.entries, Parts::KeysAndValues, None),
            Err(error) => self.missed(py, &error, || {
                (operation.into_owned(), self.reading(Parts::KeysAndValues))
            }),
        }
    }

    /// Runs a call about one key.
    #[inline]
    fn about<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        operation: impl for<'k> FnOnce(Content<'k>) -> Operation<'k>,
    ) -> Object<'py> {
        with_key(&self.entries.codec, key, false, |raw, _| {
            self.run(key.py(), operation(raw.into()))
        })
    }

    /// Runs a call that gives one key a value; the ride-along part is left empty unless it is reading.
    #[inline]
    fn giving<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        with_meta: bool,
        value: &Bound<'py, PyAny>,
        operation: impl for<'k> FnOnce(Content<'k>, Content<'k>, Content<'k>) -> Operation<'k>,
    ) -> Object<'py> {
        self.entries.form.with_packed(value, |value| {
            with_key(&self.entries.codec, key, with_meta, |raw, meta| {
                self.run(key.py(), operation(raw.into(), meta.into(), value.into()))
            })
        })
    }

    /// Runs a call that gives many keys a value each.
    fn giving_many<'py>(
        &self,
        keys: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
        way: Way,
    ) -> Object<'py> {
        let with_meta = way != Way::Update;
        let keys = batch(&self.entries.codec, keys, with_meta)?;
        let given = Values::of(&self.entries.form, values)?;
        self.write_many(values.py(), way, keys, &given)
    }

    /// The same with a piece of a list of both; how many elements it took is left in `taken`.
    fn giving_items<'py>(
        &self,
        items: &Bound<'py, PyList>,
        (start, count): (usize, usize),
        way: Way,
    ) -> Object<'py> {
        let bytes = ITEMS_BYTES_MAX;
        let piece = Piece {
            start,
            count,
            bytes,
        };
        let (keys, values) = rows(&self.entries.codec, &self.entries.form, items, piece)?;
        self.taken.store(keys.len(), Ordering::Relaxed);
        self.write_many(items.py(), way, keys, &values)
    }

    fn write_many<'py>(
        &self,
        py: Python<'py>,
        way: Way,
        keys: Batch,
        values: &Values<'py>,
    ) -> Object<'py> {
        let values = values.contents(py, &keys)?;
        self.run(py, Operation::WriteMany { way, keys, values })
    }

    /// `MISS` when the call would have to wait, after keeping it; else the exception.
    fn missed<'py>(
        &self,
        py: Python<'py>,
        error: &Error,
        call: impl FnOnce() -> (Operation<'static>, Reading),
    ) -> Object<'py> {
        miss_or_error(py, error, || *self.missed.lock() = Some(call()))
    }
}

#[pymethods]
impl Participant {
    #[getter]
    fn store_id(&self) -> u64 {
        self.scope.store
    }

    /// How many elements of its list the last call by items took.
    #[getter]
    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> Object<'py> {
        let Entries { codec, form } = &self.entries;
        with_key(codec, key, false, |key, _| {
            match self
                .shared
                .with(py, |tx| inline::get(py, tx, self.scope, form, key))?
            {
                Ok(Some(value)) => value,
                Ok(None) => Ok(default.unwrap_or_else(|| none(py))),
                Err(error) => self.missed(py, &error, || {
                    let key = Cow::Owned(key.to_vec());
                    let default = default.map(Bound::unbind);
                    let reading = self.reading(Parts::Values);
                    (Operation::Get { key }, Reading { default, ..reading })
                }),
            }
        })
    }

    fn get_item<'py>(&self, key: &Bound<'py, PyAny>) -> Object<'py> {
        self.about(key, |key| Operation::GetItem { key })
    }

    fn get_raw<'py>(&self, raw: &Bound<'py, PyBytes>) -> Object<'py> {
        let operation = Operation::GetRaw {
            raw: raw.as_bytes().into(),
        };
        self.run(raw.py(), operation)
    }

    fn get_many<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> Object<'py> {
        let Entries { codec, form } = &self.entries;
        let keys = batch(codec, keys, false)?;
        match self
            .shared
            .with(py, |tx| inline::get_many(py, tx, self.scope, form, &keys))?
        {
            Ok(values) => values,
            Err(error) => self.missed(py, &error, || {
                (Operation::GetMany { keys }, self.reading(Parts::Values))
            }),
        }
    }

    fn contains<'py>(&self, key: &Bound<'py, PyAny>) -> Object<'py> {
        self.about(key, |key| Operation::Contains { key })
    }

    fn add<'py>(&self, key: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Object<'py> {
        self.giving(key, true, value, |key, meta, value| Operation::Add {
            key,
            meta,
            value,
        })
    }

    fn update<'py>(&self, key: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Object<'py> {
        self.giving(key, false, value, |key, _, value| Operation::Update {
            key,
            value,
        })
    }

    fn upsert<'py>(&self, key: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> Object<'py> {
        self.giving(key, true, value, |key, meta, value| Operation::Upsert {
            key,
            meta,
            value,
        })
    }

    fn map<'py>(&self, key: &Bound<'py, PyAny>, verify: bool) -> Object<'py> {
        self.refuse_repeated(key.py())?;
        self.about(key, |key| Operation::Map { key, verify })
    }

    fn keep<'py>(&self, key: &Bound<'py, PyAny>) -> Object<'py> {
        self.refuse_repeated(key.py())?;
        self.about(key, |key| Operation::Keep { key })
    }

    fn upsert_parts<'py>(&self, key: &Bound<'py, PyAny>, parts: &Bound<'py, PyAny>) -> Object<'py> {
        self.refuse_repeated(key.py())?;
        let parts = Arc::new(Lent::of(parts)?);
        self.about(key, |key| Operation::PutParts { key, parts })
    }

    fn remove<'py>(&self, key: &Bound<'py, PyAny>) -> Object<'py> {
        self.about(key, |key| Operation::Remove { key })
    }

    fn update_raw<'py>(&self, raw: &Bound<'py, PyBytes>, value: &Bound<'py, PyAny>) -> Object<'py> {
        self.entries.form.with_packed(value, |value| {
            let (raw_bytes, value) = (raw.as_bytes().into(), value.into());
            let operation = Operation::UpdateRaw {
                raw: raw_bytes,
                value,
            };
            self.run(raw.py(), operation)
        })
    }

    fn remove_raw<'py>(&self, raw: &Bound<'py, PyBytes>) -> Object<'py> {
        let operation = Operation::RemoveRaw {
            raw: raw.as_bytes().into(),
        };
        self.run(raw.py(), operation)
    }

    fn update_key<'py>(&self, key: &Bound<'py, PyAny>) -> Object<'py> {
        with_key(&self.entries.codec, key, true, |raw, meta| {
            let (raw, meta) = (raw.into(), meta.into());
            self.run(key.py(), Operation::UpdateKey { key: raw, meta })
        })
    }

    fn add_many<'py>(&self, keys: &Bound<'py, PyAny>, values: &Bound<'py, PyAny>) -> Object<'py> {
        self.giving_many(keys, values, Way::Add)
    }

    fn update_many<'py>(
        &self,
        keys: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
    ) -> Object<'py> {
        self.giving_many(keys, values, Way::Update)
    }

    fn upsert_many<'py>(
        &self,
        keys: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
    ) -> Object<'py> {
        self.giving_many(keys, values, Way::Upsert)
    }

    fn add_items<'py>(
        &self,
        items: &Bound<'py, PyList>,
        start: usize,
        count: usize,
    ) -> Object<'py> {
        self.giving_items(items, (start, count), Way::Add)
    }

    fn update_items<'py>(
        &self,
        items: &Bound<'py, PyList>,
        start: usize,
        count: usize,
    ) -> Object<'py> {
        self.giving_items(items, (start, count), Way::Update)
    }

    fn upsert_items<'py>(
        &self,
        items: &Bound<'py, PyList>,
        start: usize,
        count: usize,
    ) -> Object<'py> {
        self.giving_items(items, (start, count), Way::Upsert)
    }

    fn remove_many<'py>(&self, keys: &Bound<'py, PyAny>) -> Object<'py> {
        let py = keys.py();
        let keys = batch(&self.entries.codec, keys, false)?;
        self.run(py, Operation::RemoveMany { keys })
    }

    fn merge(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        op: u8,
        operand: &Bound<'_, PyBytes>,
    ) -> PyResult<()> {
        let Some(op) = MergeOp::from_code(op) else {
            return Err(invalid_argument(
                py,
                &format!("there is no operation number {op}: use ADD, MAX, MIN or APPEND"),
            ));
        };
        self.refuse_repeated(py)?;
        with_key(&self.entries.codec, key, false, |key, _| {
            self.shared
                .with(py, |tx| self.scope.merge(tx, key, op, operand.as_bytes()))?
                .map_err(|error| from_core(py, &error))
        })
    }

    #[pyo3(signature = (lo, hi, *, lo_open=false, hi_open=true, reverse=false, limit=1000, what=1))]
    #[expect(clippy::too_many_arguments, reason = "named in Python")]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        lo: Option<&[u8]>,
        hi: Option<&[u8]>,
        lo_open: bool,
        hi_open: bool,
        reverse: bool,
        limit: usize,
        what: u8,
    ) -> Object<'py> {
        let parts = Parts::of(py, what)?;
        let keys_only = parts == Parts::Keys;
        let range = Range {
            low: edge(lo, lo_open),
            high: edge(hi, hi_open),
            reverse,
            limit,
            keys_only,
        };
        match self.shared.with(py, |tx| {
            inline::scan(py, tx, self.scope, &range, &self.entries, parts)
        })? {
            Ok(page) => page,
            Err(error) => self.missed(py, &error, || {
                (Operation::Scan { range }.into_owned(), self.reading(parts))
            }),
        }
    }

    fn skip<'py>(
        &self,
        py: Python<'py>,
        lo: Option<&[u8]>,
        hi: Option<&[u8]>,
        reverse: bool,
        n: u64,
    ) -> Object<'py> {
        let range = Range {
            low: edge(lo, false),
            high: edge(hi, true),
            reverse,
            limit: 1,
            keys_only: true,
        };
        self.run(py, Operation::Skip { range, count: n })
    }

    fn count<'py>(&self, py: Python<'py>) -> Object<'py> {
        self.run(py, Operation::Count)
    }

    fn retry(
        &self,
        py: Python<'_>,
        completions: &Bound<'_, Completions>,
        token: u64,
    ) -> PyResult<()> {
        repeat(py, &self.shared, completions, token, || {
            let (operation, reading) = self.missed.lock().take()?;
            let scope = self.scope;
            let run = move |tx: &mut Transaction| operation.run(tx, scope, WAITING);
            Some((run, reading))
        })
    }
}

fn edge(raw: Option<&[u8]>, is_open: bool) -> Edge<Cow<'_, [u8]>> {
    match raw.map(Cow::Borrowed) {
        None => Edge::Unbounded,
        Some(raw) if is_open => Edge::Excluded(raw),
        Some(raw) => Edge::Included(raw),
    }
}
