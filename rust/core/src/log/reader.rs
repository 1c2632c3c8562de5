//! Follows a log that another process, or another thread, is writing.
//!
//! The reader changes nothing and judges nothing: at a place that holds no whole group yet, it stops, and the next
//! call looks again. It may see a group shortly before its writer has synced it.

use std::io::ErrorKind;
use std::sync::Arc;

use super::commit_log::{GroupFrame, LogPosition};
use super::frame::{FrameHeader, FrameKind, u64_at};
use super::segment::{
    HEADER_BYTES, Segment, SegmentHeader, list_kept, list_segments, path_of, segment_name,
};
use super::window::Window;
use crate::disk::Disk;
use crate::{Error, Result};

/// Small, because a reader at the end of the log fills it at every look.
const WINDOW_BYTES: usize = 1 << 14;

/// Reads groups in order, from a position on, for as long as the log keeps them.
pub struct LogReader {
    disk: Arc<dyn Disk>,
    segment: Segment,
    offset: u64,
    window: Window,
    payload: Vec<u8>,
    last_seq: Option<u64>,
}

impl LogReader {
    /// A reader at `from`, or at the oldest group there is. `LogRecycled` when the log has gone on from there.
    pub fn open(disk: Arc<dyn Disk>, database_id: u128, from: Option<LogPosition>) -> Result<Self> {
        let numbers = list_segments(&*disk)?;
        let Some(oldest) = numbers.first() else {
            return Err(Error::corruption(
                path_of(&*disk, &segment_name(1)),
                0,
                "the log has no segment",
            ));
        };
        let from = from.unwrap_or(LogPosition {
            segment: *oldest,
            offset: HEADER_BYTES,
        });
        let segment = open_segment(&*disk, from.segment, database_id)?;
        Ok(Self {
            disk,
            segment,
            offset: from.offset.max(HEADER_BYTES),
            window: Window::new(WINDOW_BYTES),
            payload: Vec::new(),
            last_seq: None,
        })
    }

    /// A reader that gives the group with the commit after `seq` first, wherever that is kept; `newest` is a commit
    /// known to be in the log or before it. `LogRecycled` when that group is kept no longer.
    pub fn after(disk: Arc<dyn Disk>, database_id: u128, seq: u64, newest: u64) -> Result<Self> {
        let mut numbers = list_kept(&*disk)?;
        numbers.extend(list_segments(&*disk)?);
        numbers.sort_unstable();
        numbers.dedup();
        let mut end = None;
        for number in numbers.into_iter().rev() {
            let position = LogPosition {
                segment: number,
                offset: HEADER_BYTES,
            };
            let open = || Self::open(Arc::clone(&disk), database_id, Some(position));
            // The first group from here on, perhaps in a later segment.
            match open()?.next_group()?.map(|frame| frame.first_seq) {
                Some(first) if first <= seq + 1 => return open()?.skip_to(seq),
                Some(_) => {}
                None => end = Some(position),
            }
        }
        match end {
            Some(_) if newest <= seq => Self::open(disk, database_id, end),
            _ => Err(Error::LogRecycled),
        }
    }

    /// Goes on until the next group is the one after commit `seq`.
    fn skip_to(mut self, seq: u64) -> Result<Self> {
        loop {
            let position = self.position();
            let Some(frame) = self.next_group()? else {
                return Ok(self);
            };
            if frame.last_seq() > seq {
                let database_id = self.segment.header.database_id;
                return Self::open(self.disk, database_id, Some(position));
            }
        }
    }

    /// With a limit, the calls that follow wait for no device and read no group that is longer: where they would
    /// have to, or find nothing, they are `WouldBlock`.
    pub(crate) fn set_limit(&mut self, limit: Option<u64>) {
        self.window.set_limit(limit);
    }

    /// Goes on at `position`, after the group that ends with commit `last_seq`, which was had otherwise.
    pub(crate) fn go_on_at(&mut self, position: LogPosition, last_seq: u64) -> Result<()> {
        if position.segment != self.segment.header.number {
            self.refuse_if_limited()?; // it opens a file
            let database_id = self.segment.header.database_id;
            self.segment = open_segment(&*self.disk, position.segment, database_id)?;
        }
        self.window.clear();
        self.offset = position.offset.max(HEADER_BYTES);
        self.last_seq = Some(last_seq);
        Ok(())
    }

