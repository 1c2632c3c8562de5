//! Why work on the rows of an index ended.

use std::fmt;

/// Why work on the rows of an index ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Stored bytes are not what was written; what they should have been.
    Malformed(&'static str),
    /// The rows could not be read or written; whoever provides them has kept the reason.
    Rows,
    /// The index has no room: slots are 32 bits.
    Full,
    /// It would take more work than was allowed.
    Costly,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "a row of the text index is damaged: {what}"),
            Self::Rows => write!(f, "the rows of the text index could not be read or written"),
            Self::Costly => write!(f, "the search would take long; run it where it may"),
            Self::Full => write!(
                f,
                "the text store has taken in 4 billion documents since it was made. Make a new one and add the documents there"
            ),
        }
    }
}

impl std::error::Error for Failure {}

/// `Result` with a [`Failure`].
pub type Result<T> = std::result::Result<T, Failure>;
