//! `MISS`: what an inline call returns instead of waiting, and the repetition of such a call on a thread that may wait.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use sopasync_core::{Error, Result, Transaction};

use crate::completions::{Completions, Outcome};
use crate::error::{exception, from_core};
use crate::participant::{Answer, Reading};
use crate::transaction::Shared;

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

/// What a call that failed gives: `MISS` when it would have to wait, after `keep` has kept it; else the exception.
#[cold]
pub fn miss_or_error<'py>(
    py: Python<'py>,
    error: &Error,
    keep: impl FnOnce(),
) -> PyResult<Bound<'py, PyAny>> {
    if !matches!(error, Error::WouldBlock) {
        return Err(from_core(py, error));
    }
    keep();
    Ok(miss(py)?.bind(py).clone().into_any())
}

/// Repeats the call that was kept on an engine thread. `take` gives what it runs, and what its caller reads.
pub fn repeat<R>(
    py: Python<'_>,
    shared: &Arc<Shared>,
    completions: &Bound<'_, Completions>,
    token: u64,
    take: impl FnOnce() -> Option<(R, Reading)>,
) -> PyResult<()>
where
    R: FnOnce(&mut Transaction) -> Result<Answer> + Send + 'static,
{
    // Looks whether the transaction is open and idle, before the missed call is given away.
    shared.with(py, |_| ())?;
    let Some((run, reading)) = take() else {
        let message = "there is nothing to retry: the last call did not return MISS";
        return Err(exception(py, "TransactionStateError", message, &[]));
    };
    let completions = completions.get();
    completions.expect(token, reading);
    let sender = completions.sender();
    Arc::clone(shared)
        .with_on_engine(
            move |tx| match run(tx) {
                Ok(answer) => Outcome::Answered(answer),
                Err(error) => Outcome::Failed(error),
            },
            move |outcome| sender.send(token, outcome),
        )
        .map_err(|error| from_core(py, &error))
}

/// The one instance.
pub fn miss(py: Python<'_>) -> PyResult<&Py<Miss>> {
    static MISS: PyOnceLock<Py<Miss>> = PyOnceLock::new();
    MISS.get_or_try_init(py, || Py::new(py, Miss))
}
