//! `Pending`: what an open transaction has done to a text store, kept as terms until it is made a delta.
//!
//! Invariants
//! 1. Operations are kept in their order, each with its tokens behind those of the one before: going back is cutting.
//! 2. A document's ordinal is given once, and ordinals ascend.
//! 3. A word of the field `ANY` stands for a term in whatever field: it has a number of documents, and no postings.
//! 4. A delta may also be made of the operations behind a savepoint alone: own documents from before it are then to it what committed
//!    ones are, and go by `removed`. So a transaction that adds and searches in turn sorts nothing twice.

use rustc_hash::FxHashSet;

use super::bytes::Put;
use super::delta::{DeltaWriter, Parts};
use super::forward::Words as KnownWords;
use super::keys::DocumentId;
use super::names::Names;
use super::posting::put_posting;
use super::words::Words;
use crate::mutants::mutant;

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
    names: usize,
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
    names: Names,
    /// Ordinals of the documents added, ascending, and their operations.
    added: Vec<(u32, usize)>,
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
            names: Names::default(),
            added: Vec::new(),
        }
    }

    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Bytes it takes in memory, roughly.
    pub fn bytes(&self) -> usize {
        self.words.bytes() + self.names.bytes() + self.bytes_since(0)
    }

    /// Bytes of what was done since a savepoint, roughly.
    pub fn bytes_since(&self, savepoint: usize) -> usize {
        let tokens = self.operations.get(savepoint);
        let tokens = tokens.map_or(0, |first| self.tokens.len() - first.tokens);
        tokens * 8 + (self.operations.len() - savepoint) * 40
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
            self.names.truncate(first.names);
            let kept = self.added.partition_point(|added| added.1 < savepoint);
            self.added.truncate(kept);
            self.operations.truncate(savepoint);
        }
    }

    /// A document of this name comes; its terms follow.
    pub fn add(&mut self, ordinal: u32, name: &[u8]) {
        self.add_again(DocumentId { seq: 0, ordinal }, name);
    }

    /// A committed document is indexed anew; its terms follow. Documents come in their order.
    pub fn add_again(&mut self, document: DocumentId, name: &[u8]) {
        self.added.push((document.ordinal, self.operations.len()));
        self.operation(Deed::Add(document));
        self.names.push(name);
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
            names: self.names.len(),
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

    /// A committed document goes, of which its words and lengths are known, not its text.
    pub fn remove_words(&mut self, document: DocumentId, known: &KnownWords) {
        self.remove(document);
        for word in &known.words {
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
        self.lengths[at..].copy_from_slice(&known.lengths);
    }

    /// The delta of all this.
    pub fn delta(&self) -> Vec<u8> {
        self.delta_since(0)
    }

    /// The delta of what was done since a savepoint.
    pub fn delta_since(&self, savepoint: usize) -> Vec<u8> {
        let effects = self.effects(savepoint);
        let mut parts = Parts {
            fingerprint: self.fingerprint,
            sums: vec![(0, 0); self.fields],
            ..Parts::default()
        };
        // How often each word stands in added documents, and in how many removed ones.
        let mut begins = vec![0u32; self.words.len() + 1];
        let mut removed = vec![0u32; self.words.len()];
        let mut last_removal = vec![u32::MAX; self.words.len()];
        for effect in &effects {
            let lengths = self.lengths_of(effect.operation);
            let tokens = self.tokens_of(effect.operation);
            let sums = parts.sums.iter_mut().zip(lengths);
            if effect.adds {
                sums.for_each(|(sum, length)| sum.0 += u64::from(*length));
                let name = self.names.get(self.operations[effect.operation].names);
                parts.add(effect.document, name.unwrap_or_default());
                parts.lengths.extend_from_slice(lengths);
                tokens
                    .iter()
                    .for_each(|token| begins[token.word as usize + 1] += 1);
                continue;
            }
            sums.for_each(|(sum, length)| sum.1 += u64::from(*length));
            parts.removed.push(effect.document);
            for token in tokens {
                let word = token.word as usize;
                if last_removal[word] != effect.operation as u32 {
                    last_removal[word] = effect.operation as u32;
                    removed[word] += 1;
                }
            }
        }
        (1..begins.len()).for_each(|at| begins[at] += begins[at - 1]);
        let occurrences = self.distribute(&effects, begins.clone());
        let there = |word: &u32| {
            let word = *word as usize;
            begins[word] < begins[word + 1] || removed[word] > 0
        };
        let order = self
            .words
            .sorted((0..self.words.len() as u32).filter(there));
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

    /// What the operations since a savepoint come to: documents that come, and documents from before it that go.
    fn effects(&self, savepoint: usize) -> Vec<Effect> {
        let since = || self.operations.iter().enumerate().skip(savepoint);
        let gone: FxHashSet<u32> = since().filter_map(|(_, op)| own_removal(op.deed)).collect();
        let effect = |(operation, deed): (usize, Deed)| match deed {
            Deed::Add(document) => (!gone.contains(&document.ordinal)).then_some(Effect {
                adds: true,
                operation,
                document,
            }),
            Deed::Remove(document) => Some(Effect {
                adds: false,
                operation,
                document,
            }),
            Deed::RemoveOwn(ordinal) => {
                let at = self.added.binary_search_by_key(&ordinal, |added| added.0);
                let operation = self.added[at.ok()?].1;
                (operation < savepoint && !mutant("text-forget-own")).then_some(Effect {
                    adds: false,
                    operation,
                    document: DocumentId {
                        seq: DocumentId::OWN,
                        ordinal,
                    },
                })
            }
        };
        since()
            .filter_map(|(at, operation)| effect((at, operation.deed)))
            .collect()
    }

    /// All (place of the document, position), word by word; `next` is where each word's begin.
    fn distribute(&self, effects: &[Effect], mut next: Vec<u32>) -> Vec<(u32, u32)> {
        let total = next.last().copied().unwrap_or(0);
        let mut occurrences = vec![(0, 0); total as usize];
        let added = effects.iter().filter(|effect| effect.adds);
        for (place, effect) in added.enumerate() {
            for token in self.tokens_of(effect.operation) {
                let next = &mut next[token.word as usize];
                occurrences[*next as usize] = (place as u32, token.position);
                *next += 1;
            }
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

    fn lengths_of(&self, at: usize) -> &[u32] {
        let end = self
            .operations
            .get(at + 1)
            .map_or(self.lengths.len(), |next| next.lengths);
        &self.lengths[self.operations[at].lengths..end]
    }
}

/// A document that comes or goes, and the operation that has its terms.
struct Effect {
    adds: bool,
    operation: usize,
    document: DocumentId,
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
