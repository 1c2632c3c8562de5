//! Key elements to Python objects.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDate, PyDict, PyFloat, PyInt, PyString, PyTuple};
use sopasync_core::key::{KeyPart, KeyReader};

use super::scalar::DEPTH_MAX;
use crate::classes::{Classes, EPOCH_ORDINAL, delta_of_micros};
use crate::error::{exception, from_core};

/// Reads one element, or the whole key of the bare form.
pub fn read_element<'py>(
    py: Python<'py>,
    reader: &mut KeyReader<'_>,
    descending: bool,
    bare: bool,
) -> PyResult<Bound<'py, PyAny>> {
    // Bare or not, numbers are the same.
    if !descending && let Some(number) = reader.small_whole() {
        return Ok(number.into_pyobject(py)?.into_any());
    }
    read(py, reader, descending, bare, 0)?
        .ok_or_else(|| unreadable(py, "a tuple ends that did not begin"))
}

/// The error for bytes that no codec of this kind wrote.
pub fn unreadable(py: Python<'_>, reason: &str) -> PyErr {
    let message = format!("these bytes are not a key of this store: {reason}");
    exception(py, "CodecError", &message, &[])
}

fn read<'py>(
    py: Python<'py>,
    reader: &mut KeyReader<'_>,
    descending: bool,
    bare: bool,
    depth: usize,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let part = if bare {
        reader.bare()
    } else {
        reader.part(descending)
    };
    let part = part.map_err(|error| match error {
        sopasync_core::Error::Invalid { reason } => unreadable(py, &reason),
        other => from_core(py, &other),
    })?;
    Ok(Some(match part {
        KeyPart::Null => py.None().into_bound(py),
        KeyPart::Bool(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
        KeyPart::Int(value) => value.into_pyobject(py)?.into_any(),
        KeyPart::BigInt {
            negative,
            magnitude,
        } => big_int(py, negative, &magnitude)?,
        KeyPart::Float(value) => PyFloat::new(py, value).into_any(),
        KeyPart::Str(text) => PyString::new(py, &text).into_any(),
        KeyPart::Bytes(content) => PyBytes::new(py, &content).into_any(),
        KeyPart::Uuid(content) => uuid(py, &content)?,
        KeyPart::DateTime(micros) => {
            let epoch = Classes::get(py)?.epoch.bind(py);
            epoch.add(delta_of_micros(py, micros)?)?
        }
        KeyPart::NaiveDateTime(micros) => {
            let epoch = Classes::get(py)?.naive_epoch.bind(py);
            epoch.add(delta_of_micros(py, micros)?)?
        }
        KeyPart::Date(days) => date(py, days)?,
        KeyPart::TupleStart => {
            if depth == DEPTH_MAX {
                let reason = format!("its tuples nest deeper than {DEPTH_MAX} levels");
                return Err(unreadable(py, &reason));
            }
            let mut elements = Vec::new();
            while let Some(element) = read(py, reader, descending, false, depth + 1)? {
                elements.push(element);
            }
            PyTuple::new(py, elements)?.into_any()
        }
        KeyPart::TupleEnd => return Ok(None),
    }))
}

/// A `uuid.UUID` from its bytes.
pub fn uuid<'py>(py: Python<'py>, content: &[u8; 16]) -> PyResult<Bound<'py, PyAny>> {
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "bytes"), PyBytes::new(py, content))?;
    Classes::get(py)?.uuid.bind(py).call((), Some(&keywords))
}

/// A date from days since 1970.
pub fn date(py: Python<'_>, days: i32) -> PyResult<Bound<'_, PyAny>> {
    let ordinal = days.saturating_add(EPOCH_ORDINAL);
    py.get_type::<PyDate>()
        .call_method1(intern!(py, "fromordinal"), (ordinal,))
}

fn big_int<'py>(py: Python<'py>, negative: bool, magnitude: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let value = py.get_type::<PyInt>().call_method1(
        intern!(py, "from_bytes"),
        (PyBytes::new(py, magnitude), "big"),
    )?;
    if negative { value.neg() } else { Ok(value) }
}
