//! A text store inside a transaction: adding, looking up, deleting, counting.

use std::sync::Arc;

use sopasync_text::Schema;
pub use sopasync_text::index::Policy as TextPolicy;
use sopasync_text::index::{DocumentId, View, Words};

use super::index::{Index, malformed};
use super::pending::TextPending;
use super::record::{Entry, Long, called, encode, long_row, name_row};
use super::rows::TransactionRows;
use super::rules::{RULES, Rules, RulesRow};
use crate::engine::{Access, Transaction};
use crate::error::{Error, Result};
use crate::limits::{INLINE_WRITE_BYTES_MAX, KEY_BYTES_MAX};
use crate::mutants::mutant;
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

/// How a store makes terms of texts and scores, as in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// Now.
    pub in_force: Vec<u8>,
    /// When the index has been made anew.
    pub wanted: Option<Vec<u8>>,
    /// Whether the new index is about to take over: who writes now gets a conflict, and is to try again.
    pub closing: bool,
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

    /// How it makes terms of texts at the transaction's snapshot, and how it scores.
    pub fn schema(&self, tx: &mut Transaction, may_wait: bool) -> Result<Arc<Schema>> {
        Ok(Arc::clone(&self.rules(tx, may_wait)?.schema))
    }

    /// The options in force, and those it is being changed to in the background if there are any.
    pub fn options(&self, tx: &mut Transaction, may_wait: bool) -> Result<TextOptions> {
        let row = RulesRow::read(tx, self.id, may_wait)?;
        Ok(TextOptions {
            in_force: self.index.options_of(&row).to_vec(),
            wanted: (!row.wanted.is_empty()).then_some(row.wanted),
            closing: row.closing,
        })
    }

    /// Changes its options. Those that only weigh (boosts, k1, b, the description) are in force at once. When terms are to be made by
    /// other rules, the index is made anew in the background, by the old ones until then. Fields stay, and so does whether
    /// texts are kept; without texts nothing can be made anew.
    pub fn change(&self, tx: &mut Transaction, options: &[u8], may_wait: bool) -> Result<()> {
        let read = |options: &[u8]| {
            Schema::from_options(options).map_err(|error| Error::invalid(error.to_string()))
        };
        let mut row = RulesRow::read(tx, self.id, may_wait)?;
        let (old, new) = (read(self.index.options_of(&row))?, read(options)?);
        let names = |schema: &Schema| -> Vec<String> {
            let names = schema.fields.iter().map(|field| field.name.clone());
            names.collect()
        };
        if names(&old) != names(&new) || old.stored != new.stored {
            return Err(Error::invalid(format!(
                "store '{}' keeps its fields, and whether it keeps texts: make another store for others",
                self.name
            )));
        }
        let same_terms = old.fingerprint() == new.fingerprint();
        if !same_terms && !old.stored {
            return Err(Error::invalid(format!(
                "store '{}' keeps no texts, so its index cannot be made by other rules: add its documents to a new store",
                self.name
            )));
        }
        // What was begun for what was wanted before is of no use.
        row.clearing |= !row.wanted.is_empty();
        row.closing = false;
        row.wanted.clear();
        if same_terms {
            row.current = options.to_vec();
        } else {
            row.wanted = options.to_vec();
        }
        tx.claim_point(self.id, &RULES)?;
        row.write(tx, self.id)
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
        let (rules, row) = (self.rules(tx, may_wait)?, name_row(key));
        if texts.len() != rules.fields() {
            return Err(Error::invalid(format!(
                "store '{}' has {} fields; the document has {} texts",
                self.name,
                rules.fields(),
                texts.len()
            )));
        }
        let old = self.old(tx, &rules, &row, may_wait)?;
        let length = payload.len() + texts.iter().map(|text| text.len() + 10).sum::<usize>();
        if length > INLINE_WRITE_BYTES_MAX && !may_wait {
            return Err(Error::WouldBlock);
        }
        self.begin(tx, &rules)?;
        // Now nothing has to wait any more.
        let replaced = old.is_some();
        if let Some(old) = old {
            self.remove_document(tx, &old)?;
        }
        let document = DocumentId {
            seq: DocumentId::OWN,
            ordinal: tx.next_ordinal(self.id)?,
        };
        let called = called(key, !payload.is_empty());
        let pending = self.pending(tx, &rules)?;
        pending.add(document.ordinal, &called, texts);
        let (entry, long) = encode(document, payload, rules.schema.stored.then_some(texts));
        tx.put_stamped(self.id, &row, &[], &entry, Stamp::value(0), true)?;
        if let Some(long) = long {
            tx.put_stamped(
                self.id,
                &long_row(document),
                &[],
                &long,
                Stamp::key(1),
                true,
            )?;
        }
        Ok(replaced)
    }

    /// Takes a key's document away; whether it had one.
    pub fn delete(&self, tx: &mut Transaction, key: &[u8], may_wait: bool) -> Result<bool> {
        self.check_key(key)?;
        let (rules, row) = (self.rules(tx, may_wait)?, name_row(key));
        let Some(old) = self.old(tx, &rules, &row, may_wait)? else {
            return Ok(false);
        };
        self.begin(tx, &rules)?;
        self.remove_document(tx, &old)?;
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
        let rules = self.rules(tx, access.may_wait)?;
        let want = Want {
            payload: true,
            texts: rules.schema.stored.then(|| rules.fields()),
        };
        let found = self.read(tx, &name_row(key), want, access)?;
        Ok(found.map(|found| TextEntry {
            texts: found.texts,
            payload: found.payload,
        }))
    }

    /// Has the key a document?
    pub fn contains(&self, tx: &mut Transaction, key: &[u8], access: Access) -> Result<bool> {
        self.check_key(key)?;
        tx.contains(self.id, &name_row(key), access)
    }

    /// How many documents there are.
    pub fn count(&self, tx: &mut Transaction, access: Access) -> Result<u64> {
        let rules = self.rules(tx, access.may_wait)?;
        let documents = self.view(tx, &rules, access.may_wait)?.documents();
        self.claim(tx, &rules, access)?;
        Ok(documents)
    }

    /// What there is of the index.
    pub fn statistics(&self, tx: &mut Transaction, may_wait: bool) -> Result<TextStatistics> {
        let rules = self.rules(tx, may_wait)?;
        let view = self.view(tx, &rules, may_wait)?;
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

    /// The rules at the transaction's snapshot.
    pub(super) fn rules(&self, tx: &mut Transaction, may_wait: bool) -> Result<Arc<Rules>> {
        self.index.rules(tx, self.id, may_wait)
    }

    /// The index as the transaction sees it.
    pub(super) fn view(
        &self,
        tx: &mut Transaction,
        rules: &Rules,
        may_wait: bool,
    ) -> Result<Arc<View>> {
        let own = match tx.pending::<TextPending>(self.id)? {
            Some(pending) if !may_wait && pending.deltas_cost() > INLINE_WRITE_BYTES_MAX => {
                return Err(Error::WouldBlock);
            }
            Some(pending) => pending.deltas()?,
            None => Vec::new(),
        };
        let rows = TransactionRows::new(tx, self.id, rules.generation, may_wait);
        let view = View::open(&rows, &rules.cache, rules.fields(), &own);
        view.map_err(|failure| rows.error(&failure))
    }

    /// A write is about to begin: by these rules, or not at all (R1).
    fn begin(&self, tx: &mut Transaction, rules: &Rules) -> Result<()> {
        if rules.closing {
            return Err(Error::Conflict {
                store: self.name.clone(),
                keys: Vec::new(),
                reason: "its index is just being replaced by one with other rules",
            });
        }
        if tx.pending::<TextPending>(self.id)?.is_some() || mutant("text-late-writer") {
            return Ok(());
        }
        tx.claim_point(self.id, &RULES)
    }

    fn pending<'t>(
        &self,
        tx: &'t mut Transaction,
        rules: &Arc<Rules>,
    ) -> Result<&'t mut TextPending> {
        tx.pending_or_begin(self.id, || TextPending::new(Arc::clone(rules)))
    }

    /// The document a name has now, and what it takes to remove it. Whatever the isolation, the commit fails when that changes: two
    /// transactions that replace one document would both delete it and both add theirs.
    fn old(
        &self,
        tx: &mut Transaction,
        rules: &Arc<Rules>,
        row: &[u8],
        may_wait: bool,
    ) -> Result<Option<Old>> {
        let own = |entry: &Entry<'_>| entry.document.seq == DocumentId::OWN;
        let found = tx.visit(self.id, row, aside(may_wait), |_, value| {
            let entry = Entry::decode(value)?;
            Ok::<_, Error>((entry.document, entry.has_more(), own(&entry)))
        })?;
        if !mutant("text-claim-no-name") {
            tx.claim_point(self.id, row)?;
        }
        let Some((document, has_more, own)) = found.transpose()? else {
            return Ok(None);
        };
        let known = if own {
            Known::Own
        } else if rules.schema.stored {
            let want = Want {
                payload: false,
                texts: Some(rules.fields()),
            };
            let found = self.read(tx, row, want, aside(may_wait))?;
            Known::Texts(found.and_then(|found| found.texts).unwrap_or_default())
        } else {
            let view = self.committed_view(tx, rules, may_wait)?;
            let rows = TransactionRows::new(tx, self.id, rules.generation, may_wait);
            let words = view.words(&rows, document);
            Known::Words(words.map_err(|failure| rows.error(&failure))?)
        };
        Ok(Some(Old {
            document,
            has_more,
            known,
            rules: Arc::clone(rules),
        }))
    }

    /// The index without what the transaction did.
    fn committed_view(
        &self,
        tx: &mut Transaction,
        rules: &Rules,
        may_wait: bool,
    ) -> Result<Arc<View>> {
        let rows = TransactionRows::new(tx, self.id, rules.generation, may_wait);
        let view = View::open(&rows, &rules.cache, rules.fields(), &[]);
        view.map_err(|failure| rows.error(&failure))
    }

    fn remove_document(&self, tx: &mut Transaction, old: &Old) -> Result<()> {
        let document = old.document;
        let pending = self.pending(tx, &old.rules)?;
        match &old.known {
            Known::Own => pending.remove_own(document.ordinal),
            Known::Texts(texts) => pending.remove(document, texts),
            Known::Words(words) => pending.remove_words(document, words),
        }
        match old.has_more {
            true if matches!(old.known, Known::Own) => tx.forget(self.id, &long_row(document)),
            true if !mutant("text-leave-long") => tx.delete(self.id, &long_row(document)),
            _ => Ok(()),
        }
    }

    /// What is wanted of a document by the row of its name.
    pub(super) fn read(
        &self,
        tx: &mut Transaction,
        row: &[u8],
        want: Want,
        access: Access,
    ) -> Result<Option<Found>> {
        read(tx, self.id, row, want, access)
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

/// What is wanted of a document of a store by the row of its name.
pub(super) fn read(
    tx: &mut Transaction,
    store: u64,
    row: &[u8],
    want: Want,
    access: Access,
) -> Result<Option<Found>> {
    let more = |entry: &Entry<'_>| {
        want.payload && entry.payload.is_none() || want.texts.is_some() && entry.texts_are_long
    };
    // Nearly always the entry has all there is; only else is it copied, for a second look-up.
    let found = tx.visit(store, row, access, |_, value| {
        let entry = Entry::decode(value)?;
        let now = match more(&entry) {
            true => Err(value.to_vec()),
            false => Ok(Found::of(&entry, None, want)?),
        };
        Ok::<_, Error>(now)
    })?;
    let entry = match found.transpose()? {
        None => return Ok(None),
        Some(Ok(found)) => return Ok(Some(found)),
        Some(Err(entry)) => entry,
    };
    let entry = Entry::decode(&entry)?;
    let row = long_row(entry.document);
    let long = tx.visit(store, &row, aside(access.may_wait), |_, value| {
        Long::decode(value, entry.payload.is_none())
    })?;
    let missing = || malformed("a document lacks the row of what is long of it");
    let long = long.ok_or_else(missing)??;
    Found::of(&entry, Some(long), want).map(Some)
}

/// A document that goes.
struct Old {
    document: DocumentId,
    has_more: bool,
    known: Known,
    rules: Arc<Rules>,
}

enum Known {
    Own,
    Texts(Vec<String>),
    Words(Words),
}

/// What is read of a document.
#[derive(Clone, Copy)]
pub(super) struct Want {
    pub(super) payload: bool,
    /// The texts of so many fields.
    pub(super) texts: Option<usize>,
}

/// What was read of a document.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) document: DocumentId,
    pub(super) payload: Vec<u8>,
    pub(super) texts: Option<Vec<String>>,
}

impl Found {
    fn of(entry: &Entry<'_>, long: Option<Long>, want: Want) -> Result<Self> {
        let payload = match (&entry.payload, &long) {
            _ if !want.payload => &[],
            (Some(payload), _) => *payload,
            (None, Some(long)) => long.payload(),
            (None, None) => &[],
        };
        let texts = want.texts.map(|fields| entry.texts(&long, fields));
        Ok(Self {
            document: entry.document,
            payload: payload.to_vec(),
            texts: texts.transpose()?,
        })
    }
}

/// Reading what validation need not know of.
pub(super) fn aside(may_wait: bool) -> Access {
    Access {
        may_wait,
        track: false,
    }
}
