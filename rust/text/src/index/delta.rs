//! A delta: what one transaction (or several, combined) changed, as an index of its own that can be searched.
//!
//! ```text
//! delta   := format:u8 (2)  fields:u8  fingerprint:u64 (little-endian; of the rules that made its terms)
//!            runs:varint run*                     documents added (see `documents`); seq 0 is the commit in the row's key
//!            removed:varint (seq:varint ordinal:varint)*
//!            (added:varint removed:varint)*       sums of lengths, for each field
//!            length:varint*                       of each document added, for each field
//!            (shared:varint rest:bytes)*          the name of each: what it shares with the one before, and what follows
//!            terms:u32  end:u32*                  little-endian: where each entry ends
//!            entry*
//! entry   := word:bytes  with it, added:varint  removed:varint  postings:bytes  positions
//! ```
//! A *word* is a field's number and a term. Postings have the place of a document among those added for a slot, and no length.
//!
//! Invariants
//! 1. Entries ascend by their words; documents ascend.
//! 2. A document that the transaction added and took away again is not in it.
//! 3. Removed documents were committed before; each of their terms counts them in "removed".

use std::sync::OnceLock;

use super::bytes::{Put, Take};
use super::documents::{Run, encode_runs, nth, place, push_run, take_run};
use super::failure::{Failure, Result};
use super::forward::Known;
use super::keys::DocumentId;
use super::names::Names;
use super::pending::ANY;
use super::posting::{Postings, next_slot, take_posting};

const FORMAT: u8 = 2;

/// A delta ready for look-ups.
#[derive(Debug)]
pub struct Delta {
    pub(crate) fingerprint: u64,
    pub(crate) runs: Vec<Run>,
    pub(crate) removed: Vec<DocumentId>,
    /// Documents added.
    pub(crate) count: u32,
    /// Sums of lengths, of documents added and removed, by field.
    pub(crate) sums: Vec<(u64, u64)>,
    pub(crate) names: Names,
    lengths: Vec<u32>,
    fields: usize,
    bytes: Vec<u8>,
    ends: usize,
    entries: usize,
    terms: usize,
    /// The numbers of each document's words, made when they are first asked for.
    forward: OnceLock<Result<Inverted>>,
}

/// For each document the entries it stands in.
#[derive(Debug, Default)]
struct Inverted {
    /// Where those of each document begin, and where the last end.
    begins: Vec<u32>,
    words: Vec<u32>,
}

/// What a delta says about one word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'d> {
    pub(crate) word: &'d [u8],
    pub(crate) added: u32,
    pub(crate) removed: u32,
    postings: &'d [u8],
    pub(crate) positions: &'d [u8],
}

impl Delta {
    /// Reads the delta of commit `seq`.
    pub fn open(bytes: Vec<u8>, seq: u64) -> Result<Self> {
        let mut take = Take::new(&bytes);
        if take.byte()? != FORMAT {
            return Err(Failure::Malformed("a delta has an unknown format"));
        }
        let fields = usize::from(take.byte()?);
        let fingerprint = u64::from_le_bytes(take.raw(8)?.try_into().expect("eight bytes"));
        let mut runs = Vec::new();
        let (mut before, mut total) = (0, 0u64);
        for _ in 0..take.count()? {
            let mut run = take_run(&mut take, before)?;
            before = run.first.seq;
            total += u64::from(run.count);
            if run.first.seq == 0 {
                run.first.seq = seq;
            }
            runs.push(run);
        }
        let mut removed = Vec::new();
        for _ in 0..take.count()? {
            removed.push(DocumentId {
                seq: take.varint()?,
                ordinal: take.number()?,
            });
        }
        let sums = (0..fields)
            .map(|_| Ok((take.varint()?, take.varint()?)))
            .collect::<Result<Vec<_>>>()?;
        let numbers = total.checked_mul(fields as u64);
        let numbers = numbers.filter(|numbers| *numbers <= take.rest().len() as u64);
        let numbers = numbers.ok_or(Failure::Malformed(
            "a delta has more documents than lengths",
        ))?;
        let lengths = (0..numbers).map(|_| take.number()).collect::<Result<_>>()?;
        let names = Names::take(&mut take, total)?;
        let terms = u32::from_le_bytes(take.raw(4)?.try_into().expect("four bytes")) as usize;
        let ends = bytes.len() - take.rest().len();
        let table = take.raw(terms.saturating_mul(4))?;
        let entries = bytes.len() - take.rest().len();
        let end = table
            .last_chunk::<4>()
            .map_or(0, |end| u32::from_le_bytes(*end));
        if end as usize != take.rest().len() {
            return Err(Failure::Malformed(
                "a delta has another length than its entries",
            ));
        }
        Ok(Self {
            fingerprint,
            count: total as u32,
            runs,
            removed,
            sums,
            names,
            lengths,
            fields,
            ends,
            entries,
            terms,
            bytes,
            forward: OnceLock::new(),
        })
    }

