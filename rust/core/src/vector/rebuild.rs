//! Segments become one: without what is deleted for good, and with a graph when there is enough to search.
//!
//! The rows of several segments are first written one after the other into a file that nobody names yet, and the graph is
//! built over that file as it is mapped: the vectors need not fit into memory.

use std::ops::Range;
use std::sync::Arc;

use sopasync_payload::Part as Columns;
use sopasync_vector::segment::Kind;

use super::flat::Source;
use super::kept::{Kept, newest};
use super::maintain::{Care, begin};
use super::seal::Change;
use super::segment::{Descriptor, Sealed, open_file};
use crate::engine::Step;
use crate::error::{Error, Result};

/// The segments that become one.
struct Inputs {
    segments: Vec<Arc<Sealed>>,
    kept: Vec<Kept>,
    count: usize,
}

/// A segment with a graph to begin with, and where its rows are among the new ones.
pub(super) type Start<'a> = Option<(&'a Sealed, &'a Kept)>;

/// Building onto a graph is worth it while at most one in so many of its rows is gone: links to what is gone are lost.
const GONE_ONE_OF: usize = 10;

impl Inputs {
    fn new(segments: Vec<Arc<Sealed>>, oldest: u64) -> Self {
        let kept = Kept::of_all(segments.iter().map(|segment| segment.part()), oldest);
        Self {
            count: kept.iter().map(Kept::count).sum(),
            segments,
            kept,
        }
    }

    fn each(&self) -> impl Iterator<Item = (&Sealed, &Kept)> {
        self.segments
            .iter()
            .map(|segment| &**segment)
            .zip(&self.kept)
    }

    /// The largest graph that others can be added to.
    fn start(&self) -> Start<'_> {
        let graphs = self.each().filter(|(segment, kept)| {
            segment.descriptor.kind == Kind::Hnsw
                && (kept.before() - kept.count()) * GONE_ONE_OF <= kept.before()
        });
        let largest = graphs.max_by_key(|(segment, _)| segment.count());
        largest.filter(|(segment, _)| segment.count() * 2 > self.count)
    }

    fn sources(&self) -> Vec<Source<'_>> {
        let each = self.each().map(|(segment, kept)| Source {
            part: segment.part(),
            columns: Columns::renumbered(&segment.columns, kept),
            kept,
        });
        each.collect()
    }
}

impl Care<'_> {
    pub(super) fn rebuild(&self, range: Range<usize>) -> Result<Step> {
        let segments = self.view.segments[range].to_vec();
        let inputs = Inputs::new(segments, self.oldest);
        let removed = inputs.segments.iter().map(|segment| segment.number);
        let mut change = Change {
            removed: removed.collect(),
            added: None,
            dropped: newest(&inputs.kept),
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
                for (segment, kept) in inputs.each() {
                    sealed.take_marks(&segment.part(), kept);
                }
                view.segments.push(Arc::clone(sealed));
            }
            true
        })?;
        Ok(Step::Again)
    }

    /// Number and description of the new segment's file; `None` when it was stopped.
    fn write_merged(&self, inputs: &Inputs) -> Result<Option<(u64, Descriptor)>> {
        let graph = self.wants_graph(inputs.count);
        let whole = inputs.segments.len() == 1 && newest(&inputs.kept) == 0;
        let (first, last) = (
            inputs.segments[0].descriptor.first,
            inputs.segments[inputs.segments.len() - 1].descriptor.last,
        );
        if whole && graph {
            return self.write_graph(&inputs.segments[0].file, None, (first, last));
        }
        let meanwhile = &mut || self.seal_meanwhile();
        let (number, descriptor) =
            self.write_flat(&inputs.sources(), (first, last), !graph, meanwhile)?;
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

    /// A long build must not let vectors pile up, neither in memory nor in the store: who looks there next reads them all.
    pub(super) fn seal_meanwhile(&self) -> Result<()> {
        let index = self.index();
        let enough = self.limits.memory_bytes;
        let Some(mut view) = index.view.load_full() else {
            return Ok(());
        };
        let row = index.space().prepared_bytes();
        let mut tx = begin(self.db, true)?;
        let waiting = index.rows_to_pull(&mut tx, self.store.id, true)? as usize;
        if view.tail_memory() < enough && (view.tail_rows() + waiting) * row >= enough {
            view = index.pull_within(&mut tx, self.store.id, true, enough)?;
        }
        drop(tx);
        let care = Care {
            db: self.db,
            store: self.store.clone(),
            limits: self.limits,
            oldest: self.db.oldest_seq(),
            view,
        };
        if care.view.tail_memory() >= enough && care.view.broken.is_empty() {
            care.seal_tail()?;
        }
        Ok(())
    }
}
