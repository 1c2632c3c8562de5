//! A part of a file mapped into memory, which can be made independent of the file where it lies.
//!
//! Invariants
//! G1  The addresses stay valid and readable until the region is dropped, before and after `detach`.
//! G2  `detach` changes no byte that a reader can see, also while it runs: the copy is complete before it takes
//!     the place of the mapping, in one system call.

use std::ffi::c_void;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::mm::{Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags};

use super::mapping::Mapping;

/// Mappings begin at a multiple of this in the file: of the pages of every system there is.
const ALIGNMENT: u64 = 64 << 10;

/// See the module.
pub(super) struct Region {
    /// Where the mapping begins: at a page of the system.
    start: NonNull<u8>,
    mapped: usize,
    /// How far into it the wanted bytes begin.
    skip: usize,
    /// Where the mapping begins in the file.
    offset: u64,
    /// Absent once the bytes do not depend on it any more.
    file: Mutex<Option<Arc<fs::File>>>,
}

// SAFETY: the region is memory that nobody writes; `detach` replaces it in one step (G2).
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `length` bytes from `offset` on. Nobody may change or cut the file there until the region is dropped
    /// or detached.
    pub(super) fn new(file: Arc<fs::File>, offset: u64, length: usize) -> io::Result<Self> {
        if length == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "nothing to map",
            ));
        }
        let skip = (offset % ALIGNMENT) as usize;
        let (offset, mapped) = (offset - skip as u64, length + skip);
        // SAFETY: the system chooses the place, so that nothing that is there is replaced.
        let start = unsafe {
            rustix::mm::mmap(
                ptr::null_mut(),
                mapped,
                ProtFlags::READ,
                MapFlags::SHARED,
                &file,
                offset,
            )?
        };
        Ok(Self {
            start: NonNull::new(start.cast()).expect("a mapping is nowhere at zero"),
            mapped,
            skip,
            offset,
            file: Mutex::new(Some(file)),
        })
    }

    /// A copy of the mapped bytes from the file, where an error of the disk is an error and no signal.
    fn copy(&self, file: &fs::File) -> io::Result<*mut c_void> {
        let (read, write) = (ProtFlags::READ, ProtFlags::WRITE);
        // SAFETY: the system chooses the place, so that nothing that is there is replaced.
        let copy = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                self.mapped,
                read | write,
                MapFlags::PRIVATE,
            )?
        };
        // SAFETY: just mapped, so long, and nobody else knows of it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(copy.cast::<u8>(), self.mapped) };
        // SAFETY: as above; it is only made read-only.
        let sealed = file
            .read_exact_at(bytes, self.offset)
            .and_then(|()| unsafe {
                Ok(rustix::mm::mprotect(
                    copy,
                    self.mapped,
                    MprotectFlags::READ,
                )?)
            });
        sealed.map(|()| copy).inspect_err(|_| {
            // SAFETY: mapped above, and given to nobody.
            let _ = unsafe { rustix::mm::munmap(copy, self.mapped) };
        })
    }
}

impl Mapping for Region {
    fn bytes(&self) -> &[u8] {
        // SAFETY: G1; mapped with `skip` bytes before those that are wanted.
        unsafe {
            std::slice::from_raw_parts(self.start.as_ptr().add(self.skip), self.mapped - self.skip)
        }
    }

    fn load(&self, part: Range<usize>) -> io::Result<()> {
        assert!(
            part.end <= self.mapped - self.skip,
            "G1: a part of what is mapped"
        );
        // From the beginning of a page of the system, as the advice wants it; `start` is one.
        let first = (self.skip + part.start) / ALIGNMENT as usize * ALIGNMENT as usize;
        let count = self.skip + part.end - first;
        // SAFETY: G1: the range is mapped; the advice changes no byte. An error of the disk comes back as an error, where
        // touching the bytes would end the process.
        let loaded = unsafe {
            let at = self.start.as_ptr().add(first).cast();
            rustix::mm::madvise(at, count, Advice::LinuxPopulateRead)
        };
        match loaded {
            // Kernels before 5.14.
            Ok(()) | Err(rustix::io::Errno::INVAL) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn detach(&self) -> io::Result<()> {
        let mut file = self.file.lock();
        let Some(of) = file.as_ref() else {
            return Ok(());
        };
        let copy = self.copy(of)?;
        // SAFETY: both are mappings of ours of this length; the copy takes the place of the first (G2).
        let moved = unsafe {
            rustix::mm::mremap_fixed(
                copy,
                self.mapped,
                self.mapped,
                MremapFlags::MAYMOVE,
                self.start.as_ptr().cast(),
            )
        };
        if let Err(error) = moved {
            // SAFETY: it was not moved, and given to nobody.
            let _ = unsafe { rustix::mm::munmap(copy, self.mapped) };
            return Err(error.into());
        }
        *file = None;
        Ok(())
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: whoever has its bytes has borrowed the region.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.mapped) };
    }
}
