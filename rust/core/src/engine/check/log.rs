//! The log since the last checkpoint (C3).

use std::sync::Arc;

use super::faults::Faults;
use crate::disk::Disk;
use crate::engine::payload::{malformed, records};
use crate::error::{Error, Result};
use crate::log::{GroupFrame, LogReader};
use crate::pager::root::Root;
use crate::txn::Record;

/// Reads every group between the checkpoint and commit `last`. The caller keeps them from being
/// recycled meanwhile.
pub(super) fn readable(
    disk: &Arc<dyn Disk>,
    root: &Root,
    last: u64,
    faults: &mut Faults,
) -> Result<()> {
    if last == root.seq {
        return Ok(());
    }
    match walk(disk, root, last, faults) {
        Err(Error::Corruption {
            file,
            offset,
            reason,
        }) => {
            faults.file(&in_folder(&**disk, file), offset, lost(&reason, root, last));
            Ok(())
        }
        Err(error @ (Error::LogRecycled | Error::Io { .. } | Error::UnsupportedFormat { .. })) => {
            let name = format!("log-{:016x}", root.log.segment);
            faults.file(&name, root.log.offset, lost(&error.to_string(), root, last));
            Ok(())
        }
        result => result,
    }
}

fn walk(disk: &Arc<dyn Disk>, root: &Root, last: u64, faults: &mut Faults) -> Result<()> {
    let mut log = LogReader::open(Arc::clone(disk), root.database_id, Some(root.log))?;
    let mut seq = root.seq;
    while seq < last {
        let Some(frame) = log.next_group()? else {
            // Where it stopped, which may be behind a switch to another segment.
            let position = log.position();
            return Err(Error::corruption(
                format!("log-{:016x}", position.segment),
                position.offset,
                "there is no readable group here, and the log goes on",
            ));
        };
        if frame.first_seq != seq + 1 {
            return Err(hole(&frame, seq));
        }
        seq = frame.last_seq();
        for record in records(&frame)? {
            if Record::new(record).any(|op| op.is_none()) {
                return Err(malformed(&frame));
            }
        }
        faults.report.log_groups += 1;
        faults.report.log_bytes += frame.payload.len() as u64;
    }
    Ok(())
}

fn hole(frame: &GroupFrame<'_>, seq: u64) -> Error {
    Error::corruption(
        format!("log-{:016x}", frame.position.segment),
        frame.position.offset,
        format!(
            "the group begins with commit {} and the one before it ended with {seq}",
            frame.first_seq
        ),
    )
}

fn lost(reason: &str, root: &Root, last: u64) -> String {
    format!(
        "{reason}. Commits {} to {last} are in the log only: write a checkpoint before the database is closed",
        root.seq + 1
    )
}

/// The name of a file in this folder, without the folder.
fn in_folder(disk: &dyn Disk, file: String) -> String {
    let folder = format!("{}/", disk.describe());
    file.strip_prefix(&folder)
        .map_or(file.clone(), str::to_owned)
}
