//! `Database::backup`: a copy of one snapshot, in a folder of its own, while commits go on.
//!
//! The copy is a database that opens by itself, with exactly the stores and entries of the
//! snapshot, its commit number, an identity of its own and no log. Pages keep their numbers, because
//! references name them: free pages become holes of the file. Removed stores are left out.
//!
//! Invariants
//! K1  Every byte is verified on its way: a damaged database has no backup, but an error.
//! K2  The copy gets the name of a database after all of it was synced: what an interrupted backup
//!     leaves is no database, and the next backup there begins anew.

use std::io;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::check::{Progress, TRIES_MAX, Work, payload_faults};
use super::core::Engine;
use super::database::Database;
use super::open::{GENERATION_SHIFT, LOCK_FILE, NO_LOG, UNFINISHED_FILE};
use crate::disk::{Disk, File};
use crate::error::{Error, Result};
use crate::page::{Cell, ChildRef, LargeRef, Node};
use crate::pager::root::Root;
use crate::pager::{Bitmap, PAGES_FILE};
use crate::txn::{Snapshot, Stores};

/// What a backup copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Newest commit in the copy.
    pub seq: u64,
    /// Stores.
    pub stores: u64,
    /// Entries of all stores.
    pub entries: u64,
    /// Values kept outside the leaves.
    pub large_values: u64,
    /// Base pages.
    pub pages: u64,
    /// Bytes of these pages.
    pub bytes: u64,
}

impl Database {
    /// Copies the newest commit's snapshot into the empty folder `to`. Blocks for file work; commits
    /// and readers go on. A folder that holds a database, or anything else, is refused.
    pub fn backup(&self, to: Arc<dyn Disk>, progress: &mut Progress<'_>) -> Result<BackupReport> {
        for _ in 0..TRIES_MAX {
            let engine = self.engine();
            match engine.backup(&*to, progress) {
                Err(Error::Corruption { .. }) if engine.is_overtaken()? => {
                    self.refresh()?;
                }
                result => return result,
            }
        }
        Err(Error::SnapshotExpired)
    }
}

impl Engine {
    fn backup(&self, to: &dyn Disk, progress: &mut Progress<'_>) -> Result<BackupReport> {
        self.ensure_open()?;
        refuse_used(to)?;
        let failed = |error: io::Error| Error::io(LOCK_FILE, "lock", &error);
        let _target = to
            .try_lock(LOCK_FILE)
            .map_err(failed)?
            .ok_or_else(|| Error::Locked {
                path: to.describe(),
            })?;
        // Looked at again: another backup may have been at it until now.
        refuse_used(to)?;
        let result = self.copy_to(to, progress);
        if result.is_err() {
            // K2 holds without it; it only saves space.
            let _ = to.remove(UNFINISHED_FILE);
        }
        result
    }

    fn copy_to(&self, to: &dyn Disk, progress: &mut Progress<'_>) -> Result<BackupReport> {
        let file = to.open(UNFINISHED_FILE, true).map_err(failed("make"))?;
        file.set_len(0).map_err(failed("shorten"))?;
        let (snapshot, total) = {
            let _one_moment = self.published_log.lock();
            (self.published.load_full(), self.pager.reached_pages())
        };
        let mut copy = Copy {
            engine: self,
            file: &*file,
            work: Work::new(self, progress, total)?,
            copied: Bitmap::default(),
            report: BackupReport {
                seq: snapshot.seq,
                ..BackupReport::default()
            },
        };
        for store in snapshot.stores.iter() {
            copy.tree(store.root)?;
            copy.report.stores += 1;
        }
        copy.finish(&snapshot, to.random_u64(), to.random_u64())?;
        let Copy {
            mut work, report, ..
        } = copy;
        file.sync().map_err(failed("sync"))?;
        to.rename(UNFINISHED_FILE, PAGES_FILE)
            .map_err(failed("rename"))?;
        to.sync_folder()
            .map_err(|error| Error::io(to.describe(), "sync", &error))?;
        work.finish()?;
        Ok(report)
    }
}

