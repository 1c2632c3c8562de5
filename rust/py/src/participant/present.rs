//! Entries as Python objects.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::error::invalid_argument;
use crate::key::Codec;

/// What a scan gives per item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    Keys,
    KeysAndValues,
    Values,
    WithRawKeys,
}

impl Parts {
    /// From the number Python uses.
    pub fn of(py: Python<'_>, what: u8) -> PyResult<Self> {
        Ok(match what {
            0 => Self::Keys,
            1 => Self::KeysAndValues,
            2 => Self::Values,
            3 => Self::WithRawKeys,
            _ => {
                let message = format!(
                    "what is {what}; it is 0 (keys), 1 (pairs), 2 (values) or 3 (with raw keys)"
                );
                return Err(invalid_argument(py, &message));
            }
        })
    }
}

pub fn none(py: Python<'_>) -> Bound<'_, PyAny> {
    py.None().into_bound(py)
}

/// Key, value, and item id in a non-unique store.
pub fn item_triple<'py>(
    py: Python<'py>,
    codec: &Codec,
    raw: &[u8],
    meta: &[u8],
    value: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    let key = codec.read(py, raw, meta)?;
    let id = codec.item_id(py, raw)?.unwrap_or_else(|| none(py));
    Ok(PyTuple::new(py, [key, PyBytes::new(py, value).into_any(), id])?.into_any())
}

/// One element of a page.
#[inline]
pub fn page_element<'py>(
    py: Python<'py>,
    codec: &Codec,
    parts: Parts,
    raw: &[u8],
    meta: &[u8],
    value: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    let bytes = |content: &[u8]| PyBytes::new(py, content).into_any();
    Ok(match parts {
        Parts::Values => bytes(value),
        Parts::Keys => codec.read(py, raw, meta)?,
        Parts::KeysAndValues => {
            PyTuple::new(py, [codec.read(py, raw, meta)?, bytes(value)])?.into_any()
        }
        Parts::WithRawKeys => {
            PyTuple::new(py, [codec.read(py, raw, meta)?, bytes(value), bytes(raw)])?.into_any()
        }
    })
}

/// A page: its elements, and the raw key to go on after.
pub fn page<'py>(
    py: Python<'py>,
    elements: Vec<Bound<'py, PyAny>>,
    next: Option<&[u8]>,
) -> PyResult<Bound<'py, PyAny>> {
    let next = next.map_or_else(|| none(py), |raw| PyBytes::new(py, raw).into_any());
    Ok(PyTuple::new(py, [PyList::new(py, elements)?.into_any(), next])?.into_any())
}
