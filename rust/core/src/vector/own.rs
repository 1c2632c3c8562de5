//! What the asking transaction has added to a store and deleted from it, none of it committed.

use std::ops::Bound;

use sopasync_payload::Columns;
use sopasync_vector::Space;

use super::part::{NumberList, Part};
use super::pull::{aside, first_of};
use super::records::RecordList;
use super::rows::{
    Number, PROVISIONAL, TOMBSTONE, VECTOR, decode_record, join_record, number_of_row,
    number_of_value,
};
use crate::engine::{ScanRange, Transaction};
use crate::error::Result;

/// See the module.
#[derive(Default)]
pub(super) struct Own {
    rows: Vec<u8>,
    numbers: NumberList,
    records: RecordList,
    pub(super) columns: Columns,
    /// Numbers it deleted, ascending.
    pub(super) gone: Vec<Number>,
}

impl Own {
    pub(super) fn collect(
        tx: &mut Transaction,
        store: u64,
        space: &Space,
        may_wait: bool,
    ) -> Result<Self> {
        let mut own = Self::default();
        if !tx.wrote_to(store) {
            return Ok(own);
        }
        let mut failed = Ok(());
        for family in [VECTOR, TOMBSTONE] {
            let (low, high) = (first_of(family, PROVISIONAL), [family + 1]);
            let range = ScanRange {
                low: Bound::Included(&low),
                high: Bound::Excluded(&high),
                ..ScanRange::default()
            };
            tx.scan(store, &range, aside(may_wait), &mut |key, meta, value| {
                let value = value.expect("values were asked for");
                let taken = if family == VECTOR {
                    own.add(key, meta, value, space)
                } else {
                    number_of_value(value).map(|number| own.gone.push(number))
                };
                if failed.is_ok() {
                    failed = taken;
                }
            })?;
        }
        own.gone.sort_unstable();
        failed.map(|()| own)
    }

    fn add(&mut self, key: &[u8], meta: &[u8], value: &[u8], space: &Space) -> Result<()> {
        let (elements, record) = join_record(meta, value, space.row_bytes())?;
        let (_, payload) = decode_record(record)?;
        self.numbers.push(number_of_row(key)?);
        space.prepare(elements, &mut self.rows);
        let _ = self.columns.push(payload);
        self.records.push(record)
    }

    /// Has it added nothing?
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn part(&self) -> Part<'_> {
        Part {
            rows: &self.rows,
            numbers: self.numbers.lend(),
            deleted: None,
            dead: 0,
            records: self.records.lend(),
        }
    }
}
