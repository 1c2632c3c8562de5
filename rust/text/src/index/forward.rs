//! Which words a document has: kept by stores that keep no texts, so that a document can be taken out of the index again.
//!
//! ```text
//! part     := words:varint (shared:varint rest:bytes)*  document*        all words of the part in order, each without what it
//!                                                                        shares with the one before
//! document := bytes:varint  length:varint*  (number - number before:varint)*      lengths of all fields, numbers of its words
//! ```
//! A part covers 1024 slots from a multiple of 1024 on; the last one may have fewer. It stands in rows of 1900 bytes, numbered from 0, which
//! leave no pages half empty. Documents whose deletion was merged have nothing (0 bytes).
//!
//! Invariant
//! 1. The words of a document are those whose postings have its slot, those of the field `ANY` aside.

use super::bytes::{Put, Take};
use super::failure::{Failure, Result};
use super::keys::{FORWARD, with};
use super::rows::{Rows, RowsMut};

/// Slots in a part.
pub(crate) const PART: u32 = 1024;

const PIECE_BYTES: usize = 1900;

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

/// Words that were read, to be written again: their numbers are above those of any delta.
pub(crate) fn known(documents: &[Words]) -> Vec<Known<'_>> {
    let mut number = u64::from(u32::MAX) << 32;
    let mut all = Vec::with_capacity(documents.len());
    for document in documents {
        let mut words = Vec::with_capacity(document.words.len());
        for word in &document.words {
            words.push((number, word.as_slice()));
            number += 1;
        }
        all.push(Known {
            lengths: &document.lengths,
            words,
        });
    }
    all
}

/// Writes a part; the bytes of its rows.
pub(crate) fn write_part(
    rows: &dyn RowsMut,
    number: u32,
    documents: &[Known<'_>],
) -> Result<usize> {
    let part = encode(documents);
    let mut pieces = 0u16;
    for piece in part.chunks(PIECE_BYTES) {
        rows.put(&piece_key(number, pieces), piece)?;
        pieces += 1;
    }
    // A part that has become shorter leaves pieces behind.
    let mut behind = Vec::new();
    rows.scan_keys(
        &piece_key(number, pieces),
        &piece_key(number + 1, 0),
        usize::MAX,
        false,
        &mut |key| {
            behind.push(key.to_vec());
        },
    )?;
    for key in behind {
        rows.delete(&key)?;
    }
    Ok(part.len())
}

fn piece_key(number: u32, piece: u16) -> Vec<u8> {
    let mut key = with(FORWARD, &number.to_be_bytes());
    key.extend_from_slice(&piece.to_be_bytes());
    key
}

/// All pieces of a part; empty when there are none.
fn read(rows: &dyn Rows, number: u32) -> Result<Vec<u8>> {
    let (mut part, mut pieces, mut sound) = (Vec::new(), 0u16, true);
    rows.scan(
        &piece_key(number, 0),
        &piece_key(number + 1, 0),
        usize::MAX,
        &mut |key, piece| {
            sound &= key.ends_with(&pieces.to_be_bytes());
            pieces = pieces.saturating_add(1);
            part.extend_from_slice(piece);
        },
    )?;
    match sound {
        true => Ok(part),
        false => Err(Failure::Malformed(
            "a piece of the words of documents is missing",
        )),
    }
}

fn encode(documents: &[Known<'_>]) -> Vec<u8> {
    let all = documents.iter().flat_map(|document| &document.words);
    let mut numbered: Vec<(u64, &[u8])> = all.copied().collect();
    numbered.sort_unstable_by_key(|word| word.0);
    numbered.dedup_by_key(|word| word.0);
    let mut words: Vec<&[u8]> = numbered.iter().map(|word| word.1).collect();
    words.sort_unstable();
    words.dedup();
    let rank = |word: &[u8]| words.partition_point(|known| *known < word) as u64;
    let ranks: Vec<u64> = numbered.iter().map(|word| rank(word.1)).collect();
    let mut row = Vec::new();
    row.put_varint(words.len() as u64);
    let mut before: &[u8] = &[];
    for word in &words {
        let shared = word.iter().zip(before).take_while(|(a, b)| a == b).count();
        row.put_varint(shared as u64);
        row.put_bytes(&word[shared..]);
        before = word;
    }
    let mut one = Vec::new();
    for document in documents {
        one.clear();
        for length in document.lengths {
            one.put_varint(u64::from(*length));
        }
        let mut before = 0;
        for (number, _) in &document.words {
            let at = numbered.partition_point(|known| known.0 < *number);
            one.put_varint(ranks[at] - before);
            before = ranks[at];
        }
        row.put_bytes(&one);
    }
    row
}

/// What is kept of the document in a slot of the merged index.
pub(crate) fn words_at(rows: &dyn Rows, slot: u32, fields: usize) -> Result<Words> {
    nth(&read(rows, slot / PART)?, slot % PART, fields)
}

fn nth(row: &[u8], place: u32, fields: usize) -> Result<Words> {
    let mut take = Take::new(row);
    let dictionary = skip_dictionary(&mut take)?;
    for _ in 0..place {
        take.bytes()?;
    }
    let (lengths, numbers) = document(take.bytes()?, fields)?;
    if lengths.is_empty() {
        return Err(Failure::Malformed("the words of a document are gone"));
    }
    let (mut words, mut word, mut at) = (Vec::with_capacity(numbers.len()), Vec::new(), 0);
    let mut take = dictionary;
    for number in numbers {
        while at <= number {
            next_word(&mut take, &mut word)?;
            at += 1;
        }
        words.push(word.clone());
    }
    Ok(Words { lengths, words })
}

/// The first words of a part; `take` is behind all of them then.
fn skip_dictionary<'r>(take: &mut Take<'r>) -> Result<Take<'r>> {
    let count = take.count()?;
    let dictionary = take.clone();
    for _ in 0..count {
        take.varint()?;
        take.bytes()?;
    }
    Ok(dictionary)
}

