//! Who may use which page: allocation, pages waiting for old snapshots, what the tip reaches.
//!
//! A page lives in [birth, death). It may be given out again when no live snapshot lies in that
//! interval (Böttcher et al., "Scalable Garbage Collection for In-Memory MVCC Systems", VLDB
//! 2019), so one long reader keeps only the versions it can see. The last checkpoint holds a
//! snapshot like any reader does, which is what keeps its pages from being overwritten.
//!
//! Invariants
//! S1  A page belongs to at most one node, value or catalogue at a time.
//! S2  `reach` is exactly what the published snapshot reaches.
//!     One that is mapped may be neither, until the mapping goes (`mapped`).
//! S3  A dead page waits in the bucket of one live snapshot that can see it; it is looked at
//!     again when that snapshot goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::bitmap::Bitmap;
use super::free::FreePages;
use super::mapped::MappedRuns;
use crate::mutants::mutant;
use crate::sync::Mutex;

/// Dead runs that are looked at again at once, while commits wait: a fraction of a millisecond.
pub(super) const RECLAIMED_AT_ONCE: usize = 256;

/// The stamps of the snapshots somebody holds.
#[derive(Default)]
pub(crate) struct LiveSnapshots {
    inner: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    stamps: BTreeMap<u64, Held>,
    released: Vec<u64>,
}

/// How often a snapshot is held, and the commit it shows; none for pages that are held without one.
#[derive(Default)]
struct Held {
    count: usize,
    seq: Option<u64>,
}

impl LiveSnapshots {
    /// Notes a snapshot; dropping the pin forgets it.
    pub(crate) fn pin(self: &Arc<Self>, stamp: u64) -> Pin {
        self.inner.lock().stamps.entry(stamp).or_default().count += 1;
        Pin {
            live: Arc::clone(self),
            stamp,
        }
    }

    /// The newest live snapshot that sees a page of this life time.
    fn blocker(&self, birth: u64, death: u64) -> Option<u64> {
        let inner = self.inner.lock();
        inner
            .stamps
            .range(birth..death)
            .next_back()
            .map(|(stamp, _)| *stamp)
    }

    fn take_released(&self) -> Vec<u64> {
        std::mem::take(&mut self.inner.lock().released)
    }

    /// The oldest live snapshot up to `newest`.
    pub(crate) fn oldest_held(&self, newest: u64) -> Option<u64> {
        self.inner
            .lock()
            .stamps
            .range(..=newest)
            .next()
            .map(|(stamp, _)| *stamp)
    }
}

impl LiveSnapshots {
    /// The oldest commit that a held snapshot shows.
    pub(crate) fn oldest_seq(&self) -> Option<u64> {
        let inner = self.inner.lock();
        inner.stamps.values().find_map(|held| held.seq)
    }
}

impl Pin {
    /// The snapshot that has this pin shows commit `seq`.
    pub(crate) fn note_seq(&self, seq: u64) {
        let mut inner = self.live.inner.lock();
        let held = inner.stamps.get_mut(&self.stamp);
        held.expect("a pin counts its stamp").seq = Some(seq);
    }
}

/// Keeps one snapshot's pages from being reused.
pub(crate) struct Pin {
    live: Arc<LiveSnapshots>,
    stamp: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut inner = self.live.inner.lock();
        let held = inner
            .stamps
            .get_mut(&self.stamp)
            .expect("a pin counts its stamp");
        held.count -= 1;
        if held.count == 0 {
            inner.stamps.remove(&self.stamp);
            inner.released.push(self.stamp);
        }
    }
}

/// A run that the tip no longer reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dead {
    pub(crate) id: u64,
    pub(crate) span: u64,
    pub(crate) birth: u64,
    pub(crate) death: u64,
}

/// A run that came into the tip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Born {
    pub(crate) id: u64,
    pub(crate) span: u64,
    /// Its bytes are in memory only.
    pub(crate) dirty: bool,
}

