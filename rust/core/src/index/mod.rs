//! Secondary indexes: entries of a store in the order of their fields, kept in the same commit.
//!
//! An index is a store of its own (`txn::index` has its entry in the catalogue). Its rows:
//!
//! ```text
//! 00                  the index is not complete: state:8, then of state 2 what is wrong
//!                         1 being built | 2 cannot be built: key:bytes reason:bytes
//! 01                  how far the building is: done:varint key:bytes, all entries up to that key are in the index
//! fields ++ key       an entry of an index that is not unique: the elements of its fields, then the key in the store
//! fields              an entry of a unique index; its value is the key in the store
//! ```
//!
//! Every field is a key element (`key`), inverted where it descends, so no element begins with 00 or 01.
//!
//! Invariants
//! X1  Every item of the store whose fields are all there has its entry, and there is no other entry. Of an index that
//!     is being built this holds for the keys up to the one in row 01, and for what was written since it was declared.
//! X2  An entry is written and removed by the transaction that changes its item, which claims the item as it was: two that
//!     change one item conflict, whatever their isolation.
//! X3  Who writes to a store knows all its indexes, or does not commit (`txn::validate`).
//! X4  An index without row 00 is complete.
//! X5  Where an index refers to another store, the item there is claimed by whoever refers to it, and the entries that
//!     refer to it by whoever removes it: one of the two commits.

mod build;
mod check;
mod column;
mod define;
mod entry;
mod fill;
mod join;
mod level;
mod many;
mod read;
mod state;
mod write;

pub use build::IndexBuilder;
pub use check::check_index;
pub use column::{Column, JoinItem, NOTHING};
pub use define::{create, create_to_fill, drop_index, find};
pub use entry::Entries;
pub use fill::{Filled, fill};
pub use join::{Join, Probe, Step as JoinStep};
pub use many::{NewItem, Way, delete_many, put_many};
pub use read::VisitItem;
pub use read::{count, scan, skip};
pub use state::{State, state};
pub use write::{delete, put, put_meta, put_new};
