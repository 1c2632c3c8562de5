//! Dates, times and spans, packed and unpacked.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDate, PyDateTime, PyDelta, PyDict, PyTime, PyTzInfo};

use super::failure::{Failure, Outcome};
use super::{extension, msgpack};
use crate::classes::{
    Classes, EPOCH_ORDINAL, delta_micros, delta_of_micros, has_nanoseconds, is_aware,
};

/// Packs an object of the module `datetime`; false for anything else.
pub fn encode(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Outcome<bool> {
    if value.is_instance_of::<PyDateTime>() {
        refuse_nanoseconds(value)?;
        encode_datetime(out, value)?;
    } else if value.is_instance_of::<PyDate>() {
        let ordinal: i32 = value
            .call_method0(intern!(value.py(), "toordinal"))?
            .extract()?;
        msgpack::write_extension(
            out,
            extension::DATE,
            &(ordinal - EPOCH_ORDINAL).to_be_bytes(),
        )?;
    } else if value.is_instance_of::<PyTime>() {
        encode_time(out, value)?;
    } else if value.is_instance_of::<PyDelta>() {
        refuse_nanoseconds(value)?;
        encode_span(out, value)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn refuse_nanoseconds(value: &Bound<'_, PyAny>) -> Outcome {
    if !has_nanoseconds(value)? {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "has nanoseconds, which would be lost: {}. Round it to microseconds, or use numpy.datetime64 or timedelta64",
        value.repr()?
    )))
}

fn encode_datetime(out: &mut Vec<u8>, moment: &Bound<'_, PyAny>) -> Outcome {
    let py = moment.py();
    let classes = Classes::get(py)?;
    if !is_aware(moment)? {
        refuse_silent_zone(moment)?;
        let micros = delta_micros(&moment.sub(classes.naive_epoch.bind(py))?)?;
        let fold: u8 = moment.getattr(intern!(py, "fold"))?.extract()?;
        let mut content = [fold; 9];
        content[..8].copy_from_slice(&micros.to_be_bytes());
        return msgpack::write_extension(out, extension::NAIVE_DATETIME, &content);
    }
    let offset = delta_micros(&moment.call_method0(intern!(py, "utcoffset"))?)?;
    let utc = delta_micros(&moment.sub(classes.epoch.bind(py))?)?;
    let mut content = [0; 16];
    content[..8].copy_from_slice(&(utc + offset).to_be_bytes());
    content[8..].copy_from_slice(&offset.to_be_bytes());
    msgpack::write_extension(out, extension::DATETIME, &content)
}

fn refuse_silent_zone(moment: &Bound<'_, PyAny>) -> Outcome {
    let zone = moment.getattr(intern!(moment.py(), "tzinfo"))?;
    if zone.is_none() {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "has the zone {}, which does not say its offset here. Remove the zone, or use a datetime with a fixed offset",
        zone.repr()?
    )))
}

fn encode_time(out: &mut Vec<u8>, time: &Bound<'_, PyAny>) -> Outcome {
    let py = time.py();
    let field = |name: &Bound<'_, pyo3::types::PyString>| time.getattr(name)?.extract::<i64>();
    let minutes = field(intern!(py, "hour"))? * 60 + field(intern!(py, "minute"))?;
    let seconds = minutes * 60 + field(intern!(py, "second"))?;
    let micros = seconds * 1_000_000 + field(intern!(py, "microsecond"))?;
    let mut content = Vec::with_capacity(17);
    content.extend(micros.to_be_bytes());
    content.push(field(intern!(py, "fold"))? as u8);
    if is_aware(time)? {
        let offset = delta_micros(&time.call_method0(intern!(py, "utcoffset"))?)?;
        content.extend(offset.to_be_bytes());
    } else {
        refuse_silent_zone(time)?;
    }
    msgpack::write_extension(out, extension::TIME, &content)
}