/// Page bookkeeping; guarded by one mutex in the pager.
pub(super) struct Space {
    pub(super) free: FreePages,
    reach: Bitmap,
    dirty: FxHashMap<u64, u64>,
    waiting: BTreeMap<u64, Vec<Dead>>,
    waiting_pages: u64,
    /// What waited for snapshots that are gone, and is to be looked at again (S3).
    loosened: Vec<Vec<Dead>>,
    /// During replay: every page an extent in the log lies on.
    log_extents: Option<Bitmap>,
    /// Where the log is not synced with every group: runs that groups not durable yet have freed.
    held: Option<Vec<(u64, u64)>>,
    pub(super) mapped: Arc<MappedRuns>,
}

impl Space {
    /// A space in which the `used` runs are taken and `reach` is what the tip reaches.
    pub(super) fn new(used: &[(u64, u64)], reserved: u64) -> Self {
        let mut reach = Bitmap::default();
        for &(start, span) in used {
            reach.insert(start, span);
        }
        Self {
            free: FreePages::around(used, reserved),
            reach,
            dirty: FxHashMap::default(),
            waiting: BTreeMap::new(),
            waiting_pages: 0,
            loosened: Vec::new(),
            log_extents: None,
            held: None,
            mapped: Arc::default(),
        }
    }

    /// Sets the pages of the log's extents aside; the first one in use otherwise is the error. True
    /// when the checkpoint reaches older extents there.
    pub(super) fn begin_replay(&mut self, extents: &[(u64, u64)]) -> Result<bool, u64> {
        let mut aside = Bitmap::default();
        let mut overwritten = false;
        for &(start, span) in extents {
            for id in start..start + span {
                if aside.contains(id) {
                    continue;
                }
                // A checkpoint written during an earlier replay may reach an older extent there,
                // which the log gives up before it names this one.
                if self.reach.contains(id) {
                    overwritten = true;
                } else if !self.free.reserve(id, 1) {
                    return Err(id);
                }
                aside.insert(id, 1);
            }
        }
        self.log_extents = Some(aside);
        Ok(overwritten)
    }

    pub(super) fn is_kept_for_replay(&self, id: u64, span: u64) -> bool {
        let aside = self.log_extents.as_ref();
        aside.is_some_and(|aside| (id..id + span).all(|page| aside.contains(page)))
    }

    /// Frees what was set aside and is not reached: these pages, to be dropped from the cache.
    pub(super) fn end_replay(&mut self) -> Vec<u64> {
        let aside = self.log_extents.take().unwrap_or_default().runs();
        let ids = aside
            .into_iter()
            .flat_map(|(start, span)| start..start + span);
        let freed: Vec<u64> = ids.filter(|id| !self.reach.contains(*id)).collect();
        for id in &freed {
            self.free.release(*id, 1);
        }
        freed
    }

    /// Gives a run back, unless it is set aside until the end of the replay.
    pub(super) fn release(&mut self, id: u64, span: u64) {
        if let Some(held) = &mut self.held {
            held.push((id, span));
            return;
        }
        let Some(aside) = &self.log_extents else {
            return self.give_back(id, span);
        };
        for page in (id..id + span).filter(|page| !aside.contains(*page)) {
            self.free.release(page, 1);
        }
    }

    /// Gives a run back that no snapshot and no commit under way needs; a mapping may keep it for a while.
    pub(super) fn give_back(&mut self, id: u64, span: u64) {
        // Only values of several pages are mapped.
        if span == 1 || !self.mapped.keep(id) {
            self.free.release(id, span);
        }
    }

    /// Gives back what was mapped when it was freed, and is no longer.
    pub(super) fn take_unmapped(&mut self) {
        for (id, span) in self.mapped.take_returned() {
            self.free.release(id, span);
        }
    }

    /// From now on freed runs are held until `give_back`.
    pub(super) fn hold_freed(&mut self) {
        self.hold(Vec::new());
    }

