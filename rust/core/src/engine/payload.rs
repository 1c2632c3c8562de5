//! The payload of a log group: its transactions' records, each preceded by its length.

use crate::error::{Error, Result};
use crate::log::{GroupFrame, LogPosition};
use crate::txn::{EntryOp, Op, Record};
use crate::wire::{Put, Take};

/// The length that goes before a record.
pub(super) fn record_header(record: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(5);
    header.put_varint(record.len() as u64);
    header
}

/// The records of a group read back.
pub(super) fn records<'a>(frame: &GroupFrame<'a>) -> Result<Vec<&'a [u8]>> {
    let mut take = Take::new(frame.payload);
    // A record takes a byte at least, whatever the count says.
    let mut records = Vec::with_capacity(frame.payload.len().min(frame.count as usize));
    while !take.is_empty() {
        records.push(take.bytes().ok_or_else(|| malformed(frame))?);
    }
    if records.len() != frame.count as usize {
        return Err(malformed(frame));
    }
    Ok(records)
}

pub(super) fn malformed(frame: &GroupFrame<'_>) -> Error {
    malformed_at(frame.position)
}

pub(super) fn malformed_at(position: LogPosition) -> Error {
    Error::corruption(
        format!("log segment {}", position.segment),
        position.offset,
        "a group's checksum is right but its records make no sense",
    )
}

/// The runs a group names that were written to the page file before it: extents and loaded trees.
pub(super) fn named_runs(frame: &GroupFrame<'_>, page_bytes: usize) -> Result<Vec<(u64, u64)>> {
    let mut runs = Vec::new();
    for record in records(frame)? {
        for op in Record::new(record) {
            match op.ok_or_else(|| malformed(frame))? {
                Op::Entry(_, EntryOp::PutExtent { extent, .. }) => {
                    runs.push((extent.id, extent.span(page_bytes)));
                }
                Op::Load(tree) => runs.extend(tree.runs),
                _ => {}
            }
        }
    }
    Ok(runs)
}

/// Does a group name a loaded tree?
pub(super) fn names_loads(frame: &GroupFrame<'_>) -> Result<bool> {
    let mut records = records(frame)?.into_iter();
    Ok(records.any(|record| Record::new(record).any(|op| matches!(op, Some(Op::Load(_))))))
}
