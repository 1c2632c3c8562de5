//! Why a value cannot be packed, and where in it.

use pyo3::prelude::*;

use crate::error::exception;

/// Steps of a path that a message shows.
const STEPS_SHOWN: usize = 8;

/// A refusal on its way up; every container it passes adds a step.
pub struct Failure {
    /// Innermost first.
    steps: Vec<String>,
    cause: Cause,
}

enum Cause {
    /// A sentence about the element, after its path: "is of type ...".
    Refused(String),
    /// Python code of the value failed.
    Python(PyErr),
}

pub type Outcome<T = ()> = Result<T, Failure>;

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self {
            steps: Vec::new(),
            cause: Cause::Python(error),
        }
    }
}

impl From<std::convert::Infallible> for Failure {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl Failure {
    pub fn refused(reason: impl Into<String>) -> Self {
        Self {
            steps: Vec::new(),
            cause: Cause::Refused(reason.into()),
        }
    }

    /// Adds the step that led here.
    pub fn below(mut self, step: impl FnOnce() -> String) -> Self {
        self.steps.push(step());
        self
    }

    pub fn into_exception(self, py: Python<'_>) -> PyErr {
        match self.cause {
            Cause::Python(error) => error,
            Cause::Refused(reason) => {
                let mut path = String::from("value");
                path.extend(
                    self.steps
                        .iter()
                        .rev()
                        .take(STEPS_SHOWN)
                        .map(String::as_str),
                );
                if self.steps.len() > STEPS_SHOWN {
                    path.push_str("...");
                }
                exception(py, "CodecError", &format!("{path} {reason}"), &[])
            }
        }
    }
}
