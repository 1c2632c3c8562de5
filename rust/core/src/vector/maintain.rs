//! What is to be done for a vector store in the background, one piece at a time.
//!
//! 1. A segment whose file is missing or damaged is written again from the rows.
//! 2. Many vectors in memory become a flat segment: quickly, so that memory stays small while vectors pour in.
//! 3. Segments become one with a graph: the newest ones once there are several or nobody is adding, older ones with them
//!    while they are not much larger (so that each vector is built into graphs a few times only, whatever the size), and any in
//!    which much is deleted.
//! 4. Rows and tombstones that no snapshot needs are removed.
//!
//! Each piece is one ordinary transaction, behind a file that was synced before. Ended at any point, it leaves a store
//! whose rows and manifest say the truth, and at most a file that nobody names.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::VectorStore;
use super::index::{Index, View};
use super::options::IndexKind;
use super::pull::first_of;
use super::rows::{Number, TOMBSTONE};
use super::segment::Sealed;
use crate::engine::{Database, Isolation, Maintainer, Step, Transaction, TransactionOptions};
use crate::error::Result;
use crate::txn::StoreInfo;
use std::ops::{Bound, Range};

/// When maintenance does something.
#[derive(Clone, Copy, Debug)]
pub struct VectorLimits {
    /// Vectors in memory become a segment from so many bytes on.
    pub seal_bytes: usize,
    /// A graph is built from so many vectors on; fewer are measured one by one.
    pub graph_rows_min: usize,
    /// So many tombstones are left in peace.
    pub tombstones_max: u64,
}

impl Default for VectorLimits {
    fn default() -> Self {
        Self {
            seal_bytes: 8 << 20,
            graph_rows_min: 4096,
            tombstones_max: 1024,
        }
    }
}

/// Segments without a graph that are merged while vectors pour in.
const FLATS_MAX: usize = 4;
/// An older segment is merged with newer ones while it is at most so many times as large.
const TIER_FACTOR: usize = 2;
/// A segment is built anew when more than one in so many of its vectors is deleted.
const DEAD_ONE_OF: usize = 5;

/// Maintains vector stores.
#[derive(Clone, Copy, Debug, Default)]
pub struct VectorMaintainer {
    /// When it does something.
    pub limits: VectorLimits,
}

/// One step for one store.
pub(super) struct Care<'a> {
    pub(super) db: &'a Database,
    pub(super) store: VectorStore,
    pub(super) limits: VectorLimits,
    /// Nothing that was deleted up to here is seen by anybody.
    pub(super) oldest: u64,
    pub(super) view: Arc<View>,
}

impl Maintainer for VectorMaintainer {
    fn step(&self, db: &Database, info: &StoreInfo) -> Result<Step> {
        // Before the snapshot is taken: it holds nothing back.
        let oldest = db.oldest_seq();
        let mut tx = begin(db, true)?;
        let store = VectorStore::open(&tx, info)?;
        if store.index.view.load().is_none() && self.is_small(&store, &mut tx)? {
            return Ok(Step::Idle);
        }
        let Some(view) = store.index.pull(&mut tx, store.id, true)? else {
            // Somebody read further meanwhile: what is older than its reading can wait.
            return Ok(Step::Again);
        };
        let care = Care {
            db,
            store,
            limits: self.limits,
            oldest,
            view,
        };
        care.step(&mut tx)
    }
}

impl VectorMaintainer {
    /// Is there too little in a store that nobody uses to even look at it?
    fn is_small(&self, store: &VectorStore, tx: &mut Transaction) -> Result<bool> {
        let segments = super::pull::manifest(tx, store.id)?;
        let sealed = segments
            .iter()
            .map(|(_, descriptor)| descriptor.last.next());
        let from = sealed.max().unwrap_or(Number::FIRST);
        let low = super::rows::numbered_row(super::rows::VECTOR, from);
        let (low, high) = (&low[..], [super::rows::VECTOR + 1]);
        let rows =
            tx.count_committed(store.id, Bound::Included(low), Bound::Excluded(&high), true)?;
        let tombstones = tombstones(tx, store.id, u64::MAX - 1)?;
        let bytes = rows as usize * store.index.space().prepared_bytes();
        let flat = segments
            .iter()
            .any(|(_, descriptor)| descriptor.kind == sopasync_vector::segment::Kind::Flat);
        Ok(!flat && bytes < self.limits.seal_bytes && tombstones <= self.limits.tombstones_max)
    }
}

