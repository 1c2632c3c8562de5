//! The handle on a simulated disk; clones share it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::crash::{CrashImages, CrashOptions, shared};
use super::fault::{Call, Failure, Fault, killed};
use super::random::SplitMix64;
use super::volume::{Event, Volume};
use crate::disk::mapping::Copied;
use crate::disk::{Disk, File, LockGuard, Scratch};
use crate::sync::Mutex;

/// A simulated disk; see the module. Calls are ordered by one lock.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    volume: Volume,
    /// The disk before the first change of `trace`.
    start: Volume,
    trace: Vec<Event>,
    random: SplitMix64,
    locks: BTreeSet<String>,
    faults: Vec<Fault>,
    calls: u64,
    syncs: u64,
    killed: bool,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self::from_volume(Volume::default(), seed)
    }

    pub(super) fn from_volume(volume: Volume, seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                start: volume.clone(),
                volume,
                trace: Vec::new(),
                random: SplitMix64::new(seed),
                locks: BTreeSet::new(),
                faults: Vec::new(),
                calls: 0,
                syncs: 0,
                killed: false,
            })),
        }
    }

    /// How many changes were made: a point to compare with `CrashImage::point`.
    pub fn trace_len(&self) -> usize {
        self.state.lock().trace.len()
    }

    /// Forgets the trace, so that crash images begin here. What is not synced is still not durable.
    pub fn restart_trace(&self) {
        let mut state = self.state.lock();
        state.trace.clear();
        state.start = state.volume.clone();
    }

    /// Disks as a crash may have left them at the points of the trace so far, oldest point first.
    pub fn crash_images(&self, options: CrashOptions) -> CrashImages {
        let state = self.state.lock();
        CrashImages::new(options, state.start.clone(), state.trace.clone())
    }

    /// Lets a later call fail. Faults add up.
    pub fn add_fault(&self, fault: Fault) {
        self.state.lock().faults.push(fault);
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// How many calls were made; the next one has this number plus one.
    pub fn call_count(&self) -> u64 {
        self.state.lock().calls
    }

    /// How many syncs of files were asked for.
    pub fn sync_count(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Ends the process that uses this disk: every further call through any handle fails.
    pub fn kill(&self) {
        self.state.lock().killed = true;
    }

    /// The disk as the next process finds it while the machine stays up: nothing written is lost,
    /// and what was not synced is still not durable. Locks are free and faults are gone.
    pub fn next_process(&self) -> Self {
        let mut state = self.state.lock();
        state.killed = true;
        let seed = state.random.next_u64();
        Self::from_volume(state.volume.clone(), seed)
    }

    /// The content of `name` as a reader sees it, or None. Counts as no call.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let file = state.volume.file_of(name)?;
        Some(state.volume.content(file).to_vec())
    }

    /// Replaces the content of an existing file, durably and behind everyone's back: damage. Restarts the trace.
    pub fn replace_content(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state.lock();
        let file = state.volume.file_of(name).expect("the file exists");
        state.volume.replace(file, bytes);
        state.trace.clear();
        state.start = state.volume.clone();
    }

    /// A disk of its own with the same content, durable and not.
    pub fn duplicate(&self, seed: u64) -> Self {
        Self::from_volume(self.state.lock().volume.clone(), seed)
    }
}

impl State {
    /// Counts a call and lets it fail if its time has come.
    fn enter(&mut self, call: Call) -> Result<(), Failure> {
        if self.killed {
            return Err(Failure::Plain(killed()));
        }
        self.calls += 1;
        let number = self.calls;
        match self.faults.iter().find(|fault| fault.hits(number)) {
            Some(fault) => Err(fault.failure(call)),
            None => Ok(()),
        }
    }

    fn enter_plain(&mut self, call: Call) -> io::Result<()> {
        self.enter(call).map_err(Failure::into_error)
    }

    fn change(&mut self, event: Event) {
        self.volume.apply(&event);
        self.trace.push(event);
    }

    fn file_of(&self, name: &str) -> io::Result<usize> {
        let found = self.volume.file_of(name);
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file (simulated)"))
    }
}

