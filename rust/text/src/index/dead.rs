//! Which slots of the merged index belong to deleted documents: one bit each, 4096 to a row.

use super::failure::{Failure, Result};
use super::keys::{DEAD, with};
use super::rows::{Rows, RowsMut};

const PART_SLOTS: u32 = 4096;
const PART_WORDS: usize = PART_SLOTS as usize / 64;

/// See the module. What is beyond its end is alive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dead {
    words: Vec<u64>,
}

impl Dead {
    /// Reads all rows.
    pub(crate) fn read(rows: &dyn Rows) -> Result<Self> {
        let mut words = Vec::new();
        let mut sound = true;
        rows.scan(&[DEAD], &[DEAD + 1], usize::MAX, &mut |key, row| {
            let number = key
                .get(1..)
                .and_then(|key| key.try_into().ok())
                .map(u32::from_be_bytes);
            match number {
                Some(number) if row.len() == PART_WORDS * 8 && number < u32::MAX / PART_SLOTS => {
                    words.resize(number as usize * PART_WORDS, 0);
                    words.extend(
                        row.chunks_exact(8)
                            .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))),
                    );
                }
                _ => sound = false,
            }
        })?;
        if !sound {
            return Err(Failure::Malformed(
                "a row of dead slots has an impossible key or length",
            ));
        }
        Ok(Self { words })
    }

    #[inline]
    pub(crate) fn contains(&self, slot: u32) -> bool {
        let word = self.words.get(slot as usize / 64);
        word.is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// Whether the slot was alive.
    pub(crate) fn add(&mut self, slot: u32) -> bool {
        let at = slot as usize / 64;
        if self.words.len() <= at {
            self.words.resize(at + 1, 0);
        }
        let fresh = !self.contains(slot);
        self.words[at] |= 1 << (slot % 64);
        fresh
    }
}

/// Marks slots in their rows.
pub(crate) fn bury(rows: &dyn RowsMut, slots: &mut [u32]) -> Result<()> {
    slots.sort_unstable();
    for part in slots.chunk_by(|a, b| a / PART_SLOTS == b / PART_SLOTS) {
        let key = with(DEAD, &(part[0] / PART_SLOTS).to_be_bytes());
        let mut row = vec![0; PART_WORDS * 8];
        let mut sound = true;
        rows.get(&key, &mut |old| match old.len() == row.len() {
            true => row.copy_from_slice(old),
            false => sound = false,
        })?;
        if !sound {
            return Err(Failure::Malformed(
                "a row of dead slots has an impossible length",
            ));
        }
        for slot in part {
            let bit = slot % PART_SLOTS;
            row[bit as usize / 8] |= 1 << (bit % 8);
        }
        rows.put(&key, &row)?;
    }
    Ok(())
}
