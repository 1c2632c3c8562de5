//! Fields of record keys: of a dataclass, a `msgspec.Struct` or a `Mapping`.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::refusal::Refusal;
use super::scalar::refused_type;
use crate::classes::Classes;

/// How a class of records gives its fields.
pub enum Shape {
    /// `record[name]`, under whatever names it has.
    Mapping,
    /// `record.name`, always the same names.
    Attributes(Vec<Py<PyString>>),
}

impl Shape {
    /// Looks at the class of `record`.
    pub fn of(record: &Bound<'_, PyAny>) -> Result<Arc<Self>, Refusal> {
        let py = record.py();
        let class = record.get_type();
        let classes = Classes::get(py)?;
        if let Some(names) = class.getattr_opt(intern!(py, "__struct_fields__"))? {
            return Ok(Arc::new(Self::Attributes(names.extract()?)));
        }
        if class.hasattr(intern!(py, "__dataclass_fields__"))? {
            let fields = classes.dataclass_fields.bind(py).call1((&class,))?;
            let names: PyResult<Vec<Py<PyString>>> = fields
                .try_iter()?
                .map(|field| Ok(field?.getattr(intern!(py, "name"))?.extract()?))
                .collect();
            return Ok(Arc::new(Self::Attributes(names?)));
        }
        if record.is_instance(classes.mapping.bind(py))? {
            return Ok(Arc::new(Self::Mapping));
        }
        Err(refused_type(record))
    }

    /// One field, or none when the record has no such field.
    pub fn field<'py>(
        &self,
        record: &Bound<'py, PyAny>,
        name: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self {
            Self::Attributes(_) => record.getattr_opt(name),
            Self::Mapping => {
                if let Ok(dict) = record.cast_exact::<PyDict>() {
                    return dict.get_item(name);
                }
                match record.get_item(name) {
                    Ok(value) => Ok(Some(value)),
                    Err(error)
                        if error.is_instance_of::<pyo3::exceptions::PyKeyError>(record.py()) =>
                    {
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Every field that is not in `indexed`, with its value.
    pub fn ride_along<'py>(
        &self,
        record: &Bound<'py, PyAny>,
        indexed: &dyn Fn(&Bound<'py, PyAny>) -> PyResult<bool>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let py = record.py();
        let rest = PyDict::new(py);
        match self {
            Self::Attributes(names) => {
                for name in names {
                    let name = name.bind(py);
                    if !indexed(name)? {
                        rest.set_item(name, record.getattr(name)?)?;
                    }
                }
            }
            Self::Mapping => {
                for pair in record.call_method0(intern!(py, "items"))?.try_iter()? {
                    let pair = pair?.cast_into::<PyTuple>()?;
                    let name = pair.get_borrowed_item(0)?;
                    if !indexed(&name)? {
                        rest.set_item(name, pair.get_borrowed_item(1)?)?;
                    }
                }
            }
        }
        Ok(if rest.is_empty() { None } else { Some(rest) })
    }
}
