//! Python objects to key elements. Exact types first: they are nearly every key.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateTime, PyFloat, PyInt, PyString, PyTuple,
};
use sopasync_core::Error;
use sopasync_core::key::KeyWriter;
use sopasync_core::limits::KEY_BYTES_MAX;

use super::refusal::Refusal;
use crate::classes::{Classes, EPOCH_ORDINAL, delta_micros, has_nanoseconds, is_aware};
use crate::value::is_masked;

type Outcome = Result<(), Refusal>;

/// Tuples nest at most this deep in a key.
pub const DEPTH_MAX: usize = 64;

/// First and last moment of Python's calendar in UTC; an offset can put a datetime outside.
const UTC_MICROS_MIN: i64 = -62_135_596_800_000_000;
const UTC_MICROS_MAX: i64 = 253_402_300_799_999_999;

/// How an element ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Complete: no other element begins with it.
    Closed,
    /// Text without its end: a prefix.
    Open,
    /// Text as a whole key, without escapes.
    Bare,
}

/// Writes one key element; `ending` applies to str and bytes.
pub fn write_element(
    writer: &mut KeyWriter<'_>,
    key: &Bound<'_, PyAny>,
    ending: Ending,
) -> Outcome {
    write(writer, key, ending, 0)
}

fn write(
    writer: &mut KeyWriter<'_>,
    key: &Bound<'_, PyAny>,
    ending: Ending,
    depth: usize,
) -> Outcome {
    if let Ok(text) = key.cast_exact::<PyString>() {
        return write_str(writer, text, ending);
    }
    if key.is_exact_instance_of::<PyInt>() {
        return write_int(writer, key);
    }
    if let Ok(content) = key.cast_exact::<PyBytes>() {
        return write_bytes(writer, content.as_bytes(), ending);
    }
    if let Ok(elements) = key.cast::<PyTuple>() {
        return write_tuple(writer, elements, depth);
    }
    if key.is_none() {
        writer.null();
        return Ok(());
    }
    if let Ok(truth) = key.cast::<PyBool>() {
        writer.bool(truth.is_true());
        return Ok(());
    }
    if let Ok(number) = key.cast::<PyFloat>() {
        return Ok(writer.float(number.value())?);
    }
    write_rare(writer, key, ending)
}

fn write_rare(writer: &mut KeyWriter<'_>, key: &Bound<'_, PyAny>, ending: Ending) -> Outcome {
    let py = key.py();
    if key.is_exact_instance(Classes::get(py)?.uuid.bind(py)) {
        let content: [u8; 16] = key.getattr(intern!(py, "bytes"))?.extract()?;
        writer.uuid(content);
    } else if key.is_instance_of::<PyDateTime>() {
        write_datetime(writer, key)?;
    } else if key.is_instance_of::<PyDate>() {
        let ordinal: i32 = key.call_method0(intern!(py, "toordinal"))?.extract()?;
        writer.date(ordinal - EPOCH_ORDINAL);
    } else if let Ok(text) = key.cast::<PyString>() {
        write_str(writer, text, ending)?;
    } else if let Ok(content) = key.cast::<PyBytes>() {
        write_bytes(writer, content.as_bytes(), ending)?;
    } else if let Ok(content) = key.cast::<PyByteArray>() {
        write_bytes(writer, &content.to_vec(), ending)?;
    } else if key.is_instance(Classes::get(py)?.uuid.bind(py))? {
        writer.uuid(key.getattr(intern!(py, "bytes"))?.extract()?);
    } else if key.hasattr(intern!(py, "__index__"))? && !is_masked(key)? {
        // A subclass of int, or an integer of numpy. An array has the method too, and most have no use for it.
        write_int(writer, key).map_err(|refusal| match refusal {
            Refusal::Python(error) if error.is_instance_of::<PyTypeError>(py) => refused_type(key),
            refusal => refusal,
        })?;
    } else {
        return Err(refused_type(key));
    }
    Ok(())
}

/// The refusal of a type no key has.
pub fn refused_type(key: &Bound<'_, PyAny>) -> Refusal {
    let class = key.get_type();
    let name = class.fully_qualified_name().map(|name| name.to_string());
    Refusal::Type(name.unwrap_or_else(|_| "(unknown)".to_owned()))
}

fn write_str(writer: &mut KeyWriter<'_>, text: &Bound<'_, PyString>, ending: Ending) -> Outcome {
    let text = text.to_str().map_err(|_| {
        Refusal::Value(
            "a str with lone surrogates cannot be a key: it is not text that can be stored"
                .to_owned(),
        )
    })?;
    Ok(match ending {
        Ending::Closed => writer.str(text),
        Ending::Open => writer.open_str(text),
        Ending::Bare => writer.bare_str(text),
    }?)
}

fn write_bytes(writer: &mut KeyWriter<'_>, content: &[u8], ending: Ending) -> Outcome {
    Ok(match ending {
        Ending::Closed => writer.bytes(content),
        Ending::Open => writer.open_bytes(content),
        Ending::Bare => writer.bare_bytes(content),
    }?)
}

fn write_int(writer: &mut KeyWriter<'_>, key: &Bound<'_, PyAny>) -> Outcome {
    match key.extract::<i64>() {
        Ok(value) => writer.int(value),
        Err(error) if error.is_instance_of::<PyOverflowError>(key.py()) => {
            return write_big_int(writer, key);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn write_big_int(writer: &mut KeyWriter<'_>, key: &Bound<'_, PyAny>) -> Outcome {
    let py = key.py();
    let value = key.call_method0(intern!(py, "__index__"))?;
    let bits: usize = value.call_method0(intern!(py, "bit_length"))?.extract()?;
    let length = bits.div_ceil(8);
    if length > KEY_BYTES_MAX {
        let limit = KEY_BYTES_MAX;
        return Err(Error::KeyTooLong { length, limit }.into());
    }
    let negative = value.lt(0)?;
    let magnitude = value
        .call_method0(intern!(py, "__abs__"))?
        .call_method1(intern!(py, "to_bytes"), (length, "big"))?;
    Ok(writer.big_int(
        negative,
        magnitude.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes(),
    )?)
}

fn write_datetime(writer: &mut KeyWriter<'_>, moment: &Bound<'_, PyAny>) -> Outcome {
    let py = moment.py();
    let classes = Classes::get(py)?;
    if has_nanoseconds(moment)? {
        let reason = format!(
            "{} has nanoseconds, and a key has microseconds",
            moment.str()?
        );
        return Err(Refusal::Value(reason));
    }
    if is_aware(moment)? {
        let micros = delta_micros(&moment.sub(classes.epoch.bind(py))?)?;
        if !(UTC_MICROS_MIN..=UTC_MICROS_MAX).contains(&micros) {
            let reason = format!("{} is not in the years 1 to 9999 of UTC", moment.str()?);
            return Err(Refusal::Value(reason));
        }
        writer.datetime(micros);
    } else {
        // A zone that does not say its offset counts as none; Python subtracts such a datetime from a naive one.
        writer.naive_datetime(delta_micros(&moment.sub(classes.naive_epoch.bind(py))?)?);
    }
    Ok(())
}

fn write_tuple(writer: &mut KeyWriter<'_>, elements: &Bound<'_, PyTuple>, depth: usize) -> Outcome {
    if depth == DEPTH_MAX {
        return Err(Refusal::Value(format!(
            "a key nests tuples at most {DEPTH_MAX} deep"
        )));
    }
    writer.begin_tuple();
    for element in elements.iter_borrowed() {
        write(writer, &element, Ending::Closed, depth + 1)?;
    }
    writer.end_tuple();
    Ok(())
}
