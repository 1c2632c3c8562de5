//! Values mapped into memory: where they lie stays as it is while somebody looks at them.
//!
//! A mapping keeps the run of one value from being given out, not a snapshot: everything else that is freed
//! meanwhile can be used again. It does not keep the database open either; closing copies what is still mapped aside,
//! in place.
//!
//! Invariants
//! M1  A run is not given out, nor the file cut before its end, while a mapping of it lives.
//! M2  A mapping is handed out only when its bytes have had the checksum their reference names, once since opening.
//! M3  After `detach` no mapping that was handed out depends on the file.

use std::ops::Deref;
use std::sync::{Arc, Weak};

use rustc_hash::FxHashMap;

use crate::disk::Mapping;
use crate::error::{Error, Result};
use crate::mutants::mutant;
use crate::sync::Mutex;

/// The mappings of one page file.
#[derive(Default)]
pub(crate) struct MappedRuns {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By the first page.
    runs: FxHashMap<u64, Run>,
    /// Runs that were freed while they were mapped, and are mapped no longer.
    returned: Vec<(u64, u64)>,
    /// Checksums of the values found whole since opening, by first page (M2).
    verified: FxHashMap<u64, u64>,
    /// Counts the runs that were ever mapped, to tell one mapping of a run from a later one.
    serial: u64,
    closed: bool,
}

struct Run {
    serial: u64,
    span: u64,
    /// How many mappings there are; sharing one counts once.
    count: usize,
    /// Nothing but mappings needs it any more.
    freed: bool,
    shared: Weak<Shared>,
}

/// A value where it lies in the page file. Clones share the mapping; the last one gives it up.
#[derive(Clone)]
pub struct MappedValue {
    shared: Arc<Shared>,
}

struct Shared {
    map: Arc<dyn Mapping>,
    pin: RunPin,
}

/// Keeps a run from being given out (M1).
pub(super) struct RunPin {
    runs: Arc<MappedRuns>,
    id: u64,
    serial: u64,
}

impl Inner {
    /// What a pin holds; nothing when its mapping was detached.
    fn run_of(&mut self, pin: &RunPin) -> Option<&mut Run> {
        let run = self.runs.get_mut(&pin.id)?;
        (run.serial == pin.serial).then_some(run)
    }
}

impl Drop for RunPin {
    fn drop(&mut self) {
        let mut inner = self.runs.inner.lock();
        let Some(run) = inner.run_of(self) else {
            return;
        };
        run.count -= 1;
        if run.count == 0 {
            let run = inner.runs.remove(&self.id).expect("just found");
            if run.freed {
                inner.returned.push((self.id, run.span));
            }
        }
    }
}

impl MappedValue {
    pub(super) fn mapping(&self) -> &dyn Mapping {
        &*self.shared.map
    }
}

impl Deref for MappedValue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.shared.map.bytes()
    }
}

impl std::fmt::Debug for MappedValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MappedValue({} bytes)", self.len())
    }
}

