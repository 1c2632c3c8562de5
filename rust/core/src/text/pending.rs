//! What an open transaction has done to a text store.

use std::any::Any;
use std::sync::Arc;

use sopasync_text::Schema;
use sopasync_text::index::{self, Delta, DocumentId, Words, combine_own};

use super::index::failed;
use super::rows::delta_row;
use super::rules::Rules;
use crate::engine::{Pending, Transaction};
use crate::error::Result;
use crate::mutants::mutant;
use crate::txn::Stamp;

/// See the module.
pub(super) struct TextPending {
    rules: Arc<Rules>,
    work: index::Pending,
    /// Deltas of the work so far, for searches: each begins where the one before ends, and is larger than what follows, as
    /// digits of a number are worth more, so that adding and searching in turn handles a document a few times only.
    own: Vec<Own>,
}

struct Own {
    end: usize,
    delta: Arc<Delta>,
}

impl TextPending {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        Self {
            work: index::Pending::new(rules.fields(), rules.fingerprint),
            rules,
            own: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, ordinal: u32, called: &[u8], texts: &[&str]) {
        self.work.add(ordinal, called);
        analyze(&self.rules.schema, texts, &mut self.work);
    }

    /// A committed document goes, whose texts are at hand.
    pub(super) fn remove(&mut self, document: DocumentId, texts: &[String]) {
        self.work.remove(document);
        analyze(&self.rules.schema, texts, &mut self.work);
    }

    /// A committed document goes, of which the index keeps the words.
    pub(super) fn remove_words(&mut self, document: DocumentId, words: &Words) {
        self.work.remove_words(document, words);
    }

    pub(super) fn remove_own(&mut self, ordinal: u32) {
        self.work.remove_own(ordinal);
    }

    /// The deltas of all work so far.
    pub(super) fn deltas(&mut self) -> Result<Vec<Arc<Delta>>> {
        let (mark, begin) = (self.mark(), self.own.last().map_or(0, |own| own.end));
        if begin < mark {
            let delta = open(self.work.delta_since(begin))?;
            self.own.push(Own { end: mark, delta });
        }
        while let [.., before, last] = &self.own[..]
            && before.delta.bytes() < 2 * last.delta.bytes()
        {
            let both = [Arc::clone(&before.delta), Arc::clone(&last.delta)];
            let both = combine_own(&both).map_err(|failure| failed(&failure, None))?;
            let end = last.end;
            self.own.truncate(self.own.len() - 2);
            self.own.push(Own {
                end,
                delta: open(both)?,
            });
        }
        Ok(self.own.iter().map(|own| Arc::clone(&own.delta)).collect())
    }

    /// What a search would have to go through before it begins.
    pub(super) fn deltas_cost(&self) -> usize {
        let begin = self.own.last().map_or(0, |own| own.end);
        let cost = self.work.bytes_since(begin);
        // Combining may follow, of as much as there is in deltas that are not much larger.
        let small = self.own.iter().map(|own| own.delta.bytes());
        cost + small.filter(|bytes| *bytes < 2 * cost).sum::<usize>()
    }
}

fn open(bytes: Vec<u8>) -> Result<Arc<Delta>> {
    let delta = Delta::open(bytes, DocumentId::OWN);
    Ok(Arc::new(delta.map_err(|failure| failed(&failure, None))?))
}

/// Gives the terms of a document's texts to the operation begun last.
pub(super) fn analyze<T: AsRef<str>>(schema: &Schema, texts: &[T], work: &mut index::Pending) {
    for (number, (field, text)) in schema.fields.iter().zip(texts).enumerate() {
        field.analyzer.analyze(text.as_ref(), &mut |token| {
            work.term(number as u8, token.text, token.position);
        });
    }
}

impl Pending for TextPending {
    fn mark(&self) -> usize {
        self.work.savepoint()
    }

    fn rollback_to(&mut self, mark: usize) {
        self.work.rollback_to(mark);
        if !mutant("text-keep-undone") {
            self.own.retain(|own| own.end <= mark);
        }
    }

    fn finish(&mut self, transaction: &mut Transaction, store: u64) -> Result<()> {
        let key = delta_row(self.rules.generation, DocumentId::OWN);
        if self.work.is_empty() {
            return transaction.forget(store, &key);
        }
        let delta = self.work.delta();
        transaction.put_stamped(store, &key, &[], &delta, Stamp::key(1), true)
    }

    fn cost(&self) -> usize {
        self.work.bytes()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
