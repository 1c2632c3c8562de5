//! What `KeyCodec` knows: uniqueness and fields, and both directions of the encoding.
//!
//! A unique store of scalars uses the bare form; a non-unique store appends the item id to the element form, so that all
//! items of a key have that form as prefix; a record is its fields in the order of the index.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMapping, PyString, PyTuple, PyType};
use sopasync_core::key::{KeyReader, KeyWriter};

use super::read::{read_element, unreadable, uuid};
use super::record::Shape;
use super::refusal::Refusal;
use super::scalar::{Ending, write_element};
use crate::error::{exception, invalid_argument};
use crate::value;

/// Length of an item id at the end of the key bytes of a non-unique store.
pub const ITEM_ID_BYTES: usize = 16;
/// Classes of records remembered per store; more than that are looked at anew each time.
const SHAPES_MAX: usize = 64;

/// One indexed field.
pub struct Field {
    pub name: String,
    pub python_name: Py<PyString>,
    pub ascending: bool,
}

/// A class of records and how it gives its fields. Known by its address, so it is kept alive.
type KnownClass = (Py<PyType>, Arc<Shape>);

/// The encoding of one store's keys.
pub struct Codec {
    pub unique: bool,
    pub fields: Option<Vec<Field>>,
    shapes: Mutex<HashMap<usize, KnownClass>>,
}

impl Codec {
    pub fn new(unique: bool, fields: Option<Vec<Field>>) -> Self {
        Self {
            unique,
            fields,
            shapes: Mutex::default(),
        }
    }

    /// Appends the key's bytes, without item id.
    pub fn write(&self, out: &mut Vec<u8>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let start = out.len();
        let mut writer = KeyWriter::new(out);
        match &self.fields {
            None => {
                let ending = if self.unique {
                    Ending::Bare
                } else {
                    Ending::Closed
                };
                write_element(&mut writer, key, ending)
                    .map_err(|refusal| refusal.into_exception(key.py(), None))?;
            }
            Some(fields) => self.write_record(&mut writer, fields, key)?,
        }
        writer
            .finish(start)
            .map_err(|error| Refusal::from(error).into_exception(key.py(), None))
    }

    fn write_record(
        &self,
        writer: &mut KeyWriter<'_>,
        fields: &[Field],
        key: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = key.py();
        let shape = self.shape(key)?;
        for field in fields {
            let value = shape
                .field(key, field.python_name.bind(py))?
                .ok_or_else(|| missing_field(py, field, fields))?;
            write_field(writer, field, &value, Ending::Closed)?;
        }
        Ok(())
    }

    /// Appends what rides along with the key, packed; nothing if there is nothing.
    pub fn write_meta(&self, out: &mut Vec<u8>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(fields) = &self.fields else {
            return Ok(());
        };
        let py = key.py();
        let indexed = |name: &Bound<'_, PyAny>| -> PyResult<bool> {
            for field in fields {
                let own = field.python_name.bind(py);
                if name.is(own) || name.eq(own)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        if let Some(rest) = self.shape(key)?.ride_along(key, &indexed)? {
            value::encode_into(out, rest.as_any())?;
        }
        Ok(())
    }

    /// Appends what every matching key begins with.
    pub fn write_prefix(
        &self,
        out: &mut Vec<u8>,
        key: &Bound<'_, PyAny>,
        open_end: bool,
    ) -> PyResult<()> {
        let py = key.py();
        let mut writer = KeyWriter::new(out);
        let last_ending = if open_end {
            Ending::Open
        } else {
            Ending::Closed
        };
        if let Some(fields) = &self.fields {
            let leading = self.leading_values(fields, key)?;
            for (index, (field, value)) in fields.iter().zip(&leading).enumerate() {
                let is_last = index + 1 == leading.len();
                write_field(
                    &mut writer,
                    field,
                    value,
                    if is_last { last_ending } else { Ending::Closed },
                )?;
            }
            return Ok(());
        }
        let outcome = match key.cast::<PyTuple>() {
            Ok(elements) => {
                writer.begin_tuple();
                let count = elements.len();
                elements
                    .iter_borrowed()
                    .enumerate()
                    .try_for_each(|(index, element)| {
                        let ending = if index + 1 == count {
                            last_ending
                        } else {
                            Ending::Closed
                        };
                        write_element(&mut writer, &element, ending)
                    })
            }
            Err(_) => write_element(
                &mut writer,
                key,
                if self.unique {
                    Ending::Bare
                } else {
                    Ending::Open
                },
            ),
        };
        outcome.map_err(|refusal| refusal.into_exception(py, None))
    }

    /// The values of the first fields: a tuple in their order, a record, or a mapping of some of them without a gap.
    fn leading_values<'py>(
        &self,
        fields: &[Field],
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let py = key.py();
        if let Ok(values) = key.cast::<PyTuple>() {
            if values.len() > fields.len() {
                let message = format!(
                    "a prefix of {} values for an index of {} fields",
                    values.len(),
                    fields.len()
                );
                return Err(invalid_argument(py, &message));
            }
            return Ok(values.iter().collect());
        }
        let shape = self.shape(key)?;
        let mut values = Vec::with_capacity(fields.len());
        let mut gap: Option<&Field> = None;
        for field in fields {
            match (shape.field(key, field.python_name.bind(py))?, gap) {
                (Some(value), None) => values.push(value),
                (Some(_), Some(gap)) => {
                    let message = format!(
                        "a prefix takes the first fields of the index without a gap: '{}' is given and '{}' is not",
                        field.name, gap.name
                    );
                    return Err(invalid_argument(py, &message));
                }
                (None, gap_before) => gap = gap_before.or(Some(field)),
            }
        }
        let is_mapping = key.cast::<PyMapping>();
        if let Ok(mapping) = is_mapping
            && values.len() < mapping.len()?
            && gap.is_some()
        {
            let message = format!(
                "a prefix names only leading fields of the index ({}), and nothing else",
                names(fields)
            );
            return Err(invalid_argument(py, &message));
        }
        Ok(values)
    }

