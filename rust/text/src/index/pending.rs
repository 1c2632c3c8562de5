//! `Pending`: what an open transaction has done to a text store, kept as terms until it is made a delta.
//!
//! Invariants
//! 1. Operations are kept in their order, each with its tokens behind those of the one before: going back is cutting.
//! 2. A document's ordinal is given once, and ordinals ascend.
//! 3. A word of the field `ANY` stands for a term in whatever field: it has a number of documents, and no postings.

use rustc_hash::FxHashSet;

use super::bytes::Put;
use super::delta::{DeltaWriter, Parts};
use super::keys::DocumentId;
use super::posting::put_posting;
use super::words::Words;

/// In stores of several fields: the words that count documents with the term in any field.
pub(crate) const ANY: u8 = 0xff;

#[derive(Clone, Copy, Debug)]
enum Deed {
    Add(DocumentId),
    RemoveOwn(u32),
    Remove(DocumentId),
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    deed: Deed,
    tokens: usize,
    lengths: usize,
}

#[derive(Clone, Copy, Debug)]
struct Occurrence {
    word: u32,
    position: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Pending {
    fields: usize,
    fingerprint: u64,
    words: Words,
    operations: Vec<Operation>,
    tokens: Vec<Occurrence>,
    lengths: Vec<u32>,
}

impl Pending {
    /// Nothing done yet, to a store of so many fields whose terms are made by the rules of `fingerprint`.
    pub fn new(fields: usize, fingerprint: u64) -> Self {
        Self {
            fields,
            fingerprint,
            words: Words::default(),
            operations: Vec::new(),
            tokens: Vec::new(),
            lengths: Vec::new(),
        }
    }

    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Bytes it takes in memory, roughly.
    pub fn bytes(&self) -> usize {
        self.words.bytes() + self.tokens.len() * 8 + self.operations.len() * 40
    }

    /// The moment to go back to.
    pub fn savepoint(&self) -> usize {
        self.operations.len()
    }

    /// Takes back what was done since.
    pub fn rollback_to(&mut self, savepoint: usize) {
        if let Some(first) = self.operations.get(savepoint) {
            self.tokens.truncate(first.tokens);
            self.lengths.truncate(first.lengths);
            self.operations.truncate(savepoint);
        }
    }

    /// A document comes; its terms follow.
    pub fn add(&mut self, ordinal: u32) {
        self.add_again(DocumentId { seq: 0, ordinal });
    }

    /// A committed document is indexed anew; its terms follow. Documents come in their order.
    pub fn add_again(&mut self, document: DocumentId) {
        self.operation(Deed::Add(document));
        self.lengths.resize(self.lengths.len() + self.fields, 0);
    }

    /// A document that this transaction added goes.
    pub fn remove_own(&mut self, ordinal: u32) {
        self.operation(Deed::RemoveOwn(ordinal));
    }

    /// A committed document goes; the terms it had follow.
    pub fn remove(&mut self, document: DocumentId) {
        self.operation(Deed::Remove(document));
        self.lengths.resize(self.lengths.len() + self.fields, 0);
    }

    fn operation(&mut self, deed: Deed) {
        self.operations.push(Operation {
            deed,
            tokens: self.tokens.len(),
            lengths: self.lengths.len(),
        });
    }

    /// A term of the document of the last operation.
    #[inline]
    pub fn term(&mut self, field: u8, term: &str, position: u32) {
        let word = self.words.number(field, term.as_bytes());
        self.tokens.push(Occurrence { word, position });
        let at = self.lengths.len() - self.fields + usize::from(field);
        self.lengths[at] += 1;
        if self.fields > 1 {
            let word = self.words.number(ANY, term.as_bytes());
            self.tokens.push(Occurrence { word, position: 0 });
        }
    }

    /// The distinct words of the document of the last operation and its lengths: what a store without texts keeps, to take the
    /// document away one day.
    pub fn last_words(&self) -> (Vec<&[u8]>, &[u32]) {
        let tokens = self.operations.last().map_or(0, |last| last.tokens);
        let mut words: Vec<&[u8]> = self.tokens[tokens..]
            .iter()
            .map(|token| self.words.get(token.word))
            .collect();
        words.retain(|word| word[0] != ANY);
        words.sort_unstable();
        words.dedup();
        (words, &self.lengths[self.lengths.len() - self.fields..])
    }

    /// A committed document goes, of which [`Pending::last_words`] was kept.
    pub fn remove_words<'w>(
        &mut self,
        document: DocumentId,
        words: impl Iterator<Item = &'w [u8]>,
        lengths: &[u32],
    ) {
        self.remove(document);
        for word in words {
            let Some((field, term)) = word.split_first() else {
                continue;
            };
            let number = self.words.number(*field, term);
            self.tokens.push(Occurrence {
                word: number,
                position: 0,
            });
            if self.fields > 1 {
                let number = self.words.number(ANY, term);
                self.tokens.push(Occurrence {
                    word: number,
                    position: 0,
                });
            }
        }
        let at = self.lengths.len() - self.fields;
        self.lengths[at..].copy_from_slice(lengths);
    }

