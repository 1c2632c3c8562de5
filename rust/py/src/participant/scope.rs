//! Reading and writing one store by key, unique or not.
//!
//! In a non-unique store a key is the prefix of its items; the first of them, by item id the oldest, stands for it.

use std::ops::Bound;

use sopasync_core::key::prefix_end;
use sopasync_core::limits::{EXTENT_BYTES_MIN, VALUE_BYTES_MAX};
use sopasync_core::{Access, Error, MergeOp, Result, ScanRange, Transaction, index};

use crate::item_id::next_item_id;

/// Which store, and what its keys are like.
#[derive(Clone, Copy)]
pub struct Scope {
    pub store: u64,
    pub unique: bool,
    /// Keys are records, so something may ride along.
    pub has_meta: bool,
}

/// Told of an entry: key bytes, ride-along part, and the value unless only keys are read.
type Visit<'v> = &'v mut dyn FnMut(&[u8], &[u8], Option<&[u8]>);

/// Key bytes and what rides along.
type Found = (Vec<u8>, Vec<u8>);

impl Scope {
    /// Hands the entry of `key`, or of its first item, to `visit`: key bytes, ride-along part, value.
    #[inline]
    pub fn visit<R>(
        self,
        tx: &mut Transaction,
        key: &[u8],
        access: Access,
        mut visit: impl FnMut(&[u8], &[u8], &[u8]) -> R,
    ) -> Result<Option<R>> {
        if self.unique {
            return tx.visit(self.store, key, access, |meta, value| {
                visit(key, meta, value)
            });
        }
        let mut found = None;
        self.scan_first(tx, key, false, access, &mut |raw, meta, value| {
            found = Some(visit(
                raw,
                meta,
                value.expect("a scan with values gives them"),
            ));
        })?;
        Ok(found)
    }

    fn scan_first(
        self,
        tx: &mut Transaction,
        key: &[u8],
        keys_only: bool,
        access: Access,
        visit: Visit<'_>,
    ) -> Result<()> {
        let end = prefix_end(key);
        let range = ScanRange {
            low: Bound::Included(key),
            high: end.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
            limit: 1,
            keys_only,
            ..ScanRange::default()
        };
        tx.scan(self.store, &range, access, visit).map(drop)
    }

    /// The first item of `key` in a non-unique store.
    fn first(self, tx: &mut Transaction, key: &[u8], access: Access) -> Result<Option<Found>> {
        let mut found = None;
        self.scan_first(tx, key, true, access, &mut |raw, meta, _| {
            found = Some((raw.to_vec(), meta.to_vec()))
        })?;
        Ok(found)
    }

    pub fn contains(self, tx: &mut Transaction, key: &[u8], access: Access) -> Result<bool> {
        if self.unique {
            tx.contains(self.store, key, access)
        } else {
            Ok(self.first(tx, key, access)?.is_some())
        }
    }

    /// What rides along with the entry that is there under these very bytes.
    pub fn meta_raw(
        self,
        tx: &mut Transaction,
        raw: &[u8],
        access: Access,
    ) -> Result<Option<Vec<u8>>> {
        if self.has_meta {
            tx.visit(self.store, raw, access, |meta, _| meta.to_vec())
        } else {
            Ok(tx.contains(self.store, raw, access)?.then(Vec::new))
        }
    }

    /// Writes an entry under these very bytes. A value that goes to the page file at once is left to a thread that may wait.
    pub fn put(
        self,
        tx: &mut Transaction,
        raw: &[u8],
        meta: &[u8],
        value: &[u8],
        access: Access,
    ) -> Result<()> {
        if !access.may_wait && (EXTENT_BYTES_MIN..=VALUE_BYTES_MAX).contains(&value.len()) {
            return Err(Error::WouldBlock);
        }
        match tx.links(self.store)? {
            None => tx.put(self.store, raw, meta, value, access.may_wait),
            Some(links) => index::put(tx, self.store, &links, raw, (meta, value), access),
        }
    }

    /// The same for an entry that the transaction has found absent.
    fn put_new(
        self,
        tx: &mut Transaction,
        raw: &[u8],
        meta: &[u8],
        value: &[u8],
        access: Access,
    ) -> Result<()> {
        match tx.links(self.store)? {
            Some(links) if value.len() < EXTENT_BYTES_MIN => {
                index::put_new(tx, self.store, &links, raw, (meta, value), access)
            }
            _ => self.put(tx, raw, meta, value, access),
        }
    }

