//! Pages by number: the cache, reading and checking, giving numbers out and taking them back.
//!
//! The page file is an array of base pages. The first 16 KiB hold the root slots (`root`); the
//! rest are nodes, large values and the checkpoint's catalogue, each a contiguous run.
//!
//! Invariants
//! P1  A page a durable checkpoint reaches is never overwritten.
//! P2  A page handed to a reader has the id, stamp and checksum its reference names.
//! P3  Dirty frames are never evicted: their bytes are nowhere else.

mod audit;
mod bitmap;
mod evict;
mod follows;
mod frame;
mod free;
mod large;
mod long_hash;
mod lowest;
mod mapped;
mod pinned;
pub(crate) mod root;
mod space;
mod table;
mod writeback;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_epoch::Guard;

use crate::disk::File;
use crate::error::{Error, Result};
use crate::limits::{EXTENT_BYTES_MIN, VALUE_BYTES_INLINE_MAX};
use crate::mutants::mutant;
use crate::page::{Node, PageBuf, PageRef};
use crate::sync::{Mutex, thread};

pub(crate) use audit::Audit;
pub(crate) use bitmap::Bitmap;
pub(crate) use follows::Follows;
pub(crate) use frame::Frame;
pub use large::ValueBytes;
pub use mapped::MappedValue;
pub use pinned::PinnedValue;
pub(crate) use space::{Born, Dead, LiveSnapshots, Pin};

pub(crate) use writeback::Pace;

use evict::Clock;
use follows::Following;
use mapped::MappedRuns;
use space::{RECLAIMED_AT_ONCE, Space};
use table::PageTable;

/// Between the portions of what is reclaimed, so that commits get through.
const RECLAIM_REST: std::time::Duration = std::time::Duration::from_micros(100);

/// Free pages that are never worth a file's packing.
const PACKED_PAGES_MIN: u64 = 32;

/// Name of the page file.
pub(crate) const PAGES_FILE: &str = "pages";

/// The cache and the page file behind it.
pub(crate) struct Pager {
    // Constant after construction.
    file: Arc<dyn File>,
    page_bytes: usize,
    cache_bytes: usize,
    pub(crate) live: Arc<LiveSnapshots>,
    // Synchronised in itself.
    follows: Following,
    table: PageTable,
    clock: Clock,
    space: Mutex<Space>,
    mapped: Arc<MappedRuns>,
    /// Whether a sync has failed; held during syncs, so that no later one can seem to succeed.
    sync_failed: Mutex<bool>,
    resident_bytes: AtomicUsize,
    /// Bytes of pages that are not in the table yet and count like those that are.
    outside_bytes: AtomicUsize,
    dirty_bytes: AtomicUsize,
    misses: AtomicU64,
    evictions: AtomicU64,
}

/// Counters of the cache.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PagerStatistics {
    pub(crate) resident_bytes: usize,
    pub(crate) dirty_bytes: usize,
    pub(crate) misses: u64,
    pub(crate) evictions: u64,
    pub(crate) file_pages: u64,
    pub(crate) free_pages: u64,
    pub(crate) waiting_pages: u64,
}

impl Pager {
    /// A pager over `file` in which the `used` runs are taken.
    pub(crate) fn new(
        file: Arc<dyn File>,
        page_bytes: usize,
        cache_bytes: usize,
        used: &[(u64, u64)],
    ) -> Self {
        // 32 KiB pages: the root slots are less than one.
        let reserved = root::RESERVED_BYTES.div_ceil(page_bytes) as u64;
        let space = Space::new(used, reserved);
        Self {
            mapped: Arc::clone(&space.mapped),
            file,
            page_bytes,
            cache_bytes,
            follows: Following::new(),
            live: Arc::new(LiveSnapshots::default()),
            table: PageTable::new(),
            clock: Clock::default(),
            space: Mutex::new(space),
            sync_failed: Mutex::new(false),
            resident_bytes: AtomicUsize::new(0),
            outside_bytes: AtomicUsize::new(0),
            dirty_bytes: AtomicUsize::new(0),
            misses: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(crate) fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Values above this many bytes leave the leaf: of those that do not, two have room in a page with what else it holds.
    pub(crate) fn inline_bytes_max(&self) -> usize {
        (self.page_bytes / 2 - self.page_bytes / 32).min(VALUE_BYTES_INLINE_MAX)
    }

    /// The page `page` names. With `wait` false, a page that is not resident is `WouldBlock`.
    #[inline]
    pub(crate) fn node<'g>(&self, page: PageRef, wait: bool, guard: &'g Guard) -> Result<Node<'g>> {
        if let Some(frame) = self.table.get(page.id, guard) {
            if frame.page == page && !frame.raw {
                let node = frame.node();
                node.prefetch();
                frame.touch();
                return Ok(node);
            }
            return Err(self.mismatch(page, "another page is cached under its number"));
        }
        self.read_node(page, wait, guard)
    }

