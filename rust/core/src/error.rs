//! The one error type of the engine. Every message says what was wrong, where, and what to do.

use std::fmt;
use std::io;

/// What an operation of the engine returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation of the engine failed.
#[expect(
    missing_docs,
    reason = "the fields are what the variant's sentence names"
)]
#[derive(Debug, Clone)]
pub enum Error {
    /// The operating system refused a file operation.
    Io {
        file: String,
        operation: &'static str,
        kind: io::ErrorKind,
        message: String,
    },
    /// Stored bytes are not what was written.
    Corruption {
        file: String,
        offset: u64,
        reason: String,
    },
    /// Another transaction committed first; running again may succeed.
    Conflict {
        store: String,
        keys: Vec<Vec<u8>>,
        reason: &'static str,
    },
    /// The log failed while this commit was being made durable: it may or may not be there after reopening.
    OutcomeUnknown { reason: String },
    /// The log failed earlier; the database takes no writes until it is reopened.
    Poisoned { reason: String },
    /// An encoded key is longer than `KEY_BYTES_MAX`.
    KeyTooLong { length: usize, limit: usize },
    /// A value or ride-along part is longer than its limit.
    ValueTooLarge { length: usize, limit: usize },
    /// No store of that name or number at this snapshot.
    StoreNotFound { store: String },
    /// A store of that name is there already, with another kind or other options.
    StoreExists { store: String },
    /// A write on a read-only transaction or database.
    ReadOnly { what: &'static str },
    /// The database or transaction is closed.
    Closed { what: &'static str },
    /// Another process owns the database.
    Locked { path: String },
    /// The files were written by a version this one does not know.
    UnsupportedFormat {
        file: String,
        found: u32,
        supported: u32,
    },
    /// A commutative operation met a value it cannot be applied to.
    BadMerge { reason: String },
    /// The same, found when the transaction was to be committed; nothing of it was applied.
    MergeRefused {
        store: String,
        key: Vec<u8>,
        reason: String,
    },
    /// The answer is not in memory; ask again from a thread that may wait.
    WouldBlock,
    /// The commit was withdrawn before it was sequenced; nothing of it was applied.
    Withdrawn,
    /// A follower was overtaken: the log it read has been recycled.
    LogRecycled,
    /// A follower was overtaken: pages of its snapshot have been reused.
    SnapshotExpired,
    /// An argument is outside what the call accepts.
    Invalid { reason: String },
    /// A field of an entry cannot be part of an index.
    NotIndexable {
        index: String,
        field: String,
        reason: String,
    },
    /// Another entry has the same fields, and a unique index admits them once. The keys are those of the store.
    NotUnique {
        index: String,
        key: Vec<u8>,
        held_by: Vec<u8>,
    },
    /// An entry refers to another one that is not there.
    NoTarget(Box<BrokenRelation>),
    /// Another entry refers to one, so it is not removed.
    Referred(Box<BrokenRelation>),
}

/// An entry, and the one it cannot be without or that cannot be without it.
#[derive(Debug, Clone)]
pub struct BrokenRelation {
    /// The index that keeps the relation.
    pub index: String,
    /// Name of the entry's store.
    pub store: String,
    /// Its key there.
    pub key: Vec<u8>,
    /// Name of the other's store.
    pub other_store: String,
    /// The other's key there.
    pub other_key: Vec<u8>,
}

impl Error {
    /// Wraps an I/O error with the file and the operation it belongs to.
    pub fn io(file: impl Into<String>, operation: &'static str, source: &io::Error) -> Self {
        Self::Io {
            file: file.into(),
            operation,
            kind: source.kind(),
            message: source.to_string(),
        }
    }

    /// Damage found at `offset` of `file`.
    pub fn corruption(file: impl Into<String>, offset: u64, reason: impl Into<String>) -> Self {
        Self::Corruption {
            file: file.into(),
            offset,
            reason: reason.into(),
        }
    }

    /// An argument that cannot be accepted.
    pub fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid {
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                file,
                operation,
                message,
                ..
            } => {
                write!(f, "cannot {operation} {file}: {message}")
            }
            Self::Corruption {
                file,
                offset,
                reason,
            } => write!(
                f,
                "{file} is damaged at byte {offset}: {reason}. Restore this database from a backup; \
                 `sopasync check` lists what is affected"
            ),
            Self::Conflict { store, reason, .. } => {
                write!(
                    f,
                    "conflict in store '{store}': {reason}. Run the transaction again"
                )
            }
            Self::OutcomeUnknown { reason } => write!(
                f,
                "the commit may or may not be durable: {reason}. Reopen the database and look"
            ),
            Self::Poisoned { reason } => write!(
                f,
                "the database takes no more writes because its log failed: {reason}. Reopen it"
            ),
            Self::KeyTooLong { length, limit } => {
                write!(
                    f,
                    "the key is {length} bytes long when encoded; at most {limit} are accepted"
                )
            }
            Self::ValueTooLarge { length, limit } => {
                write!(
                    f,
                    "the value is {length} bytes long; at most {limit} are accepted here"
                )
            }
            Self::StoreNotFound { store } => {
                write!(f, "there is no store '{store}'. Create it first")
            }
            Self::StoreExists { store } => write!(
                f,
                "store '{store}' exists already with another kind or other options. Open it, or remove it first"
            ),
            Self::ReadOnly { what } => {
                write!(f, "{what} is read-only. Begin a writing transaction")
            }
            Self::Closed { what } => write!(f, "{what} is closed"),
            Self::Locked { path } => write!(
                f,
                "another process owns the database at {path}. Close it there, or open it read-only here"
            ),
            Self::UnsupportedFormat {
                file,
                found,
                supported,
            } => write!(
                f,
                "{file} has format {found}; this version reads up to {supported}. Use a newer sopasync"
            ),
            Self::BadMerge { reason } => write!(f, "the operation cannot be applied: {reason}"),
            Self::MergeRefused { store, reason, .. } => write!(
                f,
                "nothing was committed: an operation on store '{store}' cannot be applied: {reason}"
            ),
            Self::WouldBlock => write!(f, "the answer is not in memory"),
            Self::Withdrawn => write!(f, "the commit was withdrawn; nothing was changed"),
            Self::LogRecycled => write!(f, "the log was recycled while it was being followed"),
            Self::SnapshotExpired => {
                write!(f, "pages of this snapshot have been reused by the owner")
            }
            Self::Invalid { reason } => write!(f, "{reason}"),
            Self::NotIndexable {
                index,
                field,
                reason,
            } => write!(
                f,
                "field '{field}' cannot be part of index '{index}': {reason}. Change the value, or drop the index"
            ),
            Self::NotUnique { index, .. } => write!(
                f,
                "another item has the same fields, and index '{index}' admits them once only"
            ),
            Self::NoTarget(broken) => write!(
                f,
                "an item of store '{}' refers to an item of store '{}' that is not there. Add that first",
                broken.store, broken.other_store
            ),
            Self::Referred(broken) => write!(
                f,
                "an item of store '{}' is referred to by store '{}', so it is not removed. Remove what refers to it first",
                broken.store, broken.other_store
            ),
        }
    }
}

impl std::error::Error for Error {}
