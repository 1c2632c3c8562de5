//! Where a bulk load's pages go: stretches of the page file, filled from the front.
//!
//! Invariants
//! L1  A page taken here is given to nobody else until it is released or named by a log record.
//! L2  Every page carries the load's own stamp, which no group has: `(id, stamp)` names one
//!     content for ever (R2 of `page::refs`), also when the number was in use before. The stamp is
//!     drawn when the load begins and lies before that of the group that names the root, so every
//!     snapshot that sees the page lies in [stamp, death) and keeps it (`pager::space`).
//! L3  A page is written once, sealed, before its number is told to anybody but its own tree.

use xxhash_rust::xxh3::xxh3_64;

use super::runs::Runs;
use crate::error::Result;
use crate::page::{ChildRef, LargeRef, NodeMut, Outline, Packed, PageBuf, PageRef, fill};

/// First stretch; each next one is twice as long, so that a small load leaves a small file.
const FIRST_BYTES: usize = 128 << 10;
/// Longest stretch: one write.
const STRETCH_BYTES_MAX: usize = 1 << 20;

/// The page file as a load uses it.
pub(crate) trait PageFile {
    fn page_bytes(&self) -> usize;
    /// Takes numbers out for a run.
    fn allocate(&self, span: u64) -> u64;
    /// Gives numbers back that nothing refers to.
    fn release(&self, id: u64, span: u64);
    /// Writes bytes to a run taken before.
    fn write(&self, id: u64, bytes: &[u8]) -> Result<()>;
}

/// A stretch of the file being filled.
struct Stretch {
    start: u64,
    /// Pages it has.
    span: usize,
    /// Pages of it that are filled.
    used: usize,
}

/// The pages of one load. Dropping it gives all of them back.
pub(crate) struct BulkPages<F: PageFile> {
    file: F,
    stamp: u64,
    page_bytes: usize,
    stretch: Option<Stretch>,
    buffer: Option<PageBuf>,
    next_bytes: usize,
    nodes: Runs,
    values: Runs,
    /// Pages of trees and values that were given up; they may still be in the buffer.
    dropped: Runs,
}

impl<F: PageFile> BulkPages<F> {
    pub(crate) fn new(file: F, stamp: u64) -> Self {
        Self {
            page_bytes: file.page_bytes(),
            file,
            stamp,
            stretch: None,
            buffer: None,
            next_bytes: FIRST_BYTES,
            nodes: Runs::default(),
            values: Runs::default(),
            dropped: Runs::default(),
        }
    }

    pub(crate) fn file(&self) -> &F {
        &self.file
    }

    pub(crate) fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// The birth of every page written here.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The next `span` pages, to be filled at once: their number and their bytes.
    fn take(&mut self, span: usize) -> Result<(u64, &mut [u8])> {
        if self.stretch.as_ref().is_none_or(|s| s.used + span > s.span) {
            self.flush()?;
            let bytes = self.next_bytes.max(span * self.page_bytes);
            self.next_bytes = (self.next_bytes * 2).min(STRETCH_BYTES_MAX);
            let pages = bytes / self.page_bytes;
            if self
                .buffer
                .as_ref()
                .is_none_or(|buffer| buffer.len() < bytes)
            {
                self.buffer = Some(PageBuf::zeroed(bytes));
            }
            self.stretch = Some(Stretch {
                start: self.file.allocate(pages as u64),
                span: pages,
                used: 0,
            });
        }
        let (stretch, buffer) = match (&mut self.stretch, &mut self.buffer) {
            (Some(stretch), Some(buffer)) => (stretch, buffer),
            _ => unreachable!("made above"),
        };
        let (id, at) = (
            stretch.start + stretch.used as u64,
            stretch.used * self.page_bytes,
        );
        stretch.used += span;
        Ok((id, &mut buffer[at..at + span * self.page_bytes]))
    }

