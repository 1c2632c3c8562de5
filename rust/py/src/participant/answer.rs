//! What an operation found on an engine thread, and the Python object for it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::present::{Parts, item_triple, none, page, page_element};
use crate::key::Codec;

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
    #[allow(dead_code)]
    Other(Box<dyn Present>),
}

/// What is needed to make Python objects of an answer.
pub struct Reading {
    pub codec: Arc<Codec>,
    pub parts: Parts,
}

impl Answer {
    pub fn into_python<'py>(
        self,
        py: Python<'py>,
        codec: &Codec,
        parts: Parts,
    ) -> PyResult<Bound<'py, PyAny>> {
        let bytes_or_none = |bytes: Option<Vec<u8>>| {
            bytes.map_or_else(|| none(py), |bytes| PyBytes::new(py, &bytes).into_any())
        };
        Ok(match self {
            Self::Value(bytes) | Self::RawKey(bytes) => bytes_or_none(bytes),
            Self::Values(values) => {
                PyList::new(py, values.into_iter().map(bytes_or_none))?.into_any()
            }
            Self::Item(None) | Self::Done => none(py),
            Self::Item(Some(item)) => item_triple(py, codec, &item.key, &item.meta, &item.value)?,
            Self::Truth(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
            Self::Refused(index) => {
                let index = index.map_or(-1, |index| index as i64);
                index.into_pyobject(py)?.into_any()
            }
            Self::Page(items, next) => {
                let elements: PyResult<Vec<_>> = items
                    .iter()
                    .map(|item| page_element(py, codec, parts, &item.key, &item.meta, &item.value))
                    .collect();
                page(py, elements?, next.as_deref())?
            }
            Self::Count(count) => count.into_pyobject(py)?.into_any(),
            Self::Other(answer) => answer.into_python(py, codec)?,
        })
    }
}
