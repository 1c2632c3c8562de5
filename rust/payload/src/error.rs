//! Why a filter or a payload cannot be used. Every message says what was wrong and where.

use std::fmt;

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on payloads failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Bytes that are not a packed payload.
    Malformed {
        /// Byte at which reading stopped.
        at: usize,
        /// The end of the sentence "at byte N ...".
        reason: &'static str,
    },
    /// A filter that cannot be one.
    Filter {
        /// Steps into the filter, such as `[1][0]`; empty for the whole.
        place: String,
        /// What is wrong there, with the remedy.
        reason: String,
    },
    /// A filter names a field that no payload has.
    UnknownField {
        /// The name that was given.
        field: String,
        /// The names there are, sorted; cut to a readable number.
        known: Vec<String>,
    },
    /// Sealed columns are not what was written.
    Damaged {
        /// What does not fit.
        reason: String,
    },
    /// More than the sealed format can number.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
    },
}

impl Error {
    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged {
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { at, reason } => {
                write!(f, "this is not a packed payload: at byte {at} {reason}")
            }
            Self::Filter { place, reason } => write!(f, "filter{place}: {reason}"),
            Self::UnknownField { field, known } if known.is_empty() => {
                write!(
                    f,
                    "no payload has a field '{field}': none here has any field"
                )
            }
            Self::UnknownField { field, known } => {
                write!(
                    f,
                    "no payload has a field '{field}'. There are: {}",
                    known.join(", ")
                )
            }
            Self::Damaged { reason } => {
                write!(f, "the columns of the payloads are damaged: {reason}")
            }
            Self::TooLarge { what } => {
                write!(f, "too many {what} for one segment: at most 4294967295")
            }
        }
    }
}

impl std::error::Error for Error {}
