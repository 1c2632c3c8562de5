//! Reads frames of a segment through a buffer, so that small groups do not cost a system call each.

use std::io;

use super::frame::{FRAME_HEADER_BYTES, FrameHeader};
use super::segment::{HEADER_BYTES, Segment};

/// A piece of one segment in memory. Clear it before looking again at bytes another writer may have changed.
pub(super) struct Window {
    bytes: Vec<u8>,
    start: u64,
    size: usize,
    limit: Option<u64>,
}

impl Window {
    /// A window that reads ahead `size` bytes.
    pub fn new(size: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            size,
            limit: None,
        }
    }

    /// With a limit, reads nothing longer than that, and nothing that is not in memory: `WouldBlock`.
    pub fn set_limit(&mut self, limit: Option<u64>) {
        self.limit = limit;
    }

    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Whether nothing has been read ahead.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets what was read.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The frame at `offset` and its payload with padding, or None when there is no whole, intact frame.
    pub fn frame(
        &mut self,
        segment: &Segment,
        offset: u64,
    ) -> io::Result<Option<(FrameHeader, &[u8])>> {
        let salt = segment.header.salt;
        let bytes = self.slice(segment, offset, FRAME_HEADER_BYTES)?;
        let Some(header) = FrameHeader::decode(bytes, salt, offset) else {
            return Ok(None);
        };
        if header.frame_bytes() > segment.header.capacity.saturating_sub(offset) {
            return Ok(None);
        }
        let padded = self.slice(segment, offset + FRAME_HEADER_BYTES, header.padded_bytes())?;
        let whole = padded.len() as u64 == header.padded_bytes();
        if !whole || !header.matches(padded, salt, offset) {
            return Ok(None);
        }
        Ok(Some((header, padded)))
    }

    /// `count` bytes from `offset`, or fewer where the file ends.
    pub fn slice(&mut self, segment: &Segment, offset: u64, count: u64) -> io::Result<&[u8]> {
        debug_assert!(offset >= HEADER_BYTES);
        let inside = offset >= self.start && offset + count <= self.start + self.bytes.len() as u64;
        if !inside {
            self.fill(segment, offset, count)?;
        }
        let from = (offset - self.start) as usize;
        let to = (from + count as usize).min(self.bytes.len());
        Ok(&self.bytes[from..to])
    }

    fn fill(&mut self, segment: &Segment, offset: u64, count: u64) -> io::Result<()> {
        if self.limit.is_some_and(|limit| count > limit) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let left = segment.file.len()?.saturating_sub(offset);
        let wanted = count.max(self.size as u64).min(left);
        self.bytes.resize(wanted as usize, 0);
        self.start = offset;
        if wanted == 0 {
            return Ok(());
        }
        let result = match self.limit {
            None => segment
                .file
                .read_at(&mut self.bytes, offset)
                .map(|()| wanted as usize),
            Some(_) => segment.file.read_resident_at(&mut self.bytes, offset),
        };
        self.bytes.truncate(*result.as_ref().unwrap_or(&0));
        result.map(|_| ())
    }
}