    /// The key in `data`, with what rides along.
    pub fn read<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
        meta: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let data = if self.unique {
            data
        } else {
            self.split_item_id(py, data)?.0
        };
        let mut reader = KeyReader::new(data);
        let key = match &self.fields {
            None => read_element(py, &mut reader, false, self.unique)?,
            Some(fields) => {
                let record = PyDict::new(py);
                for field in fields {
                    let value = read_element(py, &mut reader, !field.ascending, false)?;
                    record.set_item(field.python_name.bind(py), value)?;
                }
                if !meta.is_empty() {
                    let rest = value::decode_slice(py, meta)?;
                    record.update(rest.cast::<PyMapping>()?)?;
                }
                record.into_any()
            }
        };
        if reader.is_empty() {
            Ok(key)
        } else {
            Err(unreadable(py, "bytes follow its end"))
        }
    }

    /// The identity of an item of a non-unique store.
    pub fn item_id<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.unique {
            return Ok(None);
        }
        uuid(py, self.split_item_id(py, data)?.1).map(Some)
    }

    fn split_item_id<'d>(
        &self,
        py: Python<'_>,
        data: &'d [u8],
    ) -> PyResult<(&'d [u8], &'d [u8; ITEM_ID_BYTES])> {
        data.split_last_chunk()
            .ok_or_else(|| unreadable(py, "it is too short to have an item id"))
    }

    fn shape(&self, record: &Bound<'_, PyAny>) -> PyResult<Arc<Shape>> {
        let class = record.get_type();
        let address = class.as_ptr() as usize;
        if let Some((_, shape)) = self.shapes.lock().get(&address) {
            return Ok(Arc::clone(shape));
        }
        // Not under the lock: looking at a class runs Python code.
        let shape = Shape::of(record).map_err(|refusal| match (refusal, &self.fields) {
            (Refusal::Type(name), Some(fields)) => {
                let message = format!(
                    "a key of this store is a record, not of type {name}. Use a dataclass, a msgspec.Struct or a \
                     Mapping with the fields {}",
                    names(fields)
                );
                exception(record.py(), "KeyTypeError", &message, &[])
            }
            (refusal, _) => refusal.into_exception(record.py(), None),
        })?;
        let mut shapes = self.shapes.lock();
        if shapes.len() < SHAPES_MAX {
            shapes.insert(address, (class.unbind(), Arc::clone(&shape)));
        }
        Ok(shape)
    }
}

/// Copies key bytes out for Python.
pub fn to_bytes<'py>(
    py: Python<'py>,
    write: impl FnOnce(&mut Vec<u8>) -> PyResult<()>,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::with_capacity(64);
    write(&mut out)?;
    Ok(PyBytes::new(py, &out))
}

fn write_field(
    writer: &mut KeyWriter<'_>,
    field: &Field,
    value: &Bound<'_, PyAny>,
    ending: Ending,
) -> PyResult<()> {
    let start = writer.position();
    write_element(writer, value, ending)
        .map_err(|refusal| refusal.into_exception(value.py(), Some(&field.name)))?;
    if !field.ascending {
        writer.descend_since(start);
    }
    Ok(())
}

fn missing_field(py: Python<'_>, field: &Field, fields: &[Field]) -> PyErr {
    let message = format!(
        "the key has no field '{}'; the index of this store needs {}",
        field.name,
        names(fields)
    );
    exception(py, "KeyTypeError", &message, &[])
}

fn names(fields: &[Field]) -> String {
    fields
        .iter()
        .map(|field| format!("'{}'", field.name))
        .collect::<Vec<_>>()
        .join(", ")
}
