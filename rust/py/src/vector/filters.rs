//! Filters as names: what a plain dict asks, as bytes that no other dict has, so that it is packed and parsed once for a store.
//!
//! ```text
//! name  := 00 packed filter | 01 value
//! value := 'N' | 'T' | 'F' | 'i' i64 | 'f' f64 | 's' text | 'b' bytes | '[' count value* | '{' count (text value)*
//! text  := length u32, UTF-8
//! ```
//!
//! N1 only values of exactly these types are named: what another type means to a filter is for Python to say.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

const PACKED: u8 = 0;
const PLAIN: u8 = 1;
/// Larger filters are packed each time: naming them takes as long.
const NAME_BYTES_MAX: usize = 4096;
const DEPTH_MAX: usize = 16;

/// The name of a packed filter.
pub fn packed_name(packed: &[u8]) -> Vec<u8> {
    [&[PACKED], packed].concat()
}

/// The name of a dict, if it is a plain one (N1).
pub fn plain_name(filter: &Bound<'_, PyAny>) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(64);
    name.push(PLAIN);
    let filter = filter.cast_exact::<PyDict>().ok()?;
    push_dict(&mut name, filter, 0)?;
    Some(name)
}

fn push_dict(name: &mut Vec<u8>, dict: &Bound<'_, PyDict>, depth: usize) -> Option<()> {
    name.push(b'{');
    name.extend_from_slice(&(dict.len() as u32).to_le_bytes());
    for (key, value) in dict.iter() {
        push_text(name, key.cast_exact::<PyString>().ok()?)?;
        push(name, &value, depth + 1)?;
    }
    Some(())
}

fn push_text(name: &mut Vec<u8>, text: &Bound<'_, PyString>) -> Option<()> {
    push_bytes(name, text.to_str().ok()?.as_bytes())
}

fn push_bytes(name: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    name.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    name.extend_from_slice(bytes);
    (name.len() <= NAME_BYTES_MAX).then_some(())
}

fn push(name: &mut Vec<u8>, value: &Bound<'_, PyAny>, depth: usize) -> Option<()> {
    if depth > DEPTH_MAX || name.len() > NAME_BYTES_MAX {
        return None;
    }
    if value.is_none() {
        name.push(b'N');
    } else if let Ok(truth) = value.cast_exact::<PyBool>() {
        name.push(if truth.is_true() { b'T' } else { b'F' });
    } else if let Ok(number) = value.cast_exact::<PyInt>() {
        name.push(b'i');
        name.extend_from_slice(&number.extract::<i64>().ok()?.to_le_bytes());
    } else if let Ok(number) = value.cast_exact::<PyFloat>() {
        name.push(b'f');
        name.extend_from_slice(&number.value().to_bits().to_le_bytes());
    } else if let Ok(text) = value.cast_exact::<PyString>() {
        name.push(b's');
        push_text(name, text)?;
    } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        name.push(b'b');
        push_bytes(name, bytes.as_bytes())?;
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        name.push(b'[');
        name.extend_from_slice(&(list.len() as u32).to_le_bytes());
        for element in list.iter() {
            push(name, &element, depth + 1)?;
        }
    } else {
        push_dict(name, value.cast_exact::<PyDict>().ok()?, depth)?;
    }
    Some(())
}
