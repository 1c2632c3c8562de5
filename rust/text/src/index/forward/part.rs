//! The words of some documents in one stretch of bytes, of which a reader of one document needs little.
//!
//! ```text
//! part      := head:bytes  shelf*  group*
//! head      := documents:varint  words:varint  (bytes of a shelf:varint)*  (bytes of a group:varint)*
//! shelf     := (shared << 4 | rest:u8  [shared - 15:varint]  [rest - 15:varint]  bytes)*      at most 128 words, each without what
//!                                                                               it shares with the one before; 15 for 15 and more
//! group     := document*                                                         at most 32, one string of bits (see `bits`)
//! document  := golomb(5): 0 for a document without words, else length of the first field + 1
//!              golomb(5): length of each further field    golomb(1): sum of the lengths - number of words
//!              ascending: its words, by their places among all words of the part
//! ```
//! Words that many documents of a part have come before those that few have, by powers of two: so the numbers of a document lie close
//! together where most of them are. Within one power they are in order.

use std::cmp::Reverse;
use std::ops::Range;

use super::super::bits::{BitReader, BitWriter};
use super::super::bytes::{Put, Take};
use super::super::failure::{Failure, Result};
use super::{Known, Words};

const SHELF: usize = 128;
const GROUP: usize = 32;
/// Bits of a length that are written as they are.
const LENGTH_BITS: u32 = 5;
const LONG: usize = 15;

const NO_WORD: Failure = Failure::Malformed("a document has a word that its part has not");

/// A part on its way from or to its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    words: Vec<Vec<u8>>,
    /// Lengths, none for a document without words, and places of its words.
    documents: Vec<(Vec<u32>, Vec<u32>)>,
}

/// Where things are in a part, from its beginning.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) documents: u32,
    words: u32,
    shelves: Vec<Range<usize>>,
    groups: Vec<Range<usize>>,
}

impl Part {
    /// What is known of each document.
    pub(super) fn known(&self) -> Vec<Known<'_>> {
        // Their numbers are above those of any delta.
        let number = |place: u32| u64::from(u32::MAX) << 32 | u64::from(place);
        let word = |place: &u32| (number(*place), self.words[*place as usize].as_slice());
        let known = self.documents.iter().map(|(lengths, places)| Known {
            lengths,
            words: places.iter().map(word).collect(),
        });
        known.collect()
    }

    /// How many words its documents have, one by one.
    pub(super) fn postings(&self) -> usize {
        self.documents.iter().map(|document| document.1.len()).sum()
    }

    pub(super) fn truncate(&mut self, documents: usize) {
        self.documents.truncate(documents);
    }

    pub(super) fn documents(&self) -> u32 {
        self.documents.len() as u32
    }

    /// Takes the words of a document away; whether it had any.
    pub(super) fn empty(&mut self, document: usize) -> bool {
        let old = std::mem::take(&mut self.documents[document]);
        !old.0.is_empty()
    }

    /// Reads a whole part.
    pub(super) fn decode(bytes: &[u8], fields: usize) -> Result<Self> {
        let mut take = Take::new(bytes);
        let head = take.bytes()?;
        let head = Head::decode(head, bytes.len() - take.rest().len())?;
        let end = head.shelves.last().into_iter().chain(head.groups.last());
        if end.map(|stretch| stretch.end).max() != Some(bytes.len()) {
            return Err(Failure::Malformed(
                "the words of documents have another length than said",
            ));
        }
        let mut part = Self::default();
        for (number, shelf) in head.shelves.iter().enumerate() {
            let mut shelf = Shelf::new(bytes.get(shelf.clone()).ok_or(NO_WORD)?);
            for _ in 0..head.on_shelf(number) {
                part.words.push(shelf.next()?.to_vec());
            }
        }
        for (number, group) in head.groups.iter().enumerate() {
            let mut bits = BitReader::new(bytes.get(group.clone()).ok_or(NO_WORD)?);
            for _ in 0..head.in_group(number) {
                let mut places = Vec::new();
                let lengths = take_document(&mut bits, fields, head.words, &mut places)?;
                part.documents.push((lengths, places));
            }
        }
        Ok(part)
    }
}

