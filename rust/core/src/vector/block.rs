//! Rows in memory of their own, which goes back to the system as soon as they are dropped: vectors pour in by the megabyte,
//! and an allocator that keeps what it is given back would hold several times what is in use.

use memmap2::MmapMut;

use crate::error::{Error, Result};

/// See the module. It never moves.
#[derive(Default)]
pub(super) struct RowBlock {
    memory: Option<MmapMut>,
    length: usize,
}

impl RowBlock {
    /// Adds a row; `rows_max` of these are the most there will be.
    pub(super) fn push(&mut self, row: &[u8], rows_max: usize) -> Result<()> {
        let memory = match &mut self.memory {
            Some(memory) => memory,
            empty => {
                let memory = MmapMut::map_anon(rows_max * row.len());
                empty.insert(memory.map_err(|error| Error::io("memory", "take", &error))?)
            }
        };
        memory[self.length..self.length + row.len()].copy_from_slice(row);
        self.length += row.len();
        Ok(())
    }

    /// All rows, one after the other.
    pub(super) fn bytes(&self) -> &[u8] {
        let memory = self.memory.as_deref().unwrap_or_default();
        &memory[..self.length]
    }
}