impl MappedRuns {
    /// Pins a run that a snapshot or a transaction of the caller keeps; the mapping of it that is there already.
    pub(super) fn pin(
        self: &Arc<Self>,
        id: u64,
        span: u64,
    ) -> Result<(RunPin, Option<MappedValue>)> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(Error::Closed {
                what: "the database",
            });
        }
        inner.serial += 1;
        let serial = inner.serial;
        let run = inner.runs.entry(id).or_insert_with(|| Run {
            serial,
            span,
            count: 0,
            freed: false,
            shared: Weak::new(),
        });
        run.count += 1;
        let there = run.shared.upgrade().map(|shared| MappedValue { shared });
        let pin = RunPin {
            runs: Arc::clone(self),
            id,
            serial: run.serial,
        };
        Ok((pin, there))
    }

    /// Makes the mapping known, for others to share and for closing to copy.
    pub(super) fn attach(&self, pin: RunPin, map: Arc<dyn Mapping>) -> Result<MappedValue> {
        let shared = Arc::new(Shared { map, pin });
        let mut inner = self.inner.lock();
        let Some(run) = inner.run_of(&shared.pin) else {
            drop(inner); // dropping the pin takes the lock
            return Err(Error::Closed {
                what: "the database",
            });
        };
        if let Some(earlier) = run.shared.upgrade() {
            drop(inner);
            return Ok(MappedValue { shared: earlier });
        }
        run.shared = Arc::downgrade(&shared);
        Ok(MappedValue { shared })
    }

    /// Was the value at `id` with this checksum found whole since opening?
    pub(super) fn is_verified(&self, id: u64, hash: u64) -> bool {
        self.inner.lock().verified.get(&id) == Some(&hash)
    }

    pub(super) fn note_verified(&self, id: u64, hash: u64) {
        self.inner.lock().verified.insert(id, hash);
    }

    /// The same of a run that is pinned; one that was freed meanwhile is forgotten.
    pub(super) fn note_verified_by(&self, pin: &RunPin, hash: u64) {
        let mut inner = self.inner.lock();
        if inner.run_of(pin).is_some_and(|run| !run.freed) {
            inner.verified.insert(pin.id, hash);
        }
    }

    /// Is the file this database's still, and nobody else's to write to?
    pub(super) fn is_open(&self) -> bool {
        !self.inner.lock().closed
    }

    /// A run is needed no longer: true when it must be kept for a mapping, until `take_returned` names it.
    pub(super) fn keep(&self, id: u64) -> bool {
        let mut inner = self.inner.lock();
        if inner.runs.is_empty() && inner.verified.is_empty() {
            return false;
        }
        inner.verified.remove(&id);
        match inner.runs.get_mut(&id) {
            Some(run) if !mutant("reuse-mapped-run") => {
                run.freed = true;
                true
            }
            _ => false,
        }
    }

    /// Runs that may be given out now.
    pub(super) fn take_returned(&self) -> Vec<(u64, u64)> {
        let mut inner = self.inner.lock();
        if inner.returned.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut inner.returned)
    }

    /// Runs that only mappings keep, or kept until now.
    pub(super) fn kept(&self) -> Vec<(u64, u64)> {
        let inner = self.inner.lock();
        let runs = inner.runs.iter().filter(|(_, run)| run.freed);
        let kept = runs.map(|(id, run)| (*id, run.span));
        kept.chain(inner.returned.iter().copied()).collect()
    }

    pub(super) fn kept_pages(&self) -> u64 {
        self.kept().iter().map(|(_, span)| span).sum()
    }

    /// Copies every mapped value aside, in place (M3): before the process forks, and when the database is closed, after
    /// which nothing is mapped any more. An error leaves those it did not get to as they were.
    pub(super) fn detach(&self, closing: bool) -> std::io::Result<()> {
        let mut inner = self.inner.lock();
        inner.closed |= closing;
        let ids: Vec<u64> = inner.runs.keys().copied().collect();
        // Dropped after the lock: the last of a mapping gives up its pin.
        let mut done = Vec::with_capacity(ids.len());
        let mut result = Ok(());
        for id in ids {
            let Some(shared) = inner.runs[&id].shared.upgrade() else {
                continue; // being dropped, or not handed out yet: `attach` will find it missing
            };
            if !mutant("close-under-mapping") {
                result = shared.map.detach();
            }
            done.push(shared);
            if result.is_err() {
                break;
            }
            if inner.runs[&id].count > 1 && !closing && !mutant("threads-detach-forgets-pins") {
                // Somebody else reads the file there: the mapping gives the run up when it is dropped.
                continue;
            }
            let run = inner.runs.remove(&id).expect("just looked at");
            if run.freed {
                inner.returned.push((id, run.span));
            }
        }
        if closing && result.is_ok() {
            inner.runs.clear();
        }
        drop(inner);
        drop(done);
        result
    }
}
