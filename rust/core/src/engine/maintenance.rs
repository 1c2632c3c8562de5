//! Work on stores that nobody waits for: building, merging and clearing away what indexes derive from their rows.
//!
//! One engine thread goes round the stores whose kind has a maintainer, as long as they change. Without that thread
//! (`Options::background` false) `Database::maintain_step` does the same by hand. Maintenance writes by ordinary
//! transactions, so nothing here can break a promise of the engine; it can only be late.
//!
//! Invariants
//! M1  At most one step runs at a time.
//! M2  A failing step is counted and tried again later. It never ends the thread, and never the engine.
//! M3  A store whose last step was idle gets another one when it has changed since that step began, or when the
//!     oldest snapshot has moved if the step said that it waits for that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::core::Engine;
use super::database::Database;
use crate::error::{Error, Result};
use crate::page::ChildRef;
use crate::sync::{Condvar, Mutex, RwLock};
use crate::txn::{StoreInfo, Stores};

/// Rest between two rounds: commits that follow each other closely are taken in together.
const ROUND_REST: Duration = Duration::from_millis(5);
/// How often the oldest snapshot is looked at while a store waits for it.
const WAITING_REST: Duration = Duration::from_secs(1);
/// Rest after the first failure; each further one doubles it, six times at most.
const FAILURE_REST: Duration = Duration::from_millis(50);

/// What a step of maintenance left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do until the store changes.
    Idle,
    /// Nothing to do until the store changes, or until the oldest snapshot (`Database::oldest_seq`) goes.
    Waiting,
    /// There is more to do.
    Again,
}

/// Maintains stores of one kind.
pub trait Maintainer: Send + Sync + 'static {
    /// Does a piece of work on a store: a fraction of a second where it can be split, and ends early when
    /// `Database::is_closing`. It commits by transactions of its own; `Error::Conflict` is as good as `Again`.
    fn step(&self, db: &Database, store: &StoreInfo) -> Result<Step>;
}

/// The engine's side: who maintains what, and what is idle.
pub(super) struct Maintenance {
    maintainers: RwLock<FxHashMap<u8, Arc<dyn Maintainer>>>,
    /// What is known of each store. Held during a step (M1).
    turn: Mutex<Turn>,
    /// Version of the catalogue that `relevant` was found for.
    version: AtomicU64,
    /// Are there stores to maintain?
    relevant: AtomicBool,
    /// Something was published since the thread last looked.
    stirred: AtomicBool,
    stopping: Arc<AtomicBool>,
    wake: (Mutex<()>, Condvar),
    pub(super) steps: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) last_error: Mutex<Option<String>>,
}

#[derive(Default)]
struct Turn {
    idle: FxHashMap<u64, IdleStore>,
    /// Store that was served last: the others come first.
    last: u64,
    /// Version of the catalogue when stores that are gone were last cleared away.
    cleared: u64,
}

/// A store as it was when its last idle step began.
struct IdleStore {
    root: Option<ChildRef>,
    /// The oldest snapshot then, if the store waits for it.
    oldest: Option<u64>,
}

impl Default for Maintenance {
    fn default() -> Self {
        Self {
            maintainers: RwLock::default(),
            turn: Mutex::default(),
            version: AtomicU64::new(u64::MAX),
            relevant: AtomicBool::new(false),
            stirred: AtomicBool::new(false),
            stopping: Arc::default(),
            wake: (Mutex::default(), Condvar::new()),
            steps: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            last_error: Mutex::default(),
        }
    }
}

impl Maintenance {
    fn of(&self, kind: u8) -> Option<Arc<dyn Maintainer>> {
        self.maintainers.read().get(&kind).cloned()
    }

    /// Called for every published snapshot: costs next to nothing where no store is maintained.
    pub(super) fn published(&self, stores: &Stores) {
        if self.version.swap(stores.version(), Ordering::AcqRel) != stores.version() {
            let maintainers = self.maintainers.read();
            let relevant = stores
                .iter()
                .any(|store| maintainers.contains_key(&store.info.kind));
            // Also once more when the last such store was removed.
            let was = self.relevant.swap(relevant, Ordering::AcqRel);
            if was && !relevant {
                self.stir();
            }
        }
        if self.relevant.load(Ordering::Acquire) {
            self.stir();
        }
    }

    fn stir(&self) {
        if !self.stirred.swap(true, Ordering::AcqRel) {
            let _asleep_or_not_yet = self.wake.0.lock();
            self.wake.1.notify_all();
        }
    }

    pub(super) fn stop(&self) {
        let _asleep_or_not_yet = self.wake.0.lock();
        self.stopping.store(true, Ordering::Release);
        self.wake.1.notify_all();
    }

    /// Until something is published, within `patience`; false when it is to end.
    fn wait(&self, patience: Option<Duration>) -> bool {
        let mut guard = self.wake.0.lock();
        while !self.is_stopping() && !self.stirred.load(Ordering::Acquire) {
            match patience {
                None => self.wake.1.wait(&mut guard),
                Some(patience) => {
                    self.wake.1.wait_for(&mut guard, patience);
                    break;
                }
            }
        }
        !self.is_stopping()
    }

    /// Rests whatever is published; false when it is to end.
    fn rest(&self, time: Duration) -> bool {
        let mut guard = self.wake.0.lock();
        if !self.is_stopping() {
            self.wake.1.wait_for(&mut guard, time);
        }
        !self.is_stopping()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn note(&self, error: &Error) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock() = Some(error.to_string());
    }
}

