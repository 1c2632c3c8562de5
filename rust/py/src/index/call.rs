//! What an index can be asked: run inline, or later on a thread that may wait. Only `Fill` changes anything, and has changed
//! nothing when it ends in `WouldBlock`.

use std::ops::Bound as Edge;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use sopasync_core::index::{self, Filled, State};
use sopasync_core::{Access, Error, Link, Result, ScanRange, Transaction};

use crate::key::Codec;
use crate::participant::{Answer, Item, Present, none};

/// Bytes of a page of a scan, about.
const SCAN_BYTES_MAX: usize = 4 << 20;

/// A part of the index.
#[derive(Clone)]
pub struct Range {
    pub low: Edge<Vec<u8>>,
    pub high: Edge<Vec<u8>>,
    pub reverse: bool,
    pub limit: usize,
    pub keys_only: bool,
}

impl Range {
    pub fn borrow(&self) -> ScanRange<'_> {
        ScanRange {
            low: self.low.as_ref().map(Vec::as_slice),
            high: self.high.as_ref().map(Vec::as_slice),
            reverse: self.reverse,
            limit: self.limit,
            limit_bytes: SCAN_BYTES_MAX,
            keys_only: self.keys_only,
        }
    }
}

/// A call.
#[derive(Clone)]
pub enum Call {
    /// Items of the store.
    Items(Range),
    /// Fields and keys; the store is not read.
    Entries(Range, Arc<Codec>),
    Count(Range),
    /// The entry after so many others.
    Skip(Range, u64),
    State,
    /// Entries of so many items after a key of the store; the codec is that of the store it refers to.
    Fill(Option<Vec<u8>>, usize, Arc<Codec>),
}

impl Call {
    pub fn run(
        &self,
        tx: &mut Transaction,
        store: u64,
        link: &Link,
        access: Access,
    ) -> Result<Answer> {
        Ok(match self {
            Self::Items(range) => {
                let mut items = Vec::new();
                let next = index::scan(
                    tx,
                    store,
                    link,
                    &range.borrow(),
                    access,
                    &mut |_, key, meta, value| {
                        items.push(Item::of(key, meta, value.unwrap_or_default()));
                    },
                )?;
                Answer::Page(items, next)
            }
            Self::Entries(range, codec) => {
                let unique = link.definition.unique;
                let mut entries = Vec::new();
                let mut visit = |entry: &[u8], key: &[u8], _: &[u8], _: Option<&[u8]>| {
                    let end = if unique {
                        entry.len()
                    } else {
                        entry.len() - key.len()
                    };
                    entries.push((entry[..end].to_vec(), key.to_vec()));
                };
                let next = index::scan(tx, store, link, &range.borrow(), access, &mut visit)?;
                let codec = Arc::clone(codec);
                Answer::Other(Box::new(EntryPage {
                    entries,
                    next,
                    codec,
                }))
            }
            Self::Count(range) => {
                let range = range.borrow();
                Answer::Count(index::count(tx, link, range.low, range.high, access)?)
            }
            Self::Skip(range, count) => {
                Answer::RawKey(index::skip(tx, link, &range.borrow(), *count, access)?)
            }
            Self::Fill(after, items, codec) => {
                let filled = index::fill(tx, store, link, after.as_deref(), *items, access)?;
                let codec = Arc::clone(codec);
                Answer::Other(Box::new(FilledPiece { filled, codec }))
            }
            Self::State => Answer::Other(Box::new(index::state(tx, link.id, access)?)),
        })
    }
}

/// Fields and keys, and the entry to go on after.
struct EntryPage {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    next: Option<Vec<u8>>,
    /// Of the fields.
    codec: Arc<Codec>,
}

impl Present for EntryPage {
    fn into_python<'py>(
        self: Box<Self>,
        py: Python<'py>,
        codec: &Codec,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pairs: PyResult<Vec<_>> = self
            .entries
            .iter()
            .map(|(fields, key)| {
                let fields = self.codec.read(py, fields, &[])?;
                PyTuple::new(py, [fields, codec.read(py, key, &[])?])
            })
            .collect();
        let next = self
            .next
            .map_or_else(|| none(py), |next| PyBytes::new(py, &next).into_any());
        Ok(PyTuple::new(py, [PyList::new(py, pairs?)?.into_any(), next])?.into_any())
    }
}

/// What came of filling, and how keys of the store it refers to are read.
struct FilledPiece {
    filled: Filled,
    codec: Arc<Codec>,
}

impl Present for FilledPiece {
    fn into_python<'py>(
        self: Box<Self>,
        py: Python<'py>,
        codec: &Codec,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Filled { next, refused } = &self.filled;
        let refused: PyResult<Vec<_>> = refused
            .iter()
            .map(|(key, error)| {
                let target = match error {
                    Error::NoTarget(broken) => self.codec.read(py, &broken.other_key, &[])?,
                    _ => none(py),
                };
                Ok((codec.read(py, key, &[])?, target, error.to_string()))
            })
            .collect();
        let next = next.as_deref().map(|next| PyBytes::new(py, next));
        Ok((next, refused?).into_pyobject(py)?.into_any())
    }
}

impl Present for State {
    fn into_python<'py>(
        self: Box<Self>,
        py: Python<'py>,
        codec: &Codec,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(match *self {
            Self::Ready => ("ready", 0, none(py), none(py)).into_pyobject(py)?,
            Self::Building { done } => ("building", done, none(py), none(py)).into_pyobject(py)?,
            Self::Failed { key, reason } => {
                let key = codec.read(py, &key, &[])?;
                ("failed", 0, key, reason).into_pyobject(py)?
            }
        }
        .into_any())
    }
}
