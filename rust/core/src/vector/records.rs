//! The records of vectors that lie together, by their slots: what a search tells of a hit without reading its row.
//!
//! ```text
//! section := end: u64 of each slot, little-endian   then the records, one after the other
//! record  := as in the vector's row (see `rows`)    up to RECORD_BYTES_MAX
//!          | msgpack [key: bin]                     the payload is in the row alone
//!          | nothing                                both are
//! ```
//!
//! A row is written once (V1), so what is kept here is what the row has.

use super::rows::{decode_record, malformed};
use crate::error::Result;

/// Longer records leave their payloads in the rows, so that texts in payloads do not fill memory and segments.
const RECORD_BYTES_MAX: usize = 512;

/// Where the parts of a record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept<'a> {
    /// Key and packed payload.
    Whole(&'a [u8], &'a [u8]),
    /// The key; the payload is in the row.
    Key(&'a [u8]),
    /// In the row.
    Nothing,
}

/// Records in a section, or of a growing list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Records<'a> {
    ends: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    /// Those of a section, for so many slots. A reason when it cannot be theirs; no section is one without records.
    pub(super) fn open(section: &'a [u8], slots: usize) -> std::result::Result<Self, String> {
        if section.is_empty() {
            return Ok(Self::default());
        }
        let wrong = || "its records do not fit its vectors".to_owned();
        let (ends, bytes) = section.split_at_checked(slots * 8).ok_or_else(wrong)?;
        let records = Self { ends, bytes };
        let mut before = 0;
        for slot in 0..slots {
            let end = records.end(slot);
            if end < before {
                return Err(wrong());
            }
            before = end;
        }
        (before == bytes.len()).then_some(records).ok_or_else(wrong)
    }

    /// The same for a section that `open` has looked at.
    pub(super) fn of_opened(section: &'a [u8], slots: usize) -> Self {
        let (ends, bytes) = section.split_at(section.len().min(slots * 8));
        Self { ends, bytes }
    }

    fn end(&self, slot: usize) -> usize {
        let end = self.ends[slot * 8..].first_chunk().expect("eight bytes");
        u64::from_le_bytes(*end) as usize
    }

    /// The bytes kept for a slot.
    pub(super) fn get(&self, slot: u32) -> &'a [u8] {
        if self.ends.is_empty() {
            return &[];
        }
        let slot = slot as usize;
        let start = slot.checked_sub(1).map_or(0, |before| self.end(before));
        &self.bytes[start..self.end(slot)]
    }

    /// What is known of the vector at a slot.
    pub(super) fn kept(&self, slot: u32) -> Result<Kept<'a>> {
        Kept::of(self.get(slot))
    }
}

impl<'a> Kept<'a> {
    /// What the bytes kept for a slot tell.
    pub(super) fn of(record: &'a [u8]) -> Result<Self> {
        match record {
            [] => Ok(Kept::Nothing),
            [0x91, 0xc4, length, key @ ..] if key.len() == usize::from(*length) => {
                Ok(Kept::Key(key))
            }
            record @ [0x92, ..] => decode_record(record).map(|(key, rest)| Kept::Whole(key, rest)),
            _ => Err(malformed("a vector's kept record is not well formed")),
        }
    }
}

/// Records that are gathered slot by slot.
#[derive(Debug, Default)]
pub(super) struct RecordList {
    ends: Vec<u8>,
    bytes: Vec<u8>,
}

impl RecordList {
    /// Adds the record of the next slot, or what is kept of it.
    pub(super) fn push(&mut self, record: &[u8]) -> Result<()> {
        if record.len() <= RECORD_BYTES_MAX {
            self.bytes.extend_from_slice(record);
        } else {
            let (key, _) = decode_record(record)?;
            if let Ok(length) = u8::try_from(key.len()) {
                self.bytes.extend_from_slice(&[0x91, 0xc4, length]);
                self.bytes.extend_from_slice(key);
            }
        }
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        let end = self.bytes.len() as u64;
        self.ends.extend_from_slice(&end.to_le_bytes());
    }

    pub(super) fn lend(&self) -> Records<'_> {
        Records {
            ends: &self.ends,
            bytes: &self.bytes,
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.ends.capacity() + self.bytes.capacity()
    }
}

/// Writes the section for some slots of several parts, in that order, without gathering it in memory.
pub(super) fn write_section<E>(
    parts: &[(Records<'_>, impl Iterator<Item = u32> + Clone)],
    mut write: impl FnMut(&[u8]) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let each = || {
        parts
            .iter()
            .flat_map(|(records, slots)| slots.clone().map(move |slot| records.get(slot)))
    };
    let mut buffer = Vec::with_capacity(BUFFER_BYTES + RECORD_BYTES_MAX);
    let mut end = 0_u64;
    for record in each() {
        end += record.len() as u64;
        buffer.extend_from_slice(&end.to_le_bytes());
        if buffer.len() >= BUFFER_BYTES {
            write(&buffer)?;
            buffer.clear();
        }
    }
    for record in each() {
        buffer.extend_from_slice(record);
        if buffer.len() >= BUFFER_BYTES {
            write(&buffer)?;
            buffer.clear();
        }
    }
    write(&buffer)
}

/// Bytes of a section that are written at once.
const BUFFER_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::super::rows::encode_record;
    use super::*;

    fn list() -> RecordList {
        let mut list = RecordList::default();
        list.push(&encode_record(b"a", b"\x81\xa1x\x01")).unwrap();
        list.push(&encode_record(b"bb", &[0x80; 600])).unwrap();
        list.push(&encode_record(&[7; 300], &[0x80; 600])).unwrap();
        list.push(&encode_record(b"", b"")).unwrap();
        list
    }

    #[test]
    fn what_was_pushed_is_kept_or_said_to_be_in_the_row() {
        let list = list();
        let records = list.lend();
        assert_eq!(
            records.kept(0).unwrap(),
            Kept::Whole(b"a", b"\x81\xa1x\x01")
        );
        assert_eq!(records.kept(1).unwrap(), Kept::Key(b"bb"));
        assert_eq!(records.kept(2).unwrap(), Kept::Nothing);
        assert_eq!(records.kept(3).unwrap(), Kept::Whole(b"", b"\xc0"));
        assert_eq!(Records::default().kept(9).unwrap(), Kept::Nothing);
    }

    #[test]
    fn a_section_has_the_chosen_slots_of_all_parts_in_order() {
        let (list, none) = (list(), Records::default());
        let mut section = Vec::new();
        let parts = [
            (list.lend(), [1, 3].iter().copied()),
            (none, [0, 5].iter().copied()),
            (list.lend(), [0].iter().copied()),
        ];
        write_section(&parts, |bytes| {
            section.extend_from_slice(bytes);
            Ok::<(), ()>(())
        })
        .unwrap();
        let records = Records::open(&section, 5).unwrap();
        let kept: Vec<_> = (0..5).map(|slot| records.kept(slot).unwrap()).collect();
        assert_eq!(
            kept,
            [
                Kept::Key(b"bb"),
                Kept::Whole(b"", b"\xc0"),
                Kept::Nothing,
                Kept::Nothing,
                Kept::Whole(b"a", b"\x81\xa1x\x01"),
            ]
        );
        assert_eq!(Records::of_opened(&section, 5).get(0), list.lend().get(1));
        for damaged in [&section[..39], &section[..section.len() - 1]] {
            assert!(Records::open(damaged, 5).is_err());
        }
        assert!(Records::open(&section, 4).is_err());
    }
}
