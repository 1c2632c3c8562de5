//! Segment files: sealed rows of a vector store with everything that searches them.
//!
//! ```text
//! format   the bytes: head, sections, table, tail
//! write    writing one, front to back
//! open     reading one in place
//! error    what can be wrong with one
//! ```
//!
//! A segment holds the rows of consecutive commits: those with lo < seq <= hi, ordered by *vid* (the number of the commit, and
//! the ordinal within it). A row's place in that order is its *slot*. A *flat* segment is searched by looking at its rows,
//! another has a graph over them.

mod error;
mod format;
mod open;
mod write;

pub use error::SegmentError;
pub use format::{FORMAT, Head, Kind, Section, Vid};
pub use open::{Bytes, Segment, Vids};
pub use write::{Parts, SegmentWriter, Written, write_segment};