    pub(crate) fn fields(&self) -> usize {
        self.fields
    }

    /// Bytes it takes in memory, roughly.
    pub fn bytes(&self) -> usize {
        let lists = self.runs.len() * 24 + self.removed.len() * 16;
        self.bytes.len() + self.names.bytes() + self.lengths.len() * 4 + lists
    }

    pub(crate) fn terms(&self) -> usize {
        self.terms
    }

    /// The document at a place among those added.
    pub(crate) fn document(&self, place: u32) -> Option<DocumentId> {
        nth(&self.runs, place)
    }

    /// The place of a document among those added.
    pub(crate) fn place(&self, document: DocumentId) -> Option<u32> {
        place(&self.runs, document)
    }

    /// Lengths of the documents added, all fields of the first, then of the next.
    pub(crate) fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    #[inline]
    pub(crate) fn length(&self, field: u8, place: u32) -> Result<u32> {
        let at = place as usize * self.fields + usize::from(field);
        let length = self
            .lengths
            .get(at)
            .filter(|_| usize::from(field) < self.fields);
        length
            .copied()
            .ok_or(Failure::Malformed("a delta has a posting of no document"))
    }

    fn span(&self, at: usize) -> Result<&[u8]> {
        let end = |at: usize| {
            let bytes = &self.bytes[self.ends + at * 4..self.ends + at * 4 + 4];
            u32::from_le_bytes(bytes.try_into().expect("four bytes")) as usize
        };
        let begin = if at == 0 { 0 } else { end(at - 1) };
        let entry = self.bytes[self.entries..].get(begin..end(at));
        entry.ok_or(Failure::Malformed("the entries of a delta do not ascend"))
    }

    /// The word of an entry.
    pub(crate) fn word(&self, at: usize) -> Result<&[u8]> {
        Take::new(self.span(at)?).bytes()
    }

