//! The log in files: one writer appends groups to the active segment and syncs them.
//!
//! Invariants, beyond those of `CommitLog`:
//!
//! 1. Every segment keeps room for a switch frame at its end.
//! 2. At most two segments hold frames that are not synced: the active one and the one before.
//! 3. A sync makes the segment before durable too, switch frame included, so nothing behind a switch is
//!    acknowledged before the switch is.
//! 4. `synced_offset` in a frame is what `frame.rs` says (its invariant 3).
//! 5. No frame begins farther than `LOG_UNSYNCED_BYTES_MAX` behind what is synced in its segment: a writer that does
//!    not sync for so long gets a sync in `append`.
//! 6. After an error of append or sync the log takes nothing more; in particular no sync is tried again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::commit_log::{CommitLog, Group, GroupFrame, LogPosition};
use super::frame::{
    FRAME_HEADER_BYTES, FrameHeader, FrameKind, SWITCH_FRAME_BYTES, frame_bytes, padding,
    seeded_crc,
};
use super::pool::{Filling, SegmentPool};
use super::reader::LogReader;
use super::recovery;
use super::segment::{HEADER_BYTES, Segment, path_of};
use crate::disk::Disk;
use crate::limits::{
    LOG_FIRST_SEGMENT_BYTES, LOG_GROUP_BYTES_MAX, LOG_SEGMENT_BYTES_DEFAULT, LOG_UNSYNCED_BYTES_MAX,
};
use crate::mutants::mutant;
use crate::{Error, Result};

/// Groups are written through a buffer of this size.
const BUFFER_BYTES: usize = 1 << 20;

/// How a log is laid out.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Length of a segment file once the log has grown; the first ones are smaller. A group that does not fit
    /// gets a segment of its own length.
    pub segment_bytes: u64,
    /// Tells the segments of one database from another's.
    pub database_id: u128,
    /// Bytes of given-up segments that are kept for those who read changes; the oldest go first.
    pub kept_bytes: u64,
}

impl LogOptions {
    /// The usual layout for the database `database_id`.
    pub fn new(database_id: u128) -> Self {
        Self {
            segment_bytes: LOG_SEGMENT_BYTES_DEFAULT,
            database_id,
            kept_bytes: 0,
        }
    }
}

/// The log of a database in its folder. One writer at a time; others follow it with `LogReader`.
pub struct FileLog {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    pool: SegmentPool,
    active: Segment,
    /// The segment before the active one while it may hold unsynced frames.
    unsynced_before: Option<Segment>,
    /// Segments that are full and not yet given up, oldest first.
    full: VecDeque<FullSegment>,
    head_offset: u64,
    synced_offset: u64,
    /// Where the log begins for its owner: groups before it have been given up.
    truncated: LogPosition,
    last_seq: Option<u64>,
    failed: Option<String>,
    buffer: Vec<u8>,
}

/// A segment the log has gone on from.
#[derive(Debug, Clone, Copy)]
pub(super) struct FullSegment {
    pub number: u64,
    /// End of its last frame.
    pub end: u64,
}

/// What recovery found, and a log goes on from.
pub(super) struct Recovered {
    pub pool: SegmentPool,
    pub active: Segment,
    pub head_offset: u64,
    pub full: VecDeque<FullSegment>,
    pub truncated: LogPosition,
    pub last_seq: Option<u64>,
}

