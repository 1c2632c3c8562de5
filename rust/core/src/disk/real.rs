//! A folder of the file system.
//!
//! Positioned reads and writes without a shared cursor, `fdatasync`, the folder's own `fsync` after
//! creates and renames, and an advisory whole-file lock (`flock`) that dies with its process.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::interface::{Disk, File, LockGuard};
#[cfg(unix)]
use super::mapping::Scratch;
use super::mapping::{Copied, Mapping};

/// A folder of the file system.
#[derive(Debug, Clone)]
pub struct RealDisk {
    folder: PathBuf,
}

impl RealDisk {
    /// Opens `folder`. With `create` it is made, parents included, and its entry made durable.
    pub fn open(folder: impl Into<PathBuf>, create: bool) -> io::Result<Self> {
        let folder = folder.into();
        if create {
            create_durably(&folder)?;
        }
        if !fs::metadata(&folder)?.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                "a database is a folder, and this is a file",
            ));
        }
        Ok(Self { folder })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .open(self.folder.join(name))?;
        Ok(Arc::new(RealFile {
            file: Arc::new(file),
        }))
    }

    fn open_read_only(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::File::open(self.folder.join(name))?;
        Ok(Arc::new(RealFile {
            file: Arc::new(file),
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            // A name that is not Unicode is not ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn sync_folder(&self) -> io::Result<()> {
        sync_directory(&self.folder)
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<Box<dyn LockGuard>>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.folder.join(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(RealLock {
                file,
                process: std::process::id(),
            }))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn describe(&self) -> String {
        self.folder.display().to_string()
    }

    #[cfg(unix)]
    fn scratch(&self, bytes: usize) -> io::Result<Box<dyn Scratch>> {
        if bytes == 0 {
            return Ok(Box::new(Copied::new(0)));
        }
        // A crash in between leaves a file that is empty, and taken for a derived one that was not finished.
        let path = self
            .folder
            .join(format!("derived-scratch-{:016x}", self.random_u64()));
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        fs::remove_file(&path)?;
        reserve(&mut file, bytes)?;
        // SAFETY: the file has no name and its only handle ends here, so nobody else changes or cuts it; its space is
        // reserved, so touching it does not run out of it.
        let map = unsafe { memmap2::MmapMut::map_mut(&file)? };
        Ok(Box::new(MappedScratch(map)))
    }

    fn random_u64(&self) -> u64 {
        // RandomState is keyed by the operating system's randomness; process and time are mixed in
        // because a forked child inherits the key.
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_nanos());
        RandomState::new().hash_one((std::process::id(), now))
    }
}

struct RealFile {
    file: Arc<fs::File>,
}

impl File for RealFile {
    #[cfg(unix)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&*self.file, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(&*self.file, buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    buf = &mut buf[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn read_resident_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let flags = rustix::io::ReadWriteFlags::NOWAIT;
        let buffers = &mut [io::IoSliceMut::new(buf)];
        // A file system that cannot tell, or an error: the read that may wait finds out.
        rustix::io::preadv2(&*self.file, buffers, offset, flags)
            .map_err(|_| io::ErrorKind::WouldBlock.into())
    }

    #[cfg(not(target_os = "linux"))]
    fn read_resident_at(&self, _buf: &mut [u8], _offset: u64) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[cfg(unix)]
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&*self.file, buf, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(&*self.file, buf, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    buf = &buf[count..];
                    offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn begin_sync(&self, offset: u64, length: u64) {
        // Writes dirty pages back without waiting, and drops only those that are clean.
        let length = std::num::NonZeroU64::new(length);
        let _ = rustix::fs::fadvise(&*self.file, offset, length, rustix::fs::Advice::DontNeed);
    }

    #[cfg(target_os = "linux")]
    fn give_back(&self, offset: u64, length: u64) {
        let hole = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(&*self.file, hole, offset, length);
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::io::Errno;
            let flags = rustix::fs::FallocateFlags::empty();
            match rustix::fs::fallocate(&*self.file, flags, offset, len) {
                Ok(()) => return Ok(()),
                // File systems without it, or that give it up at a signal, and might do so each time; the space is then
                // found when it is written.
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let end = offset + len;
        if self.len()? < end {
            self.set_len(end)?;
        }
        Ok(())
    }

    fn map(&self) -> io::Result<Arc<dyn Mapping>> {
        if self.len()? == 0 {
            return Ok(Arc::new(Copied::new(0)));
        }
        // SAFETY: the contract of `File::map`: nobody changes or cuts the file any more. Derived files are complete
        // and synced before they get their name, and are only ever removed, which leaves mappings as they are.
        let map = unsafe { memmap2::Mmap::map(&*self.file)? };
        Ok(Arc::new(Mapped(map)))
    }

    #[cfg(target_os = "linux")]
    fn map_range(&self, offset: u64, length: usize) -> io::Result<Arc<dyn Mapping>> {
        let file = Arc::clone(&self.file);
        Ok(Arc::new(super::region::Region::new(file, offset, length)?))
    }
}

/// A file mapped into memory.
struct Mapped(memmap2::Mmap);

impl Mapping for Mapped {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A nameless file mapped into memory.
#[cfg(unix)]
struct MappedScratch(memmap2::MmapMut);

#[cfg(unix)]
impl Scratch for MappedScratch {
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Gives an empty file zeros that have their place on the disk.
#[cfg(unix)]
fn reserve(file: &mut fs::File, bytes: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        let flags = rustix::fs::FallocateFlags::empty();
        match rustix::fs::fallocate(&*file, flags, 0, bytes as u64) {
            Ok(()) => return Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    io::copy(&mut io::Read::take(io::repeat(0), bytes as u64), file)?;
    Ok(())
}

/// The lock belongs to the open file, which a forked child shares with the process that took it.
struct RealLock {
    file: fs::File,
    process: u32,
}

impl LockGuard for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        // Given up at once, whoever else has the file open; a child only closes what it inherited.
        if std::process::id() == self.process {
            // Closing the file gives it up as well, unless a child has it open.
            let _ = self.file.unlock();
        }
    }
}

/// Makes `folder` and its missing parents, and syncs each folder that gained an entry.
fn create_durably(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .collect();
    fs::create_dir_all(folder)?;
    for path in missing {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent)?,
            _ => sync_directory(Path::new("."))?,
        }
    }
    Ok(())
}

#[cfg(unix)]
fn sync_directory(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Windows offers no sync of a folder; NTFS journals its entries.
#[cfg(not(unix))]
fn sync_directory(_folder: &Path) -> io::Result<()> {
    Ok(())
}
