//! Building a tree bottom-up from ascending entries, written straight to the page file.
//!
//! Leaves are filled one after the other; each full one hands its separator and its reference to
//! the level above, which does the same. Pages go to runs of the file that nobody else can be
//! given (`pages`); until a log record names the root, nothing refers to them.

mod level;
mod pages;
mod read;
mod runs;

pub(crate) use level::TreeBuilder;
pub(crate) use pages::{BulkPages, PageFile};
pub(crate) use read::TreeReader;
pub(crate) use runs::Runs;