/// Tombstones of the snapshot up to commit `seq`.
pub(super) fn tombstones(tx: &mut Transaction, store: u64, seq: u64) -> Result<u64> {
    let (low, high) = ([TOMBSTONE], first_of(TOMBSTONE, seq + 1));
    let (low, high) = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
    tx.count_committed(store, low, high, true)
}

/// Begins one of maintenance's own transactions. They write rows that nobody else does.
pub(super) fn begin(db: &Database, read_only: bool) -> Result<Transaction> {
    db.begin(TransactionOptions {
        isolation: Isolation::Snapshot,
        read_only,
    })
}

impl Care<'_> {
    fn step(&self, tx: &mut Transaction) -> Result<Step> {
        let index = &self.store.index;
        let rows = self.view.rows();
        let before = std::mem::replace(&mut index.upkeep.lock().rows, rows);
        let busy = rows > before;
        if let Some(broken) = self.view.broken.first() {
            return self.mend(broken);
        }
        if self.tail_bytes() >= self.limits.seal_bytes {
            return self.seal_tail();
        }
        if let Some(range) = self.choose(busy) {
            return self.rebuild(range);
        }
        if self.purge(tx)? {
            return Ok(Step::Again);
        }
        let segments = &self.view.segments;
        let unbuilt = segments.len() > 1 || segments.iter().any(|one| self.lacks_graph(one));
        if busy && unbuilt {
            // Looked at again once nobody is adding.
            return Ok(Step::Again);
        }
        let deleted = tombstones(tx, self.store.id, tx.seq())? > 0;
        Ok(if deleted { Step::Waiting } else { Step::Idle })
    }

    pub(super) fn index(&self) -> &Index {
        &self.store.index
    }

    /// Bytes of vectors that are in memory because they came lately.
    pub(super) fn tail_bytes(&self) -> usize {
        let tail = self
            .view
            .chunks
            .iter()
            .filter(|held| held.instead_of.is_none());
        let rows: usize = tail.map(|held| held.chunk.read().count()).sum();
        rows * self.index().space().prepared_bytes()
    }

    pub(super) fn wants_graph(&self, rows: usize) -> bool {
        self.index().options.index != IndexKind::Exact && rows >= self.limits.graph_rows_min
    }

    fn lacks_graph(&self, segment: &Sealed) -> bool {
        !segment.has_graph() && self.wants_graph(segment.count())
    }

    /// The segments to make one of, if any are due.
    fn choose(&self, busy: bool) -> Option<Range<usize>> {
        let segments = &self.view.segments;
        let worn = |segment: &&Arc<Sealed>| {
            let part = segment.part();
            let many = |dead: usize| dead * DEAD_ONE_OF > segment.count();
            many(part.dead) && many(self.dead_for_good(segment))
        };
        if let Some(place) = segments.iter().position(|segment| worn(&segment)) {
            return Some(place..place + 1);
        }
        let newest = segments.last()?;
        let (mut from, mut rows) = (segments.len() - 1, newest.count());
        while from > 0 {
            let older = &segments[from - 1];
            // Those without a graph come along in any case: they are the dear ones.
            if older.count() > TIER_FACTOR * rows && !self.lacks_graph(older) {
                break;
            }
            from -= 1;
            rows += older.count();
        }
        let run = &segments[from..];
        let flats = run.iter().filter(|segment| !segment.has_graph()).count();
        let due = if !self.wants_graph(rows) {
            run.len() >= FLATS_MAX
        } else if busy {
            flats >= FLATS_MAX
        } else {
            flats > 0 || run.len() > 1
        };
        due.then_some(from..segments.len())
    }

    fn dead_for_good(&self, segment: &Sealed) -> usize {
        let part = segment.part();
        let slots = 0..segment.count() as u32;
        slots
            .filter(|slot| part.deleted_at(*slot) <= self.oldest)
            .count()
    }

    pub(super) fn next_number(&self) -> u64 {
        self.index().next_segment.fetch_add(1, Ordering::Relaxed)
    }
}
