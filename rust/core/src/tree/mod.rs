//! B-trees of immutable, path-copied pages: reading, comparing and editing them.
//!
//! A tree is named by the `ChildRef` of its root (`None` when empty); the root's count is the
//! number of its entries. Every version of a tree stays readable as long as its pages live.

mod bulk;
mod cursor;
mod diff;
mod edit;
mod finger;
mod fresh;
mod lookup;
mod rebalance;
mod relocate;
mod shape;

pub(crate) use bulk::{BulkPages, PageFile, Runs, TreeBuilder, TreeReader};
pub(crate) use cursor::Cursor;
pub(crate) use diff::{same_at, same_between};
pub(crate) use edit::Editor;
pub(crate) use finger::Finger;
pub(crate) use fresh::{Fresh, GroupPages, TipReader};
pub(crate) use lookup::{ABREAST, Pages, Reader, get, get_abreast, rank};

#[cfg(test)]
mod tests;
