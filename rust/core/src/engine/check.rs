//! `Database::check`: verifies everything stored, while commits go on.
//!
//! One moment is looked at: the published snapshot, the space map that goes with it, and the last
//! checkpoint. Both snapshots are held, so no page of them is reused while they are read. Pages are
//! read from the file, not from the cache, unless they are in memory only; nothing read is cached.
//!
//! What is verified
//! C1  All four root copies are whole, and the newest one is the checkpoint's.
//! C2  The catalogue is what the root names, and its runs and stores make sense.
//! C3  The log can be read from the checkpoint to the published commit, without a hole.
//! C4  Every page the snapshot or the checkpoint reaches is the one its parent names, is laid out as
//!     `page::node` says, keeps to its parent's separators, level and count, and belongs to its store.
//! C5  Every large value has the hash its entry names.
//! C6  What the snapshot reaches is what the space map says, each page once; no page is in use and
//!     free at the same time.
//!
//! C7  Derived files are those their manifest rows describe. They hold nothing of their own, so they are told apart.
//!
//! C8  Indexes say exactly what their stores say. Looked at when everything else is sound.
//!
//! Damage does not end a check: what cannot be read is passed over, and the report says which keys
//! are affected. A read-only database is checked as far as it can be: its owner may write a
//! checkpoint meanwhile, and then the check begins again.

mod durable;
mod faults;
mod log;
mod space;
mod tree;

use std::ops::ControlFlow;
use std::sync::Arc;

pub use faults::{CheckReport, DerivedFault, Fault, KeyRange};

use super::core::Engine;
use super::database::Database;
use super::options::TransactionOptions;
use crate::error::{Error, Result};
use crate::index::check_index;
use crate::pager::root::Root;
use crate::pager::{Audit, Bitmap, PAGES_FILE};
use crate::txn::Snapshot;
use crate::vector::{VECTOR_KIND, damaged_segments};
use faults::Faults;
use tree::TreeCheck;

pub(super) use tree::payload_faults;

/// Told how many base pages are done, of how many; `Break` ends the work with an error.
pub type Progress<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;

/// Checkpoints the owner may write while its database is checked from another process, before that
/// is given up.
pub(super) const TRIES_MAX: usize = 5;
/// Base pages between two calls of the progress function.
const PROGRESS_PAGES: u64 = 128;

impl Database {
    /// Verifies everything stored and says what is wrong. Blocks for file work; commits and readers
    /// go on. An error is a reason why it could not be done, not damage: that is in the report.
    pub fn check(&self, progress: &mut Progress<'_>) -> Result<CheckReport> {
        for _ in 0..TRIES_MAX {
            let engine = self.engine();
            let mut report = engine.check(progress)?;
            if report.is_sound() {
                report.derived_faults = self.check_derived()?;
                report.faults = self.check_indexes(progress, report.pages)?;
            }
            if report.is_sound() || !engine.is_overtaken()? {
                return Ok(report);
            }
            self.refresh()?;
        }
        Err(Error::SnapshotExpired)
    }
}

impl Database {
    /// Derived files are compared with their manifest rows, which were verified before.
    fn check_derived(&self) -> Result<Vec<DerivedFault>> {
        let mut transaction = self.begin(TransactionOptions {
            read_only: true,
            ..TransactionOptions::default()
        })?;
        let mut found = Vec::new();
        for info in transaction.stores() {
            if info.kind != VECTOR_KIND {
                continue;
            }
            for (number, reason) in damaged_segments(&mut transaction, &info)? {
                found.push(DerivedFault {
                    store: info.name.clone(),
                    number,
                    reason,
                });
            }
        }
        Ok(found)
    }
}

impl Database {
    /// Indexes are compared with their stores, both of which were verified before (C8).
    fn check_indexes(&self, progress: &mut Progress<'_>, pages: u64) -> Result<Vec<Fault>> {
        let engine = self.engine();
        let mut transaction = self.begin(TransactionOptions {
            read_only: true,
            ..TransactionOptions::default()
        })?;
        let mut found = Vec::new();
        let mut go_on = || go_on(&engine, progress(pages, pages));
        for info in transaction.stores() {
            let Some(links) = transaction.links(info.id)? else {
                continue;
            };
            for link in &links.indexes {
                for (sentence, key) in check_index(&mut transaction, info.id, link, &mut go_on)? {
                    found.push(Fault {
                        file: String::new(),
                        offset: 0,
                        store: Some(info.name.clone()),
                        keys: Some(KeyRange {
                            upper: Some([&key[..], &[0]].concat()),
                            lower: key,
                        }),
                        sentence,
                    });
                }
            }
        }
        Ok(found)
    }
}

/// What a check looks at.
struct Moment {
    snapshot: Arc<Snapshot>,
    audit: Audit,
    root: Root,
    /// The snapshot a crash would fall back to.
    checkpoint: Option<Arc<Snapshot>>,
}