fn encode_span(out: &mut Vec<u8>, span: &Bound<'_, PyAny>) -> Outcome {
    let py = span.py();
    let days: i32 = span.getattr(intern!(py, "days"))?.extract()?;
    let seconds: u32 = span.getattr(intern!(py, "seconds"))?.extract()?;
    let micros: u32 = span.getattr(intern!(py, "microseconds"))?.extract()?;
    let mut content = [0; 12];
    content[..4].copy_from_slice(&days.to_be_bytes());
    content[4..8].copy_from_slice(&seconds.to_be_bytes());
    content[8..].copy_from_slice(&micros.to_be_bytes());
    msgpack::write_extension(out, extension::TIMEDELTA, &content)
}

/// Unpacks an extension of this kind; none for another code or length.
pub fn decode<'py>(
    py: Python<'py>,
    code: i8,
    content: &[u8],
) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(Some(match (code, content.len()) {
        (extension::DATETIME, 16) => decode_datetime(py, i64_at(content, 0), i64_at(content, 8))?,
        (extension::NAIVE_DATETIME, 9) => {
            let moment = Classes::get(py)?
                .naive_epoch
                .bind(py)
                .add(delta_of_micros(py, i64_at(content, 0))?)?;
            with_fold(moment, content[8])?
        }
        (extension::DATE, 4) => crate::key::date(py, i32::from_be_bytes(array(content, 0)))?,
        (extension::TIME, 9) => with_fold(time(py, i64_at(content, 0), None)?, content[8])?,
        (extension::TIME, 17) => {
            let zone = zone(py, i64_at(content, 9))?;
            with_fold(time(py, i64_at(content, 0), Some(&zone))?, content[8])?
        }
        (extension::TIMEDELTA, 12) => {
            let part = |at| u32::from_be_bytes(array(content, at)) as i32;
            PyDelta::new(py, part(0), part(4), part(8), true)?.into_any()
        }
        _ => return Ok(None),
    }))
}

fn array<const N: usize>(content: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&content[at..at + N]);
    bytes
}

fn i64_at(content: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(array(content, at))
}

fn zone(py: Python<'_>, offset_micros: i64) -> PyResult<Bound<'_, PyTzInfo>> {
    if offset_micros == 0 {
        return Ok(PyTzInfo::utc(py)?.to_owned());
    }
    PyTzInfo::fixed_offset(py, delta_of_micros(py, offset_micros)?)
}

fn decode_datetime(py: Python<'_>, local: i64, offset: i64) -> PyResult<Bound<'_, PyAny>> {
    let reading = Classes::get(py)?
        .naive_epoch
        .bind(py)
        .add(delta_of_micros(py, local)?)?;
    replace(&reading, intern!(py, "tzinfo"), zone(py, offset)?.as_any())
}

fn time<'py>(
    py: Python<'py>,
    micros: i64,
    zone: Option<&Bound<'py, PyTzInfo>>,
) -> PyResult<Bound<'py, PyAny>> {
    let seconds = micros.div_euclid(1_000_000);
    let hour = u8::try_from(seconds / 3600)?;
    let minute = (seconds / 60 % 60) as u8;
    let microsecond = micros.rem_euclid(1_000_000) as u32;
    Ok(PyTime::new(py, hour, minute, (seconds % 60) as u8, microsecond, zone)?.into_any())
}

fn with_fold(moment: Bound<'_, PyAny>, fold: u8) -> PyResult<Bound<'_, PyAny>> {
    if fold == 0 {
        return Ok(moment);
    }
    let py = moment.py();
    replace(
        &moment,
        intern!(py, "fold"),
        fold.into_pyobject(py)?.as_any(),
    )
}

fn replace<'py>(
    moment: &Bound<'py, PyAny>,
    name: &Bound<'py, pyo3::types::PyString>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let keywords = PyDict::new(moment.py());
    keywords.set_item(name, value)?;
    moment.call_method(intern!(moment.py(), "replace"), (), Some(&keywords))
}
