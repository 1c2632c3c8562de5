//! The storage engine of sopasync: a redo log, immutable B-tree pages, multi-version
//! transactions and the checkpoint that makes the log short again. No Python in it.
//!
//! A layer uses only layers to its left:
//! `disk · log, page · pager · tree · txn · engine · index, text, vector`; `key` stands beside them, `sync` below.

pub mod disk;
mod engine;
mod error;
pub mod index;
pub mod key;
pub mod limits;
pub mod log;
pub mod mutants;
mod page;
mod pager;
mod sync;
pub mod text;
mod tree;
mod txn;
pub mod vector;
mod wire;

pub use engine::{
    Access, BackupReport, BulkLoader, BulkOptions, BulkTarget, Change, ChangeFeed, ChangeKind,
    CheckReport, CheckpointDone, CommitChanges, CommitInfo, CommitTicket, Database, DerivedFault,
    DerivedWriter, Done, Duplicates, Durability, Entry, Fault, Isolation, KeptValue, KeyRange,
    Link, Links, MANIFEST_FAMILY, Maintainer, Options, Pending, Progress, Savepoint, ScanRange,
    Statistics, Step, Transaction, TransactionOptions, Wanted, manifest_key,
};
pub use error::{BrokenRelation, Error, Result};
pub use pager::{MappedValue, PinnedValue, ValueBytes};
pub use txn::{
    FieldSource, INDEX_FIELDS_MAX, INDEX_KIND, IndexDefinition, IndexField, KeyShape, MergeOp,
    OnDelete, Reference, Stamp, StoreInfo,
};