    /// Holds runs whose freeing did not become durable after all.
    pub(super) fn hold(&mut self, runs: Vec<(u64, u64)>) {
        self.held.get_or_insert_default().extend(runs);
    }

    /// The runs held so far.
    pub(super) fn take_held(&mut self) -> Vec<(u64, u64)> {
        self.held.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// During replay: the parts of `dead` that still are as they were. The others were overwritten
    /// by later extents before the crash, so that nothing is kept by letting them wait.
    fn without_overwritten(&self, dead: Vec<Dead>) -> Vec<Dead> {
        let Some(aside) = &self.log_extents else {
            return dead;
        };
        let touched = |run: &Dead| (run.id..run.id + run.span).any(|id| aside.contains(id));
        let (touched, mut rest): (Vec<Dead>, Vec<Dead>) = dead.into_iter().partition(touched);
        for run in touched {
            let pages = (run.id..run.id + run.span).filter(|id| !aside.contains(*id));
            rest.extend(pages.map(|id| Dead { id, span: 1, ..run }));
        }
        rest
    }

    /// What a checkpoint of the published snapshot must keep.
    pub(super) fn reach(&self) -> &Bitmap {
        &self.reach
    }

    /// Runs in memory only that the published snapshot reaches, in no order.
    pub(super) fn dirty_reachable(&self) -> Vec<u64> {
        let dirty = self.dirty.keys().copied();
        dirty.filter(|id| self.reach.contains(*id)).collect()
    }

    pub(super) fn mark_clean(&mut self, id: u64) {
        self.dirty.remove(&id);
    }

    /// Dead runs that old snapshots keep.
    pub(super) fn waiting_runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.waiting
            .values()
            .chain(&self.loosened)
            .flatten()
            .map(|run| (run.id, run.span))
    }

    pub(super) fn waiting_pages(&self) -> u64 {
        self.waiting_pages
    }

    /// Takes a published group in; the runs that became free, to be dropped from the cache.
    pub(super) fn publish(
        &mut self,
        born: &[Born],
        dead: Vec<Dead>,
        live: &LiveSnapshots,
    ) -> Vec<Dead> {
        for run in born {
            self.reach.insert(run.id, run.span);
            if run.dirty {
                self.dirty.insert(run.id, run.span);
            }
        }
        for run in &dead {
            self.reach.remove(run.id, run.span);
        }
        // More than a group adds, so that nothing piles up.
        let at_once = RECLAIMED_AT_ONCE.max(2 * dead.len());
        let mut freed = Vec::new();
        self.settle(dead, live, &mut freed);
        self.reclaim(live, at_once, &mut freed);
        freed
    }

    /// Looks again at what waited for snapshots that are gone: at so many runs. True when there is more.
    pub(super) fn reclaim(
        &mut self,
        live: &LiveSnapshots,
        at_once: usize,
        freed: &mut Vec<Dead>,
    ) -> bool {
        self.take_unmapped();
        for stamp in live.take_released() {
            self.loosened.extend(self.waiting.remove(&stamp));
        }
        let mut left = at_once;
        while left > 0
            && let Some(mut dead) = self.loosened.pop()
        {
            let part = dead.split_off(dead.len().saturating_sub(left));
            if !dead.is_empty() {
                self.loosened.push(dead);
            }
            left -= part.len();
            self.waiting_pages -= part.iter().map(|run| run.span).sum::<u64>();
            self.settle(part, live, freed);
        }
        !self.loosened.is_empty()
    }

    fn settle(&mut self, dead: Vec<Dead>, live: &LiveSnapshots, freed: &mut Vec<Dead>) {
        for run in self.without_overwritten(dead) {
            match live.blocker(run.birth, run.death) {
                Some(stamp) if !mutant("reuse-pinned-page") => {
                    self.waiting_pages += run.span;
                    self.waiting.entry(stamp).or_default().push(run);
                }
                _ => {
                    self.dirty.remove(&run.id);
                    freed.push(run);
                }
            }
        }
    }
}