/// Only what an interrupted backup leaves may be there.
fn refuse_used(to: &dyn Disk) -> Result<()> {
    let names = to
        .list()
        .map_err(|error| Error::io(to.describe(), "list", &error))?;
    if names.iter().any(|name| name == PAGES_FILE) {
        return Err(Error::invalid(format!(
            "{} holds a database already. Give an empty folder for the backup",
            to.describe()
        )));
    }
    match names
        .iter()
        .find(|name| ![LOCK_FILE, UNFINISHED_FILE].contains(&name.as_str()))
    {
        Some(name) => Err(Error::invalid(format!(
            "{} is not empty: it has '{name}'. Give an empty folder for the backup",
            to.describe()
        ))),
        None => Ok(()),
    }
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::io(UNFINISHED_FILE, operation, &error)
}

/// A backup under way.
struct Copy<'a, 'p> {
    engine: &'a Engine,
    file: &'a dyn File,
    work: Work<'a, 'p>,
    copied: Bitmap,
    report: BackupReport,
}

impl Copy<'_, '_> {
    fn tree(&mut self, root: Option<ChildRef>) -> Result<()> {
        let mut open: Vec<ChildRef> = root.into_iter().collect();
        while let Some(child) = open.pop() {
            let page = child.page;
            self.take_run(page.id, u64::from(page.span))?;
            let bytes = self.engine.pager.stored_node(page)?;
            let node = Node::new(&bytes);
            let mut faults = node.faults();
            payload_faults(node, &mut faults);
            if let Some(fault) = faults.first() {
                return Err(self.damaged(page.id, fault));
            }
            self.write(page.id, 0, &bytes)?;
            if !node.is_leaf() {
                open.extend((0..node.count()).rev().map(|index| node.child(index)));
                continue;
            }
            self.report.entries += node.count() as u64;
            for index in 0..node.count() {
                if let Some(large) = Cell::decode(node.payload(index)).large() {
                    self.large(large)?;
                }
            }
        }
        Ok(())
    }

    fn large(&mut self, large: LargeRef) -> Result<()> {
        self.take_run(large.id, large.span(self.engine.pager.page_bytes()))?;
        let pager = &self.engine.pager;
        let mut done = 0;
        pager.stored_large(large, &mut |bytes| {
            self.write(large.id, done, bytes)?;
            done += bytes.len() as u64;
            Ok(())
        })?;
        self.report.large_values += 1;
        Ok(())
    }

    /// Notes that a run is copied; it must not have been before.
    fn take_run(&mut self, id: u64, span: u64) -> Result<()> {
        for page in id..id + span {
            if !self.copied.insert_new(page) {
                return Err(self.damaged(page, "it is referred to twice"));
            }
        }
        self.report.pages += span;
        self.report.bytes += span * self.engine.pager.page_bytes() as u64;
        self.work.add(span)
    }

    fn write(&self, id: u64, offset: u64, bytes: &[u8]) -> Result<()> {
        let start = id * self.engine.pager.page_bytes() as u64 + offset;
        self.file.write_at(bytes, start).map_err(failed("write"))
    }

    fn damaged(&self, id: u64, fault: &str) -> Error {
        let offset = id * self.engine.pager.page_bytes() as u64;
        Error::corruption(PAGES_FILE, offset, format!("page {id}: {fault}"))
    }

    /// Writes the catalogue behind the last page, and the roots.
    fn finish(&mut self, snapshot: &Snapshot, high: u64, low: u64) -> Result<()> {
        let page_bytes = self.engine.pager.page_bytes();
        let runs = self.copied.runs();
        let first = self.engine.pager.first_page();
        let page = runs.last().map_or(first, |(start, span)| start + span);
        let next_id = self
            .engine
            .next_store_id
            .load(std::sync::atomic::Ordering::Acquire);
        let catalogue = without_removed(&snapshot.stores).encode(next_id, &runs);
        self.write(page, 0, &catalogue)?;
        let end = page + catalogue.len().div_ceil(page_bytes) as u64;
        let length = end * page_bytes as u64;
        self.file.set_len(length).map_err(failed("extend"))?;
        let root = Root {
            page_bytes: page_bytes as u32,
            database_id: u128::from(high) << 64 | u128::from(low),
            generation: snapshot.stamp >> GENERATION_SHIFT,
            number: 0,
            stamp: snapshot.stamp,
            seq: snapshot.seq,
            log: NO_LOG,
            catalogue: (page, catalogue.len() as u64, xxh3_64(&catalogue)),
        };
        root.write(self.file)?;
        Root { number: 1, ..root }.write(self.file)
    }
}

fn without_removed(stores: &Stores) -> Stores {
    let mut kept = stores.clone();
    for root in stores.removed() {
        kept.forget_removed(*root);
    }
    kept
}
