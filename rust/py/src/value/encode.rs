//! Python objects to msgpack. Exact types first; the rare ones after.

use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyMemoryView, PySet,
    PyString, PyTuple, PyType,
};

use super::failure::{Failure, Outcome};
use super::{DEPTH_MAX, extension, msgpack, numpy, time};
use crate::classes::Classes;

/// Packs an object as msgpack.
#[pyfunction]
pub fn encode_value<'py>(
    py: Python<'py>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::with_capacity(128);
    encode_into(&mut out, value)?;
    Ok(PyBytes::new(py, &out))
}

/// Appends the packed object; on an error the buffer holds a part of it.
pub fn encode_into(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    encode(out, value, 0).map_err(|failure| failure.into_exception(value.py()))
}

fn encode(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: usize) -> Outcome {
    if let Ok(text) = value.cast_exact::<PyString>() {
        return encode_str(out, text);
    }
    if value.is_exact_instance_of::<PyInt>() {
        return encode_int(out, value);
    }
    if let Ok(number) = value.cast_exact::<PyFloat>() {
        msgpack::write_float(out, number.value());
        return Ok(());
    }
    if value.is_none() {
        msgpack::write_nil(out);
        return Ok(());
    }
    if let Ok(truth) = value.cast::<PyBool>() {
        msgpack::write_bool(out, truth.is_true());
        return Ok(());
    }
    if let Ok(content) = value.cast_exact::<PyBytes>() {
        return msgpack::write_bytes(out, content.as_bytes());
    }
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        return encode_dict(out, dict, depth);
    }
    if let Ok(list) = value.cast_exact::<PyList>() {
        return encode_list(out, list, depth);
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return encode_tuple(out, tuple, depth);
    }
    encode_rare(out, value, depth)
}

fn encode_rare(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: usize) -> Outcome {
    let py = value.py();
    let classes = Classes::get(py)?;
    if time::encode(out, value)? {
        return Ok(());
    }
    if value.is_instance(classes.uuid.bind(py))? {
        let content: [u8; 16] = value.getattr(intern!(py, "bytes"))?.extract()?;
        return msgpack::write_extension(out, extension::UUID, &content);
    }
    if value.is_instance(classes.decimal.bind(py))? {
        return msgpack::write_extension(
            out,
            extension::DECIMAL,
            value.str()?.to_str()?.as_bytes(),
        );
    }
    if value.is_instance(classes.enumeration.bind(py))? {
        let plain = value.getattr(intern!(py, "value"))?;
        return encode(out, &plain, deeper(depth)?);
    }
    // Before the bases: a float64 of numpy is a float of Python too.
    if numpy::encode(out, value)? {
        return Ok(());
    }
    if encode_set(out, value, depth)?
        || encode_subclass(out, value, depth)?
        || encode_record(out, value, depth)?
    {
        return Ok(());
    }
    let class = value.get_type();
    let name = class.fully_qualified_name()?;
    Err(Failure::refused(format!(
        "is of type {name}, which cannot be packed. Convert it to dict, list, bytes or another plain type"
    )))
}

/// A depth further down (V1).
fn deeper(depth: usize) -> Outcome<usize> {
    if depth == DEPTH_MAX {
        return Err(Failure::refused(format!(
            "nests deeper than {DEPTH_MAX} levels. Does it contain itself?"
        )));
    }
    Ok(depth + 1)
}

fn encode_str(out: &mut Vec<u8>, text: &Bound<'_, PyString>) -> Outcome {
    match text.to_str() {
        Ok(text) => msgpack::write_str(out, text),
        Err(_) => Err(Failure::refused(
            "is a str with lone surrogates, which is not text that can be stored. Encode it to bytes",
        )),
    }
}

