//! Approximate search: graphs over the rows of a sealed segment.
//!
//! ```text
//! hnsw      our own graph: built in batches, the same for a seed on any number of threads; read in place
//! usearch   files of the usearch library, and its graph
//! nearest   the candidates of one search, in order
//! visited   which rows a search has seen
//! room      where the large arrays of a build lie
//! rows      distances of one query to rows by their place, prefetched
//! ```
//!
//! A graph never changes and owns no rows: it is opened over the bytes it was written as, beside the prepared rows of its
//! segment. A *slot* is a row's place among them. Distances are the kernel's internal ones.
//!
//! Invariants:
//! G1. Every hit passed the request's test, is given once, and carries the exact distance of its prepared row.
//! G2. Hits are ordered by distance, then slot.
//! G3. A search that returns fewer than k hits, or stopped at its budget, says so by `exhausted`; only one that gives every row
//!     of its graph does not.
//! G4. The same bytes come from the same rows, options and seed, whatever the number of threads.

pub mod hnsw;
pub mod usearch;

mod nearest;
mod room;
mod rows;
mod scratch;
mod visited;

use std::fmt;
use std::sync::atomic::AtomicBool;

use crate::scan::Among;
use crate::top::{Hit, TopK};

pub use self::room::{Heap, Place, Room};

/// The most rows of one graph: a slot and a flag share 32 bits.
pub const ROWS_MAX: usize = (1 << 31) - 1;

/// Which rows a search may return.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    test: Option<&'a dyn Fn(u32) -> bool>,
    rate: f32,
}

impl<'a> Pass<'a> {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Self {
            test: None,
            rate: 1.0,
        }
    }

    /// Those for which `test` is true, which are about `rate` (0 to 1) of all: a graph walks differently when few pass.
    /// The rate is a hint, and never changes what may be returned.
    #[must_use]
    pub fn when(test: &'a dyn Fn(u32) -> bool, rate: f32) -> Self {
        Self {
            test: Some(test),
            rate,
        }
    }

    /// The test, unless all pass.
    #[must_use]
    pub fn test(&self) -> Option<&'a dyn Fn(u32) -> bool> {
        self.test
    }

    /// The part of all rows that is expected to pass.
    #[must_use]
    pub fn rate(&self) -> f32 {
        self.rate
    }
}

impl fmt::Debug for Pass<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.test {
            None => formatter.write_str("Pass::all"),
            Some(_) => write!(formatter, "Pass::when(rate {})", self.rate),
        }
    }
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// A prepared row.
    pub query: &'a [u8],
    /// How many hits.
    pub k: usize,
    /// How many candidates to keep on the way: more find more of the true nearest, and take longer. Less than k counts as k.
    pub ef: usize,
    /// Which rows may be returned.
    pub pass: Pass<'a>,
    /// The most rows to visit before giving up: see [`Search::exhausted`].
    pub budget: usize,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The nearest found, nearest first.
    pub hits: Vec<Hit>,
    /// Rows whose distance was computed or whose links were read: what a budget counts.
    pub visited: usize,
    /// Nearer or further hits may have been missed because the walk ended early: at its budget, or out of links that lead
    /// to rows that pass. Look at the rows themselves instead.
    pub exhausted: bool,
}

