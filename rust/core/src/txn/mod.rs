//! Transactions without threads or files: stores, snapshots, log records, validation and applying
//! them to the tip. Everything here is deterministic: no clock, no randomness, no thread order.

mod apply;
mod effects;
mod gathered;
mod index;
mod merge;
mod read_set;
mod record;
mod snapshot;
mod stamp;
mod stores;
mod tip;
mod validate;
mod write_key;
mod write_set;

pub use index::{
    FieldSource, INDEX_FIELDS_MAX, INDEX_KIND, IndexDefinition, IndexField, KeyShape, OnDelete,
    Reference,
};
pub use merge::MergeOp;
pub use stamp::Stamp;
pub use stores::StoreInfo;

pub(crate) use gathered::Gathered;
pub(crate) use merge::merge;
pub(crate) use read_set::ReadSet;
pub(crate) use record::{EntryOp, LoadedTree, Op, Record, RecordWriter};
pub(crate) use snapshot::Snapshot;
pub(crate) use stamp::stamped;
pub(crate) use stores::Stores;
pub(crate) use tip::{Sealed, Tip};
pub(crate) use validate::{Claims, StoreClaims};
pub(crate) use write_set::{Before, NewValue, Write, WriteSet};
