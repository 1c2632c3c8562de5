//! A vector store inside a transaction: adding, looking up, deleting, counting.

use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::behind::TAIL_BYTES_MAX;
use super::index::Index;
use super::options::{VECTOR_KIND, VectorOptions};
use super::rows::{
    KEY, Number, PROVISIONAL, TOMBSTONE, VECTOR, decode_record, encode_record, join_record,
    key_row, malformed, number_of_value, numbered_row, split_record,
};
use crate::engine::{Access, Transaction};
use crate::error::{Error, Result};
use crate::limits::KEY_BYTES_MAX;
use crate::txn::{Stamp, StoreInfo};

/// A vector store: cheap to clone, for any number of transactions. Every call names the transaction it belongs to.
#[derive(Clone)]
pub struct VectorStore {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) index: Arc<Index>,
    /// Bytes of vectors that came lately which searches read into memory.
    pub(super) tail_max: usize,
}

/// A vector as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorEntry {
    /// Its elements, little-endian.
    pub elements: Vec<u8>,
    /// Its packed payload; nil when it has none.
    pub payload: Vec<u8>,
}

impl VectorStore {
    /// The store that `info` describes, as `Transaction::find_store` or `create_store` has given it. Reads nothing.
    pub fn open(tx: &Transaction, info: &StoreInfo) -> Result<Self> {
        if info.kind != VECTOR_KIND {
            return Err(Error::invalid(format!(
                "store '{}' is no vector store",
                info.name
            )));
        }
        let options = VectorOptions::parse(&info.options)?;
        Ok(Self {
            id: info.id,
            name: info.name.clone(),
            index: tx.attached(info.id, || Index::new(options)),
            tail_max: TAIL_BYTES_MAX,
        })
    }

    /// The same store, whose searches read vectors that came lately into memory until these take so many bytes. What is
    /// behind that they read from the store, and keep nothing of it.
    pub fn with_tail_max(self, bytes: usize) -> Self {
        Self {
            tail_max: bytes,
            ..self
        }
    }

    /// Its options.
    pub fn options(&self) -> &VectorOptions {
        &self.index.options
    }

    /// Its number in the catalogue.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Gives a key a vector, and a packed payload (empty for none), whatever it had before; whether it had one. The
    /// commit fails when another transaction has changed the same key meanwhile.
    pub fn upsert(
        &self,
        tx: &mut Transaction,
        key: &[u8],
        elements: &[u8],
        payload: &[u8],
        may_wait: bool,
    ) -> Result<bool> {
        self.check_vector(elements)?;
        self.check_key(key)?;
        let row = key_row(key);
        let old = self.number_of(tx, &row, may_wait)?;
        self.replace(tx, (key, &row), old, elements, payload, may_wait)?;
        Ok(old.is_some())
    }

