//! Encoding the arguments of a call without allocating: each thread keeps its buffers.

use std::cell::Cell;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyTuple, PyType};

use super::batch::Batch;
use super::operation::Content;
use crate::error::invalid_argument;
use crate::key::Codec;
use crate::value::{Form, not_bytes};

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
    extend(&mut batch, codec, keys, with_meta)?;
    Ok(batch)
}

/// Encodes more keys.
pub fn extend(
    batch: &mut Batch,
    codec: &Codec,
    keys: &Bound<'_, PyAny>,
    with_meta: bool,
) -> PyResult<()> {
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
    Ok(())
}

/// The packed values of a call on many keys.
pub enum Values<'py> {
    /// Packed by the caller, and kept alive here while their bytes are used.
    Given(Vec<Bound<'py, PyBytes>>),
    /// Packed here, one after the other, and where each ends.
    Packed(Vec<u8>, Vec<usize>),
}

impl<'py> Values<'py> {
    /// Packs the values of a call.
    pub fn of(form: &Form, values: &Bound<'py, PyAny>) -> PyResult<Self> {
        if form.is_packed() {
            let one = |value: Bound<'py, PyAny>| {
                value
                    .cast_into::<PyBytes>()
                    .map_err(|error| not_bytes(&error.into_inner()))
            };
            let given: PyResult<_> = match values.cast_exact::<PyList>() {
                Ok(list) => list.iter().map(one).collect(),
                Err(_) => values.try_iter()?.map(|value| one(value?)).collect(),
            };
            return given.map(Self::Given);
        }
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for value in values.try_iter()? {
            form.pack(&mut bytes, &value?)?;
            ends.push(bytes.len());
        }
        Ok(Self::Packed(bytes, ends))
    }

    fn len(&self) -> usize {
        match self {
            Self::Given(values) => values.len(),
            Self::Packed(_, ends) => ends.len(),
        }
    }

    /// Borrows them, one for every key.
    pub fn contents(&self, py: Python<'_>, keys: &Batch) -> PyResult<Vec<Content<'_>>> {
        if keys.len() != self.len() {
            let message = format!(
                "{} keys and {} values: give one value for each key",
                keys.len(),
                self.len()
            );
            return Err(invalid_argument(py, &message));
        }
        Ok(match self {
            Self::Given(values) => values
                .iter()
                .map(|value| Content::Borrowed(value.as_bytes()))
                .collect(),
            Self::Packed(bytes, ends) => {
                let mut start = 0;
                let mut next = |end: &usize| {
                    let content = &bytes[start..*end];
                    start = *end;
                    Content::Borrowed(content)
                };
                ends.iter().map(&mut next).collect()
            }
        })
    }
}

/// Which part of a list a call takes: from `start`, `count` elements at most, and fewer once their values exceed `bytes`.
#[derive(Clone, Copy)]
pub struct Piece {
    pub start: usize,
    pub count: usize,
    pub bytes: usize,
}

/// Encodes and packs a piece of a list of `(key, value)` tuples and Items.
pub fn rows<'py>(
    codec: &Codec,
    form: &Form,
    items: &Bound<'py, PyList>,
    piece: Piece,
) -> PyResult<(Batch, Values<'py>)> {
    let count = piece.count.min(items.len().saturating_sub(piece.start));
    let mut keys = Batch::with_capacity(count);
    let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(count));
    let mut index = piece.start;
    // By index and length each time: encoding a key may run Python code that changes the list.
    while keys.len() < count
        && bytes.len() <= piece.bytes
        && let Ok(item) = items.get_item(index)
    {
        let (key, value) = key_and_value(&item)?;
        keys.push(
            |out| codec.write(out, &key),
            |out| codec.write_meta(out, &key),
        )?;
        form.pack(&mut bytes, &value)?;
        ends.push(bytes.len());
        index += 1;
    }
    Ok((keys, Values::Packed(bytes, ends)))
}

fn key_and_value<'py>(
    item: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(pair) = item.cast::<PyTuple>()
        && pair.len() == 2
    {
        return Ok((pair.get_item(0)?, pair.get_item(1)?));
    }
    let py = item.py();
    if item.is_instance(item_class(py)?.bind(py))? {
        return Ok((
            item.getattr(intern!(py, "key"))?,
            item.getattr(intern!(py, "value"))?,
        ));
    }
    let name = item.get_type().name()?;
    let message = format!(
        "a list holds Items or (key, value) tuples; got {name}: {}",
        item.repr()?
    );
    Err(invalid_argument(py, &message))
}

/// `sopasync.Item`.
fn item_class(py: Python<'_>) -> PyResult<&Py<PyType>> {
    static ITEM: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    ITEM.get_or_try_init(py, || {
        let class = py.import("sopasync._item")?.getattr("Item")?;
        Ok(class.cast_into::<PyType>()?.unbind())
    })
}
