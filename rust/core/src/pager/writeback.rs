//! Writing pages: the dirty ones of a checkpoint, and values that go straight to the file.

use std::sync::atomic::Ordering;

use crossbeam_epoch as epoch;

use super::{Frame, PAGES_FILE, Pager};
use crate::error::{Error, Result};
use crate::mutants::mutant;
use crate::page::NodeMut;

/// Called after each write of a checkpoint: it may make it wait, so that commits are not held up.
pub(crate) type Pace<'p> = &'p mut dyn FnMut() -> Result<()>;

/// Bytes gathered into one write.
const BATCH_BYTES: usize = 256 << 10;

/// A contiguous stretch of the page file about to be written.
struct Batch {
    start: u64,
    bytes: Vec<u8>,
    ids: Vec<u64>,
}

impl Pager {
    /// Writes every page in memory only that the published snapshot reaches, and marks it clean.
    /// The caller holds that snapshot, so no number is reused meanwhile (P1), and syncs after.
    pub(crate) fn write_dirty(&self, ids: &[u64], pace: Pace<'_>) -> Result<u64> {
        let mut batch = Batch {
            start: 0,
            bytes: Vec::new(),
            ids: Vec::new(),
        };
        let mut written = 0;
        for &id in ids {
            let guard = epoch::pin();
            let Some(frame) = self.table.get(id, &guard) else {
                unreachable!("P3: dirty page {id} left the cache")
            };
            let next = batch.start + (batch.bytes.len() / self.page_bytes) as u64;
            if !batch.ids.is_empty() && (id != next || batch.bytes.len() >= BATCH_BYTES) {
                written += self.write_batch(&mut batch)?;
                pace()?;
            }
            if batch.ids.is_empty() {
                batch.start = id;
            }
            batch.take(frame);
        }
        if !batch.ids.is_empty() {
            written += self.write_batch(&mut batch)?;
        }
        Ok(written)
    }

    fn write_batch(&self, batch: &mut Batch) -> Result<u64> {
        self.write_run(batch.start, &batch.bytes)?;
        let guard = epoch::pin();
        let mut space = self.space.lock();
        for id in &batch.ids {
            let frame = self
                .table
                .get(*id, &guard)
                .expect("P3: a dirty page stays in the cache");
            frame.set_clean();
            self.dirty_bytes
                .fetch_sub(frame.bytes.len(), Ordering::Relaxed);
            space.mark_clean(*id);
        }
        drop(space);
        self.enqueue(batch.ids.drain(..));
        if self.is_over_full() {
            self.evict(&guard);
        }
        let written = batch.bytes.len() as u64;
        batch.bytes.clear();
        Ok(written)
    }

    /// Writes bytes to a run that nothing durable refers to yet.
    pub(crate) fn write_run(&self, id: u64, bytes: &[u8]) -> Result<()> {
        self.file
            .write_at(bytes, id * self.page_bytes as u64)
            .map_err(|error| Error::io(PAGES_FILE, "write", &error))
    }

    /// Makes everything written to the page file durable.
    /// After a failure every later call fails: the system may have dropped what was not synced.
    pub(crate) fn sync(&self) -> Result<()> {
        let mut failed = self.sync_failed.lock();
        if *failed && !mutant("checkpoint-forgive-sync-error") {
            let earlier = std::io::Error::other("an earlier sync failed");
            return Err(Error::io(PAGES_FILE, "sync", &earlier));
        }
        self.file.sync().map_err(|error| {
            *failed = true;
            Error::io(PAGES_FILE, "sync", &error)
        })
    }

    /// The runs the published snapshot reaches and its dirty pages, at one moment.
    pub(crate) fn checkpoint_sets(&self) -> (Vec<(u64, u64)>, Vec<u64>) {
        let space = self.space.lock();
        (space.reach().runs(), space.dirty_reachable())
    }

    /// Gives a free tail of the file back to the file system: any (`all`), or when it is worth it.
    pub(crate) fn trim_file(&self, all: bool) -> Result<()> {
        let mut space = self.space.lock();
        space.take_unmapped();
        let before = space.free.end();
        let after = space.free.trim();
        if !all && before - after < (before / 4).max(64) {
            return Ok(());
        }
        // Under the lock: nobody may be given a page past the end while it is cut.
        let length = after * self.page_bytes as u64;
        let current = self
            .file
            .len()
            .map_err(|error| Error::io(PAGES_FILE, "measure", &error))?;
        if current > length {
            self.file
                .set_len(length)
                .map_err(|error| Error::io(PAGES_FILE, "shorten", &error))?;
        }
        Ok(())
    }
}

impl Batch {
    fn take(&mut self, frame: &Frame) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&frame.bytes);
        if !frame.raw {
            // F1: the frame stays as it is; the checksum goes into the copy.
            NodeMut::new(&mut self.bytes[start..]).seal();
        }
        self.ids.push(frame.page.id);
    }
}
