//! A disk that can only be read: whatever would change it is an error and is counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sopasync_core::disk::{Disk, File, LockGuard};

/// Called with the name of a file that is about to be opened.
type OnOpen = Arc<dyn Fn(&str) + Send + Sync>;

/// Reads another disk.
#[derive(Clone)]
pub struct ReadOnlyDisk {
    disk: Arc<dyn Disk>,
    attempts: Arc<AtomicUsize>,
    on_open: Option<OnOpen>,
}

struct ReadOnlyFile {
    file: Arc<dyn File>,
    attempts: Arc<AtomicUsize>,
}

impl ReadOnlyDisk {
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            attempts: Arc::default(),
            on_open: None,
        }
    }

    /// Lets somebody else work at the moment before a file is opened.
    #[allow(dead_code, reason = "not every test needs it")]
    pub fn on_open(self, call: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            on_open: Some(Arc::new(call)),
            ..self
        }
    }

    /// How often somebody tried to change it.
    #[allow(dead_code, reason = "not every test needs it")]
    pub fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }
}

fn refuse<T>(attempts: &AtomicUsize) -> io::Result<T> {
    attempts.fetch_add(1, Ordering::Relaxed);
    Err(io::ErrorKind::PermissionDenied.into())
}

impl Disk for ReadOnlyDisk {
    fn open(&self, _: &str, _: bool) -> io::Result<Arc<dyn File>> {
        refuse(&self.attempts)
    }
    fn open_read_only(&self, name: &str) -> io::Result<Arc<dyn File>> {
        if let Some(call) = &self.on_open {
            call(name);
        }
        Ok(Arc::new(ReadOnlyFile {
            file: self.disk.open_read_only(name)?,
            attempts: Arc::clone(&self.attempts),
        }))
    }
    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn remove(&self, _: &str) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn sync_folder(&self) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn try_lock(&self, _: &str) -> io::Result<Option<Box<dyn LockGuard>>> {
        refuse(&self.attempts)
    }
    fn describe(&self) -> String {
        self.disk.describe()
    }
    fn random_u64(&self) -> u64 {
        self.disk.random_u64()
    }
}

impl File for ReadOnlyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn sync(&self) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, _: u64) -> io::Result<()> {
        refuse(&self.attempts)
    }
    fn allocate(&self, _: u64, _: u64) -> io::Result<()> {
        refuse(&self.attempts)
    }
}