fn encode_int(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Outcome {
    match value.extract::<i64>() {
        Ok(number) => msgpack::write_int(out, number),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            return encode_big_int(out, value);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn encode_big_int(out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> Outcome {
    if let Ok(number) = value.extract::<u64>() {
        msgpack::write_unsigned(out, number);
        return Ok(());
    }
    let py = value.py();
    let bits: usize = value.call_method0(intern!(py, "bit_length"))?.extract()?;
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "signed"), true)?;
    let content = value.call_method(
        intern!(py, "to_bytes"),
        (bits / 8 + 1, "big"),
        Some(&keywords),
    )?;
    let content = content.cast::<PyBytes>().map_err(PyErr::from)?;
    msgpack::write_extension(out, extension::BIG_INT, content.as_bytes())
}

fn encode_dict(out: &mut Vec<u8>, dict: &Bound<'_, PyDict>, depth: usize) -> Outcome {
    let depth = deeper(depth)?;
    // A copy of the pairs: packing an element may run Python code, and that may change the dict.
    let pairs = dict.items();
    msgpack::write_map_header(out, pairs.len())?;
    for pair in pairs.iter() {
        let pair = pair.cast_into::<PyTuple>().map_err(PyErr::from)?;
        let key = pair.get_borrowed_item(0)?;
        encode(out, &key, depth)
            .map_err(|failure| failure.below(|| format!(" key {}", short_repr(&key))))?;
        encode(out, &*pair.get_borrowed_item(1)?, depth)
            .map_err(|failure| failure.below(|| format!("[{}]", short_repr(&key))))?;
    }
    Ok(())
}

fn short_repr(key: &Bound<'_, PyAny>) -> String {
    let text = key.repr().map_or_else(
        |_| "?".to_owned(),
        |text| text.to_string_lossy().into_owned(),
    );
    if text.chars().count() > 40 {
        text.chars().take(37).chain("...".chars()).collect()
    } else {
        text
    }
}

fn encode_list(out: &mut Vec<u8>, list: &Bound<'_, PyList>, depth: usize) -> Outcome {
    let depth = deeper(depth)?;
    let count = list.len();
    msgpack::write_array_header(out, count)?;
    for index in 0..count {
        let Ok(element) = list.get_item(index) else {
            return Err(Failure::refused("became shorter while it was being packed"));
        };
        encode(out, &element, depth).map_err(|failure| failure.below(|| format!("[{index}]")))?;
    }
    Ok(())
}

fn encode_tuple(out: &mut Vec<u8>, tuple: &Bound<'_, PyTuple>, depth: usize) -> Outcome {
    let depth = deeper(depth)?;
    let start = out.len();
    msgpack::write_array_header(out, tuple.len())?;
    for (index, element) in tuple.iter_borrowed().enumerate() {
        encode(out, &element, depth).map_err(|failure| failure.below(|| format!("[{index}]")))?;
    }
    msgpack::wrap_extension(out, extension::TUPLE, start)
}

fn encode_set(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: usize) -> Outcome<bool> {
    let code = if value.is_instance_of::<PySet>() {
        extension::SET
    } else if value.is_instance_of::<PyFrozenSet>() {
        extension::FROZENSET
    } else {
        return Ok(false);
    };
    let depth = deeper(depth)?;
    let start = out.len();
    let elements = PyTuple::new(value.py(), value.try_iter()?.collect::<PyResult<Vec<_>>>()?)?;
    msgpack::write_array_header(out, elements.len())?;
    for element in elements.iter_borrowed() {
        encode(out, &element, depth)
            .map_err(|failure| failure.below(|| format!("{{{}}}", short_repr(&element))))?;
    }
    msgpack::wrap_extension(out, code, start)?;
    Ok(true)
}

/// Subclasses of the plain types, packed as what they derive from.
fn encode_subclass(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: usize) -> Outcome<bool> {
    if let Ok(text) = value.cast::<PyString>() {
        encode_str(out, text)?;
    } else if value.is_instance_of::<PyInt>() {
        encode_int(out, value)?;
    } else if let Ok(number) = value.cast::<PyFloat>() {
        msgpack::write_float(out, number.value());
    } else if let Ok(content) = value.cast::<PyBytes>() {
        msgpack::write_bytes(out, content.as_bytes())?;
    } else if let Ok(content) = value.cast::<PyByteArray>() {
        msgpack::write_bytes(out, &content.to_vec())?;
    } else if value.is_instance_of::<PyMemoryView>() {
        let content = value.call_method0(intern!(value.py(), "tobytes"))?;
        msgpack::write_bytes(
            out,
            content.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes(),
        )?;
    } else if let Ok(dict) = value.cast::<PyDict>() {
        encode_dict(out, dict, depth)?;
    } else if let Ok(list) = value.cast::<PyList>() {
        encode_list(out, list, depth)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Instances of dataclasses and Structs, as a dict of their fields.
fn encode_record(out: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: usize) -> Outcome<bool> {
    let py = value.py();
    if value.is_instance_of::<PyType>() {
        return Ok(false);
    }
    let class = value.get_type();
    let names: Vec<Py<PyString>> =
        if let Some(names) = class.getattr_opt(intern!(py, "__struct_fields__"))? {
            names.extract()?
        } else if class.hasattr(intern!(py, "__dataclass_fields__"))? {
            let fields = Classes::get(py)?
                .dataclass_fields
                .bind(py)
                .call1((&class,))?;
            let name = |field: PyResult<Bound<'_, PyAny>>| -> PyResult<Py<PyString>> {
                Ok(field?.getattr(intern!(py, "name"))?.extract()?)
            };
            fields.try_iter()?.map(name).collect::<PyResult<_>>()?
        } else {
            return Ok(false);
        };
    let depth = deeper(depth)?;
    msgpack::write_map_header(out, names.len())?;
    for name in names {
        let name = name.bind(py);
        encode_str(out, name)?;
        encode(out, &value.getattr(name)?, depth)
            .map_err(|failure| failure.below(|| format!(".{name}")))?;
    }
    Ok(true)
}
