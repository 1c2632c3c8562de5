//! Segments become one: without what is deleted for good, and with a graph when there is enough to search.
//!
//! The rows of several segments are first written one after the other into a file that nobody names yet, and the graph is
//! built over that file as it is mapped: the vectors need not fit into memory.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use sopasync_payload::{Part as SealPart, seal};
use sopasync_vector::graph::{self, BuildError, Codes, Graph, Pass, Request, Work};
use sopasync_vector::scan::{All, scan_part};
use sopasync_vector::segment::{Head, Kind, Section, Segment, SegmentWriter, Vid};
use sopasync_vector::{Space, TopK};

use super::codes::section_of;
use super::maintain::Care;
use super::options::{CodeKind, IndexKind};
use super::query::refused;
use super::records::{Records, write_section};
use super::rows::Number;
use super::seal::{Change, WRITE_BYTES, describe, failed, keep, vid, write_rows};
use super::segment::{Descriptor, Sealed, open_file};
use crate::engine::Step;
use crate::error::{Error, Result};

/// Queries that a new graph is tried with.
const SAMPLE: usize = 24;
const SAMPLE_K: usize = 10;
/// While a graph is built and written, vectors in memory become a segment when they take so many times the usual bytes.
const PATIENCE: usize = 3;

/// The segments that become one.
struct Inputs {
    segments: Vec<Arc<Sealed>>,
    /// Of each: new slots, kept slots.
    slots: Vec<(Vec<u32>, Vec<u32>)>,
    count: usize,
    dropped: u64,
}

/// A segment with a graph to begin with, and the places of its rows among the new ones.
type Start<'a> = Option<(&'a Sealed, &'a [u32])>;

/// Building onto a graph is worth it while at most one in so many of its rows is gone: links to what is gone are lost.
const GONE_ONE_OF: usize = 10;

impl Inputs {
    /// The largest graph that others can be added to.
    fn start(&self) -> Start<'_> {
        let graphs = self
            .segments
            .iter()
            .zip(&self.slots)
            .filter(|(segment, (slots, kept))| {
                segment.descriptor.kind == Kind::Hnsw
                    && (slots.len() - kept.len()) * GONE_ONE_OF <= slots.len()
            });
        let largest = graphs.max_by_key(|(segment, _)| segment.count());
        let start = largest.map(|(segment, (slots, _))| (&**segment, &slots[..]));
        start.filter(|(segment, _)| segment.count() * 2 > self.count)
    }
}

/// Builds our own graph, from that of some of the rows where there is one.
fn onto(
    space: &Space,
    rows: &[u8],
    start: Start<'_>,
    options: &graph::Options,
    work: &Work<'_>,
) -> std::result::Result<Vec<u8>, BuildError> {
    let opened = start.and_then(|(segment, slots)| {
        let graph = segment.file.section(Section::Graph).ok()??;
        Some((
            graph::hnsw::Hnsw::open(graph, space, segment.part().rows).ok()?,
            slots,
        ))
    });
    match opened {
        Some((start, slots)) => graph::hnsw::build_onto(space, rows, &start, slots, options, work),
        None => graph::hnsw::build(space, rows, options, work),
    }
}

#[cfg(feature = "usearch")]
fn usearch(
    space: &Space,
    rows: &[u8],
    options: &graph::Options,
    work: &Work<'_>,
) -> std::result::Result<(Kind, Vec<u8>), BuildError> {
    graph::usearch::native::build(space, rows, options, work).map(|graph| (Kind::Usearch, graph))
}

/// Without the library, stores that ask for its graphs get ours.
#[cfg(not(feature = "usearch"))]
fn usearch(
    space: &Space,
    rows: &[u8],
    options: &graph::Options,
    work: &Work<'_>,
) -> std::result::Result<(Kind, Vec<u8>), BuildError> {
    onto(space, rows, None, options, work).map(|graph| (Kind::Hnsw, graph))
}

