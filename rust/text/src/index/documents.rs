//! The table of documents: which document has a slot of the merged index, and back.
//!
//! ```text
//! part := (documents:varint  seq - seq before:varint  ordinal:varint)*      runs of documents with consecutive ordinals
//! ```
//! A part covers 256 slots from a multiple of 256 on; the last one may have fewer.
//!
//! Invariants
//! 1. Slots are given in the order of documents, so both directions ascend.
//! 2. For the first document of each part there is a row `46 document` with its slot.

use super::bytes::{Put, Take};
use super::failure::{Failure, Result};
use super::keys::{DOCUMENTS, DocumentId, STARTS, with};
use super::rows::{Rows, RowsMut};

const PART: u32 = 256;

/// Consecutive documents of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: DocumentId,
    pub(crate) count: u32,
}

/// Appends a document to runs.
pub(crate) fn push_run(runs: &mut Vec<Run>, document: DocumentId, count: u32) {
    if let Some(last) = runs.last_mut()
        && last.first.seq == document.seq
        && u64::from(last.first.ordinal) + u64::from(last.count) == u64::from(document.ordinal)
    {
        last.count += count;
        return;
    }
    runs.push(Run {
        first: document,
        count,
    });
}

/// The document at a place of runs.
pub(crate) fn nth(runs: &[Run], mut place: u32) -> Option<DocumentId> {
    for run in runs {
        if place < run.count {
            return Some(DocumentId {
                seq: run.first.seq,
                ordinal: run.first.ordinal + place,
            });
        }
        place -= run.count;
    }
    None
}

/// The place of a document in runs.
pub(crate) fn place(runs: &[Run], document: DocumentId) -> Option<u32> {
    let mut before = 0;
    for run in runs {
        let inside = document.ordinal.wrapping_sub(run.first.ordinal);
        if run.first.seq == document.seq
            && document.ordinal >= run.first.ordinal
            && inside < run.count
        {
            return Some(before + inside);
        }
        before += run.count;
    }
    None
}

pub(crate) fn encode_runs(runs: &[Run], out: &mut Vec<u8>) {
    let mut seq = 0;
    for run in runs {
        out.put_varint(u64::from(run.count));
        out.put_varint(run.first.seq - seq);
        out.put_varint(u64::from(run.first.ordinal));
        seq = run.first.seq;
    }
}

/// Reads one run behind `seq`.
pub(crate) fn take_run(take: &mut Take<'_>, seq: u64) -> Result<Run> {
    let wrong = Failure::Malformed("a run of documents makes no sense");
    let count = take.number()?;
    let seq = seq.checked_add(take.varint()?).ok_or(wrong.clone())?;
    let ordinal = take.number()?;
    if count == 0 || ordinal.checked_add(count).is_none() {
        return Err(wrong);
    }
    Ok(Run {
        first: DocumentId { seq, ordinal },
        count,
    })
}

fn decode_runs(row: &[u8]) -> Result<Vec<Run>> {
    let mut take = Take::new(row);
    let (mut runs, mut seq, mut total) = (Vec::new(), 0, 0u64);
    while !take.is_empty() {
        let run = take_run(&mut take, seq)?;
        seq = run.first.seq;
        total += u64::from(run.count);
        runs.push(run);
    }
    if total > u64::from(PART) {
        return Err(Failure::Malformed(
            "a part of the table of documents is too long",
        ));
    }
    Ok(runs)
}

fn part(rows: &dyn Rows, number: u32) -> Result<Vec<Run>> {
    let mut runs = Ok(Vec::new());
    rows.get(&with(DOCUMENTS, &number.to_be_bytes()), &mut |row| {
        runs = decode_runs(row);
    })?;
    runs
}

/// The document in a slot of the merged index.
pub(crate) fn document_at(rows: &dyn Rows, slot: u32) -> Result<DocumentId> {
    nth(&part(rows, slot / PART)?, slot % PART).ok_or(Failure::Malformed(
        "a slot has no document in the table of documents",
    ))
}

/// The slot of a document in the merged index.
pub(crate) fn slot_of(rows: &dyn Rows, document: DocumentId) -> Result<u32> {
    let missing = Failure::Malformed("a deleted document is not in the table of documents");
    let mut high = with(STARTS, &document.to_bytes());
    high.push(0);
    let mut start = None;
    rows.scan_keys(&[STARTS], &high, 1, true, &mut |key| {
        start = Some(key.to_vec())
    })?;
    let start = start.ok_or(missing.clone())?;
    let mut first = None;
    rows.get(&start, &mut |row| {
        first = row.try_into().ok().map(u32::from_be_bytes);
    })?;
    let first = first.ok_or(Failure::Malformed(
        "a start of the table of documents has no slot",
    ))?;
    let place = place(&part(rows, first / PART)?, document).ok_or(missing)?;
    first
        .checked_add(place)
        .ok_or(Failure::Malformed("a slot is too large"))
}

/// Appends documents behind the `slots` there are.
pub(crate) fn append(rows: &dyn RowsMut, mut slots: u32, runs: &[Run]) -> Result<()> {
    let mut current = part(rows, slots / PART)?;
    let mut filled: u32 = current.iter().map(|run| run.count).sum();
    if filled != slots % PART {
        return Err(Failure::Malformed(
            "the table of documents ends elsewhere than the manifest says",
        ));
    }
    let flush = |number: u32, runs: &[Run]| {
        let mut row = Vec::new();
        encode_runs(runs, &mut row);
        rows.put(&with(DOCUMENTS, &number.to_be_bytes()), &row)
    };
    for run in runs {
        let (mut document, mut left) = (run.first, run.count);
        while left > 0 {
            if filled == 0 {
                rows.put(&with(STARTS, &document.to_bytes()), &slots.to_be_bytes())?;
            }
            let count = left.min(PART - filled);
            push_run(&mut current, document, count);
            document.ordinal += count;
            left -= count;
            filled += count;
            slots += count;
            if filled == PART {
                flush(slots / PART - 1, &current)?;
                current.clear();
                filled = 0;
            }
        }
    }
    if filled > 0 {
        flush(slots / PART, &current)?;
    }
    Ok(())
}
