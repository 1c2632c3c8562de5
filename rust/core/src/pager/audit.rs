//! What a check and a backup look at: which pages are what at one moment, and the bytes of a run as
//! the file has them. Nothing here changes anything, not even the cache.

use crossbeam_epoch as epoch;

use super::bitmap::Bitmap;
use super::{PAGES_FILE, Pager, root};
use crate::error::{Error, Result};
use crate::page::{LargeRef, Node, NodeMut, PageBuf, PageRef};

/// Large values are read in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;
/// Pages with two uses that are named; further ones are of the same kind.
const OVERLAPS_MAX: usize = 100;

/// What every page of the file is at one moment.
pub(crate) struct Audit {
    /// What the published snapshot reaches, as the space map has it.
    pub(crate) reach: Bitmap,
    /// The first page past everything ever given out.
    pub(crate) end: u64,
    pub(crate) free_pages: u64,
    /// Dead, and kept for an old snapshot or a mapping.
    pub(crate) waiting_pages: u64,
    /// Given out and not published: pages of commits and transactions under way.
    pub(crate) in_flight_pages: u64,
    /// Pages that are given out and may be given out again: (page, its second use).
    pub(crate) overlaps: Vec<(u64, &'static str)>,
}

/// A copy of the space map, taken under its lock and looked at outside it.
pub(crate) struct SpaceNow {
    first: u64,
    reach: Bitmap,
    runs: Vec<((u64, u64), &'static str)>,
    end: u64,
    free_pages: u64,
    waiting_pages: u64,
}

impl SpaceNow {
    /// Finds out what every page is.
    pub(crate) fn audit(self) -> Audit {
        let mut known = self.reach.clone();
        let mut overlaps = Vec::new();
        for ((start, span), what) in self.runs {
            for page in start..start + span {
                if !known.insert_new(page) && overlaps.len() < OVERLAPS_MAX {
                    overlaps.push((page, what));
                }
            }
        }
        Audit {
            reach: self.reach,
            end: self.end,
            free_pages: self.free_pages,
            waiting_pages: self.waiting_pages,
            in_flight_pages: (self.end - self.first).saturating_sub(known.len()),
            overlaps,
        }
    }
}

impl Pager {
    /// The first page that is no root slot.
    pub(crate) fn first_page(&self) -> u64 {
        root::RESERVED_BYTES.div_ceil(self.page_bytes) as u64
    }

    /// Base pages the published snapshot reaches.
    pub(crate) fn reached_pages(&self) -> u64 {
        self.space.lock().reach().len()
    }

    /// Copies the space map. `catalogue` is the run that holds it.
    pub(crate) fn space_now(&self, catalogue: Option<(u64, u64)>) -> SpaceNow {
        let mut space = self.space.lock();
        space.take_unmapped();
        let waiting = space.waiting_runs();
        let mapped = self.mapped.kept();
        let runs = (catalogue.into_iter().map(|run| (run, "the catalogue")))
            .chain(waiting.map(|run| (run, "kept for an old snapshot")))
            .chain(mapped.iter().map(|run| (*run, "kept for a mapping")))
            .chain(space.free.runs().map(|run| (run, "free")));
        SpaceNow {
            first: self.first_page(),
            runs: runs.collect(),
            reach: space.reach().clone(),
            end: space.free.end(),
            free_pages: space.free.free_pages(),
            waiting_pages: space.waiting_pages() + self.mapped.kept_pages(),
        }
    }

    /// A node's bytes as the file has them; of a page in memory only, as they will be written.
    /// The caller holds a snapshot that reaches it.
    pub(crate) fn stored_node(&self, page: PageRef) -> Result<PageBuf> {
        let guard = epoch::pin();
        if let Some(frame) = self.table.get(page.id, &guard)
            && frame.is_dirty()
        {
            if frame.page != page || frame.raw {
                return Err(self.damage(page.id, "another page is cached under its number"));
            }
            let mut bytes = frame.bytes.clone();
            NodeMut::new(&mut bytes).seal();
            return Ok(bytes);
        }
        drop(guard);
        let mut bytes = PageBuf::zeroed(usize::from(page.span) * self.page_bytes);
        self.read_at(page.id * self.page_bytes as u64, &mut bytes)?;
        match identity_fault(page, &bytes) {
            Some(reason) => Err(self.damage(page.id, &reason)),
            None => Ok(bytes),
        }
    }

    /// Hands a value that lies out of line to `piece`, in order: from the file, or from memory when
    /// it is only there. An error at the end when the bytes are not those that were written.
    pub(crate) fn stored_large(
        &self,
        large: LargeRef,
        piece: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        let mut each = |bytes: &[u8]| {
            hash.update(bytes);
            piece(bytes)
        };
        match self.dirty_value(large)? {
            Some(bytes) => each(&bytes)?,
            None => {
                let mut buffer = vec![0; PIECE_BYTES.min(large.length as usize)];
                let start = large.id * self.page_bytes as u64;
                let mut done = 0;
                while done < large.length {
                    let count = (large.length - done).min(PIECE_BYTES as u64) as usize;
                    self.read_at(start + done, &mut buffer[..count])?;
                    each(&buffer[..count])?;
                    done += count as u64;
                }
            }
        }
        if hash.digest() == large.hash {
            Ok(())
        } else {
            Err(self.damage(large.id, "a value's checksum does not match its content"))
        }
    }

    /// Also of a follower: whoever asks finds out whether the owner has reused the page.
    fn damage(&self, id: u64, reason: &str) -> Error {
        let offset = id * self.page_bytes as u64;
        Error::corruption(PAGES_FILE, offset, format!("page {id}: {reason}"))
    }

    fn dirty_value(&self, large: LargeRef) -> Result<Option<Vec<u8>>> {
        let guard = epoch::pin();
        let Some(frame) = self.table.get(large.id, &guard) else {
            return Ok(None);
        };
        if !frame.is_dirty() {
            return Ok(None);
        }
        if !frame.raw || frame.page.stamp != large.stamp {
            return Err(self.damage(large.id, "a value's checksum does not match its content"));
        }
        Ok(Some(frame.bytes[..large.length as usize].to_vec()))
    }
}

/// Why these bytes are not the node the reference names. The header's own words tell what happened.
fn identity_fault(page: PageRef, bytes: &[u8]) -> Option<String> {
    let node = Node::new(bytes);
    if node.checksum() != node.stored_checksum() {
        return Some("its checksum does not match its content".to_owned());
    }
    if node.page_id() != page.id {
        return Some(format!(
            "it holds page {}: a write went to the wrong place",
            node.page_id()
        ));
    }
    if node.stamp() != page.stamp {
        return Some(format!(
            "it holds version {:#x} and its parent names {:#x}: a write was lost",
            node.stamp(),
            page.stamp
        ));
    }
    (node.size() != bytes.len()).then(|| {
        format!(
            "it says that it has {} bytes and its parent names {}",
            node.size(),
            bytes.len()
        )
    })
}
