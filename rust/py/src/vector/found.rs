//! What a call found, on any thread, and the Python objects for it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use sopasync_core::vector::{VectorEntry, VectorHits};

use super::hit::Unpacking;
use super::hits::Hits;
use crate::key::Codec;
use crate::participant::Present;

/// Plain data.
pub enum Found {
    Truth(bool),
    Count(u64),
    /// (elements, payload) or None.
    Entry(Option<VectorEntry>),
    Entries(Vec<Option<VectorEntry>>),
    /// Keys, each with its entry if that was asked for, and the encoded key to go on after.
    Page(Vec<(Vec<u8>, Option<VectorEntry>)>, Option<Vec<u8>>),
    /// Of one query, or of each of many; and what makes objects of them.
    Hits {
        hits: Arc<VectorHits>,
        many: bool,
        unpacking: Arc<Unpacking>,
    },
}

type Object<'py> = PyResult<Bound<'py, PyAny>>;

impl Found {
    pub fn present<'py>(self, py: Python<'py>, codec: &Codec) -> Object<'py> {
        Ok(match self {
            Self::Truth(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
            Self::Count(count) => count.into_pyobject(py)?.into_any(),
            Self::Entry(entry) => pair(py, entry.as_ref())?,
            Self::Entries(entries) => {
                let pairs: PyResult<Vec<_>> = entries
                    .iter()
                    .map(|entry| pair(py, entry.as_ref()))
                    .collect();
                PyList::new(py, pairs?)?.into_any()
            }
            Self::Page(rows, next) => {
                let rows: PyResult<Vec<_>> = rows
                    .iter()
                    .map(|(key, entry)| page_row(py, codec, key, entry.as_ref()))
                    .collect();
                let next = match &next {
                    Some(next) => PyBytes::new(py, next).into_any(),
                    None => py.None().into_bound(py),
                };
                PyTuple::new(py, [PyList::new(py, rows?)?.into_any(), next])?.into_any()
            }
            Self::Hits {
                hits,
                many: false,
                unpacking,
            } => Bound::new(py, Hits::of(&hits, 0, &unpacking))?.into_any(),
            Self::Hits {
                hits, unpacking, ..
            } => {
                let lists: PyResult<Vec<_>> = (0..hits.queries())
                    .map(|query| Bound::new(py, Hits::of(&hits, query, &unpacking)))
                    .collect();
                PyList::new(py, lists?)?.into_any()
            }
        })
    }
}

impl Present for Found {
    fn into_python<'py>(self: Box<Self>, py: Python<'py>, codec: &Codec) -> Object<'py> {
        self.present(py, codec)
    }
}

fn pair<'py>(py: Python<'py>, entry: Option<&VectorEntry>) -> Object<'py> {
    let Some(entry) = entry else {
        return Ok(py.None().into_bound(py));
    };
    let parts = [&entry.elements, &entry.payload].map(|part| PyBytes::new(py, part));
    Ok(PyTuple::new(py, parts)?.into_any())
}

fn page_row<'py>(
    py: Python<'py>,
    codec: &Codec,
    key: &[u8],
    entry: Option<&VectorEntry>,
) -> Object<'py> {
    let key = codec.read(py, key, &[])?;
    match entry {
        None => Ok(key),
        Some(entry) => Ok(PyTuple::new(py, [key, pair(py, Some(entry))?])?.into_any()),
    }
}
