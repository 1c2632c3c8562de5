//! A text store inside a transaction: adding, looking up, deleting, counting.

use std::sync::Arc;

use sopasync_text::Schema;
pub use sopasync_text::index::Policy as TextPolicy;
use sopasync_text::index::{DocumentId, View};

use super::index::{Index, malformed};
use super::pending::TextPending;
use super::record::{
    Body, decode_body, document_of_value, document_row, encode_head, encode_texts, encode_words,
    head, key_row, split,
};
use super::rows::TransactionRows;
use crate::engine::{Access, Transaction};
use crate::error::{Error, Result};
use crate::limits::{INLINE_WRITE_BYTES_MAX, KEY_BYTES_MAX};
use crate::txn::{Stamp, StoreInfo};

/// A text store: cheap to clone, for any number of transactions. Every call names the transaction it belongs to.
#[derive(Clone)]
pub struct TextStore {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) index: Arc<Index>,
}

/// A document as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEntry {
    /// The texts of all fields, in the schema's order; `None` in a store that keeps none.
    pub texts: Option<Vec<String>>,
    /// Its packed payload, as it was given.
    pub payload: Vec<u8>,
}

/// What there is of an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStatistics {
    /// Documents at the snapshot.
    pub documents: u64,
    /// Documents and deletions that wait to be merged, and the rows they stand in.
    pub unmerged: u64,
    /// Rows they stand in.
    pub deltas: usize,
}

impl TextStore {
    /// The store that `info` describes, as `Transaction::find_store` or `create_store` has given it. Reads nothing.
    pub fn open(tx: &Transaction, info: &StoreInfo) -> Result<Self> {
        Ok(Self {
            id: info.id,
            name: info.name.clone(),
            index: Index::open(tx, info)?,
        })
    }

    /// Its lasting properties.
    pub fn schema(&self) -> &Schema {
        &self.index.schema
    }

    /// Its number in the catalogue.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Gives a key a document, whatever it had before: a text for each field (empty where there is none) and a packed payload. Whether
    /// it had one. The commit fails when another transaction has changed the same key meanwhile.
    pub fn add(
        &self,
        tx: &mut Transaction,
        key: &[u8],
        texts: &[&str],
        payload: &[u8],
        may_wait: bool,
    ) -> Result<bool> {
        self.check_key(key)?;
        if texts.len() != self.index.fields() {
            return Err(Error::invalid(format!(
                "store '{}' has {} fields; the document has {} texts",
                self.name,
                self.index.fields(),
                texts.len()
            )));
        }
        let row = key_row(key);
        let old = self.document_of(tx, &row, may_wait)?;
        let old = match old {
            Some(document) => Some((document, self.body(tx, document, may_wait)?)),
            None => None,
        };
        let head = encode_head(key, payload);
        let length = head.len() + texts.iter().map(|text| text.len() + 10).sum::<usize>();
        if length > INLINE_WRITE_BYTES_MAX && !may_wait {
            return Err(Error::WouldBlock);
        }
        // Now nothing has to wait any more.
        let replaced = old.is_some();
        if let Some((document, body)) = old {
            self.remove_document(tx, document, &body)?;
        }
        let document = DocumentId {
            seq: DocumentId::OWN,
            ordinal: tx.next_ordinal(self.id)?,
        };
        let pending = self.pending(tx)?;
        pending.add(document.ordinal, texts);
        let body = if self.index.schema.stored {
            encode_texts(texts)
        } else {
            let (words, lengths) = pending.last_words();
            encode_words(lengths, &words)
        };
        let (meta, value) = split(head, body);
        tx.put_stamped(
            self.id,
            &document_row(document),
            &meta,
            &value,
            Stamp::key(1),
            true,
        )?;
        tx.put_stamped(
            self.id,
            &row,
            &[],
            &document.to_bytes(),
            Stamp::value(0),
            true,
        )?;
        Ok(replaced)
    }

    /// Takes a key's document away; whether it had one.
    pub fn delete(&self, tx: &mut Transaction, key: &[u8], may_wait: bool) -> Result<bool> {
        self.check_key(key)?;
        let row = key_row(key);
        let Some(document) = self.document_of(tx, &row, may_wait)? else {
            return Ok(false);
        };
        let body = self.body(tx, document, may_wait)?;
        self.remove_document(tx, document, &body)?;
        tx.delete(self.id, &row)?;
        Ok(true)
    }

