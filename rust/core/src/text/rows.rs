//! A transaction's view of one generation of a text store's index, as rows. Nothing read here is remembered for validation: what a search
//! depends on is claimed at its end.

use std::cell::{Cell, RefCell};
use std::ops::Bound;

use sopasync_text::index::{Failure, Result, Rows, RowsMut, delta_key};

use super::index::failed;
use super::rules::family_bit;
use crate::engine::{Access, ScanRange, Transaction};
use crate::error::Error;

/// Rows from this length on are long: deltas of many documents.
const LONG_BYTES: usize = 16 << 10;
/// Bytes of long rows that may be gone through where nothing may wait: about a millisecond.
const PATIENCE_BYTES: usize = 256 << 10;

/// Keys up to this length are changed without an allocation.
const KEY_BYTES: usize = 64;

/// The key of a commit's delta in a generation.
pub(super) fn delta_row(generation: u64, seq: u64) -> Vec<u8> {
    let mut key = delta_key(seq);
    key[0] |= family_bit(generation);
    key
}

/// See the module. Keys that are handed back keep the family they have in the store; they may be given again.
pub(super) struct TransactionRows<'t> {
    tx: RefCell<&'t mut Transaction>,
    store: u64,
    /// Added to the families of rows (see `rules`).
    bit: u8,
    access: Access,
    error: Cell<Option<Error>>,
    patience_bytes: Cell<usize>,
}

impl<'t> TransactionRows<'t> {
    pub(super) fn new(
        tx: &'t mut Transaction,
        store: u64,
        generation: u64,
        may_wait: bool,
    ) -> Self {
        Self {
            tx: RefCell::new(tx),
            store,
            bit: family_bit(generation),
            access: Access {
                may_wait,
                track: false,
            },
            error: Cell::new(None),
            patience_bytes: Cell::new(if may_wait { usize::MAX } else { PATIENCE_BYTES }),
        }
    }

    /// Whether a row of this length may be gone through here and now.
    fn has_patience(&self, length: usize) -> bool {
        if length < LONG_BYTES {
            return true;
        }
        let left = self.patience_bytes.get().checked_sub(length);
        self.patience_bytes.set(left.unwrap_or(0));
        left.is_some()
    }

    /// The engine's error for a failure of work on these rows.
    pub(super) fn error(&self, failure: &Failure) -> Error {
        failed(failure, self.error.take())
    }

    /// Work of the engine, as work on rows.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Transaction) -> crate::error::Result<T>,
    ) -> Result<T> {
        let mut tx = self.tx.borrow_mut();
        work(&mut tx).map_err(|error| {
            self.error.set(Some(error));
            Failure::Rows
        })
    }

    /// A key as it stands in the store.
    fn with_key<T>(&self, key: &[u8], work: impl FnOnce(&[u8]) -> T) -> T {
        let mut own = [0; KEY_BYTES];
        match (self.bit, key.split_first(), own.get_mut(..key.len())) {
            (0, ..) | (_, None, _) => work(key),
            (bit, Some((family, _)), Some(own)) => {
                own.copy_from_slice(key);
                own[0] = family | bit;
                work(own)
            }
            (bit, Some((family, rest)), None) => work(&[&[family | bit], rest].concat()),
        }
    }

    fn walk(
        &self,
        range: &ScanRange<'_>,
        mut visit: impl FnMut(&[u8], Option<&[u8]>),
    ) -> Result<()> {
        self.with(|tx| {
            tx.scan(self.store, range, self.access, &mut |key, _, value| {
                visit(key, value)
            })
        })?;
        Ok(())
    }
}

impl Rows for TransactionRows<'_> {
    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let mut look = |value: &[u8]| {
            let short = self.has_patience(value.len());
            if short {
                visit(value);
            }
            short
        };
        let found = self.with_key(key, |key| {
            self.with(|tx| tx.visit(self.store, key, self.access, |_, value| look(value)))
        })?;
        if found == Some(false) {
            self.error.set(Some(Error::WouldBlock));
            return Err(Failure::Rows);
        }
        Ok(found.is_some())
    }

    fn scan(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<()> {
        self.with_key(low, |low| {
            self.with_key(high, |high| {
                let range = ScanRange {
                    low: Bound::Included(low),
                    high: Bound::Excluded(high),
                    limit,
                    ..ScanRange::default()
                };
                self.walk(&range, |key, value| visit(key, value.unwrap_or_default()))
            })
        })
    }

    fn scan_keys(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
        reverse: bool,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        self.with_key(low, |low| {
            self.with_key(high, |high| {
                let range = ScanRange {
                    low: Bound::Included(low),
                    high: Bound::Excluded(high),
                    limit,
                    reverse,
                    keys_only: true,
                    ..ScanRange::default()
                };
                self.walk(&range, |key, _| visit(key))
            })
        })
    }
}

impl RowsMut for TransactionRows<'_> {
    fn put(&self, key: &[u8], row: &[u8]) -> Result<()> {
        self.with_key(key, |key| {
            self.with(|tx| tx.put(self.store, key, &[], row, self.access.may_wait))
        })
    }

    fn delete(&self, key: &[u8]) -> Result<()> {
        self.with_key(key, |key| self.with(|tx| tx.delete(self.store, key)))
    }
}
