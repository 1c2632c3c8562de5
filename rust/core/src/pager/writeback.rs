//! Writing pages: the dirty ones of a checkpoint, and values that go straight to the file.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_epoch as epoch;

use super::space::Space;
use super::{Frame, PAGES_FILE, Pager};
use crate::error::{Error, Result};
use crate::mutants::mutant;
use crate::page::NodeMut;
use crate::sync::thread;

/// Called after each write of a checkpoint: it may make it wait, so that commits are not held up.
pub(crate) type Pace<'p> = &'p mut dyn FnMut() -> Result<()>;

/// Bytes gathered into one write.
const BATCH_BYTES: usize = 64 << 10;

/// The file is cut in steps of this size, with rests: giving back many blocks at once holds up every sync meanwhile.
const CUT_BYTES: u64 = 1 << 20;
/// As long as such a step takes.
const CUT_REST: Duration = Duration::from_micros(500);

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

    /// The runs the published snapshot reaches and its dirty pages in no order, at one moment.
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
        while self.cut(&mut space, all)? {
            drop(space);
            thread::sleep(CUT_REST);
            space = self.space.lock();
        }
        Ok(())
    }

    /// Cuts the file behind the last page in use, or a part of that; true when some is left.
    /// Under the lock: nobody may be given a page past the end meanwhile.
    fn cut(&self, space: &mut Space, whole: bool) -> Result<bool> {
        let end = space.free.trim() * self.page_bytes as u64;
        let measured = self.file.len();
        let current = measured.map_err(|error| Error::io(PAGES_FILE, "measure", &error))?;
        if current <= end {
            return Ok(false);
        }
        let length = if whole {
            end
        } else {
            end.max(current.saturating_sub(CUT_BYTES))
        };
        self.file
            .set_len(length)
            .map_err(|error| Error::io(PAGES_FILE, "shorten", &error))?;
        Ok(length > end)
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
