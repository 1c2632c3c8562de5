//! Chunks become a flat segment; so do the rows of a segment whose file is gone.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::RwLockReadGuard;
use sopasync_payload::{DROPPED, Part as SealPart, seal};
use sopasync_vector::segment::{Head, Kind, Parts, SegmentWriter, Vid, Written, write_segment};

use super::chunk::Chunk;
use super::codes::section_of;
use super::index::{Broken, HeldChunk, View};
use super::maintain::{Care, begin};
use super::query::refused;
use super::records::{Records, write_section};
use super::rows::{Number, PURGED};
use super::segment::{Descriptor, Sealed};
use crate::engine::{DerivedWriter, Step, Transaction, manifest_key};
use crate::error::{Error, Result};
use crate::mutants::mutant;

/// A vector's number as a segment has it.
pub(super) fn vid(number: Number) -> Vid {
    Vid {
        seq: number.seq,
        ordinal: number.ordinal,
    }
}

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
        let mut gathered = Gathered::default();
        for chunk in &guards {
            gathered.add(chunk, self.oldest);
        }
        let mut change = Change {
            removed: replaced.into_iter().collect(),
            added: None,
            dropped: gathered.dropped,
        };
        if !gathered.vids.is_empty() {
            let number = self.next_number();
            let head = self.head(Kind::Flat, number, &gathered.vids);
            let columns: Vec<SealPart<'_>> = guards
                .iter()
                .zip(&gathered.slots)
                .map(|(chunk, slots)| SealPart::mapped(chunk.columns(), slots))
                .collect();
            let whole: Vec<(&[u8], &[u32])> = guards
                .iter()
                .zip(&gathered.kept)
                .map(|(chunk, kept)| (chunk.part().rows, &kept[..]))
                .collect();
            let codes = section_of(&self.index().options, &whole);
            let recall = codes.as_ref().map(|(_, recall)| *recall);
            let kept: Vec<(Records<'_>, &[u32])> = guards
                .iter()
                .zip(&gathered.kept)
                .map(|(chunk, kept)| (chunk.part().records, &kept[..]))
                .collect();
            let mut records = Vec::new();
            write_section(&kept, |bytes| {
                records.extend_from_slice(bytes);
                Ok::<(), Error>(())
            })?;
            let parts = Parts {
                vids: &gathered.vids,
                rows: &gathered.rows,
                codes: codes.as_ref().map_or(&[], |(section, _)| section),
                graph: &[],
                payload: &refused(seal(&columns))?,
                records: &records,
            };
            let written = self.write_file(number, |out| {
                write_segment(out, &head, &parts).map_err(failed)
            })?;
            let (first, last) = (range.start, range.end);
            let descriptor = describe(&head, first, last, &written, recall);
            change.added = Some((number, descriptor));
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
                let mut at = 0;
                for (held, kept) in chunks.iter().zip(&gathered.kept) {
                    let count = kept.len() as u32;
                    sealed.take_marks(&held.chunk.read().part(), kept, at..at + count);
                    at += count;
                }
                view.segments.push(Arc::clone(sealed));
            }
            view.chunks.drain(first..first + chunks.len());
            view.closed -= chunks.len();
            true
        })?;
        Ok(Step::Again)
    }

    pub(super) fn head(&self, kind: Kind, number: u64, vids: &[Vid]) -> Head {
        Head {
            space: *self.index().space(),
            kind,
            count: vids.len() as u32,
            lo: vids.first().map_or(0, |vid| vid.seq - 1),
            hi: vids.last().map_or(0, |vid| vid.seq),
            store: self.store.id,
            number,
        }
    }

    pub(super) fn write_file(
        &self,
        number: u64,
        write: impl FnOnce(&mut DerivedWriter) -> Result<Written>,
    ) -> Result<Written> {
        let mut file = self.db.write_derived(self.store.id, number)?;
        let written = write(&mut file)?;
        file.finish()?;
        Ok(written)
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

pub(super) fn describe(
    head: &Head,
    first: Number,
    last: Number,
    written: &Written,
    recall: Option<f32>,
) -> Descriptor {
    Descriptor {
        kind: head.kind,
        first,
        last,
        count: head.count,
        bytes: written.bytes,
        checksum: written.checksum,
        recall,
    }
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

/// The rows of chunks that go into a segment.
#[derive(Default)]
struct Gathered {
    vids: Vec<Vid>,
    rows: Vec<u8>,
    /// Of each chunk: the slot of each row in the segment, or `DROPPED`.
    slots: Vec<Vec<u32>>,
    /// Of each chunk: the slots that are kept.
    kept: Vec<Vec<u32>>,
    dropped: u64,
}

impl Gathered {
    fn add(&mut self, chunk: &Chunk, oldest: u64) {
        let part = chunk.part();
        let (slots, kept, dropped) = keep(&part, oldest, self.vids.len() as u32);
        let bytes = part.rows.len() / part.count().max(1);
        for slot in &kept {
            let at = *slot as usize * bytes;
            self.vids.push(vid(part.numbers.get(*slot)));
            self.rows.extend_from_slice(&part.rows[at..at + bytes]);
        }
        self.dropped = self.dropped.max(dropped);
        self.slots.push(slots);
        self.kept.push(kept);
    }
}

/// New slots of a part's rows from `next` on, the rows that are kept, and the newest deletion among the others: those that
/// no snapshot from `oldest` on can see (V4).
pub(super) fn keep(
    part: &super::part::Part<'_>,
    oldest: u64,
    mut next: u32,
) -> (Vec<u32>, Vec<u32>, u64) {
    let count = part.count() as u32;
    let (mut slots, mut kept, mut dropped) = (Vec::with_capacity(count as usize), Vec::new(), 0);
    for slot in 0..count {
        let deleted = part.deleted_at(slot);
        if deleted <= oldest {
            slots.push(DROPPED);
            dropped = dropped.max(deleted);
        } else {
            slots.push(next);
            kept.push(slot);
            next += 1;
        }
    }
    (slots, kept, dropped)
}

/// Bytes of rows that are written at once at most.
pub(super) const WRITE_BYTES: usize = 16 << 20;

/// Writes rows one after the other, those that follow each other at once; `between` is called now and then.
pub(super) fn write_rows<W: std::io::Write>(
    writer: &mut SegmentWriter<W>,
    rows: &[u8],
    bytes: usize,
    kept: &[u32],
    between: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let most = (WRITE_BYTES / bytes).max(1);
    let (mut at, mut written) = (0, 0);
    while at < kept.len() {
        let mut end = at + 1;
        while end < kept.len() && kept[end] == kept[end - 1] + 1 && end - at < most {
            end += 1;
        }
        let first = kept[at] as usize * bytes;
        let last = (kept[end - 1] as usize + 1) * bytes;
        writer.write(&rows[first..last]).map_err(failed)?;
        written += end - at;
        if written >= most {
            between()?;
            written = 0;
        }
        at = end;
    }
    Ok(())
}
