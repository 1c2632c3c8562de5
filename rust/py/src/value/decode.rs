//! Msgpack to Python objects. Damaged or foreign bytes give a `CodecError` that says where.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple};

use super::names::name;
use super::reader::{Item, Reader};
use super::{DEPTH_MAX, extension, numpy, time};
use crate::classes::Classes;
use crate::error::exception;
use crate::key::uuid;

/// Unpacks what `encode_value` made; arrays are read-only views into `data`.
#[pyfunction]
pub fn decode_value<'py>(data: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
    let source = Source {
        py: data.py(),
        owner: Some(data),
        origin: 0,
    };
    source.whole(data.as_bytes())
}

/// Unpacks bytes that no Python object holds; arrays are copies.
pub fn decode_slice<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    Source {
        py,
        owner: None,
        origin: 0,
    }
    .whole(data)
}

/// Where the bytes that are read lie.
#[derive(Clone, Copy)]
struct Source<'s, 'py> {
    py: Python<'py>,
    /// The object that holds them, for views.
    owner: Option<&'s Bound<'py, PyBytes>>,
    /// Their position in it.
    origin: usize,
}

impl<'py> Source<'_, 'py> {
    fn whole(self, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let mut reader = Reader::new(data);
        let value = self.value(&mut reader, 0)?;
        if reader.remaining() > 0 {
            return Err(self.damaged(&reader, "bytes follow its end"));
        }
        Ok(value)
    }

    fn damaged(self, reader: &Reader<'_>, reason: &str) -> PyErr {
        let at = self.origin + reader.position();
        let message = format!("this is not a packed value: at byte {at} {reason}");
        exception(self.py, "CodecError", &message, &[])
    }

    fn value(self, reader: &mut Reader<'_>, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        if depth > DEPTH_MAX {
            return Err(self.damaged(reader, &format!("it nests deeper than {DEPTH_MAX} levels")));
        }
        let item = reader
            .item()
            .map_err(|reason| self.damaged(reader, reason))?;
        Ok(match item {
            Item::Nil => py.None().into_bound(py),
            Item::Bool(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
            Item::Int(number) => number.into_pyobject(py)?.into_any(),
            Item::Unsigned(number) => number.into_pyobject(py)?.into_any(),
            Item::Float(number) => PyFloat::new(py, number).into_any(),
            Item::Str(text) => {
                let text = std::str::from_utf8(text)
                    .map_err(|_| self.damaged(reader, "a text is not UTF-8"))?;
                PyString::new(py, text).into_any()
            }
            Item::Bytes(content) => PyBytes::new(py, content).into_any(),
            Item::Array(count) => PyList::new(py, self.elements(reader, count, depth)?)?.into_any(),
            Item::Map(count) => self.map(reader, count, depth)?,
            Item::Extension(code, content) => {
                let origin = self.origin + reader.position() - content.len();
                let inner = Source { origin, ..self };
                let value = inner.extension(code, content, depth)?;
                value.ok_or_else(|| {
                    self.damaged(
                        reader,
                        &format!("an unknown or malformed extension of type {code}"),
                    )
                })?
            }
        })
    }

    fn elements(
        self,
        reader: &mut Reader<'_>,
        count: usize,
        depth: usize,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        (0..count).map(|_| self.value(reader, depth + 1)).collect()
    }

    fn map(
        self,
        reader: &mut Reader<'_>,
        count: usize,
        depth: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dict = PyDict::new(self.py);
        for _ in 0..count {
            let key = self.key(reader, depth + 1)?;
            let value = self.value(reader, depth + 1)?;
            dict.set_item(key, value)
                .map_err(|_| self.damaged(reader, "a dict has a key that cannot be one"))?;
        }
        Ok(dict.into_any())
    }

    fn key(self, reader: &mut Reader<'_>, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        if let Some(text) = reader.short_str()
            && let Some(name) = name(self.py, text)
        {
            reader.pass_short_str(text);
            return Ok(name.into_any());
        }
        self.value(reader, depth)
    }

    /// None for an unknown code or malformed content.
    fn extension(
        self,
        code: i8,
        content: &[u8],
        depth: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = self.py;
        match code {
            extension::TUPLE | extension::SET | extension::FROZENSET => {
                self.sequence(code, content, depth)
            }
            extension::BIG_INT => big_int(py, content).map(Some),
            extension::UUID => content
                .try_into()
                .ok()
                .map(|content| uuid(py, content))
                .transpose(),
            extension::DECIMAL => decimal(py, content),
            extension::ARRAY => self.array(content, depth),
            extension::SCALAR => self.scalar(content, depth),
            _ => time::decode(py, code, content),
        }
    }

    fn sequence(
        self,
        code: i8,
        content: &[u8],
        depth: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = self.py;
        let mut reader = Reader::new(content);
        let Ok(Item::Array(count)) = reader.item() else {
            return Ok(None);
        };
        let elements = self.elements(&mut reader, count, depth)?;
        if reader.remaining() > 0 {
            return Ok(None);
        }
        Ok(Some(match code {
            extension::TUPLE => PyTuple::new(py, elements)?.into_any(),
            extension::SET => PySet::new(py, elements)?.into_any(),
            _ => PyFrozenSet::new(py, elements)?.into_any(),
        }))
    }

    fn array(self, content: &[u8], depth: usize) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut reader = Reader::new(content);
        let padding = reader.take(1).map_or(0, |byte| usize::from(byte[0]));
        if reader.take(padding).is_err() {
            return Ok(None);
        }
        let descr = self.value(&mut reader, depth + 1)?;
        let Ok(Item::Array(dimensions)) = reader.item() else {
            return Ok(None);
        };
        let mut shape = Vec::with_capacity(dimensions);
        for _ in 0..dimensions {
            let length = match reader.item() {
                Ok(Item::Int(length)) => usize::try_from(length).ok(),
                Ok(Item::Unsigned(length)) => usize::try_from(length).ok(),
                _ => None,
            };
            let Some(length) = length else {
                return Ok(None);
            };
            shape.push(length);
        }
        let (start, size) = (reader.position(), reader.remaining());
        match self.owner {
            Some(owner) => numpy::view(owner.as_any(), self.origin + start, size, &descr, &shape),
            None => {
                let copy = PyBytes::new(self.py, &content[start..]);
                numpy::view(copy.as_any(), 0, size, &descr, &shape)
            }
        }
    }

    fn scalar(self, content: &[u8], depth: usize) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut reader = Reader::new(content);
        let descr = self.value(&mut reader, depth + 1)?;
        numpy::scalar(
            &PyBytes::new(self.py, &content[reader.position()..]),
            &descr,
        )
    }
}

fn big_int<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "signed"), true)?;
    py.get_type::<PyInt>().call_method(
        intern!(py, "from_bytes"),
        (PyBytes::new(py, content), "big"),
        Some(&keywords),
    )
}

fn decimal<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Ok(text) = std::str::from_utf8(content) else {
        return Ok(None);
    };
    Classes::get(py)?.decimal.bind(py).call1((text,)).map(Some)
}
