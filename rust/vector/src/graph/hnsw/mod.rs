//! Our own graph: a hierarchical navigable small world (HNSW) that is built once and then only read.
//!
//! ```text
//! make         from rows to a graph          rank     the order rows are inserted in
//! build        insertion in batches          layer    links of a level, the walk along them
//! select       which near rows are linked    format   the bytes, and finding the way around in them
//! duplicates   equal rows stand for another  search   walks for requests, with and without a test
//! repair       rows that no way leads to     parallel the same work on several threads
//! lists        all links by slots, for other formats
//! merge        building from a graph that is there already   filtered  walks with a test
//! among        the nearest of chosen rows, without walking
//! ```

mod among;
mod build;
mod duplicates;
mod filtered;
mod format;
mod layer;
mod lists;
mod make;
mod merge;
mod parallel;
mod rank;
mod repair;
mod search;
mod select;

use self::format::View;
use self::lists::Lists;
pub use self::make::{Built, Older, build_then};
pub use self::merge::GONE;
use self::search::Searching;
use super::rows::Rows;
use super::{BuildError, DamagedGraph, Graph, Options, Request, Search, Work};
use crate::kernel::Kernel;
use crate::scan::Among;
use crate::space::Space;
use crate::top::{Hit, TopK};

/// A written graph, opened beside its rows.
#[derive(Clone, Debug)]
pub struct Hnsw<'a> {
    view: View<'a>,
    rows: Rows<'a>,
}

impl<'a> Hnsw<'a> {
    /// Open the bytes of a graph over prepared rows. Looks at its head alone; see [`Self::check`].
    pub fn open(bytes: &'a [u8], space: &Space, rows: &'a [u8]) -> Result<Self, DamagedGraph> {
        Ok(Self {
            view: View::open(bytes, space, rows.len() / space.prepared_bytes())?,
            rows: Rows::new(Kernel::of(space), rows),
        })
    }

    /// The space of its rows.
    #[must_use]
    pub fn space(&self) -> &Space {
        self.rows.kernel().space()
    }

    /// All links by slots.
    pub(crate) fn lists(&self) -> Lists<'_> {
        Lists::of_view(&self.view)
    }

    /// Read all of the graph. One that passes never makes a search panic.
    pub fn check(&self) -> Result<(), DamagedGraph> {
        self.view.check()
    }
}

impl Graph for Hnsw<'_> {
    fn search(&self, request: &Request<'_>) -> Search {
        let searching = Searching {
            view: &self.view,
            rows: self.rows,
            request,
        };
        searching.run()
    }

    fn among(&self, query: &[u8], among: &Among<'_>, k: usize) -> Option<Vec<Hit>> {
        self.scan_codes(query, among, k)
    }

    fn nearest(&self, query: &[u8], among: &Among<'_>, top: &mut TopK) -> bool {
        let codes = self.view.codes.as_ref();
        let (kernel, rows) = (self.rows.kernel(), self.rows.bytes());
        codes.is_some_and(|codes| codes.nearest(kernel, (rows, query), among, top))
    }

    fn is_bounded(&self) -> bool {
        self.view.codes.is_some_and(|codes| codes.bounds.is_some())
    }

    fn code_bytes(&self) -> usize {
        self.view
            .codes
            .map_or(0, |codes| codes.space.prepared_bytes())
    }

    fn count(&self) -> usize {
        self.view.rows
    }

    fn bytes(&self) -> usize {
        self.view.bytes
    }

    fn describe(&self) -> String {
        let over = if self.view.codes.is_some() {
            "codes"
        } else {
            "rows"
        };
        format!(
            "hnsw of {} links and {} levels, walked over {over}",
            self.view.base.width,
            self.view.upper.len() + 1
        )
    }
}

/// Build the graph of prepared rows. Gives its bytes.
pub fn build(
    space: &Space,
    rows: &[u8],
    options: &Options,
    work: &Work<'_>,
) -> Result<Vec<u8>, BuildError> {
    build_then(space, rows, None, options, work, in_memory)
}

/// The same from the graph of some of the rows: see [`build_then`].
///
/// # Panics
/// When `slots` has not as many places as `start` has rows, or a place that is not there.
pub fn build_onto(
    space: &Space,
    rows: &[u8],
    start: &Hnsw<'_>,
    slots: &[u32],
    options: &Options,
    work: &Work<'_>,
) -> Result<Vec<u8>, BuildError> {
    build_then(space, rows, Some((start, slots)), options, work, in_memory)
}

fn in_memory(built: &Built<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    built.write(&mut out).expect("memory takes everything");
    out
}
