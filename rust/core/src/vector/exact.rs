//! Vectors of a snapshot, read from the store itself: right by itself, and slow.

use std::ops::Bound;

use rustc_hash::FxHashSet;
use sopasync_payload::Columns;
use sopasync_vector::Space;

use super::part::{NumberList, Part};
use super::pull::{aside, first_of};
use super::records::Records;
use super::rows::{
    Number, TOMBSTONE, VECTOR, decode_record, join_record, number_of_row, number_of_value,
    numbered_row,
};
use crate::engine::{ScanRange, Transaction};
use crate::error::Result;

/// Bytes of the store that are read, and searched, at once.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// Vectors that the snapshot shows.
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
    /// Reads those from a number on that are not `deleted`, and hands them on piece by piece. Blocks.
    pub(super) fn in_pieces(
        tx: &mut Transaction,
        (store, space): (u64, &Space),
        from: Number,
        deleted: &FxHashSet<Number>,
        visit: &mut dyn FnMut(&Self) -> Result<()>,
    ) -> Result<()> {
        let mut low = numbered_row(VECTOR, from).to_vec();
        let high = first_of(VECTOR, tx.seq() + 1);
        loop {
            let range = ScanRange {
                low: Bound::Included(&low),
                high: Bound::Excluded(&high),
                limit_bytes: PIECE_BYTES,
                ..ScanRange::default()
            };
            let (mut rows, mut failed) = (Self::default(), Ok(()));
            let last = tx.scan(store, &range, aside(true), &mut |key, meta, value| {
                let value = value.expect("values were asked for");
                if failed.is_ok() {
                    failed = rows.add(key, meta, value, space, deleted);
                }
            })?;
            failed?;
            visit(&rows)?;
            match last {
                Some(last) => low = [&last[..], &[0]].concat(),
                None => return Ok(()),
            }
        }
    }

    /// Reads all at once, with keys and elements. Blocks.
    pub(super) fn read_all(tx: &mut Transaction, store: u64, space: &Space) -> Result<Self> {
        let mut all = Self {
            whole: true,
            ..Self::default()
        };
        let deleted = deleted_after(tx, store, 0)?;
        let mut failed = Ok(());
        each(tx, store, VECTOR, 0, |key, meta, value| {
            if failed.is_ok() {
                failed = all.add(key, meta, value, space, &deleted);
            }
        })?;
        failed.map(|()| all)
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

    /// Memory of the vectors.
    pub(super) fn bytes(&self) -> usize {
        self.rows.len()
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

/// What the commits above `after` have deleted, as far as the snapshot shows it. Blocks.
pub(super) fn deleted_after(
    tx: &mut Transaction,
    store: u64,
    after: u64,
) -> Result<FxHashSet<Number>> {
    let mut deleted = FxHashSet::default();
    let mut failed = Ok(());
    each(tx, store, TOMBSTONE, after, |_, _, value| {
        let noted = number_of_value(value).map(|number| deleted.insert(number));
        if failed.is_ok() {
            failed = noted.map(|_| ());
        }
    })?;
    failed.map(|()| deleted)
}

/// Visits the rows of a family of the commits above `after` that the snapshot shows.
fn each(
    tx: &mut Transaction,
    store: u64,
    family: u8,
    after: u64,
    mut visit: impl FnMut(&[u8], &[u8], &[u8]),
) -> Result<()> {
    let (low, high) = (first_of(family, after + 1), first_of(family, tx.seq() + 1));
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
