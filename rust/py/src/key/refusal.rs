//! Why an object cannot be a key, until it is known which field it was.

use pyo3::prelude::*;
use sopasync_core::Error;

use crate::error::{exception, from_core};

/// What was refused.
pub enum Refusal {
    /// No key is of this type.
    Type(String),
    /// The type is fine, this value of it is not.
    Value(String),
    /// The engine's own limits.
    Core(Error),
    /// Python code of the key failed.
    Python(PyErr),
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { reason } => Self::Value(reason),
            other => Self::Core(other),
        }
    }
}

impl Refusal {
    /// The exception, naming the field if the key is a record.
    pub fn into_exception(self, py: Python<'_>, field: Option<&str>) -> PyErr {
        let what = field.map_or_else(|| "a key".to_owned(), |name| format!("key field '{name}'"));
        match self {
            Self::Type(class) => {
                let message = format!(
                    "{what} cannot be of type {class}. Use None, bool, int, float, str, bytes, UUID, datetime, date, \
                     or a tuple of these"
                );
                exception(py, "KeyTypeError", &message, &[])
            }
            Self::Value(reason) => {
                let place = field.map_or_else(String::new, |name| format!("key field '{name}': "));
                exception(py, "InvalidArgumentError", &format!("{place}{reason}"), &[])
            }
            Self::Core(error) => from_core(py, &error),
            Self::Python(error) => error,
        }
    }
}
