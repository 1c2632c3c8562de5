//! An open database: the commit pipeline, transactions, checkpoints, opening and closing.

mod attached;
mod backup;
mod bulk;
mod check;
mod checkpoint;
mod checkpointer;
mod committer;
mod compact;
mod core;
mod database;
mod derived;
mod feed;
mod feed_group;
mod follow;
mod maintenance;
mod open;
mod options;
mod part;
mod payload;
mod poison;
mod queue;
mod recent;
mod scan;
mod sequencer;
mod statistics;
mod sweep;
mod transaction;
mod watchers;

pub use backup::BackupReport;
pub use bulk::{BulkLoader, BulkOptions, BulkTarget, Duplicates};
pub use check::{CheckReport, DerivedFault, Fault, KeyRange, Progress};
pub use checkpointer::CheckpointDone;
pub use database::Database;
pub use derived::{DerivedWriter, MANIFEST_FAMILY, manifest_key};
pub use feed::{Change, ChangeFeed, ChangeKind, CommitChanges, Wanted};
pub use maintenance::{Maintainer, Step};
pub use options::{Durability, Isolation, Options, TransactionOptions};
pub use scan::ScanRange;
pub use sequencer::{CommitInfo, Done};
pub use statistics::Statistics;
pub use transaction::{
    Access, CommitTicket, Entry, KeptValue, Link, Links, Pending, Savepoint, Transaction,
};
