//! What is wrong with a query, and where.

use std::fmt;

/// A query that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// Where the trouble begins, in characters (code points) of what was typed; `None` in an expression.
    pub at: Option<usize>,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl QueryError {
    pub(super) fn at(at: usize, message: impl Into<String>) -> QueryError {
        QueryError {
            at: Some(at),
            message: message.into(),
        }
    }

    pub(super) fn nowhere(message: impl Into<String>) -> QueryError {
        QueryError {
            at: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{} (at character {})", self.message, at + 1),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for QueryError {}
