//! Our own graph: a hierarchical navigable small world (HNSW) that is built once and then only read.
//!
//! ```text
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
mod merge;
mod parallel;
mod repair;
mod search;
mod select;

pub use self::among::Among;
use self::build::Builder;
use self::format::View;
use self::lists::Lists;
pub use self::merge::GONE;
use self::merge::Start;
use self::search::Searching;
use super::codes::{Codec, space_of_codes};
use super::rows::Rows;
use super::{BuildError, Codes, DamagedGraph, Graph, Options, ROWS_MAX, Request, Search, Work};
use crate::kernel::Kernel;
use crate::space::Space;
use crate::top::Hit;

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
    build_from(space, rows, None, options, work)
}

/// Build the graph of prepared rows from that of some of them, which takes the time of inserting the others. Gives its bytes.
///
/// `slots` has the place among `rows` of each row of `start`, or [`GONE`]. The same graph, rows and options lead to the same
/// bytes, which are others than without a start.
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
    let count = rows.len() / space.prepared_bytes();
    assert_eq!(
        slots.len(),
        start.view.rows,
        "M1: a place for each row of the graph"
    );
    let there = slots.iter().filter(|&&slot| slot != GONE);
    assert!(
        there.clone().all(|&slot| (slot as usize) < count),
        "M1: a place that is not there"
    );
    let same_links = start.view.base.width == options.links * 2;
    let start = Start {
        view: &start.view,
        slots,
    };
    let useful = same_links && there.count() > 0;
    build_from(space, rows, useful.then_some(start), options, work)
}

fn build_from(
    space: &Space,
    rows: &[u8],
    start: Option<Start<'_>>,
    options: &Options,
    work: &Work<'_>,
) -> Result<Vec<u8>, BuildError> {
    let row = space.prepared_bytes();
    let count = rows.len() / row;
    check_options(rows, row, options)?;
    let levels = start.map(|start| start.levels(count));
    let linked = |slot: u32| {
        levels
            .as_ref()
            .is_none_or(|levels| levels[slot as usize].is_some())
    };
    let groups = duplicates::find(rows, row, linked);
    let mut stands = vec![true; count];
    groups
        .members
        .iter()
        .for_each(|&slot| stands[slot as usize] = false);
    let codec = match options.codes {
        Codes::Auto => Codec::fit(space, rows),
        Codes::Never => None,
    };
    let codes = codec
        .as_ref()
        .map(|codec| encode_all(codec, space, rows, work));
    let of_codes = codes.as_ref().and(space_of_codes(space));
    let walked = match (&codes, &of_codes) {
        (Some(codes), Some(of_codes)) => Rows::new(Kernel::of(of_codes), codes),
        _ => Rows::new(Kernel::of(space), rows),
    };
    let heads = (0..count as u32).filter(|&slot| stands[slot as usize]);
    let (mut builder, todo) = match start.zip(levels) {
        Some((start, levels)) => start.builder(walked, *options, &levels, heads, work),
        None => {
            let builder = Builder::new(walked, *options, count, heads);
            let todo = (0..builder.order.len() as u32).collect();
            (builder, todo)
        }
    };
    let present = builder.order.len() - todo.len();
    builder.insert(&todo, present, work)?;
    repair::reconnect(&mut builder);
    Ok(format::encode(
        &builder,
        &groups,
        codec.as_ref().zip(codes.as_deref()),
    ))
}

fn check_options(rows: &[u8], row: usize, options: &Options) -> Result<(), BuildError> {
    let count = rows.len() / row;
    if !rows.len().is_multiple_of(row) {
        return Err(BuildError::Rows {
            row,
            found: rows.len(),
        });
    }
    if count > ROWS_MAX {
        return Err(BuildError::TooMany { count });
    }
    if !(2..=256).contains(&options.links) {
        return Err(BuildError::Option {
            what: "a row of a graph has 2 to 256 links: choose a number among them",
        });
    }
    if !(1..=1 << 16).contains(&options.ef_construction) {
        return Err(BuildError::Option {
            what: "1 to 65536 candidates are kept while a graph is built: choose a number among them",
        });
    }
    Ok(())
}

fn encode_all(codec: &Codec, space: &Space, rows: &[u8], work: &Work<'_>) -> Vec<u8> {
    let (row, code) = (space.prepared_bytes(), space.dimension());
    let mut codes = vec![0; rows.len() / row * code];
    let mut each: Vec<(&[u8], &mut [u8])> = rows
        .chunks_exact(row)
        .zip(codes.chunks_exact_mut(code))
        .collect();
    parallel::each_chunk(work.threads, &mut each, 256, |_, rows, _| {
        let (mut buffer, mut out) = (Vec::new(), Vec::new());
        for (row, code) in rows {
            out.clear();
            codec.encode(space, row, &mut buffer, &mut out);
            code.copy_from_slice(&out);
        }
    });
    drop(each);
    codes
}
