//! Vector stores: which vectors are nearest, exactly as one snapshot has them.
//!
//! ```text
//! rows         the entries of a store: vectors under never-reused numbers, keys, tombstones, manifest
//! options      what is fixed when a store is made
//! store        upsert, get, delete, count: writes and reads of those rows
//! keys         going through the keys in their order
//! chunk        vectors in memory, as they came
//! block        memory of their rows
//! marks        which of them are deleted, and by which commit
//! codes        codes of flat segments, that scans read first
//! index        all vectors of a store in chunks and segments, and how far it has read the store
//! pull         reading what was committed since into the index
//! records      keys and short payloads by slots, for hits
//! own          what the asking transaction itself has added and deleted
//! query        the nearest at a snapshot: every part, the transaction's own, and the rows of the hits
//! among        the nearest among given keys
//! exact        vectors read from the store itself
//! behind       the nearest among these, piece by piece: for what the index has not read, and for snapshots older than it
//! planner      how each part is searched, and what that costs
//! ways         searching a part in each of these ways
//! together     many queries at once, by several threads
//! hits         what was found
//! filters      filters that come again, and what they select
//! segment      vectors in a sealed file, with a graph or without
//! maintain     what is to be done in the background, piece by piece
//! kept         which vectors go into a new segment, under which slots
//! flat         writing the vectors of several parts as one segment
//! seal         chunks become a segment
//! rebuild      segments become one, without what is deleted for good, with a graph
//! graph        writing a segment with a graph
//! room         where a build works: little memory, and files
//! purge        rows and tombstones that nobody can see go
//! statistics   what there is
//! export       a snapshot as a file of the usearch library
//! ```
//!
//! Truth is in the rows alone. The index and its files follow from them, and are pulled, built and dropped at any time.
//!
//! Invariants
//! V1  A vector's row is written once, under a number unique to its commit, and never changed; replacing a vector is
//!     deleting it and adding another.
//! V2  A vector is visible at snapshot S exactly when it was created at or before S and no tombstone at or before S names
//!     it.
//! V3  The index answers snapshots from its floor to where it has pulled: it knows each vector that is visible at one of
//!     these, and each deletion in between. All others are answered from the rows.
//! V4  A vector's row goes only when no live snapshot can see the vector; its tombstone only when no segment holds it.
//! V5  Every vector that the store shows lies in one segment or one chunk of the index, and in no other.

mod among;
mod behind;
mod block;
mod chunk;
mod codes;
mod exact;
mod export;
mod filters;
mod flat;
mod graph;
mod hits;
mod index;
mod kept;
mod keys;
mod maintain;
mod marks;
mod options;
mod own;
mod part;
mod planner;
mod pull;
mod purge;
mod query;
mod rebuild;
mod records;
mod room;
mod rows;
mod seal;
mod segment;
mod statistics;
mod store;
mod together;
mod ways;

pub use filters::KnownFilter;
pub use hits::{VectorHit, VectorHits};
pub use keys::KeyPage;
pub use maintain::{VectorLimits, VectorMaintainer};
pub use options::{CodeKind, IndexKind, VECTOR_KIND, VectorOptions};
pub use planner::Cost;
pub use query::VectorQuery;
pub(crate) use segment::damaged_segments;
pub use statistics::{SegmentStatistics, VectorStatistics};
pub use store::{VectorEntry, VectorStore};