    /// The same for many keys with one vector each, one after the other in `vectors`; how many had one before. All
    /// are looked at before the first is written. `payloads` is empty, or has one for each.
    pub fn upsert_many<K: AsRef<[u8]>, P: AsRef<[u8]>>(
        &self,
        tx: &mut Transaction,
        keys: &[K],
        vectors: &[u8],
        payloads: &[P],
        may_wait: bool,
    ) -> Result<u64> {
        let bytes = self.index.space().row_bytes();
        if vectors.len() != keys.len() * bytes {
            return Err(Error::invalid(format!(
                "{} keys of store '{}' need {} bytes of vectors; there are {}",
                keys.len(),
                self.name,
                keys.len() * bytes,
                vectors.len()
            )));
        }
        if !payloads.is_empty() && payloads.len() != keys.len() {
            return Err(Error::invalid(format!(
                "{} keys have {} payloads. Give one for each, or none",
                keys.len(),
                payloads.len()
            )));
        }
        for (key, elements) in keys.iter().zip(vectors.chunks_exact(bytes)) {
            self.check_key(key.as_ref())?;
            self.check_vector(elements)?;
        }
        // Everything that may have to wait is looked at before anything is written.
        let mut places = FxHashMap::default();
        let mut old = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            let row = key_row(key.as_ref());
            old.push(match places.insert(key.as_ref(), place) {
                None => self.number_of(tx, &row, may_wait)?,
                Some(_) => None,
            });
        }
        let unique = places.len() == keys.len();
        let mut replaced = 0;
        for (place, (key, elements)) in keys.iter().zip(vectors.chunks_exact(bytes)).enumerate() {
            let row = key_row(key.as_ref());
            // A key that comes twice replaces the vector it was given a moment ago.
            let old = if unique {
                old[place]
            } else {
                self.number_of(tx, &row, may_wait)?
            };
            replaced += u64::from(old.is_some());
            let payload = payloads.get(place).map_or(&[][..], AsRef::as_ref);
            self.replace(tx, (key.as_ref(), &row), old, elements, payload, may_wait)?;
        }
        Ok(replaced)
    }

    /// Takes a key's vector away; whether it had one.
    pub fn delete(&self, tx: &mut Transaction, key: &[u8], may_wait: bool) -> Result<bool> {
        self.check_key(key)?;
        let row = key_row(key);
        let Some(number) = self.number_of(tx, &row, may_wait)? else {
            return Ok(false);
        };
        self.remove_number(tx, number)?;
        tx.delete(self.id, &row)?;
        Ok(true)
    }

    /// A key's vector and payload.
    pub fn get(
        &self,
        tx: &mut Transaction,
        key: &[u8],
        access: Access,
    ) -> Result<Option<VectorEntry>> {
        self.check_key(key)?;
        let row = key_row(key);
        let number = tx.visit(self.id, &row, access, |_, value| number_of_value(value))?;
        let Some(number) = number.transpose()? else {
            return Ok(None);
        };
        let bytes = self.index.space().row_bytes();
        let aside = super::pull::aside(access.may_wait);
        let row = numbered_row(VECTOR, number);
        let entry = tx.visit(self.id, &row, aside, |meta, value| {
            let (elements, record) = join_record(meta, value, bytes)?;
            let (_, payload) = decode_record(record)?;
            Ok(VectorEntry {
                elements: elements.to_vec(),
                payload: payload.to_vec(),
            })
        })?;
        let missing = || malformed("a key names a vector that is not there");
        entry.ok_or_else(missing)?.map(Some)
    }

    /// Has the key a vector?
    pub fn contains(&self, tx: &mut Transaction, key: &[u8], access: Access) -> Result<bool> {
        self.check_key(key)?;
        tx.contains(self.id, &key_row(key), access)
    }

    /// How many keys have a vector.
    pub fn count(&self, tx: &mut Transaction, access: Access) -> Result<u64> {
        let (low, high) = ([KEY], [KEY + 1]);
        let (low, high) = (Bound::Included(&low[..]), Bound::Excluded(&high[..]));
        tx.count_range(self.id, low, high, access)
    }

    /// The vector a key has now. Whatever the isolation, the commit fails when that changes: two transactions that
    /// replace one vector would both delete it and both add theirs.
    fn number_of(
        &self,
        tx: &mut Transaction,
        row: &[u8],
        may_wait: bool,
    ) -> Result<Option<Number>> {
        let aside = super::pull::aside(may_wait);
        let found = tx.visit(self.id, row, aside, |_, value| number_of_value(value))?;
        tx.claim_point(self.id, row)?;
        found.transpose()
    }

    /// Puts a vector's row, and its number under its key.
    fn replace(
        &self,
        tx: &mut Transaction,
        (key, row): (&[u8], &[u8]),
        old: Option<Number>,
        elements: &[u8],
        payload: &[u8],
        may_wait: bool,
    ) -> Result<()> {
        let (meta, value) = split_record(elements, encode_record(key, payload));
        let number = Number {
            seq: PROVISIONAL,
            ordinal: tx.next_ordinal(self.id)?,
        };
        // First what may have to wait: nothing has happened when it does.
        let stamp = Stamp::key(1);
        let vector = numbered_row(VECTOR, number);
        tx.put_stamped(self.id, &vector, &meta, &value, stamp, may_wait)?;
        if let Some(old) = old {
            self.remove_number(tx, old)?;
        }
        let number = number.encode();
        tx.put_stamped(self.id, row, &[], &number, Stamp::value(0), may_wait)
    }

    /// Deletes a vector: with a tombstone, or without a trace when it is this transaction's own.
    fn remove_number(&self, tx: &mut Transaction, number: Number) -> Result<()> {
        if number.seq == PROVISIONAL {
            return tx.forget(self.id, &numbered_row(VECTOR, number));
        }
        let by = Number {
            seq: PROVISIONAL,
            ordinal: tx.next_ordinal(self.id)?,
        };
        let row = numbered_row(TOMBSTONE, by);
        tx.put_stamped(self.id, &row, &[], &number.encode(), Stamp::key(1), true)
    }

    fn check_vector(&self, elements: &[u8]) -> Result<()> {
        let checked = self.index.space().validate(elements);
        checked.map_err(|error| Error::invalid(format!("store '{}': {error}", self.name)))
    }

    pub(super) fn check_key(&self, key: &[u8]) -> Result<()> {
        if key.len() >= KEY_BYTES_MAX {
            return Err(Error::KeyTooLong {
                length: key.len(),
                limit: KEY_BYTES_MAX - 1,
            });
        }
        Ok(())
    }
}