    /// A copy of a published page, to be changed.
    pub(crate) fn copy_node(&self, page: PageRef, guard: &Guard) -> Result<PageBuf> {
        Ok(self.node(page, true, guard)?.bytes_copy())
    }

    #[cold]
    fn read_node<'g>(&self, page: PageRef, wait: bool, guard: &'g Guard) -> Result<Node<'g>> {
        if !wait {
            return Err(Error::WouldBlock);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let size = usize::from(page.span) * self.page_bytes;
        if page.span == 0 {
            return Err(self.mismatch(page, "a reference of no length"));
        }
        let mut bytes = PageBuf::zeroed(size);
        self.read_run(page.id, page.stamp, &mut bytes)?;
        let node = Node::new(&bytes);
        let whole = node.checksum() == node.stored_checksum() && node.page_id() == page.id;
        if !whole && !mutant("accept-bad-page") {
            return Err(self.mismatch(page, "its checksum does not match its content"));
        }
        let same = node.stamp() == page.stamp && node.size() == size;
        if !same && !mutant("accept-stale-page") {
            return Err(self.mismatch(page, "it is another version than its parent names"));
        }
        Ok(self.admit(Frame::clean(bytes, page, false), guard).node())
    }

    fn admit<'g>(&self, frame: Frame, guard: &'g Guard) -> &'g Frame {
        let (id, size) = (frame.page.id, frame.bytes.len());
        let (resident, admitted) = self.table.admit(frame, guard);
        if admitted {
            self.enqueue([id]);
            self.resident_bytes.fetch_add(size, Ordering::Relaxed);
            if self.is_over_full() {
                self.evict(guard);
            }
        }
        resident
    }

    /// Is there more in memory than the cache may hold?
    fn is_over_full(&self) -> bool {
        let outside = self.outside_bytes.load(Ordering::Relaxed);
        self.resident_bytes.load(Ordering::Relaxed) + outside > self.cache_bytes
    }

    /// Leaves room in the cache for so many bytes of pages that are not in the table yet: a replay
    /// gathers many of them.
    pub(crate) fn count_outside(&self, bytes: usize) {
        self.outside_bytes.store(bytes, Ordering::Relaxed);
        if self.is_over_full() {
            self.evict(&crossbeam_epoch::pin());
        }
    }

    fn read_run(&self, id: u64, stamp: u64, bytes: &mut [u8]) -> Result<()> {
        match self.read_at(id * self.page_bytes as u64, bytes) {
            // The owner may have cut the file behind its own last page.
            Err(Error::Corruption { .. }) if self.is_overtaken(id, stamp) => {
                Err(Error::SnapshotExpired)
            }
            result => result,
        }
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        self.file.read_at(bytes, offset).map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                Error::corruption(PAGES_FILE, offset, "the file ends before this page does")
            } else {
                Error::io(PAGES_FILE, "read", &error)
            }
        })
    }

    #[cold]
    pub(crate) fn mismatch(&self, page: PageRef, reason: &str) -> Error {
        if self.is_overtaken(page.id, page.stamp) {
            return Error::SnapshotExpired;
        }
        let offset = page.id * self.page_bytes as u64;
        Error::corruption(PAGES_FILE, offset, format!("page {}: {reason}", page.id))
    }

    /// Takes page numbers out for a run.
    pub(crate) fn allocate(&self, span: u64) -> u64 {
        let mut space = self.space.lock();
        if span > 1 {
            space.take_unmapped();
        }
        space.free.allocate(span)
    }

    /// Takes the run an extent record names out; false when it is in use.
    pub(crate) fn reserve(&self, id: u64, span: u64) -> bool {
        self.space.lock().free.reserve(id, span)
    }

    /// Before replay: keeps the runs that extents in the log lie on from being given out, also
    /// when replay frees them, because a later group may name them again.
    /// True when the checkpoint itself reaches such runs with what they held earlier.
    pub(crate) fn begin_replay(&self, extents: &[(u64, u64)]) -> Result<bool> {
        self.space.lock().begin_replay(extents).map_err(|id| {
            let offset = id * self.page_bytes as u64;
            Error::corruption(
                PAGES_FILE,
                offset,
                "the log names an extent on a page in use",
            )
        })
    }

    /// Does the checkpoint keep extents that the newest commit does not reach?
    pub(crate) fn keeps_dead_extents(&self) -> bool {
        let space = self.space.lock();
        let mut waiting = space.waiting_runs();
        waiting.any(|(_, span)| span as usize * self.page_bytes >= EXTENT_BYTES_MIN)
    }

    /// The run is one of those that `begin_replay` keeps free.
    pub(crate) fn is_kept_for_replay(&self, id: u64, span: u64) -> bool {
        self.space.lock().is_kept_for_replay(id, span)
    }

    /// After replay: extents and loaded pages that did not survive it are free again.
    pub(crate) fn end_replay(&self) {
        let guard = crossbeam_epoch::pin();
        let mut space = self.space.lock();
        for id in space.end_replay() {
            self.forget(id, &guard);
        }
    }

    /// The foremost free page.
    pub(crate) fn first_free(&self) -> Option<u64> {
        self.space.lock().free.first()
    }

    /// Where the file would about end if its pages lay side by side; `None` when no more than
    /// one part in `share` would be won.
    pub(crate) fn packed_end(&self, share: u64) -> Option<u64> {
        let space = self.space.lock();
        let (end, free) = (space.free.end(), space.free.free_pages());
        let worth_it = free >= PACKED_PAGES_MIN && free > end / share;
        // Not every page can be moved to every place.
        worth_it.then(|| end - free + free / 16)
    }

    /// Gives back a run that nothing ever referred to.
    pub(crate) fn release(&self, id: u64, span: u64) {
        self.space.lock().give_back(id, span);
    }

    /// For logs that are not synced with every group: a freed run may be given out again only when
    /// the group that freed it is durable, or a crash could bring back an extent whose bytes are gone.
    pub(crate) fn hold_freed(&self) {
        self.space.lock().hold_freed();
    }

    /// The runs that the groups published so far have freed and that are held.
    pub(crate) fn take_held(&self) -> Vec<(u64, u64)> {
        self.space.lock().take_held()
    }

    /// Holds runs on that were taken, because what freed them did not become durable.
    pub(crate) fn hold_on(&self, held: Vec<(u64, u64)>) {
        if !held.is_empty() {
            self.space.lock().hold(held);
        }
    }

    /// Gives out runs again whose freeing is durable.
    pub(crate) fn give_back(&self, held: &[(u64, u64)]) {
        let mut space = self.space.lock();
        for &(id, span) in held {
            space.give_back(id, span);
        }
    }

    /// Puts the pages of a sealed group into the table: the next group reads them there.
    pub(crate) fn install(&self, frames: Vec<Frame>, guard: &Guard) {
        let bytes: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
        self.dirty_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.resident_bytes.fetch_add(bytes, Ordering::Relaxed);
        for frame in frames {
            self.table.publish(frame, guard);
        }
        if self.is_over_full() {
            self.evict(guard);
        }
    }

    /// Takes a published group's births and deaths in and frees what nobody can see any more.
    pub(crate) fn publish(&self, born: &[Born], dead: Vec<Dead>, guard: &Guard) {
        let mut space = self.space.lock();
        let freed = space.publish(born, dead, &self.live);
        self.free(&mut space, &freed, guard);
        drop(space);
        table::collect(freed.len(), guard);
    }

    /// Frees what only snapshots that are gone by now could see.
    pub(crate) fn reclaim(&self) {
        loop {
            let guard = crossbeam_epoch::pin();
            let mut space = self.space.lock();
            let mut freed = Vec::new();
            let more = space.reclaim(&self.live, RECLAIMED_AT_ONCE, &mut freed);
            self.free(&mut space, &freed, &guard);
            drop(space);
            table::collect(freed.len(), &guard);
            if !more {
                return;
            }
            thread::sleep(RECLAIM_REST);
        }
    }

    /// Whether commits may soon have to wait for fresh memory.
    pub(crate) fn is_short_of_buffers(&self) -> bool {
        PageBuf::is_scarce(self.page_bytes)
    }

    /// Makes memory for pages ready, so that commits need not.
    pub(crate) fn stock_buffers(&self) {
        PageBuf::stock(self.page_bytes);
    }

    /// The cache forgets a run before its number can be given out again.
    fn free(&self, space: &mut Space, freed: &[Dead], guard: &Guard) {
        for run in freed {
            self.forget(run.id, guard);
            space.release(run.id, run.span);
        }
    }

    fn forget(&self, id: u64, guard: &Guard) {
        if let Some(frame) = self.table.remove(id, guard) {
            let size = frame.bytes.len();
            self.resident_bytes.fetch_sub(size, Ordering::Relaxed);
            if frame.is_dirty() {
                self.dirty_bytes.fetch_sub(size, Ordering::Relaxed);
            }
        }
    }

    /// Bytes of pages that are in memory only.
    pub(crate) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes.load(Ordering::Relaxed)
    }

    /// Bytes the cache may hold.
    pub(crate) fn cache_bytes(&self) -> usize {
        self.cache_bytes
    }

    pub(crate) fn statistics(&self) -> PagerStatistics {
        let mut space = self.space.lock();
        space.take_unmapped();
        PagerStatistics {
            resident_bytes: self.resident_bytes.load(Ordering::Relaxed),
            dirty_bytes: self.dirty_bytes(),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            file_pages: space.free.end(),
            free_pages: space.free.free_pages(),
            waiting_pages: space.waiting_pages() + self.mapped.kept_pages(),
        }
    }
}