    /// Where the next group is looked for.
    pub fn position(&self) -> LogPosition {
        LogPosition {
            segment: self.segment.header.number,
            offset: self.offset,
        }
    }

    /// The next group, or None where the log ends for now. `LogRecycled` when the log was truncated beyond this
    /// reader: begin again from a newer checkpoint.
    pub fn next_group(&mut self) -> Result<Option<GroupFrame<'_>>> {
        loop {
            let read_before = !self.window.is_empty();
            match self.load()? {
                Some(header) if header.kind == FrameKind::Group => {
                    return self.deliver(&header).map(Some);
                }
                Some(header) if header.kind == FrameKind::Switch => self.switch()?,
                // Nothing yet; or an end, which an owner that opens again writes over; or the file is in use for
                // another segment. What was read ahead some time ago does not tell: look again.
                _ => {
                    self.window.clear();
                    if !read_before {
                        self.refuse_if_limited()?;
                        self.refuse_recycled()?;
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The payload of the group delivered last, to keep.
    pub(crate) fn take_payload(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.payload)
    }

    /// Loads the frame at the current place into `payload`.
    fn load(&mut self) -> Result<Option<FrameHeader>> {
        let Self {
            window,
            segment,
            payload,
            ..
        } = self;
        let found = window
            .frame(segment, self.offset)
            .map_err(|error| match error.kind() {
                ErrorKind::WouldBlock => Error::WouldBlock,
                _ => Error::io(path_of(&*self.disk, &segment.name), "read", &error),
            })?;
        Ok(found.map(|(header, padded)| {
            payload.clear();
            payload.extend_from_slice(&padded[..header.payload_bytes as usize]);
            header
        }))
    }

    fn deliver(&mut self, header: &FrameHeader) -> Result<GroupFrame<'_>> {
        let position = self.position();
        let mut end = position;
        end.offset += header.frame_bytes();
        let frame = GroupFrame {
            first_seq: header.first_seq,
            count: header.count,
            stamp: header.stamp,
            payload: &self.payload,
            position,
            end,
        };
        if frame.count == 0 {
            let path = path_of(&*self.disk, &self.segment.name);
            let reason = "the group is empty";
            return Err(Error::corruption(path, position.offset, reason));
        }
        if let Some(last) = self.last_seq
            && frame.first_seq != last + 1
        {
            let reason = format!(
                "the group begins with commit {}, and the one before ended with {last}",
                frame.first_seq
            );
            let path = path_of(&*self.disk, &self.segment.name);
            return Err(Error::corruption(path, position.offset, reason));
        }
        self.last_seq = Some(frame.last_seq());
        self.offset = end.offset;
        Ok(frame)
    }

    fn refuse_if_limited(&self) -> Result<()> {
        match self.window.is_limited() {
            true => Err(Error::WouldBlock),
            false => Ok(()),
        }
    }

    fn switch(&mut self) -> Result<()> {
        self.refuse_if_limited()?; // it opens a file
        let (number, salt) = (u64_at(&self.payload, 0), u64_at(&self.payload, 8));
        let database_id = self.segment.header.database_id;
        let next = open_segment(&*self.disk, number, database_id)?;
        if next.header.salt != salt {
            return Err(Error::LogRecycled);
        }
        self.segment = next;
        self.offset = HEADER_BYTES;
        self.window.clear();
        Ok(())
    }

    fn refuse_recycled(&self) -> Result<()> {
        let path = path_of(&*self.disk, &self.segment.name);
        match SegmentHeader::read(&*self.segment.file, &path) {
            Ok(header) if header == self.segment.header => Ok(()),
            // Another header, or one being written at this moment.
            Ok(_) | Err(Error::Corruption { .. }) => Err(Error::LogRecycled),
            Err(error) => Err(error),
        }
    }
}

/// Opens a segment that is known to have existed: if it is gone, it was recycled.
fn open_segment(disk: &dyn Disk, number: u64, database_id: u128) -> Result<Segment> {
    match Segment::open(disk, number, database_id, false) {
        Err(Error::Io {
            kind: ErrorKind::NotFound,
            ..
        }) => Err(Error::LogRecycled),
        result => result,
    }
}
