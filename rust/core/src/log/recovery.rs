//! Opening: reads the log from a checkpoint to its end and makes it fit to go on.
//!
//! Invariants of a recovered log, before anything is appended:
//!
//! 1. Every group that was acknowledged has been read, or opening failed.
//! 2. Every group that was read is durable. What no later frame calls synced is written once more and synced: after
//!    a failed sync the system may show bytes the device does not have.
//! 3. Nothing behind the end can be read later: every place where an unsynced frame may begin (`FileLog` bounds
//!    them) is zeros, and segments after the last are out of the log. To overwrite only the frames that are whole
//!    is not enough: sectors of a torn one can be completed by those of a new one, and read as the old.

use std::collections::VecDeque;
use std::sync::Arc;

use super::commit_log::{GroupFrame, LogPosition};
use super::file_log::{FullSegment, LogOptions, Recovered};
use super::frame::{ALIGNMENT, FRAME_HEADER_BYTES, FrameKind, u64_at};
use super::pool::{Filling, Next, SegmentPool};
use super::segment::{HEADER_BYTES, Segment, list_segments, path_of, segment_name, spare_number};
use super::tail;
use super::window::Window;
use crate::disk::Disk;
use crate::limits::LOG_UNSYNCED_BYTES_MAX;
use crate::mutants::mutant;
use crate::{Error, Result};

const WINDOW_BYTES: usize = 1 << 18;
const COPY_BYTES: u64 = 1 << 20;

/// A position within reading, and what is known to be durable around it.
struct Walk<'a> {
    disk: &'a dyn Disk,
    segment: Segment,
    offset: u64,
    /// Largest `synced` seen in this segment.
    synced: u64,
    /// The segment before: it, the largest `synced` seen there, its end.
    before: Option<(Segment, u64, u64)>,
    full: VecDeque<FullSegment>,
    last_seq: Option<u64>,
    /// Where an `End` frame was found.
    closed: bool,
}

/// Reads the log and mends its end; see `FileLog::open`.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    options: &LogOptions,
    from: Option<LogPosition>,
    each: &mut dyn FnMut(GroupFrame<'_>) -> Result<()>,
) -> Result<Recovered> {
    let numbers = list_segments(&**disk)?;
    let Some(start) = start_of(&**disk, &numbers, from)? else {
        return make_fresh(disk, options);
    };
    let mut walk = Walk::begin(&**disk, options, start)?;
    walk.read_to_end(each)?;
    let later: Vec<u64> = numbers
        .iter()
        .copied()
        .filter(|number| *number > walk.segment.header.number)
        .collect();
    walk.mend(&later)?;

    let pool = SegmentPool::new(
        disk.clone(),
        options.clone(),
        Next::after(&walk.segment.header, options),
    );
    pool.retire(numbers.iter().copied().filter(|n| *n < start.segment));
    pool.discard(later);
    pool.adopt(spares(&**disk)?)?;
    // The owner before may have failed between giving a segment its name and making the name durable.
    pool.sync_folder()?;
    Ok(Recovered {
        pool,
        active: walk.segment,
        head_offset: walk.offset,
        full: walk.full,
        truncated: start,
        last_seq: walk.last_seq,
    })
}

/// Where reading begins, or None for a log that does not exist yet.
fn start_of(
    disk: &dyn Disk,
    numbers: &[u64],
    from: Option<LogPosition>,
) -> Result<Option<LogPosition>> {
    let Some(from) = from else {
        return Ok(numbers.first().map(|segment| LogPosition {
            segment: *segment,
            offset: HEADER_BYTES,
        }));
    };
    let path = || path_of(disk, &segment_name(from.segment));
    if numbers.binary_search(&from.segment).is_err() {
        return Err(Error::corruption(
            path(),
            from.offset,
            "the segment the checkpoint goes on from is missing",
        ));
    }
    if from.offset < HEADER_BYTES || !from.offset.is_multiple_of(ALIGNMENT) {
        return Err(Error::corruption(
            path(),
            from.offset,
            "the checkpoint names a place where no group can begin",
        ));
    }
    Ok(Some(from))
}

