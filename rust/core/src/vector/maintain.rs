//! What is to be done for a vector store in the background, one piece at a time.
//!
//! 1. A segment whose file is missing or damaged is written again from the rows.
//! 2. Many vectors in memory become a flat segment: quickly, so that memory stays small while vectors pour in. What waits in the
//!    store, because a build took long or a commit is large, is read and written in pieces of that size. Fewer do
//!    when nobody has been adding for a while, from so many on that measuring them takes longer than walking a graph.
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
    /// Vectors in memory become a segment from so many bytes of them on,
    pub seal_bytes: usize,
    /// from so many when nobody is adding and they will have a graph,
    pub quiet_bytes: usize,
    /// and when they take so much memory with what is kept beside them. Maintenance reads no more than that at once.
    pub memory_bytes: usize,
    /// A graph is built from so many vectors on; fewer are measured one by one.
    pub graph_rows_min: usize,
    /// So many tombstones are left in peace.
    pub tombstones_max: u64,
    /// A build that needs more bytes than these works in a file.
    pub heap_bytes: usize,
}

impl Default for VectorLimits {
    fn default() -> Self {
        Self {
            seal_bytes: 8 << 20,
            quiet_bytes: 128 << 10,
            memory_bytes: 12 << 20,
            graph_rows_min: 256,
            tombstones_max: 1024,
            heap_bytes: 4 << 20,
        }
    }
}

/// Segments without a graph that are merged while vectors pour in.
const FLATS_MAX: usize = 4;
/// An older segment is merged with newer ones while it is at most so many times as large.
const TIER_FACTOR: usize = 2;
/// The same while it has fewer bytes than are sealed at once: then it is written again in no time.
const TIER_FACTOR_SMALL: usize = 8;
/// Beside a large store, vectors in memory may be one in so many bytes of it without being felt,
const QUIET_ONE_OF: usize = 512;
/// up to so many times the usual.
const QUIET_TIMES_MAX: usize = 8;
/// Nobody is adding when there was nothing new for so many steps, which are milliseconds apart: work that can wait a little waits
/// so long.
const QUIET_STEPS: u32 = 40;
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
        let tail_max = self.limits.memory_bytes;
        let view = store.index.pull_within(&mut tx, store.id, true, tail_max)?;
        if view.floor > tx.seq() {
            // Somebody read further meanwhile: what is older than its reading can wait.
            return Ok(Step::Again);
        }
        let care = Care {
            db,
            store,
            limits: self.limits,
            oldest,
            view,
        };
        care.step(tx)
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
        let enough = if store.index.options.index == IndexKind::Exact {
            self.limits.seal_bytes
        } else {
            self.limits.quiet_bytes.min(self.limits.seal_bytes)
        };
        Ok(!flat && bytes < enough && tombstones <= self.limits.tombstones_max)
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
    fn step(&self, mut tx: Transaction) -> Result<Step> {
        let index = &self.store.index;
        let rows = self.view.rows();
        let quiet = index.upkeep.lock().quiet_steps(rows);
        if let Some(broken) = self.view.broken.first() {
            drop(tx);
            return self.mend(broken);
        }
        let tail = self.tail_bytes();
        let some = tail > 0 && tail >= self.quiet_bytes();
        let much =
            tail >= self.limits.seal_bytes || self.view.tail_memory() >= self.limits.memory_bytes;
        let all_read = self.view.pulled >= tx.seq();
        if much || (tail > 0 && !all_read) || (some && quiet >= QUIET_STEPS) {
            drop(tx);
            return self.seal_tail();
        }
        if !all_read {
            return Ok(Step::Again);
        }
        let small = self.segment_bytes(self.view.segments.last()) < self.limits.seal_bytes / 2;
        let busy = quiet < if small { QUIET_STEPS } else { 1 };
        if let Some(range) = self.choose(busy) {
            // A build takes long: its snapshot would keep every version of every page that commits replace meanwhile.
            drop(tx);
            return self.rebuild(range);
        }
        if self.purge(&mut tx)? {
            return Ok(Step::Again);
        }
        if some || (busy && self.choose(false).is_some()) {
            // Looked at again once nobody is adding.
            return Ok(Step::Again);
        }
        let seq = tx.seq();
        let deleted = tombstones(&mut tx, self.store.id, seq)? > 0;
        Ok(if deleted { Step::Waiting } else { Step::Idle })
    }

    pub(super) fn index(&self) -> &Index {
        &self.store.index
    }

    /// Bytes of vectors that are in memory because they came lately.
    pub(super) fn tail_bytes(&self) -> usize {
        self.view.tail_rows() * self.index().space().prepared_bytes()
    }

    /// From so many bytes on, vectors in memory are felt by searches.
    fn quiet_bytes(&self) -> usize {
        let limits = self.limits;
        if !self.has_graphs() {
            return limits.seal_bytes;
        }
        let row = self.index().space().prepared_bytes();
        let part = self.view.rows() * row / QUIET_ONE_OF;
        let least = limits
            .quiet_bytes
            .max(limits.graph_rows_min.saturating_mul(row) / 2);
        part.clamp(
            least,
            least.max(limits.quiet_bytes.saturating_mul(QUIET_TIMES_MAX)),
        )
        .min(limits.seal_bytes)
    }

    fn segment_bytes(&self, segment: Option<&Arc<Sealed>>) -> usize {
        let rows = segment.map_or(0, |segment| segment.count());
        rows * self.index().space().prepared_bytes()
    }

    /// Is it a store that gets graphs?
    fn has_graphs(&self) -> bool {
        self.index().options.index != IndexKind::Exact
    }

    pub(super) fn wants_graph(&self, rows: usize) -> bool {
        self.has_graphs() && rows >= self.limits.graph_rows_min
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
            let small = self.segment_bytes(Some(older)) < self.limits.seal_bytes;
            let factor = if small {
                TIER_FACTOR_SMALL
            } else {
                TIER_FACTOR
            };
            if older.count() > factor * rows && (older.has_graph() || !self.has_graphs()) {
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
