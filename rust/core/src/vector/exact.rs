//! All vectors of a snapshot, read from the store itself: right by itself, and slow.

use std::ops::Bound;

use rustc_hash::FxHashSet;
use sopasync_payload::Columns;
use sopasync_vector::Space;

use super::part::{NumberList, Part};
use super::pull::{aside, first_of};
use super::records::Records;
use super::rows::{
    Number, TOMBSTONE, VECTOR, decode_record, join_record, number_of_row, number_of_value,
};
use crate::engine::{ScanRange, Transaction};
use crate::error::Result;

/// Every vector that the snapshot shows.
#[derive(Default)]
pub(super) struct Rows {
    rows: Vec<u8>,
    numbers: NumberList,
    pub(super) columns: Columns,
    /// Keys, and elements as they were given: where they were asked for.
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) elements: Vec<u8>,
    whole: bool,
}

impl Rows {
    /// Reads them. Blocks.
    pub(super) fn read(tx: &mut Transaction, store: u64, space: &Space) -> Result<Self> {
        Self::default().fill(tx, store, space)
    }

    /// The same with keys and elements.
    pub(super) fn read_all(tx: &mut Transaction, store: u64, space: &Space) -> Result<Self> {
        let whole = Self {
            whole: true,
            ..Self::default()
        };
        whole.fill(tx, store, space)
    }

    fn fill(mut self, tx: &mut Transaction, store: u64, space: &Space) -> Result<Self> {
        let mut deleted = FxHashSet::default();
        let mut failed = Ok(());
        let seq = tx.seq();
        each(tx, store, TOMBSTONE, seq, |_, _, value| {
            let noted = number_of_value(value).map(|number| deleted.insert(number));
            if let Err(error) = noted {
                failed = Err(error);
            }
        })?;
        each(tx, store, VECTOR, seq, |key, meta, value| {
            if let Err(error) = self.add(key, meta, value, space, &deleted) {
                failed = Err(error);
            }
        })?;
        failed.map(|()| self)
    }

    pub(super) fn add(
        &mut self,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
        space: &Space,
        deleted: &FxHashSet<Number>,
    ) -> Result<()> {
        let number = number_of_row(key)?;
        if deleted.contains(&number) {
            return Ok(());
        }
        let (elements, record) = join_record(meta, value, space.row_bytes())?;
        let (user_key, payload) = decode_record(record)?;
        if self.whole {
            self.keys.push(user_key.to_vec());
            self.elements.extend_from_slice(elements);
        }
        self.numbers.push(number);
        space.prepare(elements, &mut self.rows);
        let _ = self.columns.push(payload);
        Ok(())
    }

    pub(super) fn part(&self) -> Part<'_> {
        Part {
            rows: &self.rows,
            numbers: self.numbers.lend(),
            deleted: None,
            dead: 0,
            records: Records::default(),
        }
    }
}

/// Visits the committed rows of a family up to commit `seq`.
fn each(
    tx: &mut Transaction,
    store: u64,
    family: u8,
    seq: u64,
    mut visit: impl FnMut(&[u8], &[u8], &[u8]),
) -> Result<()> {
    let (low, high) = ([family], first_of(family, seq + 1));
    let range = ScanRange {
        low: Bound::Included(&low),
        high: Bound::Excluded(&high),
        ..ScanRange::default()
    };
    tx.scan(store, &range, aside(true), &mut |key, meta, value| {
        visit(key, meta, value.expect("values were asked for"));
    })?;
    Ok(())
}
