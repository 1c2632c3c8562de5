//! The page file as bytes: finding nodes in it, and changing them behind the engine's back.

use sopasync_core::disk::SimDisk;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::PAGE_BYTES;

pub const RESERVED_PAGES: usize = 16_384 / PAGE_BYTES;

/// A copy of the page file, to be changed and put back.
#[derive(Clone)]
pub struct PageFile {
    pub bytes: Vec<u8>,
}

impl PageFile {
    pub fn of(disk: &SimDisk) -> Self {
        let bytes = disk.content("pages").expect("there is a page file");
        Self { bytes }
    }

    pub fn put(&self, disk: &SimDisk) {
        disk.replace_content("pages", &self.bytes);
    }

    pub fn page_count(&self) -> usize {
        self.bytes.len() / PAGE_BYTES
    }

    pub fn flip(mut self, offset: usize) -> Self {
        self.bytes[offset] ^= 0x10;
        self
    }

    fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    fn u16_at(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes(
            self.bytes[at..at + 2].try_into().unwrap(),
        ))
    }

    fn size(&self, page: usize) -> usize {
        let at = page * PAGE_BYTES + 24;
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap()) as usize
    }

    fn checksum(&self, page: usize) -> u64 {
        let start = page * PAGE_BYTES;
        xxh3_64_with_seed(&self.bytes[start + 8..start + self.size(page)], page as u64)
    }

    /// Is there a whole node at this page? It may be one of earlier times.
    pub fn is_node(&self, page: usize) -> bool {
        let start = page * PAGE_BYTES;
        let size = self.size(page);
        let fits = (PAGE_BYTES..=65_536).contains(&size) && start + size <= self.bytes.len();
        fits && self.u64_at(start + 8) == page as u64 && self.u64_at(start) == self.checksum(page)
    }

    pub fn nodes(&self) -> Vec<usize> {
        (RESERVED_PAGES..self.page_count())
            .filter(|page| self.is_node(*page))
            .collect()
    }

    pub fn is_leaf(&self, page: usize) -> bool {
        self.bytes[page * PAGE_BYTES + 48] == 1
    }

    pub fn count(&self, page: usize) -> usize {
        self.u16_at(page * PAGE_BYTES + 36)
    }

    pub fn stamp(&self, page: usize) -> u64 {
        self.u64_at(page * PAGE_BYTES + 16)
    }

    /// Where the payload of an entry lies in the file.
    pub fn payload(&self, page: usize, index: usize) -> std::ops::Range<usize> {
        let start = page * PAGE_BYTES;
        let slot = start + 64 + self.count(page) * 4 + index * 6;
        let key = start + self.u16_at(slot) + self.u16_at(slot + 2);
        key..key + self.u16_at(slot + 4)
    }

    /// Changes a node and gives it the checksum that belongs to it: damage no checksum shows.
    pub fn edit(mut self, page: usize, change: impl FnOnce(&mut [u8])) -> Self {
        let start = page * PAGE_BYTES;
        let size = self.size(page);
        change(&mut self.bytes[start..start + size]);
        let checksum = self.checksum(page);
        self.bytes[start..start + 8].copy_from_slice(&checksum.to_le_bytes());
        self
    }
}