impl Failure {
    fn into_error(self) -> io::Error {
        let (Self::Plain(error) | Self::HalfWritten(error) | Self::Dropped(error)) = self;
        error
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        let exists = state.volume.file_of(name).is_some();
        let call = if create && !exists {
            Call::Grow
        } else {
            Call::Other
        };
        state.enter_plain(call)?;
        if create && !exists {
            let name = name.to_owned();
            state.change(Event::Create { name });
        }
        let file = state.file_of(name)?;
        Ok(self.handle(file, false))
    }

    fn open_read_only(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.state.lock();
        state.enter_plain(Call::Other)?;
        let file = state.file_of(name)?;
        Ok(self.handle(file, true))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.enter_plain(Call::Grow)?;
        state.file_of(from)?;
        if from != to {
            let (from, to) = (from.to_owned(), to.to_owned());
            state.change(Event::Rename { from, to });
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.enter_plain(Call::Other)?;
        state.file_of(name)?;
        let name = name.to_owned();
        state.change(Event::Remove { name });
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.enter_plain(Call::Other)?;
        Ok(state.volume.names().cloned().collect())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.enter_plain(Call::Other)?;
        state.change(Event::SyncFolder);
        Ok(())
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<Box<dyn LockGuard>>> {
        let mut state = self.state.lock();
        state.enter_plain(Call::Other)?;
        if !state.locks.insert(name.to_owned()) {
            return Ok(None);
        }
        if state.volume.file_of(name).is_none() {
            let name = name.to_owned();
            state.change(Event::Create { name });
        }
        Ok(Some(Box::new(SimLock {
            state: self.state.clone(),
            name: name.to_owned(),
        })))
    }

    fn describe(&self) -> String {
        "simulated".to_owned()
    }

    fn scratch(&self, bytes: usize) -> io::Result<Box<dyn Scratch>> {
        self.state.lock().enter_plain(Call::Grow)?;
        Ok(Box::new(Copied::new(bytes)))
    }

    fn random_u64(&self) -> u64 {
        self.state.lock().random.next_u64()
    }
}

impl SimDisk {
    fn handle(&self, file: usize, read_only: bool) -> Arc<dyn File> {
        Arc::new(SimFile {
            state: self.state.clone(),
            file,
            read_only,
        })
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    file: usize,
    read_only: bool,
}

impl SimFile {
    fn refuse_read_only(&self) -> io::Result<()> {
        if self.read_only {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the file was opened for reading only (simulated)",
            ));
        }
        Ok(())
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.enter_plain(Call::Read)?;
        let content = state.volume.content(self.file);
        if offset + buf.len() as u64 > content.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        content.read(buf, offset);
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.refuse_read_only()?;
        let mut state = self.state.lock();
        let (bytes, result) = match state.enter(Call::Write) {
            Ok(()) => (buf, Ok(())),
            Err(Failure::HalfWritten(error)) => (&buf[..buf.len() / 2], Err(error)),
            Err(failure) => return Err(failure.into_error()),
        };
        state.change(Event::Write {
            file: self.file,
            offset,
            bytes: shared(bytes),
        });
        result
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.syncs += 1;
        let file = self.file;
        match state.enter(Call::Sync) {
            Ok(()) => {
                state.change(Event::Sync { file });
                Ok(())
            }
            Err(Failure::Dropped(error)) => {
                state.change(Event::DropUnsynced { file });
                Err(error)
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.enter_plain(Call::Other)?;
        Ok(state.volume.content(self.file).len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.refuse_read_only()?;
        let mut state = self.state.lock();
        state.enter_plain(Call::Grow)?;
        let file = self.file;
        state.change(Event::SetLen { file, len });
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.refuse_read_only()?;
        let mut state = self.state.lock();
        state.enter_plain(Call::Grow)?;
        let file = self.file;
        if state.volume.content(file).len() < offset + len {
            let len = offset + len;
            state.change(Event::SetLen { file, len });
        }
        Ok(())
    }
}

struct SimLock {
    state: Arc<Mutex<State>>,
    name: String,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.state.lock().locks.remove(&self.name);
    }
}