    /// Takes the entry away that is there under these very bytes.
    pub fn delete(self, tx: &mut Transaction, raw: &[u8], access: Access) -> Result<()> {
        match tx.links(self.store)? {
            None => tx.delete(self.store, raw),
            Some(links) => index::delete(tx, self.store, &links, raw, access),
        }
    }

    fn put_meta(self, tx: &mut Transaction, raw: &[u8], meta: &[u8], access: Access) -> Result<()> {
        match tx.links(self.store)? {
            None => tx.put_meta(self.store, raw, meta),
            Some(links) => index::put_meta(tx, self.store, &links, raw, meta, access),
        }
    }

    /// Applies a commutative operation at commit; where indexes would have to know its result, it is refused.
    pub fn merge(
        self,
        tx: &mut Transaction,
        key: &[u8],
        op: MergeOp,
        operand: &[u8],
    ) -> Result<()> {
        if tx
            .links(self.store)?
            .is_some_and(|links| !links.indexes.is_empty())
        {
            return Err(Error::Invalid {
                reason: "increment, maximum, minimum and append change a value without reading it, and the indexes of \
                         the store must know what it becomes: use get() and update(), or keep counters in a store \
                         without indexes"
                    .to_owned(),
            });
        }
        tx.merge(self.store, key, op, operand)
    }

    /// Writes an entry, under a new item id in a non-unique store.
    pub fn insert(
        self,
        tx: &mut Transaction,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
        access: Access,
    ) -> Result<()> {
        if self.unique {
            return self.put(tx, key, meta, value, access);
        }
        let raw = [key, &next_item_id()].concat();
        self.put(tx, &raw, meta, value, access)
    }

    /// Replaces the value of an entry that is there under these very bytes, keeping what rides along.
    pub fn update_raw(
        self,
        tx: &mut Transaction,
        raw: &[u8],
        value: &[u8],
        access: Access,
    ) -> Result<bool> {
        match self.meta_raw(tx, raw, access)? {
            Some(meta) => self.put(tx, raw, &meta, value, access).map(|()| true),
            None => Ok(false),
        }
    }

    pub fn remove_raw(self, tx: &mut Transaction, raw: &[u8], access: Access) -> Result<bool> {
        let found = tx.contains(self.store, raw, access)?;
        if found {
            self.delete(tx, raw, access)?;
        }
        Ok(found)
    }

    pub fn add(
        self,
        tx: &mut Transaction,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
        access: Access,
    ) -> Result<bool> {
        if !self.unique {
            return self.insert(tx, key, meta, value, access).map(|()| true);
        }
        let found = tx.contains(self.store, key, access)?;
        if !found {
            self.put_new(tx, key, meta, value, access)?;
        }
        Ok(!found)
    }

    pub fn update(
        self,
        tx: &mut Transaction,
        key: &[u8],
        value: &[u8],
        access: Access,
    ) -> Result<bool> {
        if self.unique {
            return self.update_raw(tx, key, value, access);
        }
        match self.first(tx, key, access)? {
            Some((raw, meta)) => self.put(tx, &raw, &meta, value, access).map(|()| true),
            None => Ok(false),
        }
    }

    pub fn upsert(
        self,
        tx: &mut Transaction,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
        access: Access,
    ) -> Result<()> {
        if !self.unique
            && let Some((raw, _)) = self.first(tx, key, access)?
        {
            return self.put(tx, &raw, meta, value, access);
        }
        self.insert(tx, key, meta, value, access)
    }

    pub fn remove(self, tx: &mut Transaction, key: &[u8], access: Access) -> Result<bool> {
        if self.unique {
            return self.remove_raw(tx, key, access);
        }
        match self.first(tx, key, access)? {
            Some((raw, _)) => self.delete(tx, &raw, access).map(|()| true),
            None => Ok(false),
        }
    }

    pub fn update_key(
        self,
        tx: &mut Transaction,
        key: &[u8],
        meta: &[u8],
        access: Access,
    ) -> Result<bool> {
        if !self.unique {
            return match self.first(tx, key, access)? {
                Some((raw, _)) => self.put_meta(tx, &raw, meta, access).map(|()| true),
                None => Ok(false),
            };
        }
        let found = tx.contains(self.store, key, access)?;
        if found {
            self.put_meta(tx, key, meta, access)?;
        }
        Ok(found)
    }
}
