//! The traits `Disk` (one folder) and `File`, and what an implementation promises.
//!
//! Assumptions the engine makes of every disk, and nothing beyond them:
//!
//! 1. A 512-byte sector is atomic: after a crash it holds its content after some prefix of the writes
//!    to it, never a mixture.
//! 2. Sectors written since the last `sync` land in any order, or not at all; so does a change of length.
//! 3. After `sync` returns, everything written to that file before the call survives a crash.
//! 4. After `sync_folder` returns, every create, rename and remove before the call survives a crash.
//!    Before that, each of them may be lost on its own, even when the file itself was synced.
//! 5. `rename` is atomic and replaces an existing target.
//! 6. After `sync` has failed nothing is known about what was written since the last good one,
//!    and calling it again tells nothing: unsynced pages may have been dropped.

use std::io;
use std::sync::Arc;

use super::mapping::{Copied, Mapping, Scratch};

/// One folder with flat names, such as `pages`, `log-0000000000000001` or `lock`.
pub trait Disk: Send + Sync + 'static {
    /// Opens `name` for reading and writing. With `create` an absent file is made (empty), without it the
    /// answer is `NotFound`. Never truncates.
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn File>>;
    /// Opens `name` for reading only.
    fn open_read_only(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Gives the file `from` the name `to`, replacing a file of that name. Open handles stay valid.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes `name`; `NotFound` when it is absent.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all files, in no particular order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes the creates, renames and removes done so far durable.
    fn sync_folder(&self) -> io::Result<()>;
    /// Takes the exclusive lock `name`, making the file if absent; `None` when another owner holds it, in this
    /// process or another. Dropping the guard, or the death of the process, gives it back.
    fn try_lock(&self, name: &str) -> io::Result<Option<Box<dyn LockGuard>>>;
    /// Where this is, for messages: a path.
    fn describe(&self) -> String;
    /// So many zeros to work in, more than should be held in memory: where the disk can, mapped from a file that has no name,
    /// with all its space reserved. Nothing of it is ever durable.
    fn scratch(&self, bytes: usize) -> io::Result<Box<dyn Scratch>> {
        Ok(Box::new(Copied::new(bytes)))
    }
    /// A number no one can expect to see twice: salts and identities. Simulated disks derive it from their seed.
    fn random_u64(&self) -> u64;
}

/// One open file. Calls may run at the same time on several threads.
#[expect(
    clippy::len_without_is_empty,
    reason = "a file's length is an I/O call, not a container's size"
)]
pub trait File: Send + Sync + 'static {
    /// Fills `buf` from `offset`; `UnexpectedEof` when the file ends before.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// As much of it as is in memory, without waiting for a device: how many bytes. `WouldBlock` when nothing is, or
    /// that cannot be told.
    fn read_resident_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buf, offset).map(|()| buf.len())
    }
    /// Writes all of `buf` at `offset`; the file grows as needed. After an error any part may be written.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Makes content and length durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// Lets the device begin with what was written to this range, which a later `sync` waits for. Promises nothing.
    fn begin_sync(&self, _offset: u64, _length: u64) {}
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Reserves space for `offset..offset + len` and extends the file to it with zeros where it is shorter.
    /// Content that is there stays.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;
    /// Gives the space of a part back early, of a file that has lost its name: who has it open finds zeros there,
    /// or what was there. Promises nothing.
    fn give_back(&self, _offset: u64, _length: u64) {}
    /// All bytes of a file that nobody changes or cuts any more: mapped into memory, or a copy.
    fn map(&self) -> io::Result<Arc<dyn Mapping>> {
        let length = usize::try_from(self.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut copy = Copied::new(length);
        self.read_at(copy.bytes_mut(), 0)?;
        Ok(Arc::new(copy))
    }
    /// A part of the file, mapped into memory or a copy. Nobody changes it, or cuts the file before its end, until
    /// the mapping is dropped or detached; the rest of the file may go on changing.
    fn map_range(&self, offset: u64, length: usize) -> io::Result<Arc<dyn Mapping>> {
        let mut copy = Copied::new(length);
        self.read_at(copy.bytes_mut(), offset)?;
        Ok(Arc::new(copy))
    }
}

/// Holds an exclusive lock until dropped.
pub trait LockGuard: Send + Sync {}
