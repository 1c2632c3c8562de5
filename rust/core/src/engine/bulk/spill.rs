//! Sorted entries in a temporary file.
//!
//! ```text
//! row := key length:32  payload length:32  key  payload
//! ```
//!
//! The file lives as long as its `Spilled`. Its bytes are hashed when they are written and again
//! when they are read, so that damage on the way is an error and never a wrong entry.

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3Default;

use super::file::Owned;
use crate::disk::{Disk, File};
use crate::error::{Error, Result};

/// How names of temporary files begin.
const PREFIX: &str = "bulk-";
const ROW_HEADER_BYTES: usize = 8;
/// Bytes of one write.
const WRITE_BYTES: usize = 1 << 20;

/// Removes what loads left behind that a crash ended.
pub(in crate::engine) fn remove_leftovers(disk: &dyn Disk) -> Result<()> {
    let names = disk
        .list()
        .map_err(|error| Error::io(disk.describe(), "list", &error))?;
    for name in names.iter().filter(|name| name.starts_with(PREFIX)) {
        disk.remove(name)
            .map_err(|error| Error::io(name, "remove", &error))?;
    }
    Ok(())
}

/// A temporary file of sorted entries; dropping it removes it.
pub(super) struct Spilled {
    owned: Owned,
    name: String,
    file: Arc<dyn File>,
    length: u64,
    hash: u64,
    /// How many merges made it: only files of one size are merged again.
    pub(super) height: u32,
}

impl Drop for Spilled {
    fn drop(&mut self) {
        self.owned.remove(&self.name);
    }
}

/// Writes a temporary file.
pub(super) struct SpillWriter {
    spilled: Spilled,
    buffer: Vec<u8>,
    hasher: Xxh3Default,
}

impl SpillWriter {
    /// Begins file `number` of the load that draws `stamp`.
    pub(super) fn make(owned: &Owned, stamp: u64, number: u64, height: u32) -> Result<Self> {
        let name = format!("{PREFIX}{stamp:016x}-{number}");
        let file = owned.make(&name)?;
        Ok(Self {
            spilled: Spilled {
                owned: owned.clone(),
                name,
                file,
                length: 0,
                hash: 0,
                height,
            },
            buffer: Vec::with_capacity(WRITE_BYTES),
            hasher: Xxh3Default::new(),
        })
    }

    pub(super) fn push(&mut self, key: &[u8], payload: &[u8]) -> Result<()> {
        let row = ROW_HEADER_BYTES + key.len() + payload.len();
        if self.buffer.len() + row > WRITE_BYTES {
            self.write()?;
        }
        self.buffer
            .extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.buffer
            .extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(payload);
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let Spilled {
            owned,
            name,
            file,
            length,
            ..
        } = &mut self.spilled;
        self.hasher.update(&self.buffer);
        owned.while_owned(|| {
            file.write_at(&self.buffer, *length)
                .map_err(|error| Error::io(&*name, "write", &error))
        })?;
        *length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Spilled> {
        self.write()?;
        self.spilled.hash = self.hasher.digest();
        Ok(self.spilled)
    }
}

/// Reads a temporary file from its beginning.
pub(super) struct SpillReader {
    spilled: Spilled,
    buffer: Vec<u8>,
    /// Where the bytes behind the present row begin in `buffer`.
    at: usize,
    /// Lengths of the present row's key and payload, which end at `at`.
    row: (usize, usize),
    /// Bytes of the file that were read.
    read: u64,
    hasher: Xxh3Default,
    block: usize,
}

impl SpillReader {
    /// A reader before the first row, which reads `block` bytes at a time.
    pub(super) fn open(spilled: Spilled, block: usize) -> Self {
        Self {
            spilled,
            buffer: Vec::new(),
            at: 0,
            row: (0, 0),
            read: 0,
            hasher: Xxh3Default::new(),
            block,
        }
    }

    /// Steps to the next row; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        if !self.fill(ROW_HEADER_BYTES)? {
            return self.end();
        }
        let number = |at: usize| {
            let bytes = self.buffer[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes) as usize
        };
        let (key, payload) = (number(self.at), number(self.at + 4));
        let length = ROW_HEADER_BYTES + key + payload;
        if !self.fill(length)? {
            return Err(self.damaged());
        }
        self.row = (key, payload);
        self.at += length;
        Ok(true)
    }

    /// Makes the next `length` bytes available; false when there are not so many.
    #[inline]
    fn fill(&mut self, length: usize) -> Result<bool> {
        if self.at + length <= self.buffer.len() {
            return Ok(true);
        }
        self.read_more(length)?;
        Ok(length <= self.buffer.len())
    }

    fn read_more(&mut self, length: usize) -> Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let old = self.buffer.len();
        let left = self.spilled.length - self.read;
        let more = (self.block.max(length - old) as u64).min(left) as usize;
        self.buffer.resize(old + more, 0);
        let Spilled { file, name, .. } = &self.spilled;
        file.read_at(&mut self.buffer[old..], self.read)
            .map_err(|error| Error::io(name, "read", &error))?;
        self.hasher.update(&self.buffer[old..]);
        self.read += more as u64;
        Ok(())
    }

    fn end(&self) -> Result<bool> {
        if self.at < self.buffer.len() || self.hasher.digest() != self.spilled.hash {
            return Err(self.damaged());
        }
        Ok(false)
    }

    fn damaged(&self) -> Error {
        let reason = "a temporary file of a bulk load is not what was written to it";
        Error::corruption(&self.spilled.name, self.read, reason)
    }

    pub(super) fn key(&self) -> &[u8] {
        let (key, payload) = self.row;
        &self.buffer[self.at - payload - key..self.at - payload]
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.buffer[self.at - self.row.1..self.at]
    }
}
