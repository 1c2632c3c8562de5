//! Segment files: their names and their first block.
//!
//! ```text
//!  0          8        12       16        24        32              40         48               64      68
//! +----------+--------+--------+---------+---------+---------------+----------+----------------+-------+-----+
//! | magic    | format | header | number  | salt    | salt of the   | capacity | database       | zero  | crc |
//! | SOPALOG\n| u32    | bytes  | u64     | u64     | segment before| u64      | u128           | u32   | u32 |
//! +----------+--------+--------+---------+---------+---------------+----------+----------------+-------+-----+
//! ```
//!
//! The first block is `HEADER_BYTES` long so that no sector of it is ever rewritten with a frame.
//!
//! Invariants:
//!
//! 1. A file gets its name `log-…` only after its header was synced: a `log-…` file with a bad header is damaged.
//! 2. A header is written with a fresh random salt each time the file is put to use.

use std::io::ErrorKind;
use std::sync::Arc;

use super::frame::{u32_at, u64_at};
use crate::disk::{Disk, File};
use crate::{Error, Result};

/// Frames begin here.
pub(super) const HEADER_BYTES: u64 = 4096;
/// The format this version writes, and the newest it reads.
pub(super) const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"SOPALOG\n";
const ENCODED_BYTES: usize = 72;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub number: u64,
    pub salt: u64,
    pub previous_salt: u64,
    /// Length of the file: no frame reaches beyond it.
    pub capacity: u64,
    pub database_id: u128,
}

/// An open segment.
#[derive(Clone)]
pub(super) struct Segment {
    pub header: SegmentHeader,
    pub name: String,
    pub file: Arc<dyn File>,
}

impl SegmentHeader {
    /// The whole first block.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&(HEADER_BYTES as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.previous_salt.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.capacity.to_le_bytes());
        bytes[48..64].copy_from_slice(&self.database_id.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..68]);
        bytes[68..72].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads and checks the header of `file`; `path` is for messages.
    pub fn read(file: &dyn File, path: &str) -> Result<Self> {
        let mut bytes = [0; ENCODED_BYTES];
        file.read_at(&mut bytes, 0).map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                Error::corruption(path, 0, "the file ends within the header of the segment")
            } else {
                Error::io(path, "read", &error)
            }
        })?;
        if bytes[..8] != MAGIC {
            return Err(Error::corruption(path, 0, "this is not a log segment"));
        }
        if u32_at(&bytes, 68) != crc32fast::hash(&bytes[..68]) {
            return Err(Error::corruption(
                path,
                0,
                "the header of the segment does not match its checksum",
            ));
        }
        // After the checksum, so that a flipped bit is not taken for a newer version.
        if u32_at(&bytes, 8) != FORMAT {
            return Err(Error::UnsupportedFormat {
                file: path.to_owned(),
                found: u32_at(&bytes, 8),
                supported: FORMAT,
            });
        }
        Ok(Self {
            number: u64_at(&bytes, 16),
            salt: u64_at(&bytes, 24),
            previous_salt: u64_at(&bytes, 32),
            capacity: u64_at(&bytes, 40),
            database_id: u128::from_le_bytes(bytes[48..64].try_into().expect("sixteen bytes")),
        })
    }
}

impl Segment {
    /// Opens segment `number` and checks that it is that segment of that database.
    pub fn open(disk: &dyn Disk, number: u64, database_id: u128, write: bool) -> Result<Self> {
        let mut name = segment_name(number);
        let mut file = if write {
            disk.open(&name, false)
        } else {
            disk.open_read_only(&name)
        };
        if !write && matches!(&file, Err(error) if error.kind() == ErrorKind::NotFound) {
            // Given up by the log, perhaps at this moment, and kept for those who read changes.
            name = kept_name(number);
            file = disk.open_read_only(&name);
        }
        let path = path_of(disk, &name);
        let file = file.map_err(|error| Error::io(&path, "open", &error))?;
        let header = SegmentHeader::read(&*file, &path)?;
        if header.database_id != database_id {
            return Err(Error::corruption(
                path,
                48,
                "the segment belongs to another database",
            ));
        }
        if header.number != number {
            let reason = format!("the file holds segment {} of the log", header.number);
            return Err(Error::corruption(path, 16, reason));
        }
        Ok(Self { header, name, file })
    }
}

/// `log-` and the number in 16 hexadecimal digits, so that names sort as numbers.
pub(super) fn segment_name(number: u64) -> String {
    format!("log-{number:016x}")
}

/// Name of a new file until it is a segment.
pub(super) const NEW_NAME: &str = "spare-new";

/// Name of an emptied segment that is kept for reuse.
pub(super) fn spare_name(number: u64) -> String {
    format!("spare-{number:016x}")
}

/// Name of a segment that the log has given up and that is kept for those who read changes.
pub(super) fn kept_name(number: u64) -> String {
    format!("kept-{number:016x}")
}

/// The number in a kept segment's name.
pub(super) fn kept_number(name: &str) -> Option<u64> {
    number_after("kept-", name)
}

/// The number in a segment's name.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    number_after("log-", name)
}

/// The number in a spare's name.
pub(super) fn spare_number(name: &str) -> Option<u64> {
    number_after("spare-", name)
}

/// The numbers of all segments of the log, ascending.
pub(super) fn list_segments(disk: &dyn Disk) -> Result<Vec<u64>> {
    list(disk, segment_number)
}

/// The numbers of the segments that are kept for those who read changes, ascending.
pub(super) fn list_kept(disk: &dyn Disk) -> Result<Vec<u64>> {
    list(disk, kept_number)
}

fn list(disk: &dyn Disk, number_of: impl Fn(&str) -> Option<u64>) -> Result<Vec<u64>> {
    let names = disk
        .list()
        .map_err(|error| Error::io(disk.describe(), "list", &error))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Folder and name, for messages.
pub(super) fn path_of(disk: &dyn Disk, name: &str) -> String {
    format!("{}/{name}", disk.describe())
}

fn number_after(prefix: &str, name: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?;
    (digits.len() == 16)
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}
