//! Values out of line: read into memory, mapped where they lie, written straight to their place.

use std::sync::atomic::Ordering;

use crossbeam_epoch::Guard;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::mapped::MappedValue;
use super::{Frame, PAGES_FILE, Pager, long_hash};
use crate::error::{Error, Result};
use crate::limits::EXTENT_BYTES_MIN;
use crate::mutants::mutant;
use crate::page::{LargeRef, PageBuf, PageRef};

/// What a value is hashed, read and written by: it fits a processor's own cache. Writes end at multiples of it in the file:
/// what one write covers is kept by the system in one piece, if it begins at such a place, and is read and mapped faster.
pub(super) const PIECE_BYTES: usize = 512 << 10;
/// The system is asked to begin writing whenever so much of a value was handed to it.
const BEGIN_BYTES: usize = 8 << 20;

/// A large value as a reader gets it.
#[derive(Debug, Clone)]
pub enum ValueBytes {
    /// Where it lies in the page file.
    Mapped(MappedValue),
    /// A copy: short values, and those of a follower.
    Copied(Vec<u8>),
}

impl std::ops::Deref for ValueBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(value) => value,
            Self::Copied(value) => value,
        }
    }
}

impl Pager {
    /// Reads a value that lies out of line.
    pub(crate) fn large(&self, large: LargeRef, wait: bool, guard: &Guard) -> Result<Vec<u8>> {
        let length = usize::try_from(large.length).expect("a value fits the address space");
        if let Some(frame) = self.table.get(large.id, guard) {
            if frame.page.stamp == large.stamp && frame.raw {
                frame.touch();
                return Ok(frame.bytes[..length].to_vec());
            }
            return Err(self.large_mismatch(large));
        }
        if !wait {
            return Err(Error::WouldBlock);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let mut value = vec![0; length];
        self.read_run(large.id, large.stamp, &mut value)?;
        if xxh3_64(&value) != large.hash && !mutant("accept-bad-value") {
            return Err(self.large_mismatch(large));
        }
        if length < EXTENT_BYTES_MIN {
            let span = large.span(self.page_bytes);
            let mut bytes = PageBuf::zeroed(span as usize * self.page_bytes);
            bytes[..length].copy_from_slice(&value);
            let page = PageRef {
                id: large.id,
                span: span as u16,
                stamp: large.stamp,
            };
            self.admit(Frame::clean(bytes, page, true), guard);
        }
        Ok(value)
    }

    fn large_mismatch(&self, large: LargeRef) -> Error {
        let page = PageRef {
            id: large.id,
            span: 0,
            stamp: large.stamp,
        };
        self.mismatch(page, "a value's checksum does not match its content")
    }

    /// Maps a value that lies out of line; the caller's snapshot or transaction keeps it meanwhile. Verified when it is
    /// mapped for the first time since opening, and when `again`: that waits.
    pub(crate) fn map_large(
        &self,
        large: LargeRef,
        wait: bool,
        again: bool,
        guard: &Guard,
    ) -> Result<ValueBytes> {
        let length = usize::try_from(large.length).expect("a value fits the address space");
        if length < EXTENT_BYTES_MIN || self.follows.get().is_some() {
            // The owner of the file knows nothing of a follower's mappings.
            return self.large(large, wait, guard).map(ValueBytes::Copied);
        }
        let verified =
            (self.mapped.is_verified(large.id, large.hash) && !again) || mutant("map-unverified");
        if !verified && !wait {
            return Err(Error::WouldBlock);
        }
        let offset = large.id * self.page_bytes as u64;
        let (pin, there) = self.mapped.pin(large.id, large.span(self.page_bytes))?;
        let value = match there {
            Some(value) => value,
            None => {
                let map = self.file.map_range(offset, length);
                let map = map.map_err(|error| Error::io(PAGES_FILE, "map", &error))?;
                self.mapped.attach(pin, map)?
            }
        };
        if !verified {
            self.misses.fetch_add(1, Ordering::Relaxed);
            self.verify(&value, large)?;
            self.mapped.note_verified(large.id, large.hash);
        }
        Ok(ValueBytes::Mapped(value))
    }

    fn verify(&self, value: &MappedValue, large: LargeRef) -> Result<()> {
        let offset = large.id * self.page_bytes as u64;
        let end = offset + large.length;
        let length = self.file.len();
        if length.map_err(|error| Error::io(PAGES_FILE, "measure", &error))? < end {
            let reason = "the file ends before this value does";
            return Err(Error::corruption(PAGES_FILE, offset, reason));
        }
        let mapping = value.mapping();
        let found = long_hash::hash(value, &|part| mapping.load(part));
        let found = found.map_err(|error| Error::io(PAGES_FILE, "read", &error))?;
        if found == large.hash {
            Ok(())
        } else {
            Err(self.large_mismatch(large))
        }
    }

    /// Copies every mapped value aside, in place: nothing depends on the file any more. `closing`: nor will anything.
    pub(crate) fn detach_mapped(&self, closing: bool) -> Result<()> {
        let detached = self.mapped.detach(closing);
        detached.map_err(|error| Error::io(PAGES_FILE, "copy mapped values of", &error))
    }

    /// Writes a value to free pages; nothing refers to it yet. Its parts follow one another.
    pub(crate) fn write_large(&self, parts: &[&[u8]]) -> Result<LargeRef> {
        let length = parts.iter().map(|part| part.len() as u64).sum();
        let mut large = LargeRef {
            id: 0,
            length,
            stamp: 0,
            hash: 0,
        };
        let span = large.span(self.page_bytes);
        large.id = self.allocate(span);
        large.hash = self
            .write_parts(large.id, parts)
            .inspect_err(|_| self.release(large.id, span))?;
        Ok(large)
    }

    /// Hashes what it writes: whoever changes a part meanwhile changes both.
    fn write_parts(&self, id: u64, parts: &[&[u8]]) -> Result<u64> {
        let start = id * self.page_bytes as u64;
        let mut hash = Xxh3::new();
        let (mut done, mut begun) = (0, 0);
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let mut full = PIECE_BYTES - start as usize % PIECE_BYTES;
        let mut write = |piece: &mut Vec<u8>| -> Result<()> {
            hash.update(piece);
            self.file
                .write_at(piece, start + done)
                .map_err(|error| Error::io(PAGES_FILE, "write", &error))?;
            done += piece.len() as u64;
            piece.clear();
            if done - begun >= BEGIN_BYTES as u64 {
                self.file.begin_sync(start + begun, done - begun);
                begun = done;
            }
            Ok(())
        };
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                let count = rest.len().min(full - piece.len());
                piece.extend_from_slice(&rest[..count]);
                rest = &rest[count..];
                if piece.len() == full {
                    write(&mut piece)?;
                    full = PIECE_BYTES;
                }
            }
        }
        if !piece.is_empty() {
            write(&mut piece)?;
        }
        Ok(hash.digest())
    }
}