    /// A key's document.
    pub fn get(
        &self,
        tx: &mut Transaction,
        key: &[u8],
        access: Access,
    ) -> Result<Option<TextEntry>> {
        self.check_key(key)?;
        let found = tx.visit(self.id, &key_row(key), access, |_, value| {
            document_of_value(value)
        })?;
        let Some(document) = found.transpose()? else {
            return Ok(None);
        };
        let fields = self.index.fields();
        let aside = aside(access.may_wait);
        let entry = tx.visit(self.id, &document_row(document), aside, |meta, value| {
            let (_, payload, body) = head(meta, value)?;
            let texts = match decode_body(&value[body..], fields)? {
                Body::Texts(texts) => Some(texts),
                Body::Words(..) => None,
            };
            Ok(TextEntry {
                texts,
                payload: payload.to_vec(),
            })
        })?;
        entry
            .ok_or_else(|| malformed("a key names a document that is not there"))?
            .map(Some)
    }

    /// Has the key a document?
    pub fn contains(&self, tx: &mut Transaction, key: &[u8], access: Access) -> Result<bool> {
        self.check_key(key)?;
        tx.contains(self.id, &key_row(key), access)
    }

    /// How many documents there are.
    pub fn count(&self, tx: &mut Transaction, access: Access) -> Result<u64> {
        let documents = self.view(tx, access.may_wait)?.documents();
        self.claim(tx, access)?;
        Ok(documents)
    }

    /// What there is of the index.
    pub fn statistics(&self, tx: &mut Transaction, may_wait: bool) -> Result<TextStatistics> {
        let view = self.view(tx, may_wait)?;
        let (unmerged, deltas) = view.unmerged();
        Ok(TextStatistics {
            documents: view.documents(),
            unmerged,
            deltas,
        })
    }

    /// Changes when maintenance of this store does what, until the database is closed.
    pub fn set_policy(&self, policy: TextPolicy) {
        *self.index.policy.lock() = policy;
    }

    /// The index as the transaction sees it.
    pub(super) fn view(&self, tx: &mut Transaction, may_wait: bool) -> Result<Arc<View>> {
        let own = match tx.pending::<TextPending>(self.id)? {
            Some(pending) if !may_wait && pending.delta_cost() > INLINE_WRITE_BYTES_MAX => {
                return Err(Error::WouldBlock);
            }
            Some(pending) => pending.delta()?,
            None => None,
        };
        let rows = TransactionRows::new(tx, self.id, may_wait);
        let view = View::open(&rows, &self.index.cache, self.index.fields(), own);
        view.map_err(|failure| rows.error(&failure))
    }

    pub(super) fn pending<'t>(&self, tx: &'t mut Transaction) -> Result<&'t mut TextPending> {
        tx.pending_or_begin(self.id, || TextPending::new(Arc::clone(&self.index)))
    }

    /// The document a key has now. Whatever the isolation, the commit fails when that changes: two transactions that
    /// replace one document would both delete it and both add theirs.
    fn document_of(
        &self,
        tx: &mut Transaction,
        row: &[u8],
        may_wait: bool,
    ) -> Result<Option<DocumentId>> {
        let found = tx.visit(self.id, row, aside(may_wait), |_, value| {
            document_of_value(value)
        })?;
        tx.claim_point(self.id, row)?;
        found.transpose()
    }

    fn body(&self, tx: &mut Transaction, document: DocumentId, may_wait: bool) -> Result<Body> {
        let fields = self.index.fields();
        let body = tx.visit(
            self.id,
            &document_row(document),
            aside(may_wait),
            |meta, value| {
                let (_, _, body) = head(meta, value)?;
                decode_body(&value[body..], fields)
            },
        )?;
        body.ok_or_else(|| malformed("a key names a document that is not there"))?
    }

    fn remove_document(
        &self,
        tx: &mut Transaction,
        document: DocumentId,
        body: &Body,
    ) -> Result<()> {
        let pending = self.pending(tx)?;
        if document.seq == DocumentId::OWN {
            pending.remove_own(document.ordinal);
            return tx.forget(self.id, &document_row(document));
        }
        pending.remove(document, body);
        tx.delete(self.id, &document_row(document))
    }

    fn check_key(&self, key: &[u8]) -> Result<()> {
        if key.len() >= KEY_BYTES_MAX {
            return Err(Error::KeyTooLong {
                length: key.len(),
                limit: KEY_BYTES_MAX - 1,
            });
        }
        Ok(())
    }
}

/// Reading what validation need not know of.
pub(super) fn aside(may_wait: bool) -> Access {
    Access {
        may_wait,
        track: false,
    }
}
