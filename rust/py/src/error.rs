//! Errors of the engine become exceptions of `sopasync._exceptions`, with their facts as attributes.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use sopasync_core::Error;

/// Makes an exception of class `name` with keyword attributes; an exception while making it is given instead.
pub fn exception<'py>(
    py: Python<'py>,
    name: &str,
    message: &str,
    attributes: &[(&str, Option<Bound<'py, PyAny>>)],
) -> PyErr {
    make(py, name, message, attributes).unwrap_or_else(|error| error)
}

fn make<'py>(
    py: Python<'py>,
    name: &str,
    message: &str,
    attributes: &[(&str, Option<Bound<'py, PyAny>>)],
) -> PyResult<PyErr> {
    static EXCEPTIONS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module =
        EXCEPTIONS.get_or_try_init(py, || py.import("sopasync._exceptions").map(Bound::unbind))?;
    let keywords = PyDict::new(py);
    for (attribute, value) in attributes {
        keywords.set_item(attribute, value)?;
    }
    let class = module.bind(py).getattr(name)?;
    Ok(PyErr::from_value(class.call((message,), Some(&keywords))?))
}

/// An argument outside what a call accepts.
pub fn invalid_argument(py: Python<'_>, message: &str) -> PyErr {
    exception(py, "InvalidArgumentError", message, &[])
}

/// A transaction used after its end.
pub fn transaction_closed(py: Python<'_>) -> PyErr {
    let message = "the transaction has ended: it was committed or rolled back. Begin another one";
    exception(py, "TransactionClosedError", message, &[])
}

/// A handle used after its end.
pub fn closed(py: Python<'_>, what: &str) -> PyErr {
    let message = format!("{what} is closed. Open another one");
    exception(py, "ClosedError", &message, &[])
}

/// The exception for an error of the engine.
pub fn from_core(py: Python<'_>, error: &Error) -> PyErr {
    let message = error.to_string();
    let text = |value: &str| Some(value.into_pyobject(py).ok()?.into_any());
    let bytes = |value: &[u8]| Some(PyBytes::new(py, value).into_any());
    let number = |value: usize| Some(value.into_pyobject(py).ok()?.into_any());
    let with = |name: &str, attributes: &[(&str, Option<Bound<'_, PyAny>>)]| {
        exception(py, name, &message, attributes)
    };
    match error {
        Error::Io {
            file, operation, ..
        } => with(
            "StorageError",
            &[("file", text(file)), ("operation", text(operation))],
        ),
        Error::Corruption {
            file,
            offset,
            reason,
        } => with(
            "CorruptionError",
            &[
                ("file", text(file)),
                ("offset", offset.into_pyobject(py).ok().map(Bound::into_any)),
                ("reason", text(reason)),
            ],
        ),
        Error::Conflict {
            store,
            keys,
            reason,
        } => {
            let keys = PyTuple::new(py, keys.iter().map(|key| PyBytes::new(py, key)));
            with(
                "ConflictError",
                &[
                    ("store", text(store)),
                    ("keys", keys.ok().map(Bound::into_any)),
                    ("reason", text(reason)),
                ],
            )
        }
        Error::OutcomeUnknown { reason } => with("CommitUnknownError", &[("reason", text(reason))]),
        Error::Poisoned { .. } => with("StorageError", &[]),
        Error::KeyTooLong { length, limit } | Error::ValueTooLarge { length, limit } => with(
            "ValueTooLargeError",
            &[("length", number(*length)), ("limit", number(*limit))],
        ),
        Error::StoreNotFound { store } => with("StoreNotFoundError", &[("store", text(store))]),
        Error::StoreExists { store } => with("StoreExistsError", &[("store", text(store))]),
        Error::ReadOnly { .. } => with("ReadOnlyError", &[]),
        Error::Closed {
            what: "the transaction",
        }
        | Error::Withdrawn => with("TransactionClosedError", &[]),
        Error::Closed { .. } => with("ClosedError", &[]),
        Error::Locked { path } => with("DatabaseLockedError", &[("path", text(path))]),
        Error::UnsupportedFormat {
            file,
            found,
            supported,
        } => with(
            "UnsupportedFormatError",
            &[
                ("file", text(file)),
                ("found", number(*found as usize)),
                ("supported", number(*supported as usize)),
            ],
        ),
        Error::BadMerge { .. } => with("CodecError", &[]),
        Error::MergeRefused { store, key, .. } => {
            with("CodecError", &[("store", text(store)), ("key", bytes(key))])
        }
        Error::LogRecycled | Error::SnapshotExpired => with("SnapshotExpiredError", &[]),
        Error::Invalid { .. } => with("InvalidArgumentError", &[]),
        Error::NotIndexable { index, field, .. } => with(
            "NotIndexableError",
            &[("index_name", text(index)), ("field", text(field))],
        ),
        Error::NotUnique {
            index,
            key,
            held_by,
        } => with(
            "UniqueIndexError",
            &[
                ("index_name", text(index)),
                ("key", bytes(key)),
                ("held_by", bytes(held_by)),
            ],
        ),
        Error::NoTarget(broken) | Error::Referred(broken) => with(
            "RelationError",
            &[
                ("index_name", text(&broken.index)),
                ("store", text(&broken.store)),
                ("key", bytes(&broken.key)),
                ("other_store", text(&broken.other_store)),
                ("other_key", bytes(&broken.other_key)),
            ],
        ),
        // Turned into MISS before it comes here.
        Error::WouldBlock => PyRuntimeError::new_err(message.clone()),
    }
}
