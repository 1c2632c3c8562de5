//! Full-text search without an engine: what makes terms of texts, what makes queries of what people type, where the
//! postings of terms stand and how documents are scored.
//!
//! A module uses only modules to its left: `analysis · schema, query · index, score · highlight`.
//! Nothing here knows about transactions or pages: `sopasync-core` reads and writes the rows.

pub mod analysis;
mod error;
pub mod highlight;
pub mod index;
pub mod mutants;
pub mod query;
mod schema;
pub mod score;
mod wire;

pub use analysis::{Analyzer, Token};
pub use error::{Error, Result};
pub use query::{FieldPhrase, FieldTerm, Joined, PhraseTerm, Query, QueryError};
pub use schema::{Field, Schema};
