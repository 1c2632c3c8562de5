//! The rows of documents.
//!
//! ```text
//! 10 name         -> entry: which document has this name, and what is short of it
//! 20 document     -> what is long of it: payload or texts or both; the document is its seq u64 and its ordinal u32 (big-endian)
//!
//! entry := seq:u64 (big-endian)  ordinal:varint  shape:varint  [payload]  [texts]
//! long  := [payload:bytes]  [texts]
//! shape := length of the payload << 2 | texts are long << 1 | payload is long         a long payload has the length 0 there
//! texts := text:bytes*                          of all fields, in their order; nothing in stores that keep none
//! ```
//!
//! A name is the key a user gave to a document. The index calls a document by its name and a byte behind it: 1 when it has a payload, else 0.

use sopasync_text::index::DocumentId;

use super::index::malformed;
use crate::error::Result;
use crate::wire::{Put, Take};

const NAME: u8 = 0x10;
const LONG: u8 = 0x20;

/// A payload of at most so many bytes stands in the entry, where filters find it without another look-up.
const PAYLOAD_BYTES_MAX: usize = 1024;
/// Texts of at most so many bytes, with their payload, stand in the entry: it stays in its leaf.
const ENTRY_BYTES_MAX: usize = 1024;

pub(super) fn name_row(name: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(name.len() + 1);
    row.push(NAME);
    row.extend_from_slice(name);
    row
}

/// What the index calls a document: its name, and whether it has a payload, so that a hit without one needs no look at its row.
pub(super) fn called(name: &[u8], has_payload: bool) -> Vec<u8> {
    let mut called = Vec::with_capacity(name.len() + 1);
    called.extend_from_slice(name);
    called.push(u8::from(has_payload));
    called
}

/// The name and whether there is a payload, of what the index calls a document.
pub(super) fn named(called: &[u8]) -> Result<(&[u8], bool)> {
    match called.split_last() {
        Some((has_payload @ 0..=1, name)) => Ok((name, *has_payload == 1)),
        _ => Err(malformed("the index calls a document by no name")),
    }
}

pub(super) fn long_row(document: DocumentId) -> [u8; 13] {
    let mut row = [LONG; 13];
    row[1..].copy_from_slice(&document.to_bytes());
    row
}

/// An entry as it stands in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) document: DocumentId,
    /// `None` when it is long.
    pub(super) payload: Option<&'a [u8]>,
    pub(super) texts_are_long: bool,
    texts: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Whether the document has a row for what is long.
    pub(super) fn has_more(&self) -> bool {
        self.payload.is_none() || self.texts_are_long
    }

    pub(super) fn decode(row: &'a [u8]) -> Result<Self> {
        Self::take(row).ok_or_else(|| malformed("the entry of a document is not well formed"))
    }

    fn take(row: &'a [u8]) -> Option<Self> {
        let (seq, rest) = row.split_first_chunk()?;
        let mut take = Take::new(rest);
        let document = DocumentId {
            seq: u64::from_be_bytes(*seq),
            ordinal: u32::try_from(take.varint()?).ok()?,
        };
        let shape = take.varint()?;
        let length = usize::try_from(shape >> 2).ok()?;
        let (payload, texts) = take.rest().split_at_checked(length)?;
        Some(Self {
            document,
            payload: (shape & 1 == 0).then_some(payload),
            texts_are_long: shape & 2 == 2,
            texts,
        })
    }

    /// The texts of so many fields, of which the long part is at hand if there is one.
    pub(super) fn texts(&self, long: &Option<Long>, fields: usize) -> Result<Vec<String>> {
        let bytes = match long {
            Some(long) if self.texts_are_long => long.texts(),
            _ => self.texts,
        };
        decode_texts(bytes, fields)
            .ok_or_else(|| malformed("the texts of a document are not well formed"))
    }
}

/// What is long of a document, in its own row.
#[derive(Clone, Debug)]
pub(super) struct Long {
    row: Vec<u8>,
    payload: std::ops::Range<usize>,
}

