//! `MISS`: what an inline call returns instead of waiting.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Type of `MISS`.
#[pyclass(frozen, module = "sopasync._core")]
pub struct Miss;

#[pymethods]
impl Miss {
    fn __repr__(&self) -> &'static str {
        "MISS"
    }

    fn __bool__(&self) -> PyResult<bool> {
        // `if found:` would take "ask again" for an answer.
        Err(pyo3::exceptions::PyTypeError::new_err(
            "MISS is neither true nor false: compare with `is MISS`",
        ))
    }

    fn __reduce__(&self) -> &'static str {
        "MISS"
    }
}

/// The one instance.
pub fn miss(py: Python<'_>) -> PyResult<&Py<Miss>> {
    static MISS: PyOnceLock<Py<Miss>> = PyOnceLock::new();
    MISS.get_or_try_init(py, || Py::new(py, Miss))
}
