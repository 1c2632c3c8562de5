//! `SearchParticipant`: one search store inside one transaction, as `participant` is for B-trees.
//!
//! What a call is given is copied into plain data at once, so an operation runs the same on either thread. Short ones run
//! inline; a long one (many texts to analyse, many postings to go through) returns `MISS` like one that has to wait
//! for the disk, and an engine thread does it without the GIL.

mod answer;
mod class;
mod operation;
mod request;
mod schema;
mod texts;

pub use class::SearchParticipant;
pub use schema::{SearchSchema, search_language};
