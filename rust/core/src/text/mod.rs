//! Text stores: documents found by their words, exactly as one snapshot has them.
//!
//! ```text
//! record       the rows of documents and their keys
//! rules        how terms are made, and which generation of the index answers
//! index        what is kept in memory beside a store: its rules, and the newest views of its index
//! rows         a transaction as the index sees it
//! pending      what an open transaction has added and removed: found by its own searches, one row at the end
//! store        add, delete, get, count
//! search       the best documents of a query at the snapshot
//! maintain     deltas become the merged index, piece by piece
//! rebuild      the next generation of the index, made when the rules change
//! ```
//!
//! The index itself, its rows and the scoring are the crate `sopasync-text`; here it meets transactions.
//!
//! Invariants
//! X1  A document has a number unique to its commit. Changing a document is removing it and adding another of the same name.
//! X2  A document's terms are in the index exactly when its name's row has its number, at every snapshot.
//! X3  Writers of different keys never conflict: each commit writes rows of its own; maintenance alone changes the others.

mod index;
mod maintain;
mod pending;
mod rebuild;
mod record;
mod rows;
mod rules;
mod search;
mod store;

pub use index::TEXT_KIND;
pub use maintain::TextMaintainer;
pub use search::{TextHit, TextSearch};
pub use store::{TextEntry, TextOptions, TextPolicy, TextStatistics, TextStore};