impl Database {
    /// Gives the stores of a kind a maintainer.
    pub fn maintain_kind(&self, kind: u8, maintainer: Arc<dyn Maintainer>) {
        let engine = self.engine();
        let maintenance = &engine.maintenance;
        maintenance.maintainers.write().insert(kind, maintainer);
        maintenance.version.store(u64::MAX, Ordering::Release);
        maintenance.published(&engine.published.load().stores);
    }

    /// Does one step of maintenance, for the next store that needs one; false when none does. Blocks, also
    /// for a step that runs on another thread.
    pub fn maintain_step(&self) -> Result<bool> {
        let engine = self.engine();
        engine.ensure_open()?;
        if engine.options.read_only {
            return Ok(false);
        }
        let mut turn = engine.maintenance.turn.lock();
        engine.clear_removed(&mut turn)?;
        let Some(store) = engine.next_to_maintain(&turn) else {
            return Ok(false);
        };
        turn.last = store.id;
        self.step(&engine, &store, &mut turn)?;
        Ok(true)
    }

    /// Maintains one store until nothing is left to do that can be done now. Blocks.
    pub fn settle(&self, store: u64) -> Result<()> {
        loop {
            let engine = self.engine();
            engine.ensure_open()?;
            if engine.options.read_only {
                return Err(Error::ReadOnly {
                    what: "the database",
                });
            }
            let info = match engine.published.load().stores.get(store) {
                Some(store) => Arc::clone(&store.info),
                None => {
                    return Err(Error::StoreNotFound {
                        store: format!("number {store}"),
                    });
                }
            };
            let mut turn = engine.maintenance.turn.lock();
            if self.step(&engine, &info, &mut turn)? != Step::Again {
                return Ok(());
            }
        }
    }

    /// Is the database being closed? Long steps of maintenance end early then.
    pub fn is_closing(&self) -> bool {
        let engine = self.engine();
        engine.maintenance.is_stopping() || engine.closed.load(Ordering::Acquire)
    }

    /// A flag that is set when the database is being closed, for work that looks at one.
    pub fn closing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.engine().maintenance.stopping)
    }

    fn step(&self, engine: &Engine, store: &StoreInfo, turn: &mut Turn) -> Result<Step> {
        let Some(maintainer) = engine.maintenance.of(store.kind) else {
            return Ok(Step::Idle);
        };
        let root = engine.root_of(store.id);
        let oldest = self.oldest_seq();
        engine.maintenance.steps.fetch_add(1, Ordering::Relaxed);
        let step = match maintainer.step(self, store) {
            Err(Error::Conflict { .. }) => Step::Again,
            // Removed meanwhile.
            Err(Error::StoreNotFound { .. }) if engine.root_of(store.id).is_none() => Step::Idle,
            result => result?,
        };
        if step == Step::Again {
            turn.idle.remove(&store.id);
        } else {
            let oldest = (step == Step::Waiting).then_some(oldest);
            turn.idle.insert(store.id, IdleStore { root, oldest });
        }
        Ok(step)
    }
}

impl Engine {
    fn root_of(&self, store: u64) -> Option<ChildRef> {
        let published = self.published.load();
        published.stores.get(store).and_then(|store| store.root)
    }

    /// Lets go of what is kept of stores that were removed.
    fn clear_removed(&self, turn: &mut Turn) -> Result<()> {
        let published = self.published.load_full();
        let version = published.stores.version() + 1;
        if turn.cleared == version {
            return Ok(());
        }
        let there = |store: u64| published.stores.get(store).is_some();
        turn.idle.retain(|store, _| there(*store));
        self.attached.retain(there);
        self.remove_derived_of_removed()?;
        turn.cleared = version;
        Ok(())
    }

    /// The first store behind the last one served that needs a step (M3).
    fn next_to_maintain(&self, turn: &Turn) -> Option<Arc<StoreInfo>> {
        let published = self.published.load_full();
        let oldest = self.oldest_seq();
        let mut due: Vec<&Arc<StoreInfo>> = published
            .stores
            .iter()
            .filter(|store| self.maintenance.of(store.info.kind).is_some())
            .filter(|store| match turn.idle.get(&store.info.id) {
                None => true,
                Some(idle) => {
                    idle.root != store.root || idle.oldest.is_some_and(|then| then != oldest)
                }
            })
            .map(|store| &store.info)
            .collect();
        due.sort_by_key(|info| (info.id <= turn.last, info.id));
        due.first().map(|info| Arc::clone(info))
    }
}

/// The maintenance thread.
pub(super) fn run(db: &Database) {
    let engine = db.engine();
    let maintenance = &engine.maintenance;
    let mut failures = 0u32;
    let mut patience = None;
    while maintenance.wait(patience) {
        if !maintenance.rest(ROUND_REST) {
            return;
        }
        maintenance.stirred.store(false, Ordering::Release);
        let worked = catch_unwind(AssertUnwindSafe(|| db.maintain_step()))
            .unwrap_or_else(|_| Err(Error::invalid("a maintenance step panicked")));
        match worked {
            Ok(true) => {
                failures = 0;
                maintenance.stirred.store(true, Ordering::Release);
            }
            Ok(false) => {
                failures = 0;
                let turn = maintenance.turn.lock();
                let waiting = turn.idle.values().any(|idle| idle.oldest.is_some());
                patience = waiting.then_some(WAITING_REST);
            }
            Err(Error::Closed { .. }) => return,
            Err(error) => {
                maintenance.note(&error);
                if !maintenance.rest(FAILURE_REST * (1 << failures.min(6))) {
                    return;
                }
                failures += 1;
                maintenance.stirred.store(true, Ordering::Release);
            }
        }
    }
}
