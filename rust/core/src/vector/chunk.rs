//! Vectors in memory, in the order of their numbers, as they were read from the store.

use sopasync_payload::Columns;
use sopasync_vector::Space;

use super::block::RowBlock;
use super::marks::Marks;
use super::part::{NumberList, Part};
use super::records::RecordList;
use super::rows::{Number, decode_record};
use crate::error::Result;

/// Bytes of rows after which a chunk is full.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_ROWS_MIN: usize = 64;
const CHUNK_ROWS_MAX: usize = 16_384;

/// See the module. Rows are only ever added.
#[derive(Default)]
pub(super) struct Chunk {
    rows: RowBlock,
    numbers: NumberList,
    deleted: Marks,
    columns: Columns,
    records: RecordList,
}

/// How many rows make a chunk full.
pub(super) fn rows_max(space: &Space) -> usize {
    (CHUNK_BYTES / space.prepared_bytes()).clamp(CHUNK_ROWS_MIN, CHUNK_ROWS_MAX)
}

impl Chunk {
    pub(super) fn part(&self) -> Part<'_> {
        Part {
            rows: self.rows.bytes(),
            numbers: self.numbers.lend(),
            deleted: Some(&self.deleted),
            dead: self.deleted.dead(),
            records: self.records.lend(),
        }
    }

    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(super) fn count(&self) -> usize {
        self.deleted.count()
    }

    /// The last number in it.
    pub(super) fn last(&self) -> Option<Number> {
        self.numbers.lend().last()
    }

    /// Adds a vector with a number above all others here, of which there will be `rows_max` at most.
    pub(super) fn push(
        &mut self,
        number: Number,
        prepared: &[u8],
        record: &[u8],
        rows_max: usize,
    ) -> Result<()> {
        debug_assert!(
            self.last().is_none_or(|last| last < number),
            "numbers ascend"
        );
        let (_, payload) = decode_record(record)?;
        self.rows.push(prepared, rows_max)?;
        self.records.push(record)?;
        self.numbers.push(number);
        self.deleted.push();
        // What cannot be read has no fields, and takes its place all the same.
        let _ = self.columns.push(payload);
        Ok(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.rows.bytes().len()
            + self.count() * size_of::<Number>()
            + self.deleted.memory_bytes()
            + self.columns.memory_bytes()
            + self.records.memory_bytes()
    }

    /// Notes a deletion; false when the vector is not here.
    pub(super) fn mark(&self, number: Number, seq: u64) -> bool {
        let Some(slot) = self.numbers.lend().slot(number) else {
            return false;
        };
        self.deleted.mark(slot, seq);
        true
    }
}
