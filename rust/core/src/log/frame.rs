//! One frame of a segment: a header of 48 bytes, the payload, zeros up to a multiple of 8.
//!
//! ```text
//!  0        4        8                16               24               32       36       40       44       48
//! +--------+--------+----------------+----------------+----------------+--------+--------+--------+--------+---
//! | mark   | length | first seq      | stamp          | synced         | count  | kind   | crc of | crc of | payload, padding
//! | u32    | u32    | u64            | u64            | u64            | u32    | u32    | payload| header |
//! +--------+--------+----------------+----------------+----------------+--------+--------+--------+--------+---
//! ```
//!
//! Invariants:
//!
//! 1. `mark` is a constant mixed with the segment's salt, and both checksums are seeded with the salt and the
//!    frame's offset: bytes left by an earlier use of the file, or moved within it, are never a frame.
//! 2. The checksum of the payload covers its padding and is itself covered by the checksum of the header.
//! 3. Everything before `synced` in this segment was durable before this frame was written; from
//!    `HEADER_BYTES` on it says so of all earlier segments too. 0 says nothing.
//!
//! The third is what tells a torn tail from damage: a frame that cannot be read, before the `synced` of a later
//! frame that can, was durable once.

use super::segment::HEADER_BYTES;

pub(super) const FRAME_HEADER_BYTES: u64 = 48;
/// Bytes of a switch frame: header, next segment's number and salt.
pub(super) const SWITCH_FRAME_BYTES: u64 = FRAME_HEADER_BYTES + 16;
/// Frames begin at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;

const MARK: u32 = u32::from_le_bytes(*b"GRUP");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// Transactions.
    Group = 1,
    /// The log goes on at the beginning of the segment named in the payload.
    Switch = 2,
    /// The log was closed here in good order; nothing follows.
    End = 3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub kind: FrameKind,
    pub payload_bytes: u32,
    pub first_seq: u64,
    pub stamp: u64,
    pub synced: u64,
    pub count: u32,
    pub payload_crc: u32,
}

impl FrameHeader {
    pub fn encode(&self, salt: u64, offset: u64) -> [u8; FRAME_HEADER_BYTES as usize] {
        debug_assert!(offset.is_multiple_of(ALIGNMENT) && offset >= HEADER_BYTES);
        let mut bytes = [0; FRAME_HEADER_BYTES as usize];
        bytes[0..4].copy_from_slice(&mark(salt).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.stamp.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.synced.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.count.to_le_bytes());
        bytes[36..40].copy_from_slice(&(self.kind as u32).to_le_bytes());
        bytes[40..44].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = seeded_crc(salt, offset, &[&bytes[..44]]);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header at `offset` of the segment with `salt`, or None when these bytes are not one.
    pub fn decode(bytes: &[u8], salt: u64, offset: u64) -> Option<Self> {
        let bytes = bytes.first_chunk::<{ FRAME_HEADER_BYTES as usize }>()?;
        if u32_at(bytes, 0) != mark(salt)
            || u32_at(bytes, 44) != seeded_crc(salt, offset, &[&bytes[..44]])
        {
            return None;
        }
        let kind = match u32_at(bytes, 36) {
            1 => FrameKind::Group,
            2 if u32_at(bytes, 4) == 16 => FrameKind::Switch,
            3 => FrameKind::End,
            _ => return None,
        };
        Some(Self {
            kind,
            payload_bytes: u32_at(bytes, 4),
            first_seq: u64_at(bytes, 8),
            stamp: u64_at(bytes, 16),
            synced: u64_at(bytes, 24),
            count: u32_at(bytes, 32),
            payload_crc: u32_at(bytes, 40),
        })
    }

    /// Bytes of the payload with its padding.
    pub fn padded_bytes(&self) -> u64 {
        u64::from(self.payload_bytes).next_multiple_of(ALIGNMENT)
    }

    /// Bytes of the whole frame.
    pub fn frame_bytes(&self) -> u64 {
        FRAME_HEADER_BYTES + self.padded_bytes()
    }

    /// Whether `padded` (payload and padding) is what was written.
    pub fn matches(&self, padded: &[u8], salt: u64, offset: u64) -> bool {
        seeded_crc(salt, offset, &[padded]) == self.payload_crc
            || crate::mutants::mutant("log-accept-bad-crc")
    }
}

/// Bytes of a frame with a payload of `payload_bytes`.
pub(super) fn frame_bytes(payload_bytes: u64) -> u64 {
    FRAME_HEADER_BYTES + payload_bytes.next_multiple_of(ALIGNMENT)
}

/// The mark that frames of a segment with `salt` begin with.
pub(super) fn mark(salt: u64) -> u32 {
    MARK ^ salt as u32
}

/// CRC-32 over salt, offset and the pieces.
pub(super) fn seeded_crc(salt: u64, offset: u64, pieces: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize()
}

/// The zeros that follow a payload of `payload_bytes`.
pub(super) fn padding(payload_bytes: u64) -> &'static [u8] {
    let count = payload_bytes.next_multiple_of(ALIGNMENT) - payload_bytes;
    &[0; ALIGNMENT as usize][..count as usize]
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: FrameHeader = FrameHeader {
        kind: FrameKind::Group,
        payload_bytes: 13,
        first_seq: 7,
        stamp: 1 << 41,
        synced: 4096,
        count: 3,
        payload_crc: 0xdead_beef,
    };

    #[test]
    fn a_header_comes_back_as_it_was_written() {
        let bytes = HEADER.encode(99, 8192);
        assert_eq!(FrameHeader::decode(&bytes, 99, 8192), Some(HEADER));
        assert_eq!(HEADER.frame_bytes(), 64);
    }

    #[test]
    fn a_header_is_nothing_elsewhere_or_under_another_salt() {
        let bytes = HEADER.encode(99, 8192);
        assert_eq!(FrameHeader::decode(&bytes, 99, 8200), None);
        assert_eq!(FrameHeader::decode(&bytes, 100, 8192), None);
        // The same low half of the salt: only the checksum tells.
        assert_eq!(FrameHeader::decode(&bytes, 99 | 1 << 63, 8192), None);
        assert_eq!(FrameHeader::decode(&bytes[..47], 99, 8192), None);
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        for bit in 0..48 * 8 {
            let mut bytes = HEADER.encode(99, 8192);
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::decode(&bytes, 99, 8192), None, "bit {bit}");
        }
    }
}
