//! Many keys in one allocation, each with what rides along.

use sopasync_core::limits::META_BYTES_MAX;

/// Room is made for no more keys than these at first.
const CAPACITY_MAX: usize = 4096;

/// Encoded keys and metas, one after the other.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each key and each meta ends.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    /// Made for about so many keys.
    pub fn with_capacity(count: usize) -> Self {
        let count = count.min(CAPACITY_MAX); // whatever a sequence says of its length
        Self {
            bytes: Vec::with_capacity(count * 24),
            ends: Vec::with_capacity(count),
        }
    }

    /// Appends a key and then its meta, as the two functions write them.
    pub fn push<E>(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
        meta: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        key(&mut self.bytes)?;
        let key_end = self.bytes.len();
        meta(&mut self.bytes)?;
        self.ends.push((key_end, self.bytes.len()));
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Key and meta of entry `index`.
    pub fn get(&self, index: usize) -> (&[u8], &[u8]) {
        let start = if index == 0 {
            0
        } else {
            self.ends[index - 1].1
        };
        let (key_end, end) = self.ends[index];
        (&self.bytes[start..key_end], &self.bytes[key_end..end])
    }

    /// No meta is over its limit.
    pub fn metas_fit(&self) -> bool {
        self.iter().all(|(_, meta)| meta.len() <= META_BYTES_MAX)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        (0..self.len()).map(|index| self.get(index))
    }
}
