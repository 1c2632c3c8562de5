//! The class `Participant`.

use std::borrow::Cow;
use std::ops::Bound as Edge;
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sopasync_core::{Access, Error, MergeOp};

use super::answer::Reading;
use super::call::{batch, contents, values, with_key};
use super::inline;
use super::operation::{Operation, Range};
use super::present::{Parts, none};
use super::scope::Scope;
use crate::completions::{Completions, Outcome};
use crate::error::{exception, from_core, invalid_argument};
use crate::key::Codec;
use crate::miss::miss;
use crate::transaction::Shared;

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

type Object<'py> = PyResult<Bound<'py, PyAny>>;

/// One store inside one transaction.
#[pyclass(frozen, module = "sopasync._core")]
pub struct Participant {
    shared: Arc<Shared>,
    scope: Scope,
    codec: Arc<Codec>,
    /// The last call that returned `MISS`.
    missed: Mutex<Option<(Operation<'static>, Parts)>>,
}

impl Participant {
    pub fn new(shared: Arc<Shared>, store: u64, codec: Arc<Codec>) -> Self {
        let scope = Scope {
            store,
            unique: codec.unique,
            has_meta: codec.fields.is_some(),
        };
        Self {
            shared,
            scope,
            codec,
            missed: Mutex::new(None),
        }
    }

    fn reading(&self, parts: Parts) -> Reading {
        Reading {
            codec: Arc::clone(&self.codec),
            parts,
        }
    }

    /// Runs a call inline; keeps it when it would have to wait.
    fn run<'py>(&self, py: Python<'py>, operation: Operation<'_>) -> Object<'py> {
        match self
            .shared
            .with(py, |tx| operation.run(tx, self.scope, INLINE))?
        {
            Ok(answer) => answer.into_python(py, &self.codec, Parts::KeysAndValues),
            Err(error) => self.missed(py, &error, Parts::KeysAndValues, || operation.into_owned()),
        }
    }

    /// `MISS` when the call would have to wait, after keeping it; else the exception.
    #[cold]
    fn missed<'py>(
        &self,
        py: Python<'py>,
        error: &Error,
        parts: Parts,
        operation: impl FnOnce() -> Operation<'static>,
    ) -> Object<'py> {
        if !matches!(error, Error::WouldBlock) {
            return Err(from_core(py, error));
        }
        *self.missed.lock() = Some((operation(), parts));
        Ok(miss(py)?.bind(py).clone().into_any())
    }
}

#[pymethods]
impl Participant {
    #[getter]
    fn store_id(&self) -> u64 {
        self.scope.store
    }

