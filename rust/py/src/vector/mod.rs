//! `VectorParticipant`: one vector store inside one transaction.
//!
//! As with `Participant`, a call runs inline when it need not wait and is not long; else it returns `MISS`, and `retry`
//! gives it to an engine thread. A search over about a millisecond counts as one that would wait.

mod call;
mod class;
mod files;
mod filters;
mod found;
mod hit;
mod hits;
mod rows;

pub use class::VectorParticipant;
pub use files::{read_usearch, write_usearch};
pub use hit::Hit;
pub use hits::Hits;
