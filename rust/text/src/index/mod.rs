//! The index: rows that say where terms stand, and the work that keeps them short.
//!
//! Every transaction writes one row, its *delta*; maintenance folds deltas into the *merged* index, whose rows hold the postings of
//! one term in blocks. Both are rows of the store, so a snapshot of the rows is a snapshot of the index, and what a search finds
//! does not depend on how far maintenance has come.

mod bits;
mod bytes;
mod chunk;
pub(crate) mod cursor;
mod dead;
mod delta;
mod dictionary;
mod documents;
mod failure;
mod fill;
mod fold;
mod forward;
mod impact;
mod keys;
mod maintain;
mod manifest;
mod merge;
mod names;
mod pack;
mod pending;
mod posting;
mod rows;
mod term;
mod view;
mod words;

pub(crate) use dictionary::WordList;
pub(crate) use impact::Impacts;
pub(crate) use keys::{TERM, with, word};
pub(crate) use pack::BLOCK;
pub(crate) use pending::ANY;
pub(crate) use term::TermRow;

pub use delta::Delta;
pub use failure::{Failure, Result};
pub use forward::Words;
pub use keys::{DocumentId, combined_key, delta_key};
pub use maintain::{Policy, Shape, Step, found, step};
pub use merge::combine_own;
pub use pending::Pending;
pub use rows::{MemoryRows, Rows, RowsMut};
pub use view::{Cache, View};
