//! The class `KeyCodec` and the function `prefix_end`.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::codec::{Codec, Field, to_bytes};
use crate::error::invalid_argument;

/// How the keys of one store become bytes whose order is the order of the keys.
#[pyclass(frozen, module = "sopasync._core")]
pub struct KeyCodec {
    pub codec: Arc<Codec>,
}

#[pymethods]
impl KeyCodec {
    #[new]
    #[pyo3(signature = (*, unique, fields=None))]
    fn new(py: Python<'_>, unique: bool, fields: Option<Vec<(String, bool)>>) -> PyResult<Self> {
        let fields = fields.map(|fields| index(py, fields)).transpose()?;
        Ok(Self {
            codec: Arc::new(Codec::new(unique, fields)),
        })
    }

    #[getter]
    fn unique(&self) -> bool {
        self.codec.unique
    }

    #[getter]
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let pairs = |fields: &Vec<Field>| {
            let pairs: Vec<_> = fields
                .iter()
                .map(|field| (&field.name, field.ascending))
                .collect();
            PyTuple::new(py, pairs)
        };
        self.codec.fields.as_ref().map(pairs).transpose()
    }

    #[pyo3(signature = (key, item_id=None))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        item_id: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        to_bytes(py, |out| {
            self.codec.write(out, key)?;
            if let Some(id) = item_id {
                if self.codec.unique {
                    return Err(invalid_argument(
                        py,
                        "items of a store with unique keys have no item id",
                    ));
                }
                out.extend(id.getattr(intern!(py, "bytes"))?.extract::<[u8; 16]>()?);
            }
            Ok(())
        })
    }

    fn meta<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        to_bytes(py, |out| self.codec.write_meta(out, key))
    }

    #[pyo3(signature = (data, meta=None))]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyBytes>,
        meta: Option<&Bound<'py, PyBytes>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.codec.read(
            py,
            data.as_bytes(),
            meta.map_or(&[], |meta| meta.as_bytes()),
        )
    }

    fn item_id<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyBytes>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.codec.item_id(py, data.as_bytes())
    }

    #[pyo3(signature = (key, *, open_end=false))]
    fn prefix<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
        open_end: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        to_bytes(py, |out| self.codec.write_prefix(out, key, open_end))
    }

    fn __repr__(&self) -> String {
        let fields = self.codec.fields.as_ref().map(|fields| {
            let signed = |field: &Field| {
                format!("{}{}", if field.ascending { "+" } else { "-" }, field.name)
            };
            fields.iter().map(signed).collect::<Vec<_>>().join(" ")
        });
        let uniqueness = if self.codec.unique {
            "unique"
        } else {
            "not unique"
        };
        format!(
            "<KeyCodec {uniqueness}, {}>",
            fields.unwrap_or_else(|| "scalars".to_owned())
        )
    }
}

fn index(py: Python<'_>, fields: Vec<(String, bool)>) -> PyResult<Vec<Field>> {
    if fields.is_empty() {
        return Err(invalid_argument(py, "an index needs at least one field"));
    }
    let mut index: Vec<Field> = Vec::with_capacity(fields.len());
    for (name, ascending) in fields {
        if index.iter().any(|field| field.name == name) {
            return Err(invalid_argument(
                py,
                &format!("field '{name}' is named twice in the index"),
            ));
        }
        let python_name = PyString::intern(py, &name).unbind();
        index.push(Field {
            name,
            python_name,
            ascending,
        });
    }
    Ok(index)
}

/// The lowest bytes above everything that begins with `prefix`.
#[pyfunction]
pub fn prefix_end<'py>(
    py: Python<'py>,
    prefix: &Bound<'py, PyBytes>,
) -> Option<Bound<'py, PyBytes>> {
    sopasync_core::key::prefix_end(prefix.as_bytes()).map(|end| PyBytes::new(py, &end))
}
