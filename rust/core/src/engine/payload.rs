//! The payload of a log group: its transactions' records, each preceded by its length.

use crate::error::{Error, Result};
use crate::log::GroupFrame;
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
    let mut records = Vec::with_capacity(frame.count as usize);
    while !take.is_empty() {
        records.push(take.bytes().ok_or_else(|| malformed(frame))?);
    }
    if records.len() != frame.count as usize {
        return Err(malformed(frame));
    }
    Ok(records)
}

pub(super) fn malformed(frame: &GroupFrame<'_>) -> Error {
    Error::corruption(
        format!("log segment {}", frame.position.segment),
        frame.position.offset,
        "a group's checksum is right but its records make no sense",
    )
}
