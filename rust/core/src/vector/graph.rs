//! Writing a segment again with a graph over its vectors.
//!
//! The vectors are read where they lie, in the mapped file of a flat segment; what a build needs besides lies in a `WorkRoom`,
//! and the graph is written from there. So a segment of any size takes the same memory.

use std::cell::RefCell;
use std::io::{self, Write};

use sopasync_payload::Renumber;
use sopasync_vector::TopK;
use sopasync_vector::graph::hnsw::{self, GONE, Hnsw};
use sopasync_vector::graph::{self, BuildError, Codes, Pass, Request, Work};
use sopasync_vector::scan::{All, scan_part};
use sopasync_vector::segment::{
    Head, Kind, Section, Segment, SegmentError, SegmentWriter, Written,
};

use super::flat::{WRITE_BYTES, describe};
use super::maintain::Care;
use super::options::{CodeKind, IndexKind};
use super::rebuild::Start;
use super::room::WorkRoom;
use super::rows::Number;
use super::seal::failed;
use super::segment::{Descriptor, open_file};
use crate::error::{Error, Result};

/// Queries that a new graph is tried with.
const SAMPLE: usize = 24;
const SAMPLE_K: usize = 10;

/// Writes the bytes of a graph.
type WriteGraph<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

fn damaged(error: SegmentError) -> Error {
    Error::corruption("a segment", 0, error.to_string())
}

