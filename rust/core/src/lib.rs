//! The storage engine of sopasync: a redo log, immutable B-tree pages, multi-version
//! transactions and the checkpoint that makes the log short again. No Python in it.
//!
//! A layer uses only layers to its left:
//! `disk · log, page · tree, pager · txn`; `key` stands beside them.

pub mod disk;
mod error;
pub mod key;
pub mod limits;
pub mod log;
pub mod mutants;

pub use error::{Error, Result};
