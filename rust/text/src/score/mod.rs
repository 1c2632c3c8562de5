//! Scoring: BM25 over the index as a snapshot has it, document by document, skipping what cannot be among the best.

mod bm25;
mod boolean;
mod expand;
mod fuzzy;
mod group;
mod list;
mod near;
mod phrase;
mod scorer;
mod search;
mod term;
mod top;
mod window;

pub use bm25::Parameters;
pub use search::{Search, cost, search};
pub use top::{Accept, Hit};
