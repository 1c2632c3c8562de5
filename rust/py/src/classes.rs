//! Python classes and constants the binding compares with and makes, looked up once.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDateTime, PyDelta, PyType, PyTzInfo};

/// What is looked up once per process.
pub struct Classes {
    pub uuid: Py<PyType>,
    pub decimal: Py<PyType>,
    pub enumeration: Py<PyType>,
    pub mapping: Py<PyType>,
    /// 1970-01-01T00:00:00 in UTC.
    pub epoch: Py<PyDateTime>,
    /// The same without a zone.
    pub naive_epoch: Py<PyDateTime>,
    /// `dataclasses.fields`.
    pub dataclass_fields: Py<PyAny>,
}

impl Classes {
    /// The one instance.
    pub fn get(py: Python<'_>) -> PyResult<&Self> {
        static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
        CLASSES.get_or_try_init(py, || Self::look_up(py))
    }

    fn look_up(py: Python<'_>) -> PyResult<Self> {
        let class = |module: &str, name: &str| -> PyResult<Py<PyType>> {
            Ok(py
                .import(module)?
                .getattr(name)?
                .cast_into::<PyType>()?
                .unbind())
        };
        let utc = PyTzInfo::utc(py)?;
        Ok(Self {
            uuid: class("uuid", "UUID")?,
            decimal: class("decimal", "Decimal")?,
            enumeration: class("enum", "Enum")?,
            mapping: class("collections.abc", "Mapping")?,
            epoch: PyDateTime::new(py, 1970, 1, 1, 0, 0, 0, 0, Some(&utc))?.unbind(),
            naive_epoch: PyDateTime::new(py, 1970, 1, 1, 0, 0, 0, 0, None)?.unbind(),
            dataclass_fields: py.import("dataclasses")?.getattr("fields")?.unbind(),
        })
    }
}

/// Day number of 1970-01-01 in Python's proleptic calendar.
pub const EPOCH_ORDINAL: i32 = 719_163;
const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A timedelta as microseconds. No two datetimes are further apart than this holds.
pub fn delta_micros(delta: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = delta.py();
    let days: i64 = delta.getattr(intern!(py, "days"))?.extract()?;
    let seconds: i64 = delta.getattr(intern!(py, "seconds"))?.extract()?;
    let micros: i64 = delta.getattr(intern!(py, "microseconds"))?.extract()?;
    Ok((days * SECONDS_PER_DAY + seconds) * MICROS_PER_SECOND + micros)
}

/// The timedelta of so many microseconds.
pub fn delta_of_micros(py: Python<'_>, micros: i64) -> PyResult<Bound<'_, PyDelta>> {
    let day = SECONDS_PER_DAY * MICROS_PER_SECOND;
    let rest = micros.rem_euclid(day);
    // Both quotients are small: days of an i64 of microseconds, seconds of a day.
    PyDelta::new(
        py,
        micros.div_euclid(day) as i32,
        (rest / MICROS_PER_SECOND) as i32,
        (rest % MICROS_PER_SECOND) as i32,
        false,
    )
}

/// Whether a datetime or timedelta is of a class of its own that counts nanoseconds, as those of pandas are, and has some.
pub fn has_nanoseconds(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    if value.is_exact_instance_of::<PyDateTime>() || value.is_exact_instance_of::<PyDelta>() {
        return Ok(false);
    }
    for name in [
        intern!(value.py(), "nanosecond"),
        intern!(value.py(), "nanoseconds"),
    ] {
        if let Some(nanoseconds) = value.getattr_opt(name)? {
            return nanoseconds.is_truthy();
        }
    }
    Ok(false)
}

/// Whether a datetime or time knows its offset from UTC.
pub fn is_aware(moment: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = moment.py();
    if moment.getattr(intern!(py, "tzinfo"))?.is_none() {
        return Ok(false);
    }
    Ok(!moment.call_method0(intern!(py, "utcoffset"))?.is_none())
}
