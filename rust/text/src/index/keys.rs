//! Keys of a text store's rows. The first byte is the family; numbers are big-endian.
//!
//! ```text
//! 10 name                          a document                       (written by the store, not by the index)
//! 20 document                      what is long of it               (as above)
//! 30 seq [version]                 delta                            see `delta`; of several commits, the last's, with a version
//! 40                               manifest                         see `manifest`
//! 41 field term                    term                             see `term`
//! 42 field term first-slot         chunk of postings                see `chunk`
//! 43 field term first-slot         its positions
//! 44 slot / 256                    documents of these slots         see `documents`
//! 45 slot / 4096                   which of these slots are dead: 4096 bits
//! 46 document                      the first slot of its part of the table of documents
//! 47 first-slot piece              the words of some documents      see `forward`; in stores that keep no texts
//! 48 slot / 32                     the names of these documents     see `names`
//! ```
//! A document is its commit's number (8 bytes) and its ordinal there (4 bytes); its name is the key its user gave it.

use super::failure::{Failure, Result};

pub(crate) const DELTA: u8 = 0x30;
pub(crate) const MANIFEST: u8 = 0x40;
pub(crate) const TERM: u8 = 0x41;
pub(crate) const CHUNK: u8 = 0x42;
pub(crate) const POSITIONS: u8 = 0x43;
pub(crate) const DOCUMENTS: u8 = 0x44;
pub(crate) const DEAD: u8 = 0x45;
pub(crate) const STARTS: u8 = 0x46;
pub(crate) const FORWARD: u8 = 0x47;
pub(crate) const NAMES: u8 = 0x48;

/// A document: the commit that brought it and its place there. Own documents of an open transaction have [`DocumentId::OWN`] as their commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId {
    /// Number of the commit.
    pub seq: u64,
    /// Its place in the commit.
    pub ordinal: u32,
}

impl DocumentId {
    /// The commit of what is not committed.
    pub const OWN: u64 = u64::MAX;

    /// Twelve bytes in the order of documents.
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.seq.to_be_bytes());
        bytes[8..].copy_from_slice(&self.ordinal.to_be_bytes());
        bytes
    }

    /// The document of these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bytes: &[u8; 12] = bytes
            .try_into()
            .map_err(|_| Failure::Malformed("a document's number has not twelve bytes"))?;
        let (seq, ordinal) = bytes.split_at(8);
        Ok(Self {
            seq: u64::from_be_bytes(seq.try_into().expect("eight bytes")),
            ordinal: u32::from_be_bytes(ordinal.try_into().expect("four bytes")),
        })
    }
}

/// A term of a field: the field's number, then the term.
pub(crate) fn word(field: u8, term: &[u8]) -> Vec<u8> {
    let mut word = Vec::with_capacity(term.len() + 1);
    word.push(field);
    word.extend_from_slice(term);
    word
}

/// The key of the delta of a commit.
pub fn delta_key(seq: u64) -> Vec<u8> {
    with(DELTA, &seq.to_be_bytes())
}

/// The key of a delta that maintenance made at this version of the manifest, with documents up to those of a commit.
pub fn combined_key(seq: u64, version: u64) -> Vec<u8> {
    DeltaId {
        seq,
        combined: version,
    }
    .key()
}

/// Which delta: the last commit in it, and for one that maintenance combined of several, the manifest's version then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeltaId {
    pub(crate) seq: u64,
    pub(crate) combined: u64,
}

impl DeltaId {
    pub(crate) fn key(self) -> Vec<u8> {
        let mut key = delta_key(self.seq);
        if self.combined > 0 {
            key.extend_from_slice(&self.combined.to_be_bytes());
        }
        key
    }

    pub(crate) fn of(key: &[u8]) -> Result<Self> {
        let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
        // The family is whatever the rows make of it.
        match key {
            [_, seq @ ..] if seq.len() == 8 => Ok(Self {
                seq: number(seq),
                combined: 0,
            }),
            [_, both @ ..] if both.len() == 16 => Ok(Self {
                seq: number(&both[..8]),
                combined: number(&both[8..]),
            }),
            _ => Err(Failure::Malformed("a delta's key has an impossible length")),
        }
    }
}

pub(crate) fn with(family: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(rest.len() + 5);
    key.push(family);
    key.extend_from_slice(rest);
    key
}

pub(crate) fn with_slot(family: u8, word: &[u8], first: u32) -> Vec<u8> {
    let mut key = with(family, word);
    key.extend_from_slice(&first.to_be_bytes());
    key
}