    pub(crate) fn entry(&self, at: usize) -> Result<Entry<'_>> {
        let mut take = Take::new(self.span(at)?);
        let word = take.bytes()?;
        let (added, removed) = (take.number()?, take.number()?);
        if added > self.count || removed as usize > self.removed.len() || word.is_empty() {
            return Err(Failure::Malformed(
                "a delta counts more documents of a term than it has",
            ));
        }
        Ok(Entry {
            word,
            added,
            removed,
            postings: take.bytes()?,
            positions: take.rest(),
        })
    }

    /// The first entry whose word is at or above `word`.
    pub(crate) fn seek(&self, word: &[u8]) -> Result<usize> {
        let (mut low, mut high) = (0, self.terms);
        while low < high {
            let middle = low.midpoint(high);
            if self.word(middle)? < word {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    pub(crate) fn find(&self, word: &[u8]) -> Result<Option<Entry<'_>>> {
        let at = self.seek(word)?;
        if at < self.terms && self.word(at)? == word {
            return self.entry(at).map(Some);
        }
        Ok(None)
    }

    /// The entries of the words in a document, in their order.
    pub(crate) fn words_of(&self, place: u32) -> Result<&[u32]> {
        let forward = match self.forward.get_or_init(|| self.invert()) {
            Ok(forward) => forward,
            Err(failure) => return Err(failure.clone()),
        };
        let span = forward.begins.get(place as usize..place as usize + 2);
        let span = span.ok_or(Failure::Malformed("a delta has not this document"))?;
        Ok(&forward.words[span[0] as usize..span[1] as usize])
    }

    /// What is known of a document: see `forward`. The numbers of words are those of their entries.
    pub(crate) fn known(&self, place: u32) -> Result<Known<'_>> {
        let numbers = self.words_of(place)?.iter();
        let at = place as usize * self.fields;
        Ok(Known {
            lengths: &self.lengths[at..at + self.fields],
            words: numbers
                .map(|number| Ok((u64::from(*number), self.word(*number as usize)?)))
                .collect::<Result<_>>()?,
        })
    }

    fn invert(&self) -> Result<Inverted> {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let mut postings = Postings::default();
        for at in 0..self.terms {
            let entry = self.entry(at)?;
            if entry.word[0] == ANY {
                continue;
            }
            postings.clear();
            self.postings(&entry, 0, &mut postings)?;
            pairs.extend(postings.slots.iter().map(|place| (*place, at as u32)));
        }
        let mut begins = vec![0u32; self.count as usize + 1];
        pairs
            .iter()
            .for_each(|(place, _)| begins[*place as usize + 1] += 1);
        (1..begins.len()).for_each(|at| begins[at] += begins[at - 1]);
        let (mut next, mut words) = (begins.clone(), vec![0; pairs.len()]);
        for (place, word) in pairs {
            words[next[place as usize] as usize] = word;
            next[place as usize] += 1;
        }
        Ok(Inverted { begins, words })
    }

    /// Appends an entry's postings to `out`, as slots from `base` on.
    pub(crate) fn postings(&self, entry: &Entry<'_>, base: u32, out: &mut Postings) -> Result<()> {
        let mut take = Take::new(entry.postings);
        let (mut place, field) = (0, entry.word[0]);
        for at in 0..entry.added {
            let (gap, tf) = take_posting(&mut take)?;
            place = next_slot(place, gap, at == 0)?;
            out.slots.push(next_slot(base, place, true)?);
            out.tfs.push(tf);
            out.lengths.push(self.length(field, place)?);
        }
        out.positions.extend_from_slice(entry.positions);
        take.end()
    }
}

/// Writes a delta, entry by entry in the order of words.
pub(crate) struct DeltaWriter {
    head: Vec<u8>,
    ends: Vec<u32>,
    entries: Vec<u8>,
}

/// What a delta is made of besides its entries.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) fingerprint: u64,
    pub(crate) runs: Vec<Run>,
    pub(crate) removed: Vec<DocumentId>,
    pub(crate) sums: Vec<(u64, u64)>,
    /// Of each document, by field.
    pub(crate) lengths: Vec<u32>,
    pub(crate) names: Names,
}

impl Parts {
    pub(crate) fn add(&mut self, document: DocumentId, name: &[u8]) {
        push_run(&mut self.runs, document, 1);
        self.names.push(name);
    }
}

impl DeltaWriter {
    pub(crate) fn new(parts: &Parts) -> Self {
        let mut head = vec![FORMAT, parts.sums.len() as u8];
        head.extend_from_slice(&parts.fingerprint.to_le_bytes());
        head.put_varint(parts.runs.len() as u64);
        encode_runs(&parts.runs, &mut head);
        head.put_varint(parts.removed.len() as u64);
        for document in &parts.removed {
            head.put_varint(document.seq);
            head.put_varint(u64::from(document.ordinal));
        }
        for (added, removed) in &parts.sums {
            head.put_varint(*added);
            head.put_varint(*removed);
        }
        for length in &parts.lengths {
            head.put_varint(u64::from(*length));
        }
        parts.names.encode(0..parts.names.len(), &mut head);
        Self {
            head,
            ends: Vec::new(),
            entries: Vec::new(),
        }
    }

    pub(crate) fn entry(
        &mut self,
        word: &[u8],
        added: u32,
        removed: u32,
        postings: &[u8],
        positions: &[u8],
    ) {
        self.entries.put_bytes(word);
        self.entries.put_varint(u64::from(added));
        self.entries.put_varint(u64::from(removed));
        self.entries.put_bytes(postings);
        self.entries.extend_from_slice(positions);
        let end = u32::try_from(self.entries.len()).expect("a value is shorter than 4 GiB");
        self.ends.push(end);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.head
            .extend_from_slice(&(self.ends.len() as u32).to_le_bytes());
        for end in &self.ends {
            self.head.extend_from_slice(&end.to_le_bytes());
        }
        self.head.extend_from_slice(&self.entries);
        self.head
    }
}