impl Care<'_> {
    /// Number and description of the new file; `None` when it was stopped.
    pub(super) fn write_graph(
        &self,
        flat: &Segment,
        start: Start<'_>,
        range: (Number, Number),
    ) -> Result<Option<(u64, Descriptor)>> {
        let number = self.next_number();
        let kind = match self.index().options.index {
            IndexKind::Usearch if cfg!(feature = "usearch") => Kind::Usearch,
            // Without the library, stores that ask for its graphs get ours.
            _ => Kind::Hnsw,
        };
        let head = Head {
            kind,
            number,
            ..*flat.head()
        };
        let rows = flat.rows().map_err(damaged)?;
        let written = self.build(kind, rows, start, |graph| {
            self.write_beside(flat, &head, graph)
        })?;
        let Some(written) = written else {
            return Ok(None);
        };
        let mut descriptor = describe(&head, range, &written, None);
        descriptor.recall = self.recall(number, &descriptor)?;
        Ok(Some((number, descriptor)))
    }

    /// Writes everything of a flat segment, and a graph.
    fn write_beside(&self, flat: &Segment, head: &Head, graph: WriteGraph<'_>) -> Result<Written> {
        self.write_file(head.number, |out| {
            let mut writer = SegmentWriter::new(out, head).map_err(failed)?;
            for section in [
                Section::Seqs,
                Section::Ordinals,
                Section::Rows,
                Section::Graph,
                Section::Payload,
                Section::Records,
            ] {
                let bytes = flat.section(section).map_err(damaged)?;
                if bytes.is_none() && section != Section::Graph {
                    continue;
                }
                writer.begin(section).map_err(failed)?;
                let mut out = Meanwhile {
                    care: self,
                    writer: &mut writer,
                    since: 0,
                };
                match bytes {
                    Some(bytes) => out.write_all(bytes).map_err(failed)?,
                    None => graph(&mut out).map_err(failed)?,
                }
            }
            writer.finish().map_err(failed)
        })
    }

    /// Builds a graph, and hands what writes it on; `None` when it was stopped.
    fn build(
        &self,
        kind: Kind,
        rows: &[u8],
        start: Start<'_>,
        write: impl FnOnce(WriteGraph<'_>) -> Result<Written>,
    ) -> Result<Option<Written>> {
        let options = &self.index().options;
        let wanted = graph::Options {
            links: options.links,
            ef_construction: options.ef_construction,
            codes: match options.codes {
                CodeKind::None => Codes::Never,
                _ => Codes::Auto,
            },
            ..graph::Options::default()
        };
        let stop = self.db.closing();
        let trouble = RefCell::new(Ok(()));
        let room = self.room();
        let work = Work {
            threads: 1,
            stop: &stop,
            progress: &|_, _| {
                if trouble.borrow().is_ok() {
                    *trouble.borrow_mut() = self.seal_meanwhile();
                }
            },
            room: &room,
        };
        let built = if kind == Kind::Usearch {
            usearch(self.index().space(), rows, &wanted, &work)
                .map(|graph| write(&mut |out| out.write_all(&graph)))
        } else {
            self.hnsw(rows, start, &wanted, &work, write)
        };
        trouble.into_inner()?;
        match built {
            Ok(written) => Ok(Some(written?)),
            Err(BuildError::Stopped) => Ok(None),
            Err(error) => Err(Error::invalid(error.to_string())),
        }
    }

    /// Builds our own graph, from that of some of the rows where there is one.
    fn hnsw<R>(
        &self,
        rows: &[u8],
        start: Start<'_>,
        options: &graph::Options,
        work: &Work<'_>,
        write: impl FnOnce(WriteGraph<'_>) -> R,
    ) -> std::result::Result<R, BuildError> {
        let space = self.index().space();
        let opened = start.and_then(|(segment, kept)| {
            let graph = segment.file.section(Section::Graph).ok()??;
            Some((Hnsw::open(graph, space, segment.part().rows).ok()?, kept))
        });
        let count = opened.as_ref().map_or(0, |(_, kept)| kept.before());
        let mut place = work
            .room
            .take(count * size_of::<u32>())
            .map_err(|error| BuildError::Room(error.to_string()))?;
        let slots: &mut [u32] = bytemuck::cast_slice_mut(place.bytes_mut());
        let from = opened.as_ref().map(|(graph, kept)| {
            for (slot, old) in slots.iter_mut().zip(0..) {
                *slot = kept.renumber(old).unwrap_or(GONE);
            }
            (graph, &*slots)
        });
        hnsw::build_then(space, rows, from, options, work, |built| {
            write(&mut |out| built.write(out))
        })
    }

    /// What part of the ten nearest the graph of a file finds, over a sample of its own rows.
    fn recall(&self, number: u64, descriptor: &Descriptor) -> Result<Option<f32>> {
        let store = self.store.id;
        let mapping = self.db.open_derived(store, number)?;
        let (Kind::Hnsw, Some(mapping)) = (descriptor.kind, mapping) else {
            return Ok(None);
        };
        let file = open_file(mapping, descriptor, store, number).map_err(Error::invalid)?;
        let (rows, graph) = (
            file.rows().map_err(damaged)?,
            file.graph().map_err(damaged)?,
        );
        let Some(graph) = graph else {
            return Ok(None);
        };
        let index = self.index();
        let bytes = index.space().prepared_bytes();
        let count = file.count();
        let (mut found, mut wanted) = (0, 0);
        for sample in 0..SAMPLE.min(count) {
            let at = sample * (count / SAMPLE.min(count)) * bytes;
            let query = &rows[at..at + bytes];
            let mut exact = TopK::new(SAMPLE_K);
            scan_part(&index.kernel, query, rows, 0..count, &All, &mut exact);
            let exact = exact.into_sorted();
            let hits = graph.search(&Request {
                query,
                k: SAMPLE_K,
                ef: index.options.ef.max(SAMPLE_K),
                pass: Pass::all(),
                budget: usize::MAX,
            });
            // Equal distances are equally good.
            let worst = exact.last().map_or(f32::NAN, |last| last.distance);
            found += hits.hits.iter().filter(|hit| hit.distance <= worst).count();
            wanted += exact.len();
        }
        Ok(Some(found as f32 / wanted as f32))
    }

    pub(super) fn room(&self) -> WorkRoom<'_> {
        WorkRoom::new(self.db, self.limits.heap_bytes)
    }
}

#[cfg(feature = "usearch")]
fn usearch(
    space: &sopasync_vector::Space,
    rows: &[u8],
    options: &graph::Options,
    work: &Work<'_>,
) -> std::result::Result<Vec<u8>, BuildError> {
    graph::usearch::native::build(space, rows, options, work)
}

#[cfg(not(feature = "usearch"))]
fn usearch(
    _space: &sopasync_vector::Space,
    _rows: &[u8],
    _options: &graph::Options,
    _work: &Work<'_>,
) -> std::result::Result<Vec<u8>, BuildError> {
    unreachable!("graphs of the library are asked for where it is there")
}

/// Writes into a section, and seals what comes in meanwhile.
struct Meanwhile<'w, W> {
    care: &'w Care<'w>,
    writer: &'w mut SegmentWriter<W>,
    /// Bytes since it last did.
    since: usize,
}

impl<W: Write> Write for Meanwhile<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(WRITE_BYTES)];
        self.writer.write(bytes)?;
        self.since += bytes.len();
        if self.since >= WRITE_BYTES {
            self.since = 0;
            let sealed = self.care.seal_meanwhile();
            sealed.map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
