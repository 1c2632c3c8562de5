//! Makes segments ready ahead of need, and takes back those the log no longer needs.
//!
//! The slow part (zeros, syncs, renames, removals) runs in `maintain`, on any thread, without holding up the
//! writer: the writer only picks the ready segment up. When none is ready, it makes one itself.
//!
//! Invariants:
//!
//! 1. A segment is handed over only when its header, its length and its name are durable.
//! 2. A file put to use again was durably out of the log before its header was overwritten.
//! 3. A segment is kept for readers of changes only when the log went through it: what lay behind a torn end never is.
//! 4. `work` is taken before `state`, and `state` is never held during file work.
//! 5. The space of a removed segment is given back in steps, without `work`: a file system that frees many blocks at
//!    once lets the syncs of other files wait. Who still reads it finds zeros then, and takes it for recycled; so that
//!    a reader right behind the log gets through to the next segment, that is a while later.
//!
//! Spares are worth their space while the log fills segments: a checkpoint keeps no more of them than it emptied, and a
//! log that is closed keeps none.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::file_log::LogOptions;
use super::segment::{
    HEADER_BYTES, NEW_NAME, Segment, SegmentHeader, kept_name, list_kept, path_of, segment_name,
    spare_name,
};
use crate::disk::{Disk, File};
use crate::limits::{LOG_FIRST_SEGMENT_BYTES, LOG_SPARE_SEGMENTS_MAX};
use crate::mutants::mutant;
use crate::sync::{Mutex, MutexGuard, thread};
use crate::{Error, Result};

/// Zeros are written and synced in steps of this size, so that no commit waits behind a long sync.
const FILL_STEP_BYTES: usize = 256 << 10;
/// Space is given back in steps of this size, with a rest after each.
const GIVE_BACK_BYTES: u64 = 1 << 20;
/// As long as such a step takes.
const GIVE_BACK_REST: Duration = Duration::from_micros(500);

/// A handle on the segments around the log; clones share one pool.
#[derive(Clone)]
pub struct SegmentPool {
    shared: Arc<Shared>,
}

struct Shared {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    /// Held during file work: numbers of the spare files, each `segment_bytes` long.
    work: Mutex<Vec<u64>>,
    state: Mutex<State>,
}

struct State {
    next: Next,
    ready: Option<Segment>,
    /// Segments the log no longer needs, still under their names.
    retired: Vec<u64>,
    /// Segments behind a torn end.
    discarded: Vec<u64>,
    /// How many were retired since the spares were last counted.
    emptied: usize,
    /// Files without a name any more, whose space is still to be given back: those of the last call, and newer ones.
    removed: [Vec<Arc<dyn File>>; 2],
}

/// What the next segment has to be.
#[derive(Clone, Copy)]
pub(super) struct Next {
    pub number: u64,
    pub previous_salt: u64,
    pub capacity: u64,
}

/// How a new file gets its length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Filling {
    /// Zeros are written: slow now, and each sync of the log is about twice as fast later.
    Written,
    /// Space is reserved: for the writer that waits.
    Reserved,
}

impl Next {
    /// The successor of `segment`: four times its size, up to `segment_bytes`.
    pub fn after(segment: &SegmentHeader, options: &LogOptions) -> Self {
        let grown = segment.capacity.saturating_mul(4);
        Self {
            number: segment.number + 1,
            previous_salt: segment.salt,
            capacity: grown.clamp(first_capacity(options), options.segment_bytes),
        }
    }

    /// The first segment of a fresh log: small, so that making a database is quick.
    pub fn first(options: &LogOptions) -> Self {
        Self {
            number: 1,
            previous_salt: 0,
            capacity: first_capacity(options),
        }
    }
}

fn first_capacity(options: &LogOptions) -> u64 {
    LOG_FIRST_SEGMENT_BYTES.min(options.segment_bytes)
}

impl SegmentPool {
    pub(super) fn new(disk: Arc<dyn Disk>, options: LogOptions, next: Next) -> Self {
        Self {
            shared: Arc::new(Shared {
                disk,
                options,
                work: Mutex::new(Vec::new()),
                state: Mutex::new(State {
                    next,
                    ready: None,
                    retired: Vec::new(),
                    discarded: Vec::new(),
                    emptied: 0,
                    removed: Default::default(),
                }),
            }),
        }
    }

