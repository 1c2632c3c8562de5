//! Chunks become a flat segment; so do the rows of a segment whose file is gone.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::RwLockReadGuard;
use sopasync_payload::Part as Columns;

use super::chunk::Chunk;
use super::flat::Source;
use super::index::{Broken, HeldChunk, View};
use super::kept::{Kept, newest};
use super::maintain::{Care, begin};
use super::rows::{Number, PURGED};
use super::segment::{Descriptor, Sealed};
use crate::engine::{DerivedWriter, Step, Transaction, manifest_key};
use crate::error::{Error, Result};
use crate::mutants::mutant;

/// What a piece of maintenance changes: committed first, shown to searches then.
#[derive(Default)]
pub(super) struct Change {
    pub(super) removed: Vec<u64>,
    pub(super) added: Option<(u64, Descriptor)>,
    /// Newest deletion whose vector was left out.
    pub(super) dropped: u64,
}

impl Care<'_> {
    /// Writes all chunks that came lately as one segment.
    pub(super) fn seal_tail(&self) -> Result<Step> {
        let chunks = self.close_chunks(None);
        let covered = self
            .view
            .segments
            .last()
            .map(|segment| segment.descriptor.last.next());
        let last = chunks.last().and_then(|held| held.chunk.read().last());
        let range = covered.unwrap_or(Number::FIRST)..last.unwrap_or(Number::FIRST);
        self.seal(&chunks, range, None)
    }

    /// Writes a broken segment again, from the rows that were read in its place.
    pub(super) fn mend(&self, broken: &Broken) -> Result<Step> {
        let chunks = self.close_chunks(Some(broken.number));
        let range = broken.descriptor.first..broken.descriptor.last;
        self.seal(&chunks, range, Some(broken.number))
    }

    /// The chunks that stand for a segment, or the others, all of them closed: they get no more rows.
    fn close_chunks(&self, instead_of: Option<u64>) -> Vec<HeldChunk> {
        let index = self.index();
        let _turn = index.turn.lock();
        let view = index
            .view
            .load_full()
            .unwrap_or_else(|| Arc::clone(&self.view));
        let mut closed = View::clone(&view);
        closed.closed = closed.chunks.len();
        index.view.store(Some(Arc::new(closed)));
        let wanted = view
            .chunks
            .iter()
            .filter(|held| held.instead_of == instead_of);
        wanted.cloned().collect()
    }

    /// `range`: first and last number that the segment answers for.
    fn seal(
        &self,
        chunks: &[HeldChunk],
        range: Range<Number>,
        replaced: Option<u64>,
    ) -> Result<Step> {
        let guards: Vec<RwLockReadGuard<'_, Chunk>> =
            chunks.iter().map(|held| held.chunk.read()).collect();
        let kept = Kept::of_all(guards.iter().map(|chunk| chunk.part()), self.oldest);
        let mut change = Change {
            removed: replaced.into_iter().collect(),
            added: None,
            dropped: newest(&kept),
        };
        if kept.iter().any(|kept| kept.count() > 0) {
            let sources = guards.iter().zip(&kept).map(|(chunk, kept)| Source {
                part: chunk.part(),
                columns: Columns::renumbered(chunk.columns(), kept),
                kept,
            });
            let sources: Vec<Source<'_>> = sources.collect();
            let range = (range.start, range.end);
            change.added = Some(self.write_flat(&sources, range, true, &mut || Ok(()))?);
        }
        drop(guards);
        let sealed = self.commit(&change)?;
        self.show(&change, |view| {
            let first = chunks.first().and_then(|one| {
                view.chunks
                    .iter()
                    .position(|held| Arc::ptr_eq(&held.chunk, &one.chunk))
            });
            let Some(first) = first else {
                return chunks.is_empty();
            };
            if let Some(sealed) = &sealed {
                for (held, kept) in chunks.iter().zip(&kept) {
                    sealed.take_marks(&held.chunk.read().part(), kept);
                }
                view.segments.push(Arc::clone(sealed));
            }
            view.chunks.drain(first..first + chunks.len());
            view.closed -= chunks.len();
            true
        })?;
        Ok(Step::Again)
    }

    /// Commits the manifest's change, and opens the segment that it adds. After an error the index is read anew: it may
    /// not show what the manifest says.
    pub(super) fn commit(&self, change: &Change) -> Result<Option<Arc<Sealed>>> {
        let result = self
            .try_commit(change)
            .and_then(|()| self.open_added(change));
        if result.is_err() {
            self.index().view.store(None);
        }
        result
    }

    fn try_commit(&self, change: &Change) -> Result<()> {
        let mut tx = begin(self.db, false)?;
        let store = self.store.id;
        for number in &change.removed {
            tx.delete(store, &manifest_key(*number))?;
        }
        if let Some((number, descriptor)) = &change.added {
            tx.put(
                store,
                &manifest_key(*number),
                &[],
                &descriptor.encode(),
                true,
            )?;
        }
        note_purged(&mut tx, store, change.dropped)?;
        tx.commit()?;
        Ok(())
    }

    fn open_added(&self, change: &Change) -> Result<Option<Arc<Sealed>>> {
        let Some((number, descriptor)) = change.added else {
            return Ok(None);
        };
        let store = self.store.id;
        let opened = match self.db.open_derived(store, number)? {
            Some(mapping) => Sealed::open(mapping, descriptor, store, number, self.index()),
            None => Err("its file is missing".to_owned()),
        };
        let opened = opened.map_err(|reason| {
            Error::corruption(
                format!("segment {number} of store '{}'", self.store.name),
                0,
                format!("it was just written, and already {reason}"),
            )
        });
        Ok(Some(Arc::new(opened?)))
    }

    /// Makes the change in what searches see. `apply` says whether what it replaces is still there.
    pub(super) fn show(
        &self,
        change: &Change,
        apply: impl FnOnce(&mut View) -> bool,
    ) -> Result<()> {
        let index = self.index();
        let turn = index.turn.lock();
        let next = index.view.load_full().and_then(|view| {
            let mut next = View::clone(&view);
            next.segments
                .retain(|segment| !change.removed.contains(&segment.number));
            next.broken
                .retain(|broken| !change.removed.contains(&broken.number));
            if !mutant("vector-forget-floor") {
                next.floor = next.floor.max(change.dropped);
            }
            let shown = apply(&mut next);
            next.segments
                .sort_by_key(|segment| segment.descriptor.first);
            shown.then(|| Arc::new(next))
        });
        // When somebody has read everything anew, it is read once more, with the new manifest.
        index.view.store(next);
        drop(turn);
        index.upkeep.lock().tombstones_left = 0;
        for number in &change.removed {
            self.db.remove_derived(self.store.id, *number)?;
        }
        Ok(())
    }
}

/// Notes the newest deletion of which a vector or a tombstone is gone.
pub(super) fn note_purged(tx: &mut Transaction, store: u64, seq: u64) -> Result<()> {
    let aside = super::pull::aside(true);
    let before = tx.visit(store, &PURGED, aside, |_, value| value.to_vec())?;
    let seq = seq.to_be_bytes();
    if seq != [0; 8] && before.is_none_or(|before| before < seq.to_vec()) {
        tx.put(store, &PURGED, &[], &seq, true)?;
    }
    Ok(())
}

pub(super) fn failed(error: std::io::Error) -> Error {
    Error::io("a segment", "write", &error)
}

impl std::io::Write for DerivedWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.append(bytes);
        written.map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
