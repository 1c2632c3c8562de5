//! What an operation found on an engine thread, and the Python object for it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::present::{Entries, Page, Parts, none};
use crate::key::Codec;
use crate::value::Form;

/// An entry, copied out of its page.
pub struct Item {
    key: Vec<u8>,
    meta: Vec<u8>,
    value: Vec<u8>,
}

impl Item {
    pub fn of(key: &[u8], meta: &[u8], value: &[u8]) -> Self {
        Self {
            key: key.to_vec(),
            meta: meta.to_vec(),
            value: value.to_vec(),
        }
    }
}

/// What a participant of another kind of store found; plain data as well.
pub trait Present: Send {
    /// The Python object for it.
    fn into_python<'py>(
        self: Box<Self>,
        py: Python<'py>,
        codec: &Codec,
    ) -> PyResult<Bound<'py, PyAny>>;
}

/// Plain data: made on any thread.
pub enum Answer {
    Value(Option<Vec<u8>>),
    Values(Vec<Option<Vec<u8>>>),
    Item(Option<Item>),
    Truth(bool),
    Done,
    /// The index of the first key that could not be done.
    Refused(Option<usize>),
    /// Items, and the raw key to go on after.
    Page(Vec<Item>, Option<Vec<u8>>),
    RawKey(Option<Vec<u8>>),
    Count(u64),
    Other(Box<dyn Present>),
}

/// What a call that missed was to give to its caller.
pub struct Reading {
    pub entries: Entries,
    pub parts: Parts,
    /// What stands for a value that is not there.
    pub default: Option<Py<PyAny>>,
}

impl Reading {
    /// For a call whose values, if it gives any, are packed.
    pub fn new(codec: Arc<Codec>, parts: Parts) -> Self {
        let form = Form::packed();
        Self {
            entries: Entries { codec, form },
            parts,
            default: None,
        }
    }
}

impl Answer {
    /// The Python object; `default` stands for a value that is not there.
    pub fn into_python<'py>(
        self,
        py: Python<'py>,
        entries: &Entries,
        parts: Parts,
        default: Option<&Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let object = |bytes: Option<Vec<u8>>| match (bytes, default) {
            (Some(bytes), _) => entries.form.object(py, &bytes),
            (None, Some(default)) => Ok(default.bind(py).clone()),
            (None, None) => Ok(none(py)),
        };
        Ok(match self {
            Self::Value(bytes) => object(bytes)?,
            Self::Values(values) => {
                let objects: PyResult<Vec<_>> = values.into_iter().map(object).collect();
                PyList::new(py, objects?)?.into_any()
            }
            Self::RawKey(raw) => {
                raw.map_or_else(|| none(py), |raw| PyBytes::new(py, &raw).into_any())
            }
            Self::Item(None) | Self::Done => none(py),
            Self::Item(Some(item)) => entries.item(py, &item.key, &item.meta, &item.value)?,
            Self::Truth(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
            Self::Refused(index) => {
                let index = index.map_or(-1, |index| index as i64);
                index.into_pyobject(py)?.into_any()
            }
            Self::Page(items, next) => {
                let mut page = Page::new(py, entries, parts, items.len());
                for item in &items {
                    page.push(&item.key, &item.meta, &item.value)?;
                }
                page.finish(next.as_deref())?
            }
            Self::Count(count) => count.into_pyobject(py)?.into_any(),
            Self::Other(answer) => answer.into_python(py, &entries.codec)?,
        })
    }
}
