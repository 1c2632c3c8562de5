//! The bytes of a segment file.
//!
//! ```text
//!  0                  16       20       21       22     23     24          28      32     40     48      56       64    120      128
//! +------------------+--------+--------+--------+------+------+-----------+-------+------+------+-------+--------+-----+--------+
//! | magic            | format | metric | element| kind | 0    | dimension | count | lo   | hi   | store | number | 0   |checksum|
//! | sopasync segment | u32    | u8     | u8     | u8   |      | u32       | u32   | u64  | u64  | u64   | u64    |     | u64    |
//! +------------------+--------+--------+--------+------+------+-----------+-------+------+------+-------+--------+-----+--------+
//! | sections, each from the next multiple of 64 bytes, with zeros between                                                     |
//! +---------------------------------------------------------------------------------------------------------------------------+
//! | table: of each section, in the order of the file:  section u64 · offset u64 · length u64 · checksum u64                     |
//! +------------------+--------------+----------+----+----------------+-------------+----+-------------------------------------+
//! | magic            | table offset | sections | 0  | table checksum | file length | 0  | checksum                            |
//! | sopasync the end | u64          | u32      | u32| u64            | u64         | u64| u64                                 |
//! +------------------+--------------+----------+----+----------------+-------------+----+-------------------------------------+
//!  0                  16             24         28   32               40            48   56
//! ```
//!
//! Numbers are little-endian. Checksums are xxh3-64: of the head's and the tail's bytes before their own, of the table, of a
//! section without the zeros behind it.
//!
//! Invariants:
//! X1. Every byte of the file is covered by a checksum, or is a zero that is looked at.
//! X2. Sections do not overlap, lie in the order of the table, and are each there at most once.
//! X3. Vids ascend strictly, and lo < seq <= hi.
//! X4. The tail is written last: a file without it is not taken for a segment.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use super::error::SegmentError;
use crate::graph::ROWS_MAX;
use crate::space::{Element, Metric, Space};

/// The format written and read here.
pub const FORMAT: u32 = 1;

pub(super) const MAGIC: &[u8; 16] = b"sopasync segment";
pub(super) const MAGIC_TAIL: &[u8; 16] = b"sopasync the end";
pub(super) const HEAD_BYTES: usize = 128;
pub(super) const ENTRY_BYTES: usize = 32;
pub(super) const TAIL_BYTES: usize = 64;

/// Sections, table and tail begin at multiples of this: a cache line.
pub(super) const ALIGN: u64 = 64;

/// Sections of a file, at most.
pub(super) const SECTIONS_MAX: usize = 64;

/// The name of a row that is never given to another: when it was committed, and its place within that commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vid {
    /// The number of the commit.
    pub seq: u64,
    /// The place within the commit.
    pub ordinal: u32,
}

/// How a segment is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// By looking at its rows or their codes.
    Flat,
    /// By our own graph.
    Hnsw,
    /// By a graph of the usearch library.
    Usearch,
}

/// What a part of the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// u64 of each row: its commit.
    Seqs,
    /// u32 of each row: its ordinal.
    Ordinals,
    /// The prepared rows.
    Rows,
    /// Codes of the rows, for scans.
    Codes,
    /// The graph.
    Graph,
    /// Columns of the payloads.
    Payload,
    /// Keys and short payloads, for hits.
    Records,
    /// Codes of the rows in equal steps, for exact searches.
    Steps,
}

impl Section {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Seqs,
        Self::Ordinals,
        Self::Rows,
        Self::Codes,
        Self::Graph,
        Self::Payload,
        Self::Records,
        Self::Steps,
    ];

    pub(super) fn number(self) -> u32 {
        self as u32 + 1
    }

    pub(super) fn of_number(number: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|section| section.number() == number)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Seqs => "seqs",
            Self::Ordinals => "ordinals",
            Self::Rows => "rows",
            Self::Codes => "codes",
            Self::Graph => "graph",
            Self::Payload => "payload",
            Self::Records => "records",
            Self::Steps => "steps",
        })
    }
}

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Of its rows.
    pub space: Space,
    /// How it is searched.
    pub kind: Kind,
    /// How many rows it has.
    pub count: u32,
    /// Every row's seq is above this,
    pub lo: u64,
    /// and at most this.
    pub hi: u64,
    /// The store it belongs to, so that a file of another one is not taken for it.
    pub store: u64,
    /// Its number within the store.
    pub number: u64,
}

const METRICS: [Metric; 4] = [
    Metric::Cosine,
    Metric::InnerProduct,
    Metric::L2,
    Metric::Hamming,
];
const ELEMENTS: [Element; 4] = [Element::F32, Element::F16, Element::I8, Element::Bits];
const KINDS: [Kind; 3] = [Kind::Flat, Kind::Hnsw, Kind::Usearch];

fn number_in<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter()
        .position(|other| other == one)
        .map_or(0, |at| at as u8)
}