impl Engine {
    /// Has the owner of a database that is followed written another checkpoint?
    pub(super) fn is_overtaken(&self) -> Result<bool> {
        if !self.options.read_only {
            return Ok(false);
        }
        let mine = self.checkpoint.lock().root;
        let newest = Root::read_newest(&**self.pager.file())?;
        Ok((newest.stamp, newest.catalogue) != (mine.stamp, mine.catalogue))
    }

    fn check(&self, progress: &mut Progress<'_>) -> Result<CheckReport> {
        self.ensure_open()?;
        let mut faults = Faults::new(self.pager.page_bytes());
        let moment = self.moment(&mut faults)?;
        space::overlaps(&moment.audit, &mut faults);
        let total = moment.audit.reach.len();
        let mut work = Work::new(self, progress, total)?;
        let mut seen = self.check_published(&moment, &mut work, &mut faults)?;
        self.check_checkpoint(&moment, &mut seen, &mut work, &mut faults)?;
        work.finish()?;
        Ok(faults.into_report())
    }

    /// Takes the moment, and looks at what a checkpoint would change: no checkpoint runs meanwhile.
    fn moment(&self, faults: &mut Faults) -> Result<Moment> {
        let checkpoints = self.checkpoint.lock();
        let (snapshot, space) = {
            let _one_moment = self.published_log.lock();
            let space = self.pager.space_now(checkpoints.catalogue);
            (self.published.load_full(), space)
        };
        let audit = space.audit();
        let root = checkpoints.root;
        if !self.options.read_only {
            durable::root_copies(&self.pager, &root, faults);
        }
        durable::catalogue(&self.pager, &root, faults);
        log::readable(&self.disk, &root, snapshot.seq, faults)?;
        let report = &mut faults.report;
        report.seq = snapshot.seq;
        report.file_pages = audit.end;
        report.free_pages = audit.free_pages;
        report.waiting_pages = audit.waiting_pages;
        report.in_flight_pages = audit.in_flight_pages;
        Ok(Moment {
            snapshot,
            audit,
            root,
            checkpoint: checkpoints.snapshot.clone(),
        })
    }

    /// Every tree of the published snapshot; the pages it reaches.
    fn check_published(
        &self,
        moment: &Moment,
        work: &mut Work<'_, '_>,
        faults: &mut Faults,
    ) -> Result<Bitmap> {
        let mut trees = TreeCheck::of_snapshot(self, &moment.audit, work, faults);
        trees.stores(&moment.snapshot.stores)?;
        let (seen, complete) = trees.finish();
        if complete {
            space::unreached(&moment.audit.reach, &seen, faults);
        } else {
            faults.report.unverified_pages = moment.audit.reach.len().saturating_sub(seen.len());
        }
        Ok(seen)
    }

    /// What only the last checkpoint reaches: opening after a crash begins there.
    fn check_checkpoint(
        &self,
        moment: &Moment,
        seen: &mut Bitmap,
        work: &mut Work<'_, '_>,
        faults: &mut Faults,
    ) -> Result<()> {
        let Some(checkpoint) = &moment.checkpoint else {
            return Ok(());
        };
        if checkpoint.stamp == moment.snapshot.stamp || moment.root.stamp != checkpoint.stamp {
            return Ok(());
        }
        let mut trees = TreeCheck::of_checkpoint(self, seen, moment.audit.end, work, faults);
        trees.stores(&checkpoint.stores)
    }
}

/// Tells how far the work is, and whether to go on.
pub(super) struct Work<'a, 'p> {
    engine: &'a Engine,
    progress: &'a mut Progress<'p>,
    done: u64,
    told: u64,
    total: u64,
}

impl<'a, 'p> Work<'a, 'p> {
    pub(super) fn new(
        engine: &'a Engine,
        progress: &'a mut Progress<'p>,
        total: u64,
    ) -> Result<Self> {
        let mut work = Self {
            engine,
            progress,
            done: 0,
            told: 0,
            total,
        };
        work.tell()?;
        Ok(work)
    }

    pub(super) fn add(&mut self, pages: u64) -> Result<()> {
        self.done += pages;
        if self.done - self.told < PROGRESS_PAGES {
            return Ok(());
        }
        self.tell()
    }

    fn tell(&mut self) -> Result<()> {
        self.told = self.done;
        self.total = self.total.max(self.done);
        go_on(self.engine, (self.progress)(self.done, self.total))
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        self.total = self.done;
        self.tell()
    }
}

/// After a database was closed its pages are somebody else's: nothing said about them would hold.
fn go_on(engine: &Engine, flow: ControlFlow<()>) -> Result<()> {
    engine.ensure_open()?;
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::invalid("stopped by its progress function")),
    }
}

/// Where page `id` begins, for messages.
fn page_offset(id: u64, page_bytes: usize) -> u64 {
    id.saturating_mul(page_bytes as u64)
}