impl Long {
    pub(super) fn decode(row: &[u8], has_payload: bool) -> Result<Self> {
        let mut take = Take::new(row);
        let wrong = || malformed("what is long of a document is not well formed");
        let payload = match has_payload {
            true => take.bytes().ok_or_else(wrong)?.len(),
            false => 0,
        };
        let end = row.len() - take.rest().len();
        Ok(Self {
            row: row.to_vec(),
            payload: end - payload..end,
        })
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.row[self.payload.clone()]
    }

    fn texts(&self) -> &[u8] {
        &self.row[self.payload.end..]
    }
}

/// The rows of a document: its entry, and what is long of it if something is.
pub(super) fn encode(
    document: DocumentId,
    payload: &[u8],
    texts: Option<&[&str]>,
) -> (Vec<u8>, Option<Vec<u8>>) {
    let texts = texts.unwrap_or_default();
    let texts_length: usize = texts.iter().map(|text| text.len() + 3).sum();
    let payload_is_long = payload.len() > PAYLOAD_BYTES_MAX;
    let inside = if payload_is_long { 0 } else { payload.len() };
    let texts_are_long = texts_length > 0 && inside + texts_length > ENTRY_BYTES_MAX;
    let mut entry = Vec::with_capacity(16 + inside + if texts_are_long { 0 } else { texts_length });
    entry.extend_from_slice(&document.seq.to_be_bytes());
    entry.put_varint(u64::from(document.ordinal));
    let flags = u64::from(texts_are_long) << 1 | u64::from(payload_is_long);
    entry.put_varint((inside as u64) << 2 | flags);
    entry.extend_from_slice(&payload[..inside]);
    let mut long = Vec::new();
    if payload_is_long {
        long.put_bytes(payload);
    }
    let place = if texts_are_long {
        &mut long
    } else {
        &mut entry
    };
    texts
        .iter()
        .for_each(|text| place.put_bytes(text.as_bytes()));
    (entry, (flags != 0).then_some(long))
}

fn decode_texts(bytes: &[u8], fields: usize) -> Option<Vec<String>> {
    let mut take = Take::new(bytes);
    let texts = (0..fields)
        .map(|_| String::from_utf8(take.bytes()?.to_vec()).ok())
        .collect::<Option<_>>()?;
    take.is_empty().then_some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back_and_a_cut_is_noticed() {
        let document = DocumentId {
            seq: 7,
            ordinal: 300,
        };
        let long_text = "ż".repeat(600);
        for (payload, texts, rows) in [
            (0, None, 1),
            (5, None, 1),
            (1025, None, 2),
            (0, Some(["a text", "", "żółw"]), 1),
            (900, Some(["a text", "", "żółw"]), 1),
            (1020, Some(["a text", "", "żółw"]), 2),
            (3, Some(["a text", &long_text, "żółw"]), 2),
            (3000, Some(["a text", &long_text, "żółw"]), 2),
            (3000, Some(["a text", "", ""]), 2),
        ] {
            let payload = vec![2; payload];
            let (row, long) = encode(document, &payload, texts.as_ref().map(|texts| &texts[..]));
            assert_eq!(1 + usize::from(long.is_some()), rows, "{}", payload.len());
            let entry = Entry::decode(&row).unwrap();
            assert_eq!((entry.document, entry.has_more()), (document, rows == 2));
            let long = long.map(|long| Long::decode(&long, entry.payload.is_none()).unwrap());
            let found = entry
                .payload
                .unwrap_or_else(|| long.as_ref().unwrap().payload());
            assert_eq!(found, payload);
            if let Some(texts) = texts {
                assert_eq!(entry.texts(&long, 3).unwrap(), texts);
                assert!(entry.texts(&long, 4).is_err());
            }
            for cut in 0..row.len() {
                let _ = Entry::decode(&row[..cut]).map(|entry| entry.texts(&None, 3).is_ok());
            }
        }
    }
}
