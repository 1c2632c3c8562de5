//! A database as its users hold it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::bulk::{BulkLoader, BulkOptions, BulkTarget};
use super::checkpointer::CheckpointDone;
use super::committer::{Job, Threads};
use super::core::Engine;
use super::follow::{self, Follower};
use super::maintenance;
use super::open::open_owner;
use super::options::{Options, TransactionOptions};
use super::statistics::Statistics;
use super::transaction::Transaction;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::index::IndexBuilder;
use crate::limits::PACK_ON_CLOSE;
use crate::sync::{ArcSwap, Mutex};
use crate::text::{TEXT_KIND, TextMaintainer};
use crate::txn::INDEX_KIND;
use crate::vector::{VECTOR_KIND, VectorMaintainer};

/// An open database. Clones are handles on the same engine; the last one closes it.
#[derive(Clone)]
pub struct Database {
    shared: Arc<Shared>,
    /// Absent in the handle of the maintenance thread, which keeps no database open.
    _life: Option<Arc<Life>>,
}

/// Closes the database when the last handle goes.
struct Life(Arc<Shared>);

struct Shared {
    engine: ArcSwap<Engine>,
    follower: Option<Mutex<Follower>>,
    threads: Mutex<Option<Threads>>,
}

impl Database {
    /// Opens the database in `disk`: takes ownership and recovers, or (read-only) loads the last
    /// checkpoint and the log after it. Blocks for file work.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Self> {
        let (engine, follower) = if options.read_only {
            let (engine, follower) = follow::open(disk, options)?;
            (engine, Some(Mutex::new(follower)))
        } else {
            (open_owner(disk, options)?, None)
        };
        let engine = Arc::new(engine);
        let threads = if engine.options.background {
            Some(Threads::start(&engine)?)
        } else {
            None
        };
        let shared = Shared {
            engine: ArcSwap::new(engine),
            follower,
            threads: Mutex::new(threads),
        };
        let shared = Arc::new(shared);
        let db = Self {
            _life: Some(Arc::new(Life(Arc::clone(&shared)))),
            shared,
        };
        db.start_maintenance()?;
        Ok(db)
    }

    fn start_maintenance(&self) -> Result<()> {
        let engine = self.engine();
        if engine.options.read_only {
            return Ok(());
        }
        engine.remove_stray_derived()?;
        self.maintain_kind(INDEX_KIND, Arc::new(IndexBuilder));
        self.maintain_kind(TEXT_KIND, Arc::new(TextMaintainer));
        self.maintain_kind(VECTOR_KIND, Arc::new(VectorMaintainer::default()));
        if let Some(threads) = &mut *self.shared.threads.lock() {
            let own = Self {
                shared: Arc::clone(&self.shared),
                _life: None,
            };
            threads.start_maintenance(move || maintenance::run(&own))?;
        }
        Ok(())
    }

    pub(super) fn engine(&self) -> Arc<Engine> {
        self.shared.engine.load_full()
    }

    /// Begins a transaction on the newest published commit. Never waits.
    pub fn begin(&self, options: TransactionOptions) -> Result<Transaction> {
        let engine = self.engine();
        engine.ensure_open()?;
        Ok(Transaction::new(engine, options))
    }

    /// Begins to load entries into a new or empty store, all at once: nothing shows before the load
    /// is finished. Transactions go on meanwhile.
    pub fn bulk_load(&self, target: BulkTarget<'_>, options: BulkOptions) -> Result<BulkLoader> {
        let engine = self.engine();
        engine.ensure_open()?;
        BulkLoader::new(engine, target, options)
    }

    /// Writes a checkpoint. Blocks for file work; commits and readers go on.
    pub fn checkpoint(&self) -> Result<()> {
        self.writable()?.checkpoint()
    }

    /// Has the engine's own thread write a checkpoint, and `done` called with what came of it. Without that thread
    /// (`Options::background` false) it is written here and now. An error here means that none was begun, and `done` is not
    /// called. Whoever asks while one is written waits for the next one, which is for all of them.
    pub fn begin_checkpoint(&self, done: CheckpointDone) -> Result<()> {
        self.writable()?.begin_checkpoint(done)
    }

    fn writable(&self) -> Result<Arc<Engine>> {
        let engine = self.engine();
        engine.ensure_open()?;
        if engine.options.read_only {
            return Err(Error::ReadOnly {
                what: "the database",
            });
        }
        Ok(engine)
    }

    /// Moves pages from the end of the file to free places before them and cuts the file. Blocks for file work;
    /// commits and readers go on. Closing, and an owner that has little to do, do so by themselves
    /// when much of the file is free.
    pub fn compact(&self) -> Result<()> {
        self.checkpoint()?;
        let engine = self.engine();
        // What commits meanwhile leave free may be moved to in turn, but somewhere it has to end.
        for _ in 0..4 {
            if engine.compact(u64::MAX, usize::MAX)? == 0 {
                break;
            }
        }
        engine.pager.trim_file(true)
    }

    /// Number of the newest published commit.
    pub fn last_seq(&self) -> u64 {
        self.engine().published.load().seq
    }

    /// The oldest commit that a snapshot held in this process shows: a transaction's, or the last checkpoint's. No
    /// transaction will begin below it.
    pub fn oldest_seq(&self) -> u64 {
        self.engine().oldest_seq()
    }

    /// Bytes of the base page.
    pub fn page_bytes(&self) -> usize {
        self.engine().pager.page_bytes()
    }

    /// Takes in what the owner has committed since; the newest commit number. Read-only databases
    /// only; transactions that are open keep their snapshots.
    pub fn refresh(&self) -> Result<u64> {
        let engine = self.engine();
        engine.ensure_open()?;
        let Some(follower) = &self.shared.follower else {
            return Ok(self.last_seq());
        };
        let mut follower = follower.lock();
        if let Some(mut next) = follower.refresh(&engine)? {
            next.attached = Arc::clone(&engine.attached);
            next.watchers = Arc::clone(&engine.watchers);
            self.shared.engine.store(Arc::new(next));
            engine.watchers.tell(self.last_seq());
        }
        Ok(self.last_seq())
    }

    /// Runs a job on one of the engine's I/O threads.
    pub fn spawn_blocking(&self, job: Job) -> Result<()> {
        match &*self.shared.threads.lock() {
            Some(threads) => threads.run(job),
            None => Err(Error::Closed {
                what: "the database",
            }),
        }
    }

    /// What the engine has counted.
    pub fn statistics(&self) -> Statistics {
        self.engine().statistics()
    }

    /// Before `fork()`: copies what is mapped of large values aside, in place, because nothing is kept for what a child has
    /// mapped.
    pub fn detach_mapped(&self) -> Result<()> {
        self.engine().pager.detach_mapped(false)
    }

    /// For a child of `fork()`, where nothing else of the database may be used: closes the descriptor of the lock it has
    /// inherited. The lock stays its parent's, and goes with the parent even if the child lives on.
    pub fn leave_to_parent(&self) {
        // A thread that held it when the process forked is not here to give it back.
        if let Some(mut owner) = self.shared.engine.load().owner.try_lock() {
            drop(owner.take());
        }
    }

    /// Ends the work in flight, writes a checkpoint and gives the database up. Idempotent.
    pub fn close(&self) -> Result<()> {
        self.shared.close()
    }
}