fn next_word(take: &mut Take<'_>, word: &mut Vec<u8>) -> Result<()> {
    let shared = take.number()? as usize;
    if shared > word.len() {
        return Err(Failure::Malformed(
            "a word shares more than the one before has",
        ));
    }
    word.truncate(shared);
    word.extend_from_slice(take.bytes()?);
    match word.is_empty() {
        true => Err(Failure::Malformed("a word of a document is empty")),
        false => Ok(()),
    }
}

fn document(bytes: &[u8], fields: usize) -> Result<(Vec<u32>, Vec<u64>)> {
    let mut take = Take::new(bytes);
    if take.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let lengths = (0..fields).map(|_| take.number()).collect::<Result<_>>()?;
    let (mut numbers, mut number) = (Vec::new(), 0u64);
    while !take.is_empty() {
        let gap = take.varint()?;
        let next = number
            .checked_add(gap)
            .filter(|_| gap > 0 || numbers.is_empty());
        number = next.ok_or(Failure::Malformed("the words of a document do not ascend"))?;
        numbers.push(number);
    }
    Ok((lengths, numbers))
}

/// What is kept of the first `count` documents of a part.
pub(crate) fn read_part(
    rows: &dyn Rows,
    number: u32,
    count: u32,
    fields: usize,
) -> Result<Vec<Words>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    decode(&read(rows, number)?, count, fields)
}

fn decode(row: &[u8], count: u32, fields: usize) -> Result<Vec<Words>> {
    let mut take = Take::new(row);
    let words = take.count()?;
    let (mut dictionary, mut word) = (Vec::with_capacity(words), Vec::new());
    for _ in 0..words {
        next_word(&mut take, &mut word)?;
        dictionary.push(word.clone());
    }
    let own = |number: u64| {
        let word = usize::try_from(number)
            .ok()
            .and_then(|at| dictionary.get(at));
        let missing = Failure::Malformed("a document has a word that its part has not");
        word.cloned().ok_or(missing)
    };
    let mut documents = Vec::new();
    for _ in 0..count {
        let (lengths, numbers) = document(take.bytes()?, fields)?;
        let words = numbers.into_iter().map(own).collect::<Result<_>>()?;
        documents.push(Words { lengths, words });
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::super::rows::MemoryRows;
    use super::*;

    #[test]
    fn words_come_back_one_by_one_and_together_and_a_cut_is_noticed() {
        let words = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect();
        let documents = [
            Words {
                lengths: vec![3, 0],
                words: words(&[b"\0car", b"\0cart", b"\x01x"]),
            },
            Words {
                lengths: vec![0, 0],
                words: Vec::new(),
            },
            Words {
                lengths: vec![900, 1],
                words: words(&[b"\0cart", b"\x01x"]),
            },
        ];
        let rows = MemoryRows::default();
        let known = known(&documents);
        write_part(&rows, 0, &known).unwrap();
        for (slot, document) in documents.iter().enumerate() {
            assert_eq!(words_at(&rows, slot as u32, 2).as_ref(), Ok(document));
        }
        assert_eq!(read_part(&rows, 0, 3, 2).unwrap(), documents);
        assert!(read_part(&rows, 0, 4, 2).is_err() && words_at(&rows, 3, 2).is_err());
        let row = encode(&known);
        for cut in 0..row.len() {
            assert!(decode(&row[..cut], 3, 2).is_err());
            (0..3).for_each(|place| drop(nth(&row[..cut], place, 2)));
        }
    }
}