fn make_fresh(disk: &Arc<dyn Disk>, options: &LogOptions) -> Result<Recovered> {
    let pool = SegmentPool::new(disk.clone(), options.clone(), Next::first(options));
    pool.adopt(spares(&**disk)?)?;
    let active = pool.take(0, Filling::Written)?;
    let head = LogPosition {
        segment: active.header.number,
        offset: HEADER_BYTES,
    };
    Ok(Recovered {
        pool,
        active,
        head_offset: head.offset,
        full: VecDeque::new(),
        truncated: head,
        last_seq: None,
    })
}

fn spares(disk: &dyn Disk) -> Result<Vec<u64>> {
    let names = disk
        .list()
        .map_err(|error| Error::io(disk.describe(), "list", &error))?;
    Ok(names.iter().filter_map(|name| spare_number(name)).collect())
}

impl<'a> Walk<'a> {
    fn begin(disk: &'a dyn Disk, options: &LogOptions, start: LogPosition) -> Result<Self> {
        let segment = Segment::open(disk, start.segment, options.database_id, true)?;
        if start.offset > segment.header.capacity {
            return Err(Error::corruption(
                path_of(disk, &segment.name),
                start.offset,
                "the checkpoint goes on from beyond the end of the segment",
            ));
        }
        Ok(Self {
            disk,
            segment,
            offset: start.offset,
            // What a checkpoint covers was durable before the checkpoint.
            synced: start.offset,
            before: None,
            full: VecDeque::new(),
            last_seq: None,
            closed: false,
        })
    }

