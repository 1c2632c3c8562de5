//! A build from rows to the bytes of a graph. What it holds of each row lies in places that are taken beforehand.
//!
//! ```text
//! while rows are put in order   a hash or key and a slot, 16 bytes of each row
//! from there to the end         how the row stands, its rank, its code and reach, its links; for repair and for equal rows 12 bytes, which
//!                               are hardly ever touched
//! ```

use std::io;

use super::build::Builder;
use super::duplicates::{self, Groups};
use super::layer::Table;
use super::merge::Start;
use super::parallel::each_chunk;
use super::rank::{EQUAL, NEW, Ranks};
use super::{Hnsw, format, repair};
use crate::code::steps::{Codec, space_of_codes};
use crate::graph::room::{Cutter, Place, bytes_of};
use crate::graph::rows::Rows;
use crate::graph::{BuildError, Codes, Options, ROWS_MAX, Work};
use crate::kernel::Kernel;
use crate::space::Space;

/// Rows whose codes a thread makes at once.
const CHUNK: usize = 256;

/// A graph that was built, and is still to be written.
#[derive(Debug)]
pub struct Built<'a> {
    builder: Builder<'a>,
    groups: Groups<'a>,
    codes: Option<(Codec, MadeCodes<'a>)>,
}

/// The codes of all rows, and how far each row may lie from its own, in steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct MadeCodes<'a> {
    pub(super) codes: &'a [u8],
    pub(super) reaches: &'a [f32],
}

impl Built<'_> {
    /// Write its bytes, from the first to the last.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let codes = self.codes.as_ref().map(|(codec, made)| (codec, *made));
        format::write(&self.builder, &self.groups, codes, out)
    }
}

/// A graph over some of the rows, and the place among the rows of each of its own, or [`super::GONE`].
pub type Older<'a> = (&'a Hnsw<'a>, &'a [u32]);

/// Build the graph of prepared rows, and do something with it. From the graph of some of them it takes the time of inserting
/// the others. The same rows, options and graph to begin with lead to the same bytes.
///
/// # Panics
/// When there are not as many places as the graph to begin with has rows, or one is not there.
pub fn build_then<R>(
    space: &Space,
    rows: &[u8],
    from: Option<Older<'_>>,
    options: &Options,
    work: &Work<'_>,
    then: impl FnOnce(&Built<'_>) -> R,
) -> Result<R, BuildError> {
    let row = space.prepared_bytes();
    check(rows, row, options)?;
    let count = rows.len() / row;
    let start = from.and_then(|(graph, slots)| start(graph, slots, count, options));
    let codec = match options.codes {
        Codes::Auto => Codec::fit(space, rows),
        Codes::Never => None,
    };
    let (width, code) = (
        options.links * 2,
        codec.as_ref().map_or(0, |_| space.dimension()),
    );
    let reached = codec.as_ref().map_or(0, |_| count);
    let mut kept = take(
        work,
        bytes_of::<u8>(count)
            + bytes_of::<u64>(count)
            + 2 * bytes_of::<u32>(count)
            + bytes_of::<u8>(count * code)
            + bytes_of::<f32>(reached)
            + bytes_of::<u32>(count * width),
    )?;
    let mut kept = Cutter::new(&mut *kept);
    let standing = kept.take::<u8>(count);
    standing.fill(NEW);
    if let Some(start) = &start {
        start.mark(standing);
    }
    let mut passing = take(work, bytes_of::<[u64; 2]>(count))?;
    let keyed = Cutter::new(&mut *passing).take(count);
    let groups = duplicates::find(
        rows,
        row,
        |slot| standing[slot as usize] != NEW,
        keyed,
        kept.take(count),
    );
    groups
        .members()
        .for_each(|slot| standing[slot as usize] = EQUAL);
    let ranks = Ranks::of(options, standing, keyed, kept.take(count));
    let (open, codes, reaches, links) = (
        kept.take(count),
        kept.take(count * code),
        kept.take(reached),
        kept.take(count * width),
    );
    if let Some(codec) = &codec {
        encode(codec, space, rows, (codes, reaches), work);
    }
    let (codes, reaches) = (&*codes, &*reaches);
    let walked = match space_of_codes(space).filter(|_| codec.is_some()) {
        Some(of_codes) => Rows::new(Kernel::of(&of_codes), codes),
        None => Rows::new(Kernel::of(space), rows),
    };
    let mut above = take(
        work,
        ranks.sizes[1..]
            .iter()
            .map(|&size| bytes_of::<u32>(size * options.links))
            .sum(),
    )?;
    let mut above = Cutter::new(&mut *above);
    let upper = ranks.sizes[1..].iter();
    let upper = upper.map(|&size| Table::new(options.links, above.take(size * options.links)));
    let mut builder = Builder {
        rows: walked,
        options: *options,
        order: ranks.order,
        upper: upper.collect(),
        sizes: ranks.sizes,
        base: Table::new(width, links),
    };
    if let Some(start) = &start {
        start.copy(&mut builder, Cutter::new(&mut *passing).take(count), work);
    }
    drop(passing);
    let new = |rank: &u32| standing[builder.order[*rank as usize] as usize] == NEW;
    let todo = (0..ranks.order.len() as u32).filter(new);
    let present = ranks.order.len() - todo.clone().count();
    builder.insert(todo, present, work)?;
    repair::reconnect(&mut builder, count, open);
    Ok(then(&Built {
        builder,
        groups,
        codes: codec.map(|codec| (codec, MadeCodes { codes, reaches })),
    }))
}

fn take(work: &Work<'_>, bytes: usize) -> Result<Box<dyn Place>, BuildError> {
    let place = work.room.take(bytes);
    place.map_err(|error| BuildError::Room(error.to_string()))
}

/// The graph to begin with, if it is of use.
fn start<'a>(
    graph: &'a Hnsw<'a>,
    slots: &'a [u32],
    count: usize,
    options: &Options,
) -> Option<Start<'a>> {
    let view = &graph.view;
    assert_eq!(
        slots.len(),
        view.rows,
        "M1: a place for each row of the graph"
    );
    let there = slots.iter().filter(|&&slot| slot != super::GONE);
    assert!(
        there.clone().all(|&slot| (slot as usize) < count),
        "M1: a place that is not there"
    );
    let same_links = view.base.width == options.links * 2;
    (same_links && there.count() > 0).then_some(Start { view, slots })
}

fn check(rows: &[u8], row: usize, options: &Options) -> Result<(), BuildError> {
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

fn encode(
    codec: &Codec,
    space: &Space,
    rows: &[u8],
    (codes, reaches): (&mut [u8], &mut [f32]),
    work: &Work<'_>,
) {
    let (row, code) = (space.prepared_bytes(), space.dimension());
    let made = codes
        .chunks_mut(CHUNK * code)
        .zip(reaches.chunks_mut(CHUNK));
    let mut chunks: Vec<_> = rows.chunks(CHUNK * row).zip(made).collect();
    each_chunk(work.threads, &mut chunks, 1, |_, chunks, _| {
        let (mut buffer, mut out) = (Vec::new(), Vec::new());
        for (rows, (codes, reaches)) in chunks {
            out.clear();
            for (row, reach) in rows.chunks_exact(row).zip(&mut **reaches) {
                *reach = codec.encode(space, row, &mut buffer, &mut out);
            }
            codes.copy_from_slice(&out);
        }
    });
}
