//! `ValueForm`: in which form the values of a store come from Python and go back to it.
//!
//! F1 for every form the stored bytes are the same msgpack; only who packs and unpacks them differs.
//! F2 what a form does not take it gives to the Python functions it was made with, which pack it or say what is wrong.

use std::cell::Cell;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::reader::{Item, Reader, short_bytes};
use super::{decode_slice, encode_into, msgpack};
use crate::error::{exception, invalid_argument};

/// A buffer that grew larger than this is not kept.
const KEPT_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Bytes that are packed already, and are handed back packed.
    Packed,
    /// Any object `encode_value` takes.
    Any,
    /// bytes.
    Bytes,
    /// str.
    Text,
}

/// What the binding does with one value.
pub struct Form {
    kind: Kind,
    /// F2; none for packed values.
    functions: Option<(Py<PyAny>, Py<PyAny>)>,
}

impl Form {
    /// Values cross as packed bytes.
    pub fn packed() -> Arc<Self> {
        Arc::new(Self {
            kind: Kind::Packed,
            functions: None,
        })
    }

    pub fn is_packed(&self) -> bool {
        self.kind == Kind::Packed
    }

    /// Packs a value and lends the bytes to `run`.
    #[inline]
    pub fn with_packed<R>(
        &self,
        value: &Bound<'_, PyAny>,
        run: impl FnOnce(&[u8]) -> PyResult<R>,
    ) -> PyResult<R> {
        if self.kind == Kind::Packed {
            let value = value.cast::<PyBytes>().map_err(|_| not_bytes(value))?;
            return run(value.as_bytes());
        }
        // Taken, not borrowed: packing may run Python code that comes here again.
        let mut buffer = BUFFER.take();
        let result = self.pack(&mut buffer, value).and_then(|()| run(&buffer));
        buffer.clear();
        if buffer.capacity() <= KEPT_BYTES_MAX {
            BUFFER.set(buffer);
        }
        result
    }

    /// Appends the packed value.
    #[inline]
    pub fn pack(&self, out: &mut Vec<u8>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        match self.kind {
            Kind::Packed => {
                let value = value.cast::<PyBytes>().map_err(|_| not_bytes(value))?;
                out.extend_from_slice(value.as_bytes());
                return Ok(());
            }
            Kind::Any => return encode_into(out, value),
            Kind::Bytes => {
                if let Ok(content) = value.cast_exact::<PyBytes>() {
                    return msgpack::write_bytes(out, content.as_bytes())
                        .map_err(|failure| failure.into_exception(py));
                }
            }
            Kind::Text => {
                if let Ok(text) = value.cast_exact::<PyString>()
                    && let Ok(text) = text.to_str()
                {
                    return msgpack::write_str(out, text)
                        .map_err(|failure| failure.into_exception(py));
                }
            }
        }
        let (encode, _) = self.functions.as_ref().expect("F2");
        let packed = encode.bind(py).call1((value,))?;
        let packed = packed.cast::<PyBytes>().map_err(|_| not_bytes(&packed))?;
        out.extend_from_slice(packed.as_bytes());
        Ok(())
    }

    /// The Python object for stored bytes.
    #[inline]
    pub fn object<'py>(&self, py: Python<'py>, stored: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        match self.kind {
            Kind::Packed => return Ok(PyBytes::new(py, stored).into_any()),
            Kind::Any => return decode_slice(py, stored),
            Kind::Bytes => {
                if let Some(content) = short_bytes(stored) {
                    return Ok(PyBytes::new(py, content).into_any());
                }
            }
            Kind::Text => {}
        }
        let mut reader = Reader::new(stored);
        match (self.kind, reader.item()) {
            (Kind::Bytes, Ok(Item::Bytes(content))) if reader.remaining() == 0 => {
                return Ok(PyBytes::new(py, content).into_any());
            }
            (Kind::Text, Ok(Item::Str(text))) if reader.remaining() == 0 => {
                if let Ok(text) = std::str::from_utf8(text) {
                    return Ok(PyString::new(py, text).into_any());
                }
            }
            _ => {}
        }
        let (_, decode) = self.functions.as_ref().expect("F2");
        decode.bind(py).call1((PyBytes::new(py, stored),))
    }
}

/// The error for a value that should have been packed.
pub fn not_bytes(value: &Bound<'_, PyAny>) -> PyErr {
    let class = value.get_type();
    let name = class
        .fully_qualified_name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    let message = format!("a packed value is bytes, not {name}");
    exception(value.py(), "CodecError", &message, &[])
}

/// In which form the values of a store cross between Python and the engine.
#[pyclass(frozen, module = "sopasync._core")]
pub struct ValueForm {
    pub form: Arc<Form>,
}

#[pymethods]
impl ValueForm {
    #[new]
    fn new(py: Python<'_>, kind: &str, encode: Py<PyAny>, decode: Py<PyAny>) -> PyResult<Self> {
        let kind = match kind {
            "any" => Kind::Any,
            "bytes" => Kind::Bytes,
            "str" => Kind::Text,
            _ => {
                let message = format!("a form of values is 'any', 'bytes' or 'str', not '{kind}'");
                return Err(invalid_argument(py, &message));
            }
        };
        Ok(Self {
            form: Arc::new(Form {
                kind,
                functions: Some((encode, decode)),
            }),
        })
    }
}