impl Head {
    /// Of a part whose head ends at `end`.
    pub(super) fn decode(head: &[u8], end: usize) -> Result<Self> {
        let mut take = Take::new(head);
        let (documents, words) = (take.number()?, take.number()?);
        let mut at = end;
        let mut stretches = |count: usize| -> Result<Vec<Range<usize>>> {
            let mut stretches = Vec::new();
            for _ in 0..count {
                let begin = at;
                at += take.number()? as usize;
                stretches.push(begin..at);
            }
            Ok(stretches)
        };
        let shelves = stretches((words as usize).div_ceil(SHELF))?;
        let groups = stretches((documents as usize).div_ceil(GROUP))?;
        take.end()?;
        Ok(Self {
            documents,
            words,
            shelves,
            groups,
        })
    }

    fn on_shelf(&self, number: usize) -> usize {
        SHELF.min(self.words as usize - number * SHELF)
    }

    fn in_group(&self, number: usize) -> usize {
        GROUP.min(self.documents as usize - number * GROUP)
    }

    /// What is kept of one document; `read` gives stretches of the part.
    pub(super) fn document(
        &self,
        place: u32,
        fields: usize,
        read: &mut dyn FnMut(Range<usize>) -> Result<Vec<u8>>,
    ) -> Result<Words> {
        let gone = Failure::Malformed("the words of a document are gone");
        if place >= self.documents {
            return Err(gone);
        }
        let (number, inside) = (place as usize / GROUP, place as usize % GROUP);
        let group = read(self.groups[number].clone())?;
        let (mut bits, mut places) = (BitReader::new(&group), Vec::new());
        for _ in 0..inside {
            take_document(&mut bits, fields, self.words, &mut places)?;
        }
        places.clear();
        let lengths = take_document(&mut bits, fields, self.words, &mut places)?;
        if lengths.is_empty() {
            return Err(gone);
        }
        let mut words = Vec::with_capacity(places.len());
        for same in places.chunk_by(|a, b| a / SHELF as u32 == b / SHELF as u32) {
            let shelf = same[0] as usize / SHELF;
            let bytes = read(self.shelves[shelf].clone())?;
            let (mut shelf, mut at) = (Shelf::new(&bytes), shelf * SHELF);
            for place in same {
                while at < *place as usize {
                    shelf.next()?;
                    at += 1;
                }
                words.push(shelf.next()?.to_vec());
                at += 1;
            }
        }
        words.sort_unstable();
        Ok(Words { lengths, words })
    }
}

/// Goes through the words of a shelf.
struct Shelf<'b> {
    take: Take<'b>,
    word: Vec<u8>,
}

impl<'b> Shelf<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self {
            take: Take::new(bytes),
            word: Vec::new(),
        }
    }

    fn next(&mut self) -> Result<&[u8]> {
        let lengths = usize::from(self.take.byte()?);
        let mut length = |low: usize| match low < LONG {
            true => Ok(low),
            false => Ok(LONG + self.take.number()? as usize),
        };
        let (shared, rest) = (length(lengths >> 4)?, length(lengths & LONG)?);
        if shared > self.word.len() || shared + rest == 0 {
            return Err(Failure::Malformed(
                "a word shares more than the one before has, or is empty",
            ));
        }
        self.word.truncate(shared);
        self.word.extend_from_slice(self.take.raw(rest)?);
        Ok(&self.word)
    }
}

fn put_word(word: &[u8], before: &[u8], out: &mut Vec<u8>) {
    let shared = word.iter().zip(before).take_while(|(a, b)| a == b).count();
    let rest = word.len() - shared;
    out.push((shared.min(LONG) << 4 | rest.min(LONG)) as u8);
    for length in [shared, rest] {
        if length >= LONG {
            out.put_varint((length - LONG) as u64);
        }
    }
    out.extend_from_slice(&word[shared..]);
}

/// The lengths of the next document, and its words behind those in `places`.
fn take_document(
    bits: &mut BitReader<'_>,
    fields: usize,
    words: u32,
    places: &mut Vec<u32>,
) -> Result<Vec<u32>> {
    let first = bits.take_golomb(LENGTH_BITS)?;
    let Some(first) = first.checked_sub(1) else {
        return Ok(Vec::new());
    };
    let mut lengths = vec![first];
    for _ in 1..fields {
        lengths.push(bits.take_golomb(LENGTH_BITS)?);
    }
    let again = u64::from(bits.take_golomb(1)?);
    let sum: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
    let count = sum
        .checked_sub(again)
        .and_then(|count| u32::try_from(count).ok());
    let count = count.filter(|count| *count <= words).ok_or(NO_WORD)?;
    bits.take_ascending(count, words, places)?;
    Ok(lengths)
}

