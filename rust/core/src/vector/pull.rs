//! Reading into the index what was committed since it last looked.
//!
//! Rows and tombstones stand in the order of their commits, so what is new is a range of each. A transaction reads it
//! from its own snapshot; nothing is handed over at commit, and nothing waits for it there.

use std::ops::{Bound, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::RwLock;

use super::chunk::rows_max;
use super::index::{Broken, HeldChunk, Index, View};
use super::rows::{
    Number, PURGED, TOMBSTONE, VECTOR, decode_record, join_record, malformed, number_of_row,
    number_of_value, numbered_row,
};
use super::segment::{Descriptor, Sealed};
use crate::engine::{Access, MANIFEST_FAMILY, ScanRange, Transaction};
use crate::error::{Error, Result};
use crate::mutants::mutant;

/// Rows that are read without waiting: about a quarter of a millisecond.
const ROWS_AT_ONCE: u64 = 256;
/// Rows that are added under one lock.
const ROWS_A_LOCK: usize = 128;
/// Bytes of one reading.
const BATCH_BYTES: usize = 1 << 20;

/// Reads that are remembered by nobody.
pub(super) fn aside(may_wait: bool) -> Access {
    Access {
        may_wait,
        track: false,
    }
}

impl Index {
    /// The newest view, in which as much of the transaction's snapshot is read as `tail_max` bytes of memory allow: what a
    /// long build left waiting is not read into memory at once. When much is to be read and it may not wait, `WouldBlock`.
    pub(super) fn pull_within(
        &self,
        tx: &mut Transaction,
        store: u64,
        may_wait: bool,
        tail_max: usize,
    ) -> Result<Arc<View>> {
        let seq = tx.seq();
        if let Some(view) = self.view.load_full().filter(|view| view.pulled >= seq) {
            return Ok(view);
        }
        let _turn = if may_wait {
            self.turn.lock()
        } else {
            self.turn.try_lock().ok_or(Error::WouldBlock)?
        };
        let before = self.view.load_full();
        if let Some(view) = before.clone().filter(|view| view.pulled >= seq) {
            return Ok(view);
        }
        if !may_wait && (before.is_none() || self.rows_to_pull(tx, store, false)? > ROWS_AT_ONCE) {
            return Err(Error::WouldBlock);
        }
        let mut pull = Pull {
            index: self,
            tx,
            store,
            may_wait,
            tail_max,
        };
        let purged = pull.purged()?;
        let view = match before {
            // What was purged meanwhile could not be noted.
            Some(view)
                if (purged <= view.pulled || mutant("vector-forget-floor"))
                    && !pull.is_sealed_elsewhere(&view)? =>
            {
                pull.more(&view, seq)?
            }
            // Opens and verifies files.
            _ if !may_wait => return Err(Error::WouldBlock),
            _ => pull.all(purged, seq)?,
        };
        let view = Arc::new(view);
        self.view.store(Some(Arc::clone(&view)));
        Ok(view)
    }

    /// Reads everything anew, and puts it in the place of what there was: what is deleted for good is left out.
    pub(super) fn reload(&self, tx: &mut Transaction, store: u64) -> Result<()> {
        let _turn = self.turn.lock();
        let seq = tx.seq();
        let mut pull = Pull {
            index: self,
            tx,
            store,
            may_wait: true,
            tail_max: usize::MAX,
        };
        let purged = pull.purged()?;
        let view = pull.all(purged, seq)?;
        self.view.store(Some(Arc::new(view)));
        Ok(())
    }

    /// How many rows a search at the transaction's snapshot would have to read first.
    pub(super) fn rows_to_pull(
        &self,
        tx: &mut Transaction,
        store: u64,
        may_wait: bool,
    ) -> Result<u64> {
        let seq = tx.seq();
        let pulled = self.view.load().as_ref().map_or(0, |view| view.pulled);
        if pulled >= seq {
            return Ok(0);
        }
        let mut rows = 0;
        for family in [VECTOR, TOMBSTONE] {
            let (low, high) = (first_of(family, pulled + 1), first_of(family, seq + 1));
            let (low, high) = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
            rows += tx.count_committed(store, low, high, may_wait)?;
        }
        Ok(rows)
    }
}

fn after(seq: u64) -> Number {
    Number {
        seq: seq + 1,
        ordinal: 0,
    }
}

/// The segments that the manifest names at the transaction's snapshot. May wait.
pub(super) fn manifest(tx: &mut Transaction, store: u64) -> Result<Vec<(u64, Descriptor)>> {
    let (low, high) = ([MANIFEST_FAMILY], [MANIFEST_FAMILY + 1]);
    let range = ScanRange {
        low: Bound::Included(&low),
        high: Bound::Excluded(&high),
        ..ScanRange::default()
    };
    let mut found = Vec::new();
    tx.scan(store, &range, aside(true), &mut |key, _, value| {
        let number = key[1..].try_into().map(u64::from_be_bytes);
        let number = number.map_err(|_| malformed("a segment's row has no number"));
        let value = value.expect("values were asked for");
        found.push(number.and_then(|number| Ok((number, Descriptor::decode(value)?))));
    })?;
    found.into_iter().collect()
}

/// The first row of a family that a commit can have written.
pub(super) fn first_of(family: u8, seq: u64) -> [u8; 13] {
    numbered_row(family, Number { seq, ordinal: 0 })
}

struct Pull<'a> {
    index: &'a Index,
    tx: &'a mut Transaction,
    store: u64,
    may_wait: bool,
    /// Bytes in memory at which reading ends early.
    tail_max: usize,
}

