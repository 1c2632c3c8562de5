//! What the tests of the log share: groups anyone can compute, and the checks that must notice every broken
//! invariant. A check returns the first broken promise, so that it can also be run against deliberate bugs.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod crash_check;
pub mod damage_check;
pub mod fault_check;

use std::sync::Arc;

use sopasync_core::disk::{Disk, SimDisk};
use sopasync_core::log::{FileLog, Group, LogOptions, LogPosition};
use sopasync_core::{Error, Result};

pub const DATABASE: u128 = 77 << 64 | 5;
/// What a check found: a promise that was not kept.
pub type Verdict = std::result::Result<(), String>;

pub fn options(segment_bytes: u64) -> LogOptions {
    LogOptions {
        kept_bytes: 0,
        segment_bytes,
        database_id: DATABASE,
    }
}

/// The payload of commit `seq` in a life of the database. After a crash the same commit number may be given to
/// another group, which must not be mixed up with the lost one.
pub fn payload(seq: u64, life: u8, bytes: usize) -> Vec<u8> {
    let mut payload = vec![life; bytes];
    for (index, byte) in payload.iter_mut().enumerate().skip(1) {
        *byte = (seq as usize).wrapping_mul(37).wrapping_add(index * 11) as u8 ^ life;
    }
    payload
}

pub fn append(log: &mut FileLog, seq: u64, life: u8, bytes: usize) -> Result<LogPosition> {
    let payload = payload(seq, life, bytes);
    log.append(
        seq - 1,
        &Group {
            first_seq: seq,
            count: 1,
            stamp: seq,
            payload: &[&payload],
        },
    )
}

/// A group as it was read: commit number and payload.
pub type Read = (u64, Vec<u8>);

/// Opens the log and returns it with what it read.
pub fn open(
    disk: &SimDisk,
    segment_bytes: u64,
    from: Option<LogPosition>,
) -> Result<(FileLog, Vec<Read>)> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut found = Vec::new();
    let log = FileLog::open(disk, options(segment_bytes), from, &mut |frame| {
        if frame.stamp != frame.first_seq || frame.count != 1 {
            return Err(Error::invalid("stamp or count is not what was written"));
        }
        found.push((frame.first_seq, frame.payload.to_vec()));
        Ok(())
    })?;
    Ok((log, found))
}

/// What should be read: groups `first..first + payloads.len()`.
pub fn expect_reads(found: &[Read], expected: &[Read]) -> Verdict {
    if let Some(index) = (0..found.len().min(expected.len())).find(|i| found[*i] != expected[*i]) {
        return Err(format!(
            "read commit {} where commit {} was expected, or another payload of it",
            found[index].0, expected[index].0
        ));
    }
    if found.len() != expected.len() {
        return Err(format!("read {} groups of {}", found.len(), expected.len()));
    }
    Ok(())
}
