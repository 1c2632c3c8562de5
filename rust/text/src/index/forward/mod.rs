//! Which words a document has: kept by stores that keep no texts, so that a document can be taken out of the index again.
//!
//! Documents stand together in parts, whose words are written once for all of them; see `part`. A part has as many documents as have
//! `PART_WORDS` words together, and its rows have the slot of its first one: the part of a slot is the last one that begins at it or before.
//! It is cut into pieces of `PIECE_BYTES`, of which four fill a leaf; whoever wants one document reads a few of them.
//!
//! Invariants
//! 1. The words of a document are those whose postings have its slot, those of the field `ANY` aside.
//! 2. Parts cover all slots without gaps, and only the last one is ever appended to.
//! 3. Documents whose deletion was merged have no words and no length.

mod part;

use std::ops::Range;

use self::part::{Head, Part};
use super::bytes::Take;
use super::failure::{Failure, Result};
use super::keys::{FORWARD, with};
use super::rows::{Rows, RowsMut};

/// With so many words a part is full, and with so many documents.
const PART_WORDS: usize = 1 << 16;
const PART_DOCUMENTS: u32 = 1 << 14;

const PIECE_BYTES: usize = 2000;

const MISSING: Failure = Failure::Malformed("a piece of the words of documents is missing");

/// What is kept of a document: the lengths of its fields, and its words in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// By field.
    pub lengths: Vec<u32>,
    /// Each a field's number and a term.
    pub words: Vec<Vec<u8>>,
}

/// The same while it is written, with words that stand elsewhere, each with a number that tells where: words with one number are one
/// word, so most of them are compared as numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known<'w> {
    pub(crate) lengths: &'w [u32],
    pub(crate) words: Vec<(u64, &'w [u8])>,
}

/// Writes what is known of the documents in the slots from `from` on, before `last`, up to the end of a part; where that is, and the bytes written.
pub(crate) fn append<'w>(
    rows: &dyn RowsMut,
    (from, last): (u32, u32),
    fields: usize,
    mut known: impl FnMut(u32) -> Result<Known<'w>>,
) -> Result<(u32, usize)> {
    let (mut first, mut before) = (from, Part::default());
    if let Some(there) = from.checked_sub(1) {
        first = first_of(rows, there)?;
        before = Part::decode(&read(rows, first)?, fields)?;
        // What is written for slots that were not counted yet is written again.
        before.truncate((from - first) as usize);
        if before.documents() != from - first {
            return Err(Failure::Malformed(
                "the words of some documents are missing",
            ));
        }
        if before.postings() >= PART_WORDS || before.documents() >= PART_DOCUMENTS {
            (first, before) = (from, Part::default());
        }
    }
    let (mut documents, mut words) = (before.known(), before.postings());
    let mut slot = from;
    while slot < last && words < PART_WORDS && slot - first < PART_DOCUMENTS {
        let document = known(slot)?;
        words += document.words.len();
        documents.push(document);
        slot += 1;
    }
    let written = write(rows, first, &documents, &[FORWARD + 1])?;
    Ok((slot, written))
}

/// Takes the words of the dead out of the part that begins at `from`; where the next one begins, and the bytes written.
pub(crate) fn strip(
    rows: &dyn RowsMut,
    from: u32,
    fields: usize,
    is_dead: impl Fn(u32) -> bool,
) -> Result<(u32, usize)> {
    let mut part = Part::decode(&read(rows, from)?, fields)?;
    let end = from.checked_add(part.documents()).filter(|end| *end > from);
    let end = end.ok_or(Failure::Malformed("there are words of no document"))?;
    let mut changed = false;
    for slot in (from..end).filter(|slot| is_dead(*slot)) {
        changed |= part.empty((slot - from) as usize);
    }
    let written = match changed {
        true => write(rows, from, &part.known(), &piece_key(end, 0))?,
        false => 0,
    };
    Ok((end, written))
}

/// What is kept of the document in a slot of the merged index.
pub(crate) fn words_at(rows: &dyn Rows, slot: u32, fields: usize) -> Result<Words> {
    let first = first_of(rows, slot)?;
    let bytes = rows.copy(&piece_key(first, 0))?.ok_or(MISSING)?;
    let mut take = Take::new(&bytes);
    let length = take.varint()? as usize;
    let begin = bytes.len() - take.rest().len();
    let end = begin.saturating_add(length);
    let head = Head::decode(&stretch(rows, first, begin..end)?, end)?;
    head.document(slot - first, fields, &mut |range| {
        stretch(rows, first, range)
    })
}

/// The slot of the first document in the part of this one.
fn first_of(rows: &dyn Rows, slot: u32) -> Result<u32> {
    let mut first = None;
    let high = match slot.checked_add(1) {
        Some(next) => piece_key(next, 0),
        None => vec![FORWARD + 1],
    };
    rows.scan_keys(&[FORWARD], &high, 1, true, &mut |key| {
        first = key.get(1..5).and_then(|first| first.try_into().ok());
    })?;
    first.map(u32::from_be_bytes).ok_or(MISSING)
}

/// Writes the pieces of a part, and takes away what else there is before `next`.
fn write(rows: &dyn RowsMut, first: u32, documents: &[Known<'_>], next: &[u8]) -> Result<usize> {
    let part = part::encode(documents)?;
    let mut pieces = 0u32;
    for piece in part.chunks(PIECE_BYTES) {
        rows.put(&piece_key(first, pieces), piece)?;
        pieces += 1;
    }
    let mut behind = Vec::new();
    let low = piece_key(first, pieces);
    rows.scan_keys(&low, next, usize::MAX, false, &mut |key| {
        behind.push(key.to_vec())
    })?;
    for key in behind {
        rows.delete(&key)?;
    }
    Ok(part.len())
}

fn piece_key(first: u32, piece: u32) -> Vec<u8> {
    let mut key = with(FORWARD, &first.to_be_bytes());
    key.extend_from_slice(&piece.to_be_bytes());
    key
}

/// A whole part.
fn read(rows: &dyn Rows, first: u32) -> Result<Vec<u8>> {
    let (mut part, mut pieces, mut sound) = (Vec::new(), 0u32, true);
    let low = piece_key(first, 0);
    let mut high = low[..5].to_vec();
    high.extend_from_slice(&[0xff; 5]);
    rows.scan(&low, &high, usize::MAX, &mut |key, piece| {
        sound &= key.ends_with(&pieces.to_be_bytes());
        pieces = pieces.wrapping_add(1);
        part.extend_from_slice(piece);
    })?;
    match sound && pieces > 0 {
        true => Ok(part),
        false => Err(MISSING),
    }
}

/// Some bytes of a part.
fn stretch(rows: &dyn Rows, first: u32, range: Range<usize>) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(range.len().min(1 << 20));
    for piece in range.start / PIECE_BYTES..range.end.div_ceil(PIECE_BYTES) {
        let begin = piece * PIECE_BYTES;
        let (from, to) = (
            range.start.max(begin) - begin,
            range.end.min(begin + PIECE_BYTES) - begin,
        );
        let mut whole = false;
        rows.get(
            &piece_key(first, u32::try_from(piece).map_err(|_| MISSING)?),
            &mut |row| {
                if let Some(part) = row.get(from..to) {
                    bytes.extend_from_slice(part);
                    whole = true;
                }
            },
        )?;
        if !whole {
            return Err(MISSING);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