    /// Whether the next segment is ready, so that `maintain` has nothing urgent to do. Never waits for file work.
    pub fn is_ready(&self) -> bool {
        self.shared.state.lock().ready.is_some()
    }

    /// Recycles or removes given-up segments and makes the next one ready. Blocks for file work, while the writer
    /// goes on. An error leaves the log usable: the next call, or the writer when it comes to need a segment, tries again.
    pub fn maintain(&self) -> Result<()> {
        let mut spares = self.shared.work.lock();
        self.take_back(&mut spares)?;
        let next = {
            let state = self.shared.state.lock();
            if state.ready.is_some() {
                return Ok(());
            }
            state.next
        };
        let segment = self.prepare(&mut spares, next, Filling::Written)?;
        // `next` is still the same: `take` would have needed `work` to get past a missing segment.
        self.shared.state.lock().ready = Some(segment);
        Ok(())
    }

    /// Takes the next segment, ready or made now, with room for at least `capacity` bytes.
    pub(super) fn take(&self, capacity: u64, filling: Filling) -> Result<Segment> {
        if let Some(segment) = self.take_ready(capacity) {
            return Ok(segment);
        }
        let mut spares = self.shared.work.lock();
        if let Some(segment) = self.take_ready(capacity) {
            return Ok(segment); // `maintain` was at it
        }
        let mut next = self.shared.state.lock().next;
        next.capacity = next.capacity.max(capacity);
        // A ready segment that is too small is replaced: the new one takes over its name.
        let segment = self.prepare(&mut spares, next, filling)?;
        let mut state = self.shared.state.lock();
        state.ready = None;
        Ok(self.hand_over(&mut state, segment))
    }

    fn take_ready(&self, capacity: u64) -> Option<Segment> {
        let mut state = self.shared.state.lock();
        let fits = |ready: &mut Segment| ready.header.capacity >= capacity;
        let segment = state.ready.take_if(fits)?;
        Some(self.hand_over(&mut state, segment))
    }

    fn hand_over(&self, state: &mut MutexGuard<'_, State>, segment: Segment) -> Segment {
        state.next = Next::after(&segment.header, &self.shared.options);
        segment
    }

    /// Notes segments the log no longer needs; `maintain` does the file work.
    pub(super) fn retire(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut state = self.shared.state.lock();
        let before = state.retired.len();
        state.retired.extend(numbers);
        state.emptied += state.retired.len() - before;
    }

    /// Notes segments that never were a part of the log.
    pub(super) fn discard(&self, numbers: impl IntoIterator<Item = u64>) {
        self.shared.state.lock().discarded.extend(numbers);
    }

    /// After a checkpoint: keeps as many spares as it emptied segments, for the log is likely to fill as many again.
    pub fn keep_what_is_used(&self) -> Result<()> {
        let mut spares = self.shared.work.lock();
        self.take_back(&mut spares)?;
        let emptied = std::mem::take(&mut self.shared.state.lock().emptied);
        self.drop_spares(&mut spares, emptied)
    }

    /// Whether `give_space_back` has something to do.
    pub fn owes_space(&self) -> bool {
        let state = self.shared.state.lock();
        state.removed.iter().any(|files| !files.is_empty())
    }

    /// Gives the space of what was removed before the call before this one back. Call it once a second or so.
    pub fn give_space_back(&self) {
        let due = {
            let [due, newer] = &mut self.shared.state.lock().removed;
            std::mem::replace(due, std::mem::take(newer))
        };
        for file in due {
            let length = file.len().unwrap_or(0);
            for offset in (0..length).step_by(GIVE_BACK_BYTES as usize) {
                file.give_back(offset, GIVE_BACK_BYTES);
                if offset + GIVE_BACK_BYTES < length {
                    thread::sleep(GIVE_BACK_REST);
                }
            }
        }
    }

