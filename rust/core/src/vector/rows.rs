//! The entries of a vector store.
//!
//! ```text
//! 10 key                  -> number                      where the vector of a key is
//! 20 number               -> ride-along: record          a vector: its elements, little-endian
//!                            value: elements [record]
//! 40 commit ordinal       -> number                      tombstone: this commit deleted that vector
//! 50 segment (u64)        -> descriptor                  a derived file (see `segment`)
//! 60                      -> commit (u64)                newest tombstone that was ever purged
//! number := commit (u64) ordinal (u32), big-endian
//! record := msgpack [key: bin, payload: map or nil]
//! ```
//!
//! Commits in numbers and tombstones are stamped: FF until the transaction commits. A record that does not fit the
//! ride-along part of an entry follows the elements in the value, and the ride-along part is empty.

use crate::error::{Error, Result};
use crate::limits::META_BYTES_MAX;

pub(super) const KEY: u8 = 0x10;
pub(super) const VECTOR: u8 = 0x20;
pub(super) const TOMBSTONE: u8 = 0x40;
pub(super) const PURGED: [u8; 1] = [0x60];

/// Commit of a row that is not committed yet.
pub(super) const PROVISIONAL: u64 = u64::MAX;

/// The number of a vector, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Number {
    /// Commit that added it.
    pub(super) seq: u64,
    /// Which of that commit.
    pub(super) ordinal: u32,
}

impl Number {
    pub(super) const BYTES: usize = 12;
    /// Below every vector's.
    pub(super) const FIRST: Self = Self { seq: 0, ordinal: 0 };

    pub(super) fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.seq.to_be_bytes());
        bytes[8..].copy_from_slice(&self.ordinal.to_be_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let (seq, ordinal) = bytes.split_at(8);
        Some(Self {
            seq: u64::from_be_bytes(seq.try_into().ok()?),
            ordinal: u32::from_be_bytes(ordinal.try_into().ok()?),
        })
    }

    /// The number behind this one.
    pub(super) fn next(self) -> Self {
        match self.ordinal.checked_add(1) {
            Some(ordinal) => Self { ordinal, ..self },
            None => Self {
                seq: self.seq.saturating_add(1),
                ordinal: 0,
            },
        }
    }
}

/// The row of a key.
pub(super) fn key_row(key: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(1 + key.len());
    row.push(KEY);
    row.extend_from_slice(key);
    row
}

/// The row of family `family` with that number.
pub(super) fn numbered_row(family: u8, number: Number) -> [u8; 1 + Number::BYTES] {
    let mut row = [family; 1 + Number::BYTES];
    row[1..].copy_from_slice(&number.encode());
    row
}

/// The number in the key of a vector's row or a tombstone.
pub(super) fn number_of_row(row: &[u8]) -> Result<Number> {
    let number = row.get(1..).and_then(Number::decode);
    number.ok_or_else(|| malformed("a row's key has no number"))
}

/// The number in the value of a key's row or a tombstone.
pub(super) fn number_of_value(value: &[u8]) -> Result<Number> {
    Number::decode(value).ok_or_else(|| malformed("a row's value is no number"))
}

pub(super) fn malformed(reason: &str) -> Error {
    Error::corruption("a vector store", 0, reason)
}

/// Packs key and payload; nil when there is no payload.
pub(super) fn encode_record(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(6 + key.len() + payload.len().max(1));
    out.push(0x92);
    match key.len() {
        length @ 0..=0xff => out.extend_from_slice(&[0xc4, length as u8]),
        length => {
            out.push(0xc5);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(key);
    if payload.is_empty() {
        out.push(0xc0);
    } else {
        out.extend_from_slice(payload);
    }
    out
}

/// Key and payload (packed nil when there is none).
pub(super) fn decode_record(record: &[u8]) -> Result<(&[u8], &[u8])> {
    let take = || {
        let rest = record.strip_prefix(&[0x92])?;
        let (length, rest) = match rest {
            [0xc4, length, rest @ ..] => (usize::from(*length), rest),
            [0xc5, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            _ => return None,
        };
        rest.split_at_checked(length)
    };
    take().ok_or_else(|| malformed("a vector's record is not well formed"))
}

/// Ride-along part and value of a vector's row.
pub(super) fn split_record(elements: &[u8], record: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    if record.len() <= META_BYTES_MAX {
        return (record, elements.to_vec());
    }
    let mut value = elements.to_vec();
    value.extend_from_slice(&record);
    (Vec::new(), value)
}

/// Elements and record of a vector's row.
pub(super) fn join_record<'a>(
    meta: &'a [u8],
    value: &'a [u8],
    row_bytes: usize,
) -> Result<(&'a [u8], &'a [u8])> {
    let (elements, rest) = value
        .split_at_checked(row_bytes)
        .ok_or_else(|| malformed("a vector is too short for its store"))?;
    match (meta.is_empty(), rest.is_empty()) {
        (false, true) => Ok((elements, meta)),
        (true, false) => Ok((elements, rest)),
        _ => Err(malformed("a vector's record is not where it belongs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_wherever_they_lie() {
        for (key, payload) in [(0, 0), (1, 3), (255, 700), (256, 1000), (7999, 5000)] {
            let (key, payload) = (vec![7; key], vec![0x81; payload]);
            let (meta, value) = split_record(b"elements", encode_record(&key, &payload));
            assert_eq!(meta.is_empty(), key.len() + payload.len() > 1018);
            let (elements, record) = join_record(&meta, &value, 8).unwrap();
            assert_eq!(elements, b"elements");
            let (found, packed) = decode_record(record).unwrap();
            assert_eq!(found, key);
            assert_eq!(
                packed,
                if payload.is_empty() {
                    &[0xc0]
                } else {
                    &payload[..]
                }
            );
        }
        assert!(decode_record(&[0x92, 0xc4, 3, 1]).is_err());
        assert!(join_record(b"", b"elements", 8).is_err());
        assert!(join_record(b"m", b"element", 8).is_err());
    }
}
