//! What an open transaction has done to a text store.

use std::any::Any;
use std::sync::Arc;

use sopasync_text::index::{self, Delta, DocumentId, delta_key};

use super::index::{Index, failed};
use super::record::Body;
use crate::engine::{Pending, Transaction};
use crate::error::Result;
use crate::txn::Stamp;

/// See the module.
pub(super) struct TextPending {
    index: Arc<Index>,
    work: index::Pending,
    /// The delta of the work up to a mark.
    own: Option<(usize, Arc<Delta>)>,
}

impl TextPending {
    pub(super) fn new(index: Arc<Index>) -> Self {
        Self {
            work: index::Pending::new(index.fields(), index.fingerprint),
            index,
            own: None,
        }
    }

    pub(super) fn add(&mut self, ordinal: u32, texts: &[&str]) {
        self.work.add(ordinal);
        self.analyze(texts);
    }

    /// A committed document goes.
    pub(super) fn remove(&mut self, document: DocumentId, body: &Body) {
        match body {
            Body::Texts(texts) => {
                self.work.remove(document);
                self.analyze(texts);
            }
            Body::Words(lengths, words) => {
                let words = words.iter().map(Vec::as_slice);
                self.work.remove_words(document, words, lengths);
            }
        }
    }

    pub(super) fn remove_own(&mut self, ordinal: u32) {
        self.work.remove_own(ordinal);
    }

    /// What a store without texts keeps of the document added last.
    pub(super) fn last_words(&self) -> (Vec<&[u8]>, &[u32]) {
        self.work.last_words()
    }

    fn analyze<T: AsRef<str>>(&mut self, texts: &[T]) {
        analyze(&self.index, texts, &mut self.work);
    }

    /// The delta of all work so far; `None` when there is none.
    pub(super) fn delta(&mut self) -> Result<Option<Arc<Delta>>> {
        let mark = self.mark();
        if mark == 0 {
            return Ok(None);
        }
        if let Some((own, delta)) = &self.own
            && *own == mark
        {
            return Ok(Some(Arc::clone(delta)));
        }
        let delta = Delta::open(self.work.delta(), DocumentId::OWN);
        let delta = Arc::new(delta.map_err(|failure| failed(&failure, None))?);
        self.own = Some((mark, Arc::clone(&delta)));
        Ok(Some(delta))
    }

    /// What a search would have to go through before it begins.
    pub(super) fn delta_cost(&self) -> usize {
        match &self.own {
            Some((own, _)) if *own == self.mark() => 0,
            _ => self.work.bytes(),
        }
    }
}

/// Gives the terms of a document's texts to the operation begun last.
pub(super) fn analyze<T: AsRef<str>>(index: &Index, texts: &[T], work: &mut index::Pending) {
    for (number, (field, text)) in index.schema.fields.iter().zip(texts).enumerate() {
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
        self.own = None;
    }

    fn finish(&mut self, transaction: &mut Transaction, store: u64) -> Result<()> {
        let key = delta_key(DocumentId::OWN);
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