    fn drop_spares(&self, spares: &mut Vec<u64>, kept: usize) -> Result<()> {
        while spares.len() > kept {
            let name = spare_name(*spares.last().expect("longer than zero"));
            self.remove(&name)?;
            spares.pop();
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let disk = &*self.shared.disk;
        // Open, so that it keeps its space until that is given back.
        let file = disk.open(name, false);
        match disk.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(path_of(disk, name), "remove", &error))
            }
            _ => {
                self.shared.state.lock().removed[1].extend(file);
                Ok(())
            }
        }
    }

    /// A new segment of exactly this length, whatever is ready or kept.
    pub(super) fn take_small(&self, capacity: u64) -> Result<Segment> {
        let _spares = self.shared.work.lock();
        let next = Next {
            capacity,
            ..self.shared.state.lock().next
        };
        // It takes over the name of one that is ready.
        let segment = self.prepare(&mut Vec::new(), next, Filling::Written)?;
        let mut state = self.shared.state.lock();
        state.ready = None;
        Ok(self.hand_over(&mut state, segment))
    }

    /// For a log that is closed: removes everything but the segments it still needs.
    pub(super) fn empty(&self) -> Result<()> {
        let mut spares = self.shared.work.lock();
        self.take_back(&mut spares)?;
        self.drop_spares(&mut spares, 0)?;
        let ready = self.shared.state.lock().ready.take();
        let result = match ready {
            // No frame leads to it.
            Some(segment) => self.remove(&segment.name),
            None => Ok(()),
        };
        self.forget_removed(); // nobody's sync can be held up any more
        result
    }

    /// Leaves it to the system to give back the space of what was removed, all at once.
    pub fn forget_removed(&self) {
        let removed = std::mem::take(&mut self.shared.state.lock().removed);
        drop(removed);
    }

    /// At opening: takes given-up segments back and keeps the spares that fit.
    pub(super) fn adopt(&self, spare_numbers: Vec<u64>) -> Result<()> {
        let mut spares = self.shared.work.lock();
        for number in spare_numbers {
            self.keep_or_remove(&mut spares, number, &spare_name(number))?;
        }
        self.take_back(&mut spares)?;
        self.drop_kept(&mut spares)?; // fewer may be wanted than were before
        self.forget_removed();
        Ok(())
    }

    fn take_back(&self, spares: &mut Vec<u64>) -> Result<()> {
        let (retired, discarded) = {
            let mut state = self.shared.state.lock();
            let state = &mut *state;
            (
                std::mem::take(&mut state.retired),
                std::mem::take(&mut state.discarded),
            )
        };
        if retired.is_empty() && discarded.is_empty() {
            return Ok(());
        }
        let result = self
            .take_files_back(spares, &retired, &discarded)
            .and_then(|()| self.sync_folder()); // invariant 2
        if result.is_err() {
            // All once more: those done already are not found, and the folder is synced after them.
            let mut state = self.shared.state.lock();
            state.retired.extend(retired);
            state.discarded.extend(discarded);
        }
        result
    }

    fn take_files_back(
        &self,
        spares: &mut Vec<u64>,
        retired: &[u64],
        discarded: &[u64],
    ) -> Result<()> {
        for number in discarded {
            self.keep_or_remove(spares, *number, &segment_name(*number))?;
        }
        for number in retired {
            if self.shared.options.kept_bytes == 0 {
                self.keep_or_remove(spares, *number, &segment_name(*number))?;
            } else {
                self.keep_for_readers(*number)?;
            }
        }
        self.drop_kept(spares)
    }

    fn keep_for_readers(&self, number: u64) -> Result<()> {
        let disk = &*self.shared.disk;
        let name = segment_name(number);
        match disk.rename(&name, &kept_name(number)) {
            // Done already, before an error stopped the work after it.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(path_of(disk, &name), "rename", &error))
            }
            _ => Ok(()),
        }
    }

    /// Takes the oldest of the segments that are kept for readers back, until the rest is no longer than it may be.
    fn drop_kept(&self, spares: &mut Vec<u64>) -> Result<()> {
        let disk = &*self.shared.disk;
        let mut left = self.shared.options.kept_bytes;
        let mut full = false;
        for number in list_kept(disk)?.into_iter().rev() {
            let name = kept_name(number);
            let length = disk
                .open_read_only(&name)
                .and_then(|file| file.len())
                .map_err(|error| Error::io(path_of(disk, &name), "measure", &error))?;
            full |= length > left;
            if full {
                self.keep_or_remove(spares, number, &name)?;
            } else {
                left -= length;
            }
        }
        Ok(())
    }

    /// Keeps the file `name` as a spare if it has the usual length and there are few, removes it otherwise.
    fn keep_or_remove(&self, spares: &mut Vec<u64>, number: u64, name: &str) -> Result<()> {
        let disk = &*self.shared.disk;
        let fail = |operation: &'static str| {
            move |error: io::Error| Error::io(path_of(disk, name), operation, &error)
        };
        let length = match disk.open_read_only(name) {
            Ok(file) => file.len().map_err(fail("measure"))?,
            // Done already, before an error stopped the work after it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fail("open")(error)),
        };
        let keep = length == self.shared.options.segment_bytes
            && spares.len() < LOG_SPARE_SEGMENTS_MAX
            && !spares.contains(&number);
        if !keep {
            return self.remove(name);
        }
        let spare = spare_name(number);
        if name != spare {
            disk.rename(name, &spare).map_err(fail("rename"))?;
        }
        spares.push(number);
        Ok(())
    }

    /// Makes the file of the next segment, from a spare if there is one.
    fn prepare(&self, spares: &mut Vec<u64>, next: Next, filling: Filling) -> Result<Segment> {
        let disk = &*self.shared.disk;
        let options = &self.shared.options;
        let reuse = if next.capacity <= options.segment_bytes {
            spares.pop()
        } else {
            None // a group larger than a segment gets a file of its own size
        };
        let (from, capacity) = match reuse {
            Some(number) => (spare_name(number), options.segment_bytes),
            None => (NEW_NAME.to_owned(), next.capacity),
        };
        let fail = |operation: &'static str| {
            let path = path_of(disk, &from);
            move |error: io::Error| Error::io(path, operation, &error)
        };
        if reuse.is_none() {
            remove_leftover(disk).map_err(fail("remove"))?;
        }
        let file = disk.open(&from, reuse.is_none()).map_err(fail("open"))?;
        if reuse.is_none() {
            fill(&*file, capacity, filling).map_err(fail("extend"))?;
        }
        let header = SegmentHeader {
            number: next.number,
            salt: self.salt(&*file, reuse.is_some()),
            previous_salt: next.previous_salt,
            capacity,
            database_id: options.database_id,
        };
        file.write_at(&header.encode(), 0).map_err(fail("write"))?;
        if !mutant("log-skip-header-sync") {
            file.sync().map_err(fail("sync"))?;
        }
        let name = segment_name(next.number);
        disk.rename(&from, &name).map_err(fail("rename"))?;
        self.sync_folder()?; // invariant 1
        Ok(Segment { header, name, file })
    }

    fn salt(&self, file: &dyn File, reused: bool) -> u64 {
        if reused && mutant("log-keep-salt") {
            let old = SegmentHeader::read(file, "");
            return old.map_or(0, |header| header.salt);
        }
        self.shared.disk.random_u64()
    }

    pub(super) fn sync_folder(&self) -> Result<()> {
        if mutant("log-skip-folder-sync") {
            return Ok(());
        }
        let disk = &self.shared.disk;
        disk.sync_folder()
            .map_err(|error| Error::io(disk.describe(), "sync", &error))
    }
}

/// Removes what an attempt that failed left: after a failed sync its pages cannot be trusted.
fn remove_leftover(disk: &dyn Disk) -> io::Result<()> {
    match disk.remove(NEW_NAME) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Gives `file` exactly `capacity` bytes.
fn fill(file: &dyn File, capacity: u64, filling: Filling) -> io::Result<()> {
    debug_assert!(capacity > HEADER_BYTES);
    if filling == Filling::Reserved {
        return file.allocate(0, capacity);
    }
    let zeros = vec![0; FILL_STEP_BYTES.min(capacity as usize)];
    let mut offset = 0;
    while offset < capacity {
        let count = (capacity - offset).min(zeros.len() as u64);
        file.write_at(&zeros[..count as usize], offset)?;
        offset += count;
        if offset < capacity {
            file.sync()?; // the last step is synced with the header
        }
    }
    Ok(())
}