impl Head {
    pub(super) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut out = [0; HEAD_BYTES];
        out[..16].copy_from_slice(MAGIC);
        out[16..20].copy_from_slice(&FORMAT.to_le_bytes());
        out[20] = number_in(&METRICS, &self.space.metric());
        out[21] = number_in(&ELEMENTS, &self.space.element());
        out[22] = number_in(&KINDS, &self.kind);
        out[24..28].copy_from_slice(&(self.space.dimension() as u32).to_le_bytes());
        out[28..32].copy_from_slice(&self.count.to_le_bytes());
        for (at, number) in [
            (32, self.lo),
            (40, self.hi),
            (48, self.store),
            (56, self.number),
        ] {
            out[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        seal(&mut out);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, SegmentError> {
        let damaged = |what| SegmentError::Frame { what };
        if bytes.len() < 16 || bytes[..16] != *MAGIC {
            return Err(SegmentError::NoSegment);
        }
        let head = bytes
            .get(..HEAD_BYTES)
            .ok_or(SegmentError::Truncated { found: bytes.len() })?;
        // The format comes first: another one may have its checksum elsewhere.
        let format = u32_at(head, 16);
        if format != FORMAT {
            return Err(SegmentError::Format { found: format });
        }
        if !is_sealed(head) {
            return Err(damaged("the checksum of its head is wrong"));
        }
        let known = (
            METRICS.get(usize::from(head[20])),
            ELEMENTS.get(usize::from(head[21])),
            KINDS.get(usize::from(head[22])),
        );
        let (Some(&metric), Some(&element), Some(&kind)) = known else {
            return Err(damaged(
                "its head names a metric, element or kind that is not known",
            ));
        };
        let space = Space::new(metric, element, u32_at(head, 24) as usize);
        let head = Self {
            space: space.map_err(|_| damaged("its head names a space that is not possible"))?,
            kind,
            count: u32_at(head, 28),
            lo: u64_at(head, 32),
            hi: u64_at(head, 40),
            store: u64_at(head, 48),
            number: u64_at(head, 56),
        };
        if head.lo > head.hi || head.count as usize > ROWS_MAX {
            return Err(damaged("a number in its head is out of range"));
        }
        Ok(head)
    }

    /// Bytes a section has to have, where the head says so.
    pub(super) fn length_of(&self, section: Section) -> Option<u64> {
        let each = match section {
            Section::Seqs => 8,
            Section::Ordinals => 4,
            Section::Rows => self.space.prepared_bytes(),
            Section::Codes
            | Section::Graph
            | Section::Payload
            | Section::Records
            | Section::Steps => return None,
        };
        Some(u64::from(self.count) * each as u64)
    }
}

/// A section's place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: Section,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) checksum: u64,
}

impl Entry {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&u64::from(self.section.number()).to_le_bytes());
        for number in [self.offset, self.length, self.checksum] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let number = u32::try_from(u64_at(bytes, 0)).ok()?;
        Some(Self {
            section: Section::of_number(number)?,
            offset: u64_at(bytes, 8),
            length: u64_at(bytes, 16),
            checksum: u64_at(bytes, 24),
        })
    }
}

/// The end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) table_offset: u64,
    pub(super) sections: u32,
    pub(super) table_checksum: u64,
    pub(super) file_length: u64,
}

impl Tail {
    pub(super) fn encode(&self) -> [u8; TAIL_BYTES] {
        let mut out = [0; TAIL_BYTES];
        out[..16].copy_from_slice(MAGIC_TAIL);
        out[16..24].copy_from_slice(&self.table_offset.to_le_bytes());
        out[24..28].copy_from_slice(&self.sections.to_le_bytes());
        out[32..40].copy_from_slice(&self.table_checksum.to_le_bytes());
        out[40..48].copy_from_slice(&self.file_length.to_le_bytes());
        seal(&mut out);
        out
    }

    /// The tail of a whole file; none when this is not the end of one.
    pub(super) fn decode(file: &[u8]) -> Option<Self> {
        let at = file.len().checked_sub(TAIL_BYTES)?;
        let tail = &file[at..];
        if tail[..16] != *MAGIC_TAIL || !is_sealed(tail) {
            return None;
        }
        Some(Self {
            table_offset: u64_at(tail, 16),
            sections: u32_at(tail, 24),
            table_checksum: u64_at(tail, 32),
            file_length: u64_at(tail, 40),
        })
    }
}

/// Put the checksum of everything before the last eight bytes there.
fn seal(bytes: &mut [u8]) {
    let at = bytes.len() - 8;
    let checksum = xxh3_64(&bytes[..at]);
    bytes[at..].copy_from_slice(&checksum.to_le_bytes());
}

fn is_sealed(bytes: &[u8]) -> bool {
    let at = bytes.len() - 8;
    xxh3_64(&bytes[..at]) == u64_at(bytes, at)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..]
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
