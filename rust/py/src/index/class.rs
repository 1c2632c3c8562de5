//! The class `IndexParticipant`.

use std::ops::Bound as Edge;
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use sopasync_core::index;
use sopasync_core::{Error, Link, Result, Transaction as CoreTransaction};

use super::call::{Call, Range};
use crate::completions::Completions;
use crate::error::from_core;
use crate::key::{Codec, KeyCodec};
use crate::miss::{miss_or_error, repeat};
use crate::participant::{Entries, INLINE, Page, Parts, Reading, WAITING};
use crate::transaction::{Shared, Transaction};
use crate::value::{Form, ValueForm};

type Object<'py> = PyResult<Bound<'py, PyAny>>;

/// What of each entry a scan gives, beyond what `Parts` has.
const ENTRIES: u8 = 5;

/// One index of one store inside one transaction.
#[pyclass(frozen, module = "sopasync._core")]
pub struct IndexParticipant {
    shared: Arc<Shared>,
    store: u64,
    link: Link,
    /// Of the store.
    entries: Entries,
    /// Of the fields.
    codec: Arc<Codec>,
    /// The last call that returned `MISS`.
    missed: Mutex<Option<(Call, Parts)>>,
}

/// The index of that name; `None` when the store has none.
#[pyfunction]
pub fn open_index(
    py: Python<'_>,
    transaction: &Bound<'_, Transaction>,
    store_id: u64,
    name: &str,
    codec: &Bound<'_, KeyCodec>,
    form: Option<&Bound<'_, ValueForm>>,
    fields: &Bound<'_, KeyCodec>,
) -> PyResult<Option<IndexParticipant>> {
    let shared = Arc::clone(&transaction.get().shared);
    let link = shared
        .with(py, |tx| index::find(tx, store_id, name))?
        .map_err(|error| from_core(py, &error))?;
    Ok(link.map(|link| IndexParticipant {
        shared,
        store: store_id,
        link,
        entries: Entries {
            codec: Arc::clone(&codec.get().codec),
            form: form.map_or_else(Form::packed, |form| Arc::clone(&form.get().form)),
        },
        codec: Arc::clone(&fields.get().codec),
        missed: Mutex::new(None),
    }))
}

impl IndexParticipant {
    /// Runs a call inline; keeps it when it would have to wait.
    fn run<'py>(&self, py: Python<'py>, call: Call, parts: Parts) -> Object<'py> {
        let answer = self
            .shared
            .with(py, |tx| call.run(tx, self.store, &self.link, INLINE))?;
        match answer {
            Ok(answer) => answer.into_python(py, &self.entries, parts, None),
            Err(error) => self.missed(py, &error, call, parts),
        }
    }

    fn missed<'py>(&self, py: Python<'py>, error: &Error, call: Call, parts: Parts) -> Object<'py> {
        miss_or_error(py, error, || *self.missed.lock() = Some((call, parts)))
    }

    /// A page of items, their Python objects made straight from the pages of the store.
    fn items<'py>(&self, py: Python<'py>, range: Range, parts: Parts) -> Object<'py> {
        let page: Result<Object<'py>> = self.shared.with(py, |tx| {
            let mut page = Page::new(py, &self.entries, parts, range.limit.min(1024));
            let mut failure = None;
            let next = index::scan(
                tx,
                self.store,
                &self.link,
                &range.borrow(),
                INLINE,
                &mut |_, raw, meta, value| {
                    if failure.is_none()
                        && let Err(error) = page.push(raw, meta, value.unwrap_or_default())
                    {
                        failure = Some(error);
                    }
                },
            )?;
            Ok(match failure {
                Some(error) => Err(error),
                None => page.finish(next.as_deref()),
            })
        })?;
        match page {
            Ok(page) => page,
            Err(error) => self.missed(py, &error, Call::Items(range), parts),
        }
    }
}

#[pymethods]
impl IndexParticipant {
    #[getter]
    fn index_id(&self) -> u64 {
        self.link.id
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
        let mut range = Range {
            low: edge(lo, lo_open),
            high: edge(hi, hi_open),
            reverse,
            limit,
            keys_only: what == ENTRIES,
        };
        if what == ENTRIES {
            let call = Call::Entries(range, Arc::clone(&self.codec));
            return self.run(py, call, Parts::Keys);
        }
        let parts = Parts::of(py, what)?;
        // What rides along with a key lies with the item.
        range.keys_only = parts == Parts::Keys && self.entries.codec.fields.is_none();
        self.items(py, range, parts)
    }

    fn count<'py>(&self, py: Python<'py>, lo: Option<&[u8]>, hi: Option<&[u8]>) -> Object<'py> {
        let range = Range {
            low: edge(lo, false),
            high: edge(hi, true),
            reverse: false,
            limit: usize::MAX,
            keys_only: true,
        };
        self.run(py, Call::Count(range), Parts::Keys)
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
        self.run(py, Call::Skip(range, n), Parts::Keys)
    }

    fn fill<'py>(
        &self,
        py: Python<'py>,
        after: Option<&[u8]>,
        items: usize,
        target: &Bound<'py, KeyCodec>,
    ) -> Object<'py> {
        let codec = Arc::clone(&target.get().codec);
        let call = Call::Fill(after.map(<[u8]>::to_vec), items, codec);
        self.run(py, call, Parts::Keys)
    }

    fn state<'py>(&self, py: Python<'py>) -> Object<'py> {
        self.run(py, Call::State, Parts::Keys)
    }

    fn retry(
        &self,
        py: Python<'_>,
        completions: &Bound<'_, Completions>,
        token: u64,
    ) -> PyResult<()> {
        repeat(py, &self.shared, completions, token, || {
            let (call, parts) = self.missed.lock().take()?;
            let reading = Reading {
                entries: self.entries.clone(),
                parts,
                default: None,
            };
            let (store, link) = (self.store, self.link.clone());
            let run = move |tx: &mut CoreTransaction| call.run(tx, store, &link, WAITING);
            Some((run, reading))
        })
    }
}

pub fn edge(raw: Option<&[u8]>, is_open: bool) -> Edge<Vec<u8>> {
    match raw.map(<[u8]>::to_vec) {
        None => Edge::Unbounded,
        Some(raw) if is_open => Edge::Excluded(raw),
        Some(raw) => Edge::Included(raw),
    }
}