    fn get<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> Object<'py> {
        with_key(&self.codec, key, false, |key, _| {
            match self
                .shared
                .with(py, |tx| inline::get(py, tx, self.scope, key))?
            {
                Ok(value) => Ok(value.map_or_else(|| none(py), Bound::into_any)),
                Err(error) => {
                    let missed = || Operation::Get {
                        key: Cow::Owned(key.to_vec()),
                    };
                    self.missed(py, &error, Parts::Values, missed)
                }
            }
        })
    }

    fn get_item<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> Object<'py> {
        with_key(&self.codec, key, false, |key, _| {
            self.run(
                py,
                Operation::GetItem {
                    key: Cow::Borrowed(key),
                },
            )
        })
    }

    fn get_raw<'py>(&self, py: Python<'py>, raw: &Bound<'py, PyBytes>) -> Object<'py> {
        self.run(
            py,
            Operation::GetRaw {
                raw: Cow::Borrowed(raw.as_bytes()),
            },
        )
    }

    fn get_many<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> Object<'py> {
        let keys = batch(&self.codec, keys, false)?;
        match self
            .shared
            .with(py, |tx| inline::get_many(py, tx, self.scope, &keys))?
        {
            Ok(values) => values,
            Err(error) => self.missed(py, &error, Parts::Values, || Operation::GetMany { keys }),
        }
    }

    fn contains<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> Object<'py> {
        with_key(&self.codec, key, false, |key, _| {
            self.run(
                py,
                Operation::Contains {
                    key: Cow::Borrowed(key),
                },
            )
        })
    }

    fn add<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyBytes>,
    ) -> Object<'py> {
        let value = Cow::Borrowed(value.as_bytes());
        with_key(&self.codec, key, true, |key, meta| {
            self.run(
                py,
                Operation::Add {
                    key: Cow::Borrowed(key),
                    meta: Cow::Borrowed(meta),
                    value,
                },
            )
        })
    }

    fn update<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyBytes>,
    ) -> Object<'py> {
        let value = Cow::Borrowed(value.as_bytes());
        with_key(&self.codec, key, false, |key, _| {
            self.run(
                py,
                Operation::Update {
                    key: Cow::Borrowed(key),
                    value,
                },
            )
        })
    }

    fn upsert<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyBytes>,
    ) -> Object<'py> {
        let value = Cow::Borrowed(value.as_bytes());
        with_key(&self.codec, key, true, |key, meta| {
            self.run(
                py,
                Operation::Upsert {
                    key: Cow::Borrowed(key),
                    meta: Cow::Borrowed(meta),
                    value,
                },
            )
        })
    }

    fn remove<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> Object<'py> {
        with_key(&self.codec, key, false, |key, _| {
            self.run(
                py,
                Operation::Remove {
                    key: Cow::Borrowed(key),
                },
            )
        })
    }

    fn update_raw<'py>(
        &self,
        py: Python<'py>,
        raw: &Bound<'py, PyBytes>,
        value: &Bound<'py, PyBytes>,
    ) -> Object<'py> {
        let (raw, value) = (
            Cow::Borrowed(raw.as_bytes()),
            Cow::Borrowed(value.as_bytes()),
        );
        self.run(py, Operation::UpdateRaw { raw, value })
    }

    fn remove_raw<'py>(&self, py: Python<'py>, raw: &Bound<'py, PyBytes>) -> Object<'py> {
        self.run(
            py,
            Operation::RemoveRaw {
                raw: Cow::Borrowed(raw.as_bytes()),
            },
        )
    }

    fn update_key<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> Object<'py> {
        with_key(&self.codec, key, true, |key, meta| {
            self.run(
                py,
                Operation::UpdateKey {
                    key: Cow::Borrowed(key),
                    meta: Cow::Borrowed(meta),
                },
            )
        })
    }

    #[pyo3(signature = (keys, values))]
    fn add_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
    ) -> Object<'py> {
        let (keys, held) = (batch(&self.codec, keys, true)?, self::values(values)?);
        let values = contents(py, &keys, &held)?;
        self.run(py, Operation::AddMany { keys, values })
    }

    #[pyo3(signature = (keys, values))]
    fn update_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
    ) -> Object<'py> {
        let (keys, held) = (batch(&self.codec, keys, false)?, self::values(values)?);
        let values = contents(py, &keys, &held)?;
        self.run(py, Operation::UpdateMany { keys, values })
    }

    #[pyo3(signature = (keys, values))]
    fn upsert_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
    ) -> Object<'py> {
        let (keys, held) = (batch(&self.codec, keys, true)?, self::values(values)?);
        let values = contents(py, &keys, &held)?;
        self.run(py, Operation::UpsertMany { keys, values })
    }

    fn remove_many<'py>(&self, py: Python<'py>, keys: &Bound<'py, PyAny>) -> Object<'py> {
        self.run(
            py,
            Operation::RemoveMany {
                keys: batch(&self.codec, keys, false)?,
            },
        )
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
        if !self.scope.unique {
            let message = "a store whose keys are not unique has no one value per key to change";
            return Err(invalid_argument(py, message));
        }
        with_key(&self.codec, key, false, |key, _| {
            self.shared
                .with(py, |tx| {
                    tx.merge(self.scope.store, key, op, operand.as_bytes())
                })?
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
            inline::scan(py, tx, self.scope, &range, &self.codec, parts)
        })? {
            Ok(page) => page,
            Err(error) => self.missed(py, &error, parts, || Operation::Scan { range }.into_owned()),
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
        // Looks whether the transaction is open and idle, before the missed call is given away.
        self.shared.with(py, |_| ())?;
        let Some((operation, parts)) = self.missed.lock().take() else {
            let message = "there is nothing to retry: the last call did not return MISS";
            return Err(exception(py, "TransactionStateError", message, &[]));
        };
        let completions = completions.get();
        completions.expect(token, self.reading(parts));
        let (sender, scope) = (completions.sender(), self.scope);
        Arc::clone(&self.shared)
            .with_on_engine(
                move |tx| match operation.run(tx, scope, WAITING) {
                    Ok(answer) => Outcome::Answered(answer),
                    Err(error) => Outcome::Failed(error),
                },
                move |outcome| sender.send(token, outcome),
            )
            .map_err(|error| from_core(py, &error))
    }
}

fn edge(raw: Option<&[u8]>, is_open: bool) -> Edge<Cow<'_, [u8]>> {
    match raw.map(Cow::Borrowed) {
        None => Edge::Unbounded,
        Some(raw) if is_open => Edge::Excluded(raw),
        Some(raw) => Edge::Included(raw),
    }
}
