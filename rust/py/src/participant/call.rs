//! Encoding the arguments of a call without allocating: each thread keeps its buffers.

use std::cell::Cell;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::batch::Batch;
use super::operation::Content;
use crate::error::{exception, invalid_argument};
use crate::key::Codec;

/// A buffer that grew larger than this is not kept.
const KEPT_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Encodes a key, with what rides along when `with_meta`, and lends both to `run`.
pub fn with_key<R>(
    codec: &Codec,
    key: &Bound<'_, PyAny>,
    with_meta: bool,
    run: impl FnOnce(&[u8], &[u8]) -> PyResult<R>,
) -> PyResult<R> {
    // Taken, not borrowed: encoding may run Python code that comes here again.
    let mut buffer = BUFFER.take();
    let result = encode(codec, key, with_meta, &mut buffer).and_then(|key_end| {
        let (key, meta) = buffer.split_at(key_end);
        run(key, meta)
    });
    buffer.clear();
    if buffer.capacity() <= KEPT_BYTES_MAX {
        BUFFER.set(buffer);
    }
    result
}

fn encode(
    codec: &Codec,
    key: &Bound<'_, PyAny>,
    with_meta: bool,
    buffer: &mut Vec<u8>,
) -> PyResult<usize> {
    codec.write(buffer, key)?;
    let key_end = buffer.len();
    if with_meta {
        codec.write_meta(buffer, key)?;
    }
    Ok(key_end)
}

/// Encodes the keys of a call on many of them.
pub fn batch(codec: &Codec, keys: &Bound<'_, PyAny>, with_meta: bool) -> PyResult<Batch> {
    let mut batch = Batch::with_capacity(keys.len().unwrap_or(0));
    let mut push = |key: &Bound<'_, PyAny>| {
        batch.push(
            |out| codec.write(out, key),
            |out| {
                if with_meta {
                    codec.write_meta(out, key)
                } else {
                    Ok(())
                }
            },
        )
    };
    if let Ok(list) = keys.cast_exact::<PyList>() {
        let mut index = 0;
        // By index and length each time: encoding a key may run Python code that changes the list.
        while let Ok(key) = list.get_item(index) {
            push(&key)?;
            index += 1;
        }
    } else {
        for key in keys.try_iter()? {
            push(&key?)?;
        }
    }
    Ok(batch)
}

/// The values of a call on many keys, kept alive while their bytes are used.
pub fn values<'py>(values: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let one = |value: Bound<'py, PyAny>| {
        value
            .cast_into::<PyBytes>()
            .map_err(|error| not_bytes(&error.into_inner()))
    };
    if let Ok(list) = values.cast_exact::<PyList>() {
        return list.iter().map(one).collect();
    }
    values.try_iter()?.map(|value| one(value?)).collect()
}

/// Borrows values, one for every key.
pub fn contents<'a>(
    py: Python<'_>,
    keys: &Batch,
    values: &'a [Bound<'_, PyBytes>],
) -> PyResult<Vec<Content<'a>>> {
    if keys.len() != values.len() {
        let message = format!(
            "{} keys and {} values: give one value for each key",
            keys.len(),
            values.len()
        );
        return Err(invalid_argument(py, &message));
    }
    Ok(values
        .iter()
        .map(|value| Content::Borrowed(value.as_bytes()))
        .collect())
}

fn not_bytes(value: &Bound<'_, PyAny>) -> PyErr {
    let class = value.get_type();
    let name = class
        .fully_qualified_name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    let message = format!("a packed value is bytes, not {name}");
    exception(value.py(), "CodecError", &message, &[])
}