impl Shared {
    fn close(&self) -> Result<()> {
        let threads = self.threads.lock().take();
        let engine = self.engine.load_full();
        if let Some(threads) = threads {
            threads.stop(&engine);
        }
        if engine.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // First, so that the file can be cut where the mapped values lie; somebody else may write to it after this.
        let detached = engine.pager.detach_mapped(true);
        let result = if engine.options.read_only {
            Ok(())
        } else {
            engine.shut()
        };
        let owner = engine.owner.lock().take();
        if detached.is_ok() {
            drop(owner);
        } else {
            // Nobody may have the file until the process ends.
            std::mem::forget(owner);
        }
        let result = result.and(detached);
        engine.tell_watchers();
        result
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // A failure here cannot be told to anybody; what was acknowledged is in the log.
        let _ = self.0.close();
    }
}

impl Engine {
    pub(super) fn oldest_seq(&self) -> u64 {
        let newest = self.published.load().seq;
        self.pager.live.oldest_seq().unwrap_or(newest).min(newest)
    }

    fn shut(&self) -> Result<()> {
        let settled = self.drain().and_then(|()| {
            // Where this fails the log is only longer than it need be, or has failed and says so
            // when it is closed.
            let _ = self.shrink_log();
            self.checkpoint()?;
            self.compact(PACK_ON_CLOSE.0, PACK_ON_CLOSE.1).map(|_| ())
        });
        let log = self.log.lock().take();
        settled?;
        match log {
            Some(mut log) => log.close(),
            None => Ok(()),
        }
    }

    /// Lets the log go on in a small file, where the last checkpoint will begin: what a closed
    /// database leaves behind is to be as long as its data, not as its busiest hour.
    fn shrink_log(&self) -> Result<()> {
        // Nobody commits any more: the head is where the published commit ends.
        let mut published = self.published_log.lock();
        if let Some(log) = self.log.lock().as_mut()
            && log.shrink()?
        {
            *published = log.head();
        }
        Ok(())
    }
}
