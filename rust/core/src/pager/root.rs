//! The root slots: where a checkpoint begins to count.
//!
//! ```text
//! byte     0      4096     8192     12288    16384
//!          | slot A | slot B | slot A | slot B | pages ...
//!
//! slot:  magic 16 | format 4 | page bytes 4 | database id 16 | generation 8 | number 8 | stamp 8
//!        | seq 8 | log segment 8 | log offset 8 | catalogue page 8 | length 8 | hash 8 | checksum 8
//! ```
//!
//! Invariants
//! R1  A root is written only after everything it reaches was synced, and to the slot that does
//!     not hold the newest one, so a torn write leaves the older root whole.
//! R2  Each slot is kept twice: damage to one copy loses nothing.
//! R3  Pages and log that the newest durable root needs are kept; those of older roots are not.

use xxhash_rust::xxh3::xxh3_64;

use super::PAGES_FILE;
use crate::disk::File;
use crate::error::{Error, Result};
use crate::log::LogPosition;
use crate::mutants::mutant;
use crate::wire::{Put, Take};

/// Bytes at the start of the page file that hold no pages.
pub(crate) const RESERVED_BYTES: usize = 16_384;
/// Version of the page file's format.
pub(crate) const FORMAT: u32 = 1;

const MAGIC: &[u8; 16] = b"sopasync pages\r\n";
/// Copies of roots in the file: two of each slot.
pub(crate) const COPIES: u64 = 4;
/// Distance between the copies.
pub(crate) const COPY_BYTES: u64 = 4096;
const ROOT_BYTES: usize = 16 + 4 + 4 + 16 + 10 * 8;

/// One checkpoint, as its slot has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) page_bytes: u32,
    pub(crate) database_id: u128,
    /// Counts the openings for writing: part of every stamp.
    pub(crate) generation: u64,
    /// Counts the roots: the newest valid one holds.
    pub(crate) number: u64,
    pub(crate) stamp: u64,
    pub(crate) seq: u64,
    pub(crate) log: LogPosition,
    /// First page, length and hash of the catalogue; no pages when the length is 0.
    pub(crate) catalogue: (u64, u64, u64),
}

impl Root {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(COPY_BYTES as usize);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&self.page_bytes.to_le_bytes());
        out.extend_from_slice(&self.database_id.to_le_bytes());
        let (page, length, hash) = self.catalogue;
        let log = [self.log.segment, self.log.offset];
        for field in [self.generation, self.number, self.stamp, self.seq]
            .into_iter()
            .chain(log)
            .chain([page, length, hash])
        {
            out.put_u64(field);
        }
        out.put_u64(xxh3_64(&out));
        assert_eq!(out.len(), ROOT_BYTES);
        // Whole copies, so that no older bytes stay behind a new root.
        out.resize(COPY_BYTES as usize, 0);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Option<Self>> {
        let (content, checksum) = bytes[..ROOT_BYTES].split_at(ROOT_BYTES - 8);
        let mut take = Take::new(content);
        if xxh3_64(content).to_le_bytes() != checksum || take.raw(16) != Some(MAGIC) {
            return Ok(None);
        }
        let mut u32 = || Some(u32::from_le_bytes(take.raw(4)?.try_into().ok()?));
        let (format, page_bytes) = (u32().unwrap_or(0), u32().unwrap_or(0));
        if format != FORMAT {
            return Err(Error::UnsupportedFormat {
                file: PAGES_FILE.to_owned(),
                found: format,
                supported: FORMAT,
            });
        }
        if !crate::limits::is_page_bytes(page_bytes as usize) {
            return Ok(None);
        }
        let id = take.raw(16).expect("the slot's length is fixed");
        let database_id = u128::from_le_bytes(id.try_into().expect("sixteen bytes"));
        let mut next = || take.u64().expect("the slot's length is fixed");
        Ok(Some(Self {
            page_bytes,
            database_id,
            generation: next(),
            number: next(),
            stamp: next(),
            seq: next(),
            log: LogPosition {
                segment: next(),
                offset: next(),
            },
            catalogue: (next(), next(), next()),
        }))
    }

    /// Writes both copies to the slot of this root's number. The caller syncs.
    pub(crate) fn write(&self, file: &dyn File) -> Result<()> {
        let bytes = self.encode();
        let slot = if mutant("root-in-one-slot") {
            0
        } else {
            self.number % 2
        };
        let first = slot * COPY_BYTES;
        for offset in [first, first + 2 * COPY_BYTES] {
            file.write_at(&bytes, offset)
                .map_err(|e| Error::io(PAGES_FILE, "write", &e))?;
        }
        Ok(())
    }

    /// The root in copy `copy` of `COPIES`; None when it is not valid.
    pub(crate) fn read_copy(file: &dyn File, copy: u64) -> Result<Option<Self>> {
        let mut bytes = vec![0; COPY_BYTES as usize];
        match file.read_at(&mut bytes, copy * COPY_BYTES) {
            Ok(()) => Self::decode(&bytes),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(Error::io(PAGES_FILE, "read", &error)),
        }
    }

    /// Do both copies of its slot hold this root? A crash may have left one of them behind (R2).
    pub(crate) fn is_kept_twice(&self, file: &dyn File) -> Result<bool> {
        let first = self.number % 2;
        Ok(Self::read_copy(file, first)? == Some(*self)
            && Self::read_copy(file, first + 2)? == Some(*self))
    }

    /// The newest valid root.
    pub(crate) fn read_newest(file: &dyn File) -> Result<Self> {
        let mut newest: Option<Self> = None;
        let mut unsupported = None;
        for copy in 0..COPIES {
            match Self::read_copy(file, copy) {
                Err(error @ Error::Io { .. }) => return Err(error),
                Ok(Some(root)) if newest.is_none_or(|other| other.number < root.number) => {
                    newest = Some(root);
                }
                Ok(_) => {}
                Err(error) => unsupported = Some(error),
            }
        }
        match (newest, unsupported) {
            (_, Some(error)) => Err(error),
            (Some(root), None) => Ok(root),
            (None, None) => Err(Error::corruption(
                PAGES_FILE,
                0,
                "none of the four root copies is valid",
            )),
        }
    }
}
