//! What the index needs of a store: rows in the order of their keys.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::failure::Result;

/// Reading rows at one snapshot.
pub trait Rows {
    /// Hands the row of `key` to `visit`; whether there is one.
    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool>;

    /// Hands at most `limit` rows with `low <= key < high` to `visit`, in order.
    fn scan(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<()>;

    /// The same with keys alone, from the end if `reverse`.
    fn scan_keys(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
        reverse: bool,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<()>;
}

/// Writing them too.
pub trait RowsMut: Rows {
    /// Gives `key` a row.
    fn put(&self, key: &[u8], row: &[u8]) -> Result<()>;
    /// Takes the row of `key` away.
    fn delete(&self, key: &[u8]) -> Result<()>;
}

impl dyn Rows + '_ {
    /// A copy of the row of `key`.
    pub(crate) fn copy(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut row = None;
        self.get(key, &mut |bytes| row = Some(bytes.to_vec()))?;
        Ok(row)
    }
}

/// Rows in memory: for tests, and for looking at how an index is made.
#[derive(Clone, Debug, Default)]
pub struct MemoryRows {
    rows: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryRows {
    /// Its keys and rows.
    pub fn to_vec(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let rows = self.rows.borrow();
        rows.iter()
            .map(|(key, row)| (key.clone(), row.clone()))
            .collect()
    }
}

impl Rows for MemoryRows {
    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let rows = self.rows.borrow();
        let row = rows.get(key);
        if let Some(row) = row {
            visit(row);
        }
        Ok(row.is_some())
    }

    fn scan(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<()> {
        let rows = self.rows.borrow();
        let range = rows.range(low.to_vec()..high.to_vec().max(low.to_vec()));
        range.take(limit).for_each(|(key, row)| visit(key, row));
        Ok(())
    }

    fn scan_keys(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
        reverse: bool,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let rows = self.rows.borrow();
        let range = rows.range(low.to_vec()..high.to_vec().max(low.to_vec()));
        if reverse {
            range.rev().take(limit).for_each(|(key, _)| visit(key));
        } else {
            range.take(limit).for_each(|(key, _)| visit(key));
        }
        Ok(())
    }
}

impl RowsMut for MemoryRows {
    fn put(&self, key: &[u8], row: &[u8]) -> Result<()> {
        self.rows.borrow_mut().insert(key.to_vec(), row.to_vec());
        Ok(())
    }

    fn delete(&self, key: &[u8]) -> Result<()> {
        self.rows.borrow_mut().remove(key);
        Ok(())
    }
}
