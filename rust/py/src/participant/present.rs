//! Entries as Python objects.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::error::invalid_argument;
use crate::key::Codec;
use crate::value::Form;

/// What a scan gives per item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    Keys,
    KeysAndValues,
    Values,
    WithRawKeys,
    /// Keys and values in two lists.
    Columns,
}

impl Parts {
    /// From the number Python uses.
    pub fn of(py: Python<'_>, what: u8) -> PyResult<Self> {
        Ok(match what {
            0 => Self::Keys,
            1 => Self::KeysAndValues,
            2 => Self::Values,
            3 => Self::WithRawKeys,
            4 => Self::Columns,
            _ => {
                let message = format!(
                    "what is {what}; it is 0 (keys), 1 (pairs), 2 (values), 3 (with raw keys) or 4 (two lists)"
                );
                return Err(invalid_argument(py, &message));
            }
        })
    }
}

/// How the entries of one store become Python objects.
#[derive(Clone)]
pub struct Entries {
    pub codec: Arc<Codec>,
    pub form: Arc<Form>,
}

pub fn none(py: Python<'_>) -> Bound<'_, PyAny> {
    py.None().into_bound(py)
}

impl Entries {
    /// Key, value, and item id in a non-unique store.
    pub fn item<'py>(
        &self,
        py: Python<'py>,
        raw: &[u8],
        meta: &[u8],
        value: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let key = self.codec.read(py, raw, meta)?;
        let id = self.codec.item_id(py, raw)?.unwrap_or_else(|| none(py));
        Ok(PyTuple::new(py, [key, self.form.object(py, value)?, id])?.into_any())
    }
}

/// The page of a scan, being made.
pub struct Page<'r, 'py> {
    py: Python<'py>,
    entries: &'r Entries,
    parts: Parts,
    elements: Vec<Bound<'py, PyAny>>,
    /// The values of `Parts::Columns`.
    values: Vec<Bound<'py, PyAny>>,
}

impl<'r, 'py> Page<'r, 'py> {
    pub fn new(py: Python<'py>, entries: &'r Entries, parts: Parts, capacity: usize) -> Self {
        let of_values = if parts == Parts::Columns { capacity } else { 0 };
        Self {
            py,
            entries,
            parts,
            elements: Vec::with_capacity(capacity),
            values: Vec::with_capacity(of_values),
        }
    }

    /// Appends an entry.
    #[inline]
    pub fn push(&mut self, raw: &[u8], meta: &[u8], value: &[u8]) -> PyResult<()> {
        let py = self.py;
        let key = || self.entries.codec.read(py, raw, meta);
        let value = || self.entries.form.object(py, value);
        let element = match self.parts {
            Parts::Values => value()?,
            Parts::Keys => key()?,
            Parts::KeysAndValues => PyTuple::new(py, [key()?, value()?])?.into_any(),
            Parts::WithRawKeys => {
                let raw = PyBytes::new(py, raw).into_any();
                PyTuple::new(py, [key()?, value()?, raw])?.into_any()
            }
            Parts::Columns => {
                let key = key()?;
                self.values.push(value()?);
                key
            }
        };
        self.elements.push(element);
        Ok(())
    }

    /// The page: its elements, and the raw key to go on after.
    pub fn finish(self, next: Option<&[u8]>) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let next = next.map_or_else(|| none(py), |raw| PyBytes::new(py, raw).into_any());
        let elements = PyList::new(py, self.elements)?.into_any();
        if self.parts == Parts::Columns {
            let values = PyList::new(py, self.values)?.into_any();
            return Ok(PyTuple::new(py, [elements, values, next])?.into_any());
        }
        Ok(PyTuple::new(py, [elements, next])?.into_any())
    }
}
