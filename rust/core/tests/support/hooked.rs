//! A disk that calls somebody before it reads, writes or syncs a file.

use std::io;
use std::sync::Arc;

use sopasync_core::disk::{Disk, File, LockGuard};

/// What is about to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    Read,
    Write,
    Sync,
}

/// Is given the name under which the file was opened. An error takes the place of the call.
type Hook = Arc<dyn Fn(&str, Call) -> io::Result<()> + Send + Sync>;

pub struct HookedDisk {
    disk: Arc<dyn Disk>,
    hook: Hook,
}

struct HookedFile {
    file: Arc<dyn File>,
    name: String,
    hook: Hook,
}

impl HookedDisk {
    pub fn new(
        disk: Arc<dyn Disk>,
        hook: impl Fn(&str, Call) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let hook = Arc::new(hook);
        Self { disk, hook }
    }

    fn hooked(&self, name: &str, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(HookedFile {
            file,
            name: name.to_owned(),
            hook: Arc::clone(&self.hook),
        })
    }
}

impl Disk for HookedDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn File>> {
        Ok(self.hooked(name, self.disk.open(name, create)?))
    }
    fn open_read_only(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(self.hooked(name, self.disk.open_read_only(name)?))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.disk.sync_folder()
    }
    fn try_lock(&self, name: &str) -> io::Result<Option<Box<dyn LockGuard>>> {
        self.disk.try_lock(name)
    }
    fn describe(&self) -> String {
        self.disk.describe()
    }
    fn random_u64(&self) -> u64 {
        self.disk.random_u64()
    }
}

impl File for HookedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        (self.hook)(&self.name, Call::Read)?;
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        (self.hook)(&self.name, Call::Write)?;
        self.file.write_at(buf, offset)
    }
    fn sync(&self) -> io::Result<()> {
        (self.hook)(&self.name, Call::Sync)?;
        self.file.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.allocate(offset, len)
    }
}
