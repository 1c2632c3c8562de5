//! A value out of line whose place is kept: any thread may read it later, without the transaction that found it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::large::PIECE_BYTES;
use super::long_hash::GrowingHash;
use super::mapped::{MappedRuns, RunPin};
use super::{PAGES_FILE, Pager};
use crate::disk::File;
use crate::error::{Error, Result};
use crate::limits::EXTENT_BYTES_MIN;
use crate::mutants::mutant;
use crate::page::LargeRef;

/// See the module. Nobody else is given its place until it is dropped (`mapped`, M1).
pub struct PinnedValue {
    file: Arc<dyn File>,
    offset: u64,
    large: LargeRef,
    pin: RunPin,
    runs: Arc<MappedRuns>,
}

impl std::fmt::Debug for PinnedValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PinnedValue({} bytes)", self.len())
    }
}

impl Pager {
    /// Keeps the place of a value that the caller's snapshot or transaction keeps so far. Nothing for short values, and for a
    /// follower, of whom the owner of the file knows nothing.
    pub(crate) fn pin_large(&self, large: LargeRef) -> Result<Option<PinnedValue>> {
        if large.length < EXTENT_BYTES_MIN as u64 || self.follows.get().is_some() {
            return Ok(None);
        }
        let (pin, _) = self.mapped.pin(large.id, large.span(self.page_bytes))?;
        Ok(Some(PinnedValue {
            file: Arc::clone(&self.file),
            offset: large.id * self.page_bytes as u64,
            large,
            pin,
            runs: Arc::clone(&self.mapped),
        }))
    }
}

#[expect(clippy::len_without_is_empty, reason = "it is never empty")]
impl PinnedValue {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        usize::try_from(self.large.length).expect("a value fits the address space")
    }

    /// Reads it into a buffer of its length, and waits for the disk. Its checksum is verified unless it was since opening
    /// and the database is open still: after an error the buffer holds anything. A panic is such an error too, because others
    /// wait for the thread that reads.
    pub fn read(&self, into: &mut [u8]) -> Result<()> {
        assert_eq!(into.len(), self.len(), "the buffer is as long as the value");
        let read = catch_unwind(AssertUnwindSafe(|| self.read_all(into)));
        read.unwrap_or_else(|_| {
            let reason = "reading a value panicked; please report this";
            Err(Error::invalid(reason))
        })
    }

    fn read_all(&self, into: &mut [u8]) -> Result<()> {
        let known = self.runs.is_verified(self.large.id, self.large.hash);
        let mut hash = GrowingHash::new();
        // Piece by piece, so that what is hashed is in the processor's own cache.
        for start in (0..into.len()).step_by(PIECE_BYTES) {
            let end = into.len().min(start + PIECE_BYTES);
            let read = (self.file).read_at(&mut into[start..end], self.offset + start as u64);
            read.map_err(|error| Error::io(PAGES_FILE, "read", &error))?;
            if !known {
                hash.advance(into, end);
            }
        }
        if known && self.runs.is_open() {
            // So its place was kept all the time.
            return Ok(());
        }
        let found = hash.finish(into);
        if found != self.large.hash && !mutant("accept-bad-value") {
            let page = self.large.id;
            let reason = format!("page {page}: a value's checksum does not match its content");
            return Err(Error::corruption(PAGES_FILE, self.offset, reason));
        }
        self.runs.note_verified_by(&self.pin, self.large.hash);
        Ok(())
    }
}