impl FileLog {
    /// Reads the log from `from` on (a position a checkpoint stored; None: from its beginning), calls `each` for
    /// every group in order, and returns the log ready for more. A tail torn by a crash is cut off; damage before
    /// it is an error. Without any segment, and with no `from`, a fresh log is made.
    pub fn open(
        disk: Arc<dyn Disk>,
        options: LogOptions,
        from: Option<LogPosition>,
        each: &mut dyn FnMut(GroupFrame<'_>) -> Result<()>,
    ) -> Result<Self> {
        let least = HEADER_BYTES + 4096;
        if options.segment_bytes < least || !options.segment_bytes.is_multiple_of(4096) {
            return Err(Error::invalid(format!(
                "a log segment of {} bytes cannot be: give a multiple of 4096, at least {least}",
                options.segment_bytes
            )));
        }
        let recovered = recovery::recover(&disk, &options, from, each)?;
        Ok(Self {
            disk,
            options,
            pool: recovered.pool,
            active: recovered.active,
            unsynced_before: None,
            full: recovered.full,
            head_offset: recovered.head_offset,
            synced_offset: recovered.head_offset,
            truncated: recovered.truncated,
            last_seq: recovered.last_seq,
            failed: None,
            buffer: Vec::new(),
        })
    }

    /// Writes a group without syncing it, and returns where it begins; `head` tells where it ends. `expected_head`
    /// is the last commit number in the log (not compared while the log has no group to know it by).
    pub fn append(&mut self, expected_head: u64, group: &Group<'_>) -> Result<LogPosition> {
        self.refuse_after_error()?;
        self.check(expected_head, group)?;
        let result = self.append_unchecked(group);
        self.remember(result)
    }

    /// Makes every appended group durable: one sync, two when the log has gone on to another segment since.
    pub fn sync(&mut self) -> Result<()> {
        self.refuse_after_error()?;
        let result = self.sync_unchecked();
        self.remember(result)
    }

    /// Where the next group goes.
    pub fn head(&self) -> LogPosition {
        LogPosition {
            segment: self.active.header.number,
            offset: self.head_offset,
        }
    }

    /// The last commit number in the log, if a group was read or appended.
    pub fn last_seq(&self) -> Option<u64> {
        self.last_seq
    }

    /// Gives up what lies before `position`. Only notes it: the files are recycled by the pool's `maintain`.
    /// A checkpoint that no longer needs those groups must be durable.
    pub fn truncate_before(&mut self, position: LogPosition) -> Result<()> {
        if position > self.head() {
            return Err(Error::invalid(
                "the log cannot be truncated beyond its head",
            ));
        }
        while let Some(oldest) = self.full.front()
            && oldest.number < position.segment
        {
            self.pool.retire([oldest.number]);
            self.full.pop_front();
        }
        self.truncated = self.truncated.max(position);
        Ok(())
    }

    /// The segments around this log: call `maintain` on a clone of it from a background thread, without any
    /// lock around the log, whenever a segment was used up or given up.
    pub fn pool(&self) -> SegmentPool {
        self.pool.clone()
    }

    /// Does the pool's work on this thread.
    pub fn prepare_next(&mut self) -> Result<()> {
        self.pool.maintain()
    }

    /// Bytes from the truncation point to the head.
    pub fn size_bytes(&self) -> u64 {
        let begin = |segment: u64| {
            if segment == self.truncated.segment {
                self.truncated.offset
            } else {
                HEADER_BYTES
            }
        };
        let full: u64 = self
            .full
            .iter()
            .map(|segment| segment.end.saturating_sub(begin(segment.number)))
            .sum();
        full + self.head_offset - begin(self.active.header.number)
    }

    /// Goes on to a small segment, durably, so that a checkpoint at the head leaves nothing but that one to a log that
    /// is going to be closed. True when the head has moved.
    pub fn shrink(&mut self) -> Result<bool> {
        self.refuse_after_error()?;
        let capacity = (self.options.segment_bytes / 4)
            .clamp(2 * HEADER_BYTES, LOG_FIRST_SEGMENT_BYTES)
            .next_multiple_of(4096);
        if self.active.header.capacity <= capacity {
            return Ok(false);
        }
        // An error before the switch is written leaves the log as it was.
        let next = self.pool.take_small(capacity)?;
        let result = self.go_on_in(next).and_then(|()| self.sync_unchecked());
        self.remember(result).map(|()| true)
    }

    /// Syncs the log and marks its end, so that the next opening needs no search for torn groups and notices
    /// damage to the last one. The log takes nothing more, and keeps no file it does not need.
    pub fn close(&mut self) -> Result<()> {
        self.sync()?;
        let result = self
            .write_frame(FrameKind::End, 0, 0, 0, &[])
            .and_then(|()| sync_segment(&*self.disk, &self.active));
        self.failed = Some("it is closed".to_owned());
        result.and_then(|()| self.pool.empty())
    }

    fn check(&self, expected_head: u64, group: &Group<'_>) -> Result<()> {
        if let Some(last_seq) = self.last_seq
            && last_seq != expected_head
        {
            return Err(Error::invalid(format!(
                "the log ends with commit {last_seq}, not {expected_head}: another writer appended"
            )));
        }
        if group.count == 0 || group.first_seq != expected_head + 1 {
            return Err(Error::invalid(format!(
                "a group of {} commits from {} cannot follow commit {expected_head}",
                group.count, group.first_seq
            )));
        }
        let payload_bytes = group.payload_bytes();
        if payload_bytes > LOG_GROUP_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a group of {payload_bytes} bytes is too large for the log; at most {LOG_GROUP_BYTES_MAX} are accepted"
            )));
        }
        Ok(())
    }

    fn append_unchecked(&mut self, group: &Group<'_>) -> Result<LogPosition> {
        let synced = self.synced_offset.max(HEADER_BYTES);
        if self.head_offset - synced > LOG_UNSYNCED_BYTES_MAX {
            self.sync_unchecked()?; // invariant 5
        }
        let needed = frame_bytes(group.payload_bytes() as u64) + SWITCH_FRAME_BYTES;
        if self.head_offset + needed > self.active.header.capacity {
            self.switch(HEADER_BYTES + needed)?;
        }
        let position = self.head();
        self.write_frame(
            FrameKind::Group,
            group.first_seq,
            group.stamp,
            group.count,
            group.payload,
        )?;
        self.head_offset += needed - SWITCH_FRAME_BYTES;
        self.last_seq = Some(group.last_seq());
        Ok(position)
    }

    /// Goes on to the next segment, which has room for `capacity` bytes.
    fn switch(&mut self, capacity: u64) -> Result<()> {
        let next = self
            .pool
            .take(capacity.next_multiple_of(4096), Filling::Reserved)?;
        self.go_on_in(next)
    }

    fn go_on_in(&mut self, next: Segment) -> Result<()> {
        if let Some(before) = &self.unsynced_before {
            sync_segment(&*self.disk, before)?; // invariant 2
        }
        let mut payload = [0; 16];
        payload[..8].copy_from_slice(&next.header.number.to_le_bytes());
        payload[8..].copy_from_slice(&next.header.salt.to_le_bytes());
        self.write_frame(FrameKind::Switch, 0, 0, 0, &[&payload])?;
        self.full.push_back(FullSegment {
            number: self.active.header.number,
            end: self.head_offset + SWITCH_FRAME_BYTES,
        });
        self.unsynced_before = Some(std::mem::replace(&mut self.active, next));
        self.head_offset = HEADER_BYTES;
        self.synced_offset = 0;
        Ok(())
    }

    /// Writes a frame at the head and leaves the head where it is.
    fn write_frame(
        &mut self,
        kind: FrameKind,
        first_seq: u64,
        stamp: u64,
        count: u32,
        payload: &[&[u8]],
    ) -> Result<()> {
        let (salt, offset) = (self.active.header.salt, self.head_offset);
        let payload_bytes: usize = payload.iter().map(|piece| piece.len()).sum();
        let padding = padding(payload_bytes as u64);
        let pieces: Vec<&[u8]> = payload.iter().copied().chain([padding]).collect();
        let header = FrameHeader {
            kind,
            payload_bytes: u32::try_from(payload_bytes).expect("LOG_GROUP_BYTES_MAX fits"),
            first_seq,
            stamp,
            synced: self.synced_offset,
            count,
            payload_crc: seeded_crc(salt, offset, &pieces),
        };
        assert!(
            offset + header.frame_bytes() <= self.active.header.capacity,
            "invariant 1: a frame reaches beyond its segment"
        );
        self.buffer.clear();
        self.buffer.extend_from_slice(&header.encode(salt, offset));
        self.write_gathered(&pieces)
            .map_err(|error| Error::io(path_of(&*self.disk, &self.active.name), "write", &error))
    }

    /// Writes what the buffer holds, and then `pieces`, from the head on.
    fn write_gathered(&mut self, pieces: &[&[u8]]) -> std::io::Result<()> {
        debug_assert_eq!(self.buffer.len() as u64, FRAME_HEADER_BYTES);
        let mut offset = self.head_offset;
        for mut piece in pieces.iter().copied() {
            while !piece.is_empty() {
                let count = piece.len().min(BUFFER_BYTES - self.buffer.len());
                self.buffer.extend_from_slice(&piece[..count]);
                piece = &piece[count..];
                if self.buffer.len() == BUFFER_BYTES {
                    self.active.file.write_at(&self.buffer, offset)?;
                    offset += self.buffer.len() as u64;
                    self.buffer.clear();
                }
            }
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.active.file.write_at(&self.buffer, offset)
    }

    fn sync_unchecked(&mut self) -> Result<()> {
        if let Some(before) = &self.unsynced_before {
            if !mutant("log-skip-previous-sync") {
                sync_segment(&*self.disk, before)?; // invariant 3
            }
        } else if self.synced_offset == self.head_offset {
            return Ok(());
        }
        if !mutant("log-skip-sync") {
            sync_segment(&*self.disk, &self.active)?;
        }
        self.unsynced_before = None;
        self.synced_offset = self.head_offset;
        Ok(())
    }

    fn refuse_after_error(&self) -> Result<()> {
        match &self.failed {
            Some(reason) => Err(Error::Poisoned {
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }

    fn remember<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && !mutant("log-retry-after-error")
        {
            self.failed = Some(error.to_string());
        }
        result
    }
}

fn sync_segment(disk: &dyn Disk, segment: &Segment) -> Result<()> {
    segment
        .file
        .sync()
        .map_err(|error| Error::io(path_of(disk, &segment.name), "sync", &error))
}

impl CommitLog for FileLog {
    fn append(&mut self, expected_head: u64, group: &Group<'_>) -> Result<LogPosition> {
        Self::append(self, expected_head, group)
    }

    fn sync(&mut self) -> Result<()> {
        Self::sync(self)
    }

    fn head(&self) -> LogPosition {
        Self::head(self)
    }

    fn read(
        &self,
        from: LogPosition,
        each: &mut dyn FnMut(GroupFrame<'_>) -> Result<()>,
    ) -> Result<LogPosition> {
        let mut reader = LogReader::open(self.disk.clone(), self.options.database_id, Some(from))?;
        while let Some(frame) = reader.next_group()? {
            each(frame)?;
        }
        if reader.position() < self.head() {
            let name = super::segment::segment_name(reader.position().segment);
            return Err(Error::corruption(
                path_of(&*self.disk, &name),
                reader.position().offset,
                "there is no readable group here, and the log goes on",
            ));
        }
        Ok(reader.position())
    }

    fn truncate_before(&mut self, position: LogPosition) -> Result<()> {
        Self::truncate_before(self, position)
    }

    fn size_bytes(&self) -> u64 {
        Self::size_bytes(self)
    }
}