    /// The delta of all this.
    pub fn delta(&self) -> Vec<u8> {
        let gone: FxHashSet<u32> = self
            .operations
            .iter()
            .filter_map(|op| own_removal(op.deed))
            .collect();
        let mut parts = Parts {
            fingerprint: self.fingerprint,
            sums: vec![(0, 0); self.fields],
            ..Parts::default()
        };
        // How often each word stands in added documents, and in how many removed ones.
        let mut begins = vec![0u32; self.words.len() + 1];
        let mut removed = vec![0u32; self.words.len()];
        let mut last_removal = vec![u32::MAX; self.words.len()];
        for (at, operation) in self.operations.iter().enumerate() {
            let lengths = &self.lengths[operation.lengths..self.lengths_end(at)];
            match operation.deed {
                Deed::Add(document) if !gone.contains(&document.ordinal) => {
                    parts.add(document);
                    parts.lengths.extend_from_slice(lengths);
                    parts
                        .sums
                        .iter_mut()
                        .zip(lengths)
                        .for_each(|(sum, length)| sum.0 += u64::from(*length));
                    self.tokens_of(at)
                        .iter()
                        .for_each(|token| begins[token.word as usize + 1] += 1);
                }
                Deed::Remove(document) => {
                    parts.removed.push(document);
                    parts
                        .sums
                        .iter_mut()
                        .zip(lengths)
                        .for_each(|(sum, length)| sum.1 += u64::from(*length));
                    for token in self.tokens_of(at) {
                        let word = token.word as usize;
                        if last_removal[word] != at as u32 {
                            last_removal[word] = at as u32;
                            removed[word] += 1;
                        }
                    }
                }
                _ => {}
            }
        }
        (1..begins.len()).for_each(|at| begins[at] += begins[at - 1]);
        let occurrences = self.distribute(&gone, begins.clone());
        let mut order: Vec<u32> = (0..self.words.len() as u32).collect();
        order.retain(|word| {
            let word = *word as usize;
            begins[word] < begins[word + 1] || removed[word] > 0
        });
        order.sort_unstable_by(|a, b| self.words.get(*a).cmp(self.words.get(*b)));
        let mut writer = DeltaWriter::new(&parts);
        let (mut postings, mut positions) = (Vec::new(), Vec::new());
        for word in order {
            let (text, at) = (self.words.get(word), word as usize);
            let own = &occurrences[begins[at] as usize..begins[at + 1] as usize];
            let added = write_postings(own, text[0] == ANY, &mut postings, &mut positions);
            writer.entry(text, added, removed[at], &postings, &positions);
        }
        writer.finish()
    }

    /// All (place of the document, position), word by word; `next` is where each word's begin.
    fn distribute(&self, gone: &FxHashSet<u32>, mut next: Vec<u32>) -> Vec<(u32, u32)> {
        let total = next.last().copied().unwrap_or(0);
        let mut occurrences = vec![(0, 0); total as usize];
        let mut place = 0;
        for (at, operation) in self.operations.iter().enumerate() {
            let Deed::Add(document) = operation.deed else {
                continue;
            };
            if gone.contains(&document.ordinal) {
                continue;
            }
            for token in self.tokens_of(at) {
                let next = &mut next[token.word as usize];
                occurrences[*next as usize] = (place, token.position);
                *next += 1;
            }
            place += 1;
        }
        occurrences
    }

    fn tokens_of(&self, at: usize) -> &[Occurrence] {
        let end = self
            .operations
            .get(at + 1)
            .map_or(self.tokens.len(), |next| next.tokens);
        &self.tokens[self.operations[at].tokens..end]
    }

    fn lengths_end(&self, at: usize) -> usize {
        self.operations
            .get(at + 1)
            .map_or(self.lengths.len(), |next| next.lengths)
    }
}

fn own_removal(deed: Deed) -> Option<u32> {
    match deed {
        Deed::RemoveOwn(ordinal) => Some(ordinal),
        _ => None,
    }
}

/// Writes the postings of one word; the number of documents.
fn write_postings(
    occurrences: &[(u32, u32)],
    any: bool,
    postings: &mut Vec<u8>,
    positions: &mut Vec<u8>,
) -> u32 {
    postings.clear();
    positions.clear();
    let (mut documents, mut before) = (0, 0);
    for document in occurrences.chunk_by(|a, b| a.0 == b.0) {
        documents += 1;
        if any {
            continue;
        }
        let (place, mut position) = (document[0].0, 0);
        put_posting(postings, place - before, document.len() as u32);
        before = place;
        for (_, at) in document {
            positions.put_varint(u64::from(at - position));
            position = *at;
        }
    }
    documents
}