impl Pull<'_> {
    /// The newest tombstone that was purged before the snapshot.
    fn purged(&mut self) -> Result<u64> {
        let access = aside(self.may_wait);
        let row = self.tx.visit(self.store, &PURGED, access, |_, value| {
            value.try_into().map(u64::from_be_bytes)
        })?;
        match row {
            None => Ok(0),
            Some(Ok(seq)) => Ok(seq),
            Some(Err(_)) => Err(malformed("the row of what was purged is no number")),
        }
    }

    /// Has the process that this one follows made segments of what fills the memory here?
    fn is_sealed_elsewhere(&mut self, view: &View) -> Result<bool> {
        if !self.may_wait || !self.tx.is_following() || view.tail_memory() < self.tail_max {
            return Ok(false);
        }
        let known = |number: &u64| {
            view.segments.iter().any(|known| known.number == *number)
                || view.broken.iter().any(|known| known.number == *number)
        };
        let named = manifest(self.tx, self.store)?;
        Ok(!named.iter().all(|(number, _)| known(number)))
    }

    /// A first view.
    fn all(&mut self, purged: u64, seq: u64) -> Result<View> {
        let mut view = View {
            floor: if mutant("vector-forget-floor") {
                0
            } else {
                purged
            },
            pulled: 0,
            segments: Vec::new(),
            broken: Vec::new(),
            chunks: Vec::new(),
            closed: 0,
        };
        self.segments(&mut view)?;
        let covered = view
            .segments
            .iter()
            .map(|segment| segment.descriptor.last.next());
        let behind = covered.max().unwrap_or(Number::FIRST);
        for broken in view.broken.clone() {
            // Segments cover disjoint ranges: these vectors are nowhere else.
            let Descriptor { first, last, .. } = broken.descriptor;
            self.rows(
                &mut view,
                first..last.next(),
                Some(broken.number),
                usize::MAX,
            )?;
        }
        view.chunks.sort_by_key(|held| held.first);
        view.closed = view.chunks.len();
        let broken = view
            .broken
            .iter()
            .map(|broken| broken.descriptor.last.next());
        let behind = broken.max().unwrap_or(behind).max(behind);
        // Whole up to `floor`: a view behind that would be read anew, not added to.
        let whole = after(view.floor.min(seq)).max(behind);
        self.rows(&mut view, behind..whole, None, usize::MAX)?;
        let read = self.tail(&mut view, whole, seq)?;
        self.tombstones(&view, 0, read)?;
        view.pulled = read;
        Ok(view)
    }

    /// The view with what was committed since.
    fn more(&mut self, before: &View, seq: u64) -> Result<View> {
        let mut view = before.clone();
        // An earlier reading that ended in an error left its first rows in a chunk; they may have been sealed since.
        let known = before
            .chunks
            .last()
            .and_then(|held| held.chunk.read().last());
        let sealed = before
            .segments
            .last()
            .map(|segment| segment.descriptor.last);
        let known = known.max(sealed).map_or(Number::FIRST, Number::next);
        let from = after(before.pulled).max(known);
        let read = if mutant("vector-skip-tail") {
            seq
        } else {
            self.tail(&mut view, from, seq)?
        };
        self.tombstones(&view, before.pulled, read)?;
        view.pulled = read;
        Ok(view)
    }

    /// Opens the segments that the manifest names.
    fn segments(&mut self, view: &mut View) -> Result<()> {
        let mut next = 1;
        for (number, descriptor) in manifest(self.tx, self.store)? {
            next = next.max(number + 1);
            let opened = match self.tx.open_derived(self.store, number)? {
                Some(mapping) => Sealed::open(mapping, descriptor, self.store, number, self.index),
                None => Err("its file is missing".to_owned()),
            };
            match opened {
                Ok(segment) => view.segments.push(Arc::new(segment)),
                Err(reason) => view.broken.push(Broken {
                    number,
                    descriptor,
                    reason,
                }),
            }
        }
        view.segments
            .sort_by_key(|segment| segment.descriptor.first);
        self.index.next_segment.fetch_max(next, Ordering::Relaxed);
        Ok(())
    }

    /// Adds vectors from a number on, up to commit `seq` if there is room: the last commit of which all are there.
    fn tail(&mut self, view: &mut View, from: Number, seq: u64) -> Result<u64> {
        let ended = self.rows(view, from..after(seq), None, self.tail_max)?;
        // What was read of a commit that is not whole is behind all that the view answers.
        let ended = ended.filter(|_| !mutant("vector-part-as-whole"));
        Ok(ended.map_or(seq, |last| last.seq - 1))
    }

    /// Adds the vectors with these numbers, until those that came lately take `tail_max` bytes of memory: the last one, if that
    /// ended it. At least one is added, if there is any.
    fn rows(
        &mut self,
        view: &mut View,
        range: Range<Number>,
        instead_of: Option<u64>,
        tail_max: usize,
    ) -> Result<Option<Number>> {
        let high = numbered_row(VECTOR, range.end);
        let mut low = numbered_row(VECTOR, range.start).to_vec();
        let space = *self.index.space();
        loop {
            let room = tail_max.saturating_sub(view.tail_memory());
            let range = ScanRange {
                low: Bound::Included(&low),
                high: Bound::Excluded(&high),
                limit_bytes: room.clamp(1, BATCH_BYTES),
                ..ScanRange::default()
            };
            let mut batch = Batch::default();
            let mut failed = Ok(());
            let last = self.tx.scan(
                self.store,
                &range,
                aside(self.may_wait),
                &mut |key, meta, value| {
                    let value = value.expect("values were asked for");
                    if failed.is_ok() {
                        failed = batch.push(key, meta, value, &space);
                    }
                },
            )?;
            failed?;
            self.append(view, &batch, instead_of)?;
            match last {
                // Long records are not kept in memory: what was read may be much more than what it takes there.
                Some(_) if view.tail_memory() >= tail_max => {
                    return Ok(batch.numbers.last().copied());
                }
                Some(last) => low = [&last[..], &[0]].concat(),
                None => return Ok(None),
            }
        }
    }

    fn append(&self, view: &mut View, batch: &Batch, instead_of: Option<u64>) -> Result<()> {
        let bytes = self.index.space().prepared_bytes();
        let full = rows_max(self.index.space());
        let mut rows = batch
            .numbers
            .iter()
            .zip(batch.rows.chunks_exact(bytes))
            .zip(&batch.records);
        let mut next = rows.next();
        while let Some(((number, _), _)) = next {
            let open = view.chunks[view.closed..].last();
            let open = open
                .filter(|held| held.instead_of == instead_of && held.chunk.read().count() < full);
            let open = open.map(|held| Arc::clone(&held.chunk));
            let chunk = open.unwrap_or_else(|| {
                let chunk = Arc::new(RwLock::default());
                view.chunks.push(HeldChunk {
                    first: *number,
                    instead_of,
                    chunk: Arc::clone(&chunk),
                });
                chunk
            });
            let mut chunk = chunk.write();
            // A few at a time: searches wait for this lock.
            let end = full.min(chunk.count() + ROWS_A_LOCK);
            while chunk.count() < end
                && let Some(((number, row), record)) = next
            {
                chunk.push(*number, row, record, full)?;
                next = rows.next();
            }
        }
        Ok(())
    }

    /// Notes the deletions of the commits above `after`, up to `seq`.
    fn tombstones(&mut self, view: &View, after: u64, seq: u64) -> Result<()> {
        let (low, high) = (first_of(TOMBSTONE, after + 1), first_of(TOMBSTONE, seq + 1));
        let range = ScanRange {
            low: Bound::Included(&low),
            high: Bound::Excluded(&high),
            ..ScanRange::default()
        };
        let mut failed = Ok(());
        self.tx.scan(
            self.store,
            &range,
            aside(self.may_wait),
            &mut |key, _, value| {
                let noted = number_of_row(key).and_then(|by| {
                    let deleted = number_of_value(value.expect("values were asked for"))?;
                    view.mark(deleted, by.seq);
                    Ok(())
                });
                if failed.is_ok() {
                    failed = noted;
                }
            },
        )?;
        failed
    }
}

/// Rows on their way into chunks.
#[derive(Default)]
struct Batch {
    numbers: Vec<Number>,
    rows: Vec<u8>,
    records: Vec<Vec<u8>>,
}

impl Batch {
    fn push(
        &mut self,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
        space: &sopasync_vector::Space,
    ) -> Result<()> {
        let (elements, record) = join_record(meta, value, space.row_bytes())?;
        decode_record(record)?;
        self.numbers.push(number_of_row(key)?);
        space.prepare(elements, &mut self.rows);
        self.records.push(record.to_vec());
        Ok(())
    }
}