impl Care<'_> {
    pub(super) fn rebuild(&self, range: Range<usize>) -> Result<Step> {
        let segments = self.view.segments[range].to_vec();
        let inputs = self.inputs(segments);
        let mut change = Change {
            removed: inputs
                .segments
                .iter()
                .map(|segment| segment.number)
                .collect(),
            added: None,
            dropped: inputs.dropped,
        };
        if inputs.count > 0 {
            let Some(added) = self.write_merged(&inputs)? else {
                // The database is being closed.
                return Ok(Step::Again);
            };
            change.added = Some(added);
        }
        let sealed = self.commit(&change)?;
        self.show(&change, |view| {
            if let Some(sealed) = &sealed {
                let mut at = 0;
                for (segment, (_, kept)) in inputs.segments.iter().zip(&inputs.slots) {
                    let count = kept.len() as u32;
                    sealed.take_marks(&segment.part(), kept, at..at + count);
                    at += count;
                }
                view.segments.push(Arc::clone(sealed));
            }
            true
        })?;
        Ok(Step::Again)
    }

    fn inputs(&self, segments: Vec<Arc<Sealed>>) -> Inputs {
        let mut inputs = Inputs {
            segments,
            slots: Vec::new(),
            count: 0,
            dropped: 0,
        };
        for segment in &inputs.segments {
            let (slots, kept, dropped) = keep(&segment.part(), self.oldest, inputs.count as u32);
            inputs.count += kept.len();
            inputs.dropped = inputs.dropped.max(dropped);
            inputs.slots.push((slots, kept));
        }
        inputs
    }

    /// Number and description of the new segment's file; `None` when it was stopped.
    fn write_merged(&self, inputs: &Inputs) -> Result<Option<(u64, Descriptor)>> {
        let graph = self.wants_graph(inputs.count);
        let whole = inputs.segments.len() == 1 && inputs.dropped == 0;
        let (first, last) = (
            inputs.segments[0].descriptor.first,
            inputs.segments[inputs.segments.len() - 1].descriptor.last,
        );
        if whole && graph {
            return self.write_graph(&inputs.segments[0].file, None, (first, last));
        }
        let (number, descriptor) = self.write_flat(inputs, first, last)?;
        if !graph {
            return Ok(Some((number, descriptor)));
        }
        let store = self.store.id;
        let missing = || Error::invalid("a file that was just written is not there");
        let mapping = self.db.open_derived(store, number)?.ok_or_else(missing)?;
        let flat = open_file(mapping, &descriptor, store, number).map_err(Error::invalid)?;
        let added = self.write_graph(&flat, inputs.start(), (first, last));
        self.db.remove_derived(store, number)?;
        added
    }

    fn write_flat(
        &self,
        inputs: &Inputs,
        first: Number,
        last: Number,
    ) -> Result<(u64, Descriptor)> {
        let number = self.next_number();
        let mut vids: Vec<Vid> = Vec::with_capacity(inputs.count);
        for (segment, (_, kept)) in inputs.segments.iter().zip(&inputs.slots) {
            let numbers = segment.part().numbers;
            vids.extend(kept.iter().map(|slot| vid(numbers.get(*slot))));
        }
        let head = self.head(Kind::Flat, number, &vids);
        let bytes = self.index().space().prepared_bytes();
        let columns: Vec<SealPart<'_>> = inputs
            .segments
            .iter()
            .zip(&inputs.slots)
            .map(|(segment, (slots, _))| SealPart::mapped(&segment.columns, slots))
            .collect();
        let payload = refused(seal(&columns))?;
        let parts: Vec<(&[u8], &[u32])> = inputs
            .segments
            .iter()
            .zip(&inputs.slots)
            .map(|(segment, (_, kept))| (segment.part().rows, &kept[..]))
            .collect();
        let codes = (!self.wants_graph(inputs.count))
            .then(|| section_of(&self.index().options, &parts))
            .flatten();
        let recall = codes.as_ref().map(|(_, recall)| *recall);
        let written = self.write_file(number, |out| {
            let mut writer = SegmentWriter::new(out, &head).map_err(failed)?;
            writer.vids(&vids).map_err(failed)?;
            writer.begin(Section::Rows).map_err(failed)?;
            for (segment, (_, kept)) in inputs.segments.iter().zip(&inputs.slots) {
                let rows = segment.part().rows;
                write_rows(&mut writer, rows, bytes, kept, &mut || {
                    self.seal_meanwhile()
                })?;
            }
            if let Some((section, _)) = &codes {
                writer.section(Section::Codes, section).map_err(failed)?;
            }
            writer.section(Section::Payload, &payload).map_err(failed)?;
            writer.begin(Section::Records).map_err(failed)?;
            let records: Vec<(Records<'_>, &[u32])> = inputs
                .segments
                .iter()
                .zip(&inputs.slots)
                .map(|(segment, (_, kept))| (segment.part().records, &kept[..]))
                .collect();
            write_section(&records, |bytes| writer.write(bytes).map_err(failed))?;
            writer.finish().map_err(failed)
        })?;
        Ok((number, describe(&head, first, last, &written, recall)))
    }

    /// Writes the segment again with a graph.
    fn write_graph(
        &self,
        flat: &Segment,
        start: Start<'_>,
        range: (Number, Number),
    ) -> Result<Option<(u64, Descriptor)>> {
        let damaged = |error: sopasync_vector::segment::SegmentError| {
            Error::corruption("a segment", 0, error.to_string())
        };
        let rows = flat.rows().map_err(damaged)?;
        let Some((kind, graph)) = self.build(rows, start)? else {
            return Ok(None);
        };
        let number = self.next_number();
        let head = Head {
            kind,
            number,
            ..*flat.head()
        };
        let recall = self.recall(&head, rows, &graph);
        let section = |section| flat.section(section).map_err(damaged);
        let written = self.write_file(number, |out| {
            let mut writer = SegmentWriter::new(out, &head).map_err(failed)?;
            for name in [Section::Seqs, Section::Ordinals, Section::Rows] {
                let bytes = section(name)?.unwrap_or_default();
                self.write_long(&mut writer, name, bytes)?;
            }
            self.write_long(&mut writer, Section::Graph, &graph)?;
            let payload = section(Section::Payload)?.unwrap_or_default();
            writer.section(Section::Payload, payload).map_err(failed)?;
            if let Some(records) = section(Section::Records)? {
                self.write_long(&mut writer, Section::Records, records)?;
            }
            writer.finish().map_err(failed)
        })?;
        Ok(Some((
            number,
            describe(&head, range.0, range.1, &written, recall),
        )))
    }

    fn build(&self, rows: &[u8], start: Start<'_>) -> Result<Option<(Kind, Vec<u8>)>> {
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
        let work = Work {
            threads: 1,
            stop: &stop,
            progress: &|_, _| {
                if trouble.borrow().is_ok() {
                    *trouble.borrow_mut() = self.seal_meanwhile();
                }
            },
        };
        let space = self.index().space();
        let built = if options.index == IndexKind::Usearch {
            usearch(space, rows, &wanted, &work)
        } else {
            onto(space, rows, start, &wanted, &work).map(|graph| (Kind::Hnsw, graph))
        };
        trouble.into_inner()?;
        match built {
            Ok(built) => Ok(Some(built)),
            Err(BuildError::Stopped) => Ok(None),
            Err(error) => Err(Error::invalid(error.to_string())),
        }
    }

    /// Writes a section, and seals what comes in meanwhile.
    fn write_long<W: std::io::Write>(
        &self,
        writer: &mut SegmentWriter<W>,
        section: Section,
        bytes: &[u8],
    ) -> Result<()> {
        writer.begin(section).map_err(failed)?;
        for bytes in bytes.chunks(WRITE_BYTES) {
            writer.write(bytes).map_err(failed)?;
            self.seal_meanwhile()?;
        }
        Ok(())
    }

    /// A long build must not let vectors pile up in memory.
    fn seal_meanwhile(&self) -> Result<()> {
        let Some(view) = self.index().view.load_full() else {
            return Ok(());
        };
        let care = Care {
            db: self.db,
            store: self.store.clone(),
            limits: self.limits,
            oldest: self.db.oldest_seq(),
            view,
        };
        if care.tail_memory() >= PATIENCE * self.limits.seal_bytes && care.view.broken.is_empty() {
            care.seal_tail()?;
        }
        Ok(())
    }

    /// What part of the ten nearest a graph finds, over a sample of its own rows.
    fn recall(&self, head: &Head, rows: &[u8], graph: &[u8]) -> Option<f32> {
        if head.kind != Kind::Hnsw {
            return None;
        }
        let index = self.index();
        let graph = graph::hnsw::Hnsw::open(graph, index.space(), rows).ok()?;
        let bytes = index.space().prepared_bytes();
        let count = rows.len() / bytes;
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
            let worst = exact.last()?.distance;
            found += hits.hits.iter().filter(|hit| hit.distance <= worst).count();
            wanted += exact.len();
        }
        Some(found as f32 / wanted as f32)
    }
}