/// Writes a part.
pub(super) fn encode(documents: &[Known<'_>]) -> Result<Vec<u8>> {
    let (words, mut places) = arrange(documents);
    let mut places = places.as_mut_slice();
    let mut shelves = Vec::new();
    let mut lengths = Vec::new();
    for shelf in words.chunks(SHELF) {
        let (begin, mut before) = (shelves.len(), &[][..]);
        for word in shelf {
            put_word(word, before, &mut shelves);
            before = word;
        }
        lengths.push(shelves.len() - begin);
    }
    let mut groups = Vec::new();
    for group in documents.chunks(GROUP) {
        let mut bits = BitWriter::default();
        for document in group {
            let (own, rest) = std::mem::take(&mut places).split_at_mut(document.words.len());
            own.sort_unstable();
            put_document(document, own, words.len() as u32, &mut bits)?;
            places = rest;
        }
        let bytes = bits.finish();
        lengths.push(bytes.len());
        groups.extend_from_slice(&bytes);
    }
    let mut head = Vec::with_capacity(lengths.len() * 2 + 10);
    head.put_varint(documents.len() as u64);
    head.put_varint(words.len() as u64);
    lengths
        .iter()
        .for_each(|length| head.put_varint(*length as u64));
    let mut part = Vec::with_capacity(head.len() + shelves.len() + groups.len() + 5);
    part.put_bytes(&head);
    part.extend_from_slice(&shelves);
    part.extend_from_slice(&groups);
    Ok(part)
}

fn put_document(
    document: &Known<'_>,
    places: &[u32],
    words: u32,
    bits: &mut BitWriter,
) -> Result<()> {
    let Some((first, further)) = document.lengths.split_first() else {
        bits.put_golomb(0, LENGTH_BITS);
        return Ok(());
    };
    let sum: u64 = document
        .lengths
        .iter()
        .map(|length| u64::from(*length))
        .sum();
    let again = sum.checked_sub(places.len() as u64);
    let again = again.and_then(|again| u32::try_from(again).ok());
    let first = first.checked_add(1);
    let (Some(first), Some(again), true) = (first, again, places.is_sorted_by(|a, b| a < b)) else {
        return Err(Failure::Malformed(
            "a document has more words than it is long, or one twice",
        ));
    };
    bits.put_golomb(first, LENGTH_BITS);
    further
        .iter()
        .for_each(|length| bits.put_golomb(*length, LENGTH_BITS));
    bits.put_golomb(again, 1);
    bits.put_ascending(places, words);
    Ok(())
}

/// A word by one of its numbers, and how often it stands under that.
struct Numbered<'w> {
    word: &'w [u8],
    number: u64,
    count: usize,
}

/// All words in the order they get, and the place of each document's words, one document after the other.
fn arrange<'w>(documents: &[Known<'w>]) -> (Vec<&'w [u8]>, Vec<u32>) {
    let all = || documents.iter().flat_map(|document| &document.words);
    let mut standing: Vec<(u64, &[u8])> = all().copied().collect();
    standing.sort_unstable_by_key(|word| word.0);
    let same = standing.chunk_by(|a, b| a.0 == b.0);
    let mut numbered: Vec<Numbered<'w>> = same
        .map(|same| Numbered {
            word: same[0].1,
            number: same[0].0,
            count: same.len(),
        })
        .collect();
    numbered.sort_unstable_by_key(|known| known.word);
    let mut words: Vec<(Reverse<u32>, &[Numbered<'w>])> = Vec::new();
    for same in numbered.chunk_by(|a, b| a.word == b.word) {
        let count: usize = same.iter().map(|known| known.count).sum();
        words.push((Reverse(count.ilog2()), same));
    }
    words.sort_by_key(|word| word.0);
    let mut ranks: Vec<(u64, u32)> = Vec::with_capacity(numbered.len());
    for (rank, (_, same)) in words.iter().enumerate() {
        ranks.extend(same.iter().map(|known| (known.number, rank as u32)));
    }
    ranks.sort_unstable();
    let rank = |number: u64| ranks[ranks.partition_point(|known| known.0 < number)].1;
    let places = all().map(|word| rank(word.0)).collect();
    (words.iter().map(|word| word.1[0].word).collect(), places)
}