/// An immutable graph over the prepared rows of a segment.
pub trait Graph: Send + Sync {
    /// Walk the graph towards the query.
    ///
    /// # Panics
    /// When the query does not have the bytes of a prepared row.
    fn search(&self, request: &Request<'_>) -> Search;

    /// The `k` nearest of chosen rows, measured by codes first; none when the graph has no codes, or the query cannot be
    /// told apart by them.
    fn among(&self, _query: &[u8], _among: &Among<'_>, _k: usize) -> Option<Vec<Hit>> {
        None
    }

    /// Take of chosen rows what measuring each of them would take into `top`: the nearest within its bound, exactly. Most
    /// are left out by their codes. False, and nothing taken, when the graph cannot: see [`Self::is_bounded`]; or when the
    /// query cannot be told apart by codes.
    fn nearest(&self, _query: &[u8], _among: &Among<'_>, _top: &mut TopK) -> bool {
        false
    }

    /// Whether it knows how far rows may lie from their codes.
    fn is_bounded(&self) -> bool {
        false
    }

    /// Bytes of a row's code, which walks and `among` read; 0 when there are none.
    fn code_bytes(&self) -> usize {
        0
    }

    /// How many rows it is over.
    fn count(&self) -> usize;

    /// Bytes of the graph itself, without the rows.
    fn bytes(&self) -> usize;

    /// How it is built, in a few words, for statistics.
    fn describe(&self) -> String;
}

impl<G: Graph + ?Sized> Graph for &G {
    fn search(&self, request: &Request<'_>) -> Search {
        (**self).search(request)
    }

    fn among(&self, query: &[u8], among: &Among<'_>, k: usize) -> Option<Vec<Hit>> {
        (**self).among(query, among, k)
    }

    fn nearest(&self, query: &[u8], among: &Among<'_>, top: &mut TopK) -> bool {
        (**self).nearest(query, among, top)
    }

    fn is_bounded(&self) -> bool {
        (**self).is_bounded()
    }

    fn code_bytes(&self) -> usize {
        (**self).code_bytes()
    }

    fn count(&self) -> usize {
        (**self).count()
    }

    fn bytes(&self) -> usize {
        (**self).bytes()
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}

/// How to build a graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Links of a row on the upper levels; the lowest has twice as many.
    pub links: usize,
    /// Candidates kept while a row's neighbours are looked for.
    pub ef_construction: usize,
    /// Decides levels and the order of insertion.
    pub seed: u64,
    /// Walk over 8-bit codes of the rows, and take exact distances of the best candidates alone.
    pub codes: Codes,
}

/// Whether a graph keeps codes of its rows to walk over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// When they are smaller than the rows and a sample of the rows shows that they tell near from far.
    Auto,
    /// Never.
    Never,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            links: 16,
            ef_construction: 128,
            seed: 0x736f_7061_7379_6e63,
            codes: Codes::Auto,
        }
    }
}

/// How a build runs, and how it is watched. Nothing in here changes its result.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// Threads to use, at least one; the calling one is among them.
    pub threads: usize,
    /// The build ends with [`BuildError::Stopped`] soon after this is set.
    pub stop: &'a AtomicBool,
    /// Called now and then, on the calling thread, with rows done and rows in all.
    pub progress: &'a dyn Fn(usize, usize),
    /// Where the arrays of the build lie.
    pub room: &'a dyn Room,
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Work on {} threads", self.threads)
    }
}

/// Why there is no graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// The stop flag was set.
    Stopped,
    /// More rows than a graph can address.
    TooMany {
        /// Rows that were given.
        count: usize,
    },
    /// The bytes given are not a whole number of rows.
    Rows {
        /// Bytes of a prepared row.
        row: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// There is no room for the arrays of the build.
    Room(String),
    /// The library that was to build it refused.
    Library(String),
    /// An option is out of its range.
    Option {
        /// Which, and what it may be.
        what: &'static str,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => formatter.write_str("the build of a graph was stopped before its end"),
            Self::TooMany { count } => write!(
                formatter,
                "{count} rows are too many for one graph: build several segments of at most {ROWS_MAX}"
            ),
            Self::Rows { row, found } => write!(
                formatter,
                "{found} bytes are no whole number of prepared rows of {row} bytes: check the space"
            ),
            Self::Room(why) => write!(formatter, "a graph needs room to be built in: {why}"),
            Self::Library(why) => write!(formatter, "the usearch library built no graph: {why}"),
            Self::Option { what } => formatter.write_str(what),
        }
    }
}

impl std::error::Error for BuildError {}

/// The bytes of a graph are not those of a graph, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedGraph(pub(crate) &'static str);

impl fmt::Display for DamagedGraph {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the graph cannot be read: {}", self.0)
    }
}

impl std::error::Error for DamagedGraph {}