    /// Writes what is filled and gives the rest of the stretch back.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let Some(stretch) = self.stretch.take() else {
            return Ok(());
        };
        if stretch.used < stretch.span {
            let rest = (stretch.span - stretch.used) as u64;
            self.file.release(stretch.start + stretch.used as u64, rest);
        }
        match &self.buffer {
            Some(buffer) if stretch.used > 0 => self
                .file
                .write(stretch.start, &buffer[..stretch.used * self.page_bytes]),
            _ => Ok(()),
        }
    }

    /// Writes a node of `size` bytes.
    pub(super) fn add_node<'e>(
        &mut self,
        size: usize,
        outline: Outline<'_>,
        entries: impl ExactSizeIterator<Item = Packed<'e>>,
        count: u64,
    ) -> Result<ChildRef> {
        let (span, stamp) = (size / self.page_bytes, self.stamp);
        let (id, bytes) = self.take(span)?;
        fill(bytes, outline, entries);
        let mut node = NodeMut::new(bytes);
        node.set_identity(id, stamp);
        node.seal();
        self.nodes.insert(id, span as u64);
        let span = u16::try_from(span).expect("a node is a few pages long");
        let page = PageRef { id, span, stamp };
        Ok(ChildRef { page, count })
    }

    /// Writes a value of its own run.
    pub(crate) fn add_value(&mut self, value: &[u8]) -> Result<LargeRef> {
        let mut large = LargeRef {
            id: 0,
            length: value.len() as u64,
            stamp: self.stamp,
            hash: xxh3_64(value),
        };
        let span = large.span(self.page_bytes);
        if value.len() < STRETCH_BYTES_MAX / 4 {
            let (id, bytes) = self.take(span as usize)?;
            bytes[..value.len()].copy_from_slice(value);
            bytes[value.len()..].fill(0);
            large.id = id;
        } else {
            large.id = self.file.allocate(span);
            if let Err(error) = self.file.write(large.id, value) {
                self.file.release(large.id, span);
                return Err(error);
            }
        }
        self.values.insert(large.id, span);
        Ok(large)
    }

    /// Gives up a value: another one took its place.
    pub(crate) fn drop_value(&mut self, large: LargeRef) {
        let span = large.span(self.page_bytes);
        self.values.remove(large.id, span);
        self.dropped.insert(large.id, span);
    }

    /// The nodes written so far, which are not part of what comes next. They stay readable.
    pub(crate) fn take_nodes(&mut self) -> Runs {
        std::mem::take(&mut self.nodes)
    }

    /// Gives up nodes taken out before.
    pub(crate) fn drop_nodes(&mut self, nodes: &Runs) {
        for (start, span) in nodes.iter() {
            self.dropped.insert(start, span);
        }
    }

    /// Every run of the finished tree, after the last write.
    pub(crate) fn finish(&mut self) -> Result<Vec<(u64, u64)>> {
        self.flush()?;
        self.release_dropped();
        let mut all = Runs::default();
        for (start, span) in self.nodes.iter().chain(self.values.iter()) {
            all.insert(start, span);
        }
        Ok(all.iter().collect())
    }

    /// The tree is named by a log record: its pages are not this load's any more.
    pub(crate) fn hand_over(&mut self) {
        self.nodes = Runs::default();
        self.values = Runs::default();
    }

    fn release_dropped(&mut self) {
        for (start, span) in std::mem::take(&mut self.dropped).iter() {
            self.file.release(start, span);
        }
    }
}

impl<F: PageFile> Drop for BulkPages<F> {
    fn drop(&mut self) {
        if let Some(Stretch { start, span, used }) = self.stretch.take() {
            // The filled part stands in one of the sets.
            self.file.release(start + used as u64, (span - used) as u64);
        }
        self.release_dropped();
        for (start, span) in self.nodes.iter().chain(self.values.iter()) {
            self.file.release(start, span);
        }
    }
}
