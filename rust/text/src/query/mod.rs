//! Queries: from what people type, or what Python expressions say, to terms of fields.
//!
//! Invariants
//! 1. A query never panics and is never an error because of what a document contains; what cannot be understood is an
//!    error that says where.
//! 2. Every term in a [`Query`] went through the analyzer of its field.
//! 3. `Term`, `Phrase`, `Prefix` and `Fuzzy` have at least one field, phrases at least two terms; boosts are finite and > 0.

mod ast;
mod compile;
pub mod distance;
mod error;
mod expression;
mod node;
mod parser;

pub use ast::{FieldPhrase, FieldTerm, Joined, PhraseTerm, Query};
pub use error::QueryError;