    fn read_to_end(&mut self, each: &mut dyn FnMut(GroupFrame<'_>) -> Result<()>) -> Result<()> {
        let mut window = Window::new(WINDOW_BYTES);
        loop {
            let found = window.frame(&self.segment, self.offset);
            let found = found.map_err(|error| self.io("read", &error))?;
            let Some((header, padded)) = found else {
                return Ok(());
            };
            self.synced = self.synced.max(header.synced);
            let payload = &padded[..header.payload_bytes as usize];
            match header.kind {
                FrameKind::End => {
                    self.closed = true;
                    return Ok(());
                }
                FrameKind::Switch => {
                    let next = (u64_at(payload, 0), u64_at(payload, 8));
                    self.switch(next.0, next.1, header.frame_bytes())?;
                    window.clear();
                }
                FrameKind::Group => {
                    let position = self.position();
                    let mut end = position;
                    end.offset += header.frame_bytes();
                    let frame = GroupFrame {
                        first_seq: header.first_seq,
                        count: header.count,
                        stamp: header.stamp,
                        payload,
                        position,
                        end,
                    };
                    self.check_sequence(&frame)?;
                    each(frame)?;
                    self.last_seq = Some(frame.last_seq());
                    self.offset = end.offset;
                }
            }
        }
    }

    fn check_sequence(&self, frame: &GroupFrame<'_>) -> Result<()> {
        match self.last_seq {
            Some(last) if frame.first_seq != last + 1 => Err(self.damage(format!(
                "the group begins with commit {}, and the one before ended with {last}",
                frame.first_seq
            ))),
            _ if frame.count == 0 => Err(self.damage("the group is empty".to_owned())),
            _ => Ok(()),
        }
    }

    /// Follows a switch frame. The next segment was durable before the frame was written.
    fn switch(&mut self, number: u64, salt: u64, frame_bytes: u64) -> Result<()> {
        let database_id = self.segment.header.database_id;
        let next = Segment::open(self.disk, number, database_id, true)?;
        if next.header.salt != salt {
            return Err(self.damage(format!(
                "the log goes on in segment {number}, and that file is of another time"
            )));
        }
        let end = self.offset + frame_bytes;
        self.full.push_back(FullSegment {
            number: self.segment.header.number,
            end,
        });
        let before = std::mem::replace(&mut self.segment, next);
        self.before = Some((before, self.synced, end));
        self.synced = 0;
        self.offset = HEADER_BYTES;
        Ok(())
    }

    /// Establishes invariants 2 and 3 at the place where reading stopped.
    fn mend(&mut self, later: &[u64]) -> Result<()> {
        self.extend()?;
        if self.closed {
            // Everything before was synced, and nothing behind was ever written.
            self.write_zeros(self.offset, FRAME_HEADER_BYTES)?;
        } else {
            tail::judge(self.disk, &self.segment, self.offset, later)?;
            self.rewrite_unsynced()?;
            self.clear_unsynced()?;
        }
        self.sync(&self.segment)
    }

    /// Writes once more, and syncs, what was read and no frame calls synced.
    fn rewrite_unsynced(&self) -> Result<()> {
        if mutant("log-skip-rewrite") {
            return Ok(());
        }
        if let Some((before, synced, end)) = &self.before
            && self.synced < HEADER_BYTES
        {
            self.rewrite(before, (*synced).max(HEADER_BYTES), *end)?;
        }
        self.rewrite(&self.segment, self.synced.max(HEADER_BYTES), self.offset)
    }

    fn rewrite(&self, segment: &Segment, from: u64, to: u64) -> Result<()> {
        let mut bytes = Vec::new();
        let mut offset = from;
        while offset < to {
            bytes.resize((to - offset).min(COPY_BYTES) as usize, 0);
            segment
                .file
                .read_at(&mut bytes, offset)
                .and_then(|()| segment.file.write_at(&bytes, offset))
                .map_err(|error| Error::io(path_of(self.disk, &segment.name), "rewrite", &error))?;
            offset += bytes.len() as u64;
        }
        if from < to {
            self.sync(segment)?;
        }
        Ok(())
    }

    /// Gives a segment that was cut short its length back.
    fn extend(&self) -> Result<()> {
        let capacity = self.segment.header.capacity;
        let length = self.segment.file.len();
        if length.map_err(|error| self.io("measure", &error))? >= capacity {
            return Ok(());
        }
        let allocated = self.segment.file.allocate(0, capacity);
        allocated.map_err(|error| self.io("extend", &error))
    }

    /// Overwrites with zeros every place behind the end where an unacknowledged frame may begin, whatever is seen there:
    /// after a failed sync the system may show zeros that the device does not have.
    fn clear_unsynced(&self) -> Result<()> {
        if mutant("log-skip-cut") {
            return Ok(());
        }
        let capacity = self.segment.header.capacity;
        let end = capacity.min(self.offset + LOG_UNSYNCED_BYTES_MAX + FRAME_HEADER_BYTES);
        let mut offset = self.offset;
        while offset < end {
            let count = (end - offset).min(COPY_BYTES);
            if !(mutant("log-clear-what-shows") && self.shows_zeros(offset, count)) {
                self.write_zeros(offset, count)?;
            }
            offset += count;
        }
        Ok(())
    }

    /// Only a deliberate bug asks this.
    fn shows_zeros(&self, offset: u64, count: u64) -> bool {
        let mut bytes = vec![1; count as usize];
        let read = self.segment.file.read_at(&mut bytes, offset);
        read.is_ok() && bytes.iter().all(|byte| *byte == 0)
    }

    fn write_zeros(&self, offset: u64, count: u64) -> Result<()> {
        let written = self.segment.file.write_at(&vec![0; count as usize], offset);
        written.map_err(|error| self.io("write", &error))
    }

    fn sync(&self, segment: &Segment) -> Result<()> {
        let synced = segment.file.sync();
        synced.map_err(|error| Error::io(path_of(self.disk, &segment.name), "sync", &error))
    }

    fn position(&self) -> LogPosition {
        LogPosition {
            segment: self.segment.header.number,
            offset: self.offset,
        }
    }

    fn io(&self, operation: &'static str, error: &std::io::Error) -> Error {
        Error::io(path_of(self.disk, &self.segment.name), operation, error)
    }

    fn damage(&self, reason: String) -> Error {
        Error::corruption(path_of(self.disk, &self.segment.name), self.offset, reason)
    }
}
