//! Writing one word of the merged index: new postings behind the old ones, or the old ones without the dead.

use super::chunk;
use super::dead::Dead;
use super::failure::{Failure, Result};
use super::keys::{CHUNK, POSITIONS, TERM, with, with_slot};
use super::pending::ANY;
use super::posting::Postings;
use super::rows::{Rows, RowsMut};
use super::term::{ChunkRef, Place, SHORT_MAX, TermRow};

/// What a fold or a compaction knows while it goes through the words.
pub(crate) struct Writer<'r> {
    pub(crate) rows: &'r dyn RowsMut,
    /// Bytes and rows written or read, roughly.
    pub(crate) work: usize,
}

/// What a delta, or several, say about a word.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) added: u32,
    pub(crate) removed: u32,
    pub(crate) postings: Postings,
}

impl Writer<'_> {
    fn read(&mut self, word: &[u8]) -> Result<TermRow> {
        let mut row = Ok(TermRow::new());
        self.rows.get(&with(TERM, word), &mut |bytes| {
            self.work += bytes.len() + 64;
            row = TermRow::decode(bytes);
        })?;
        row
    }

    fn put(&mut self, key: &[u8], row: &[u8]) -> Result<()> {
        self.work += row.len() + key.len() + 64;
        self.rows.put(key, row)
    }

    fn read_chunk(&mut self, word: &[u8], first: u32, out: &mut Postings) -> Result<()> {
        let rows: &dyn Rows = self.rows;
        let missing = Failure::Malformed("a chunk of postings has no row");
        let bytes = rows
            .copy(&with_slot(CHUNK, word, first))?
            .ok_or(missing.clone())?;
        let positions = rows
            .copy(&with_slot(POSITIONS, word, first))?
            .ok_or(missing)?;
        self.work += bytes.len() + positions.len() + 128;
        chunk::decode_all(&bytes, &positions, first, out)
    }

    /// Appends a change to a word.
    pub(crate) fn apply(&mut self, word: &[u8], change: &Change) -> Result<()> {
        let mut row = self.read(word)?;
        let df = u64::from(row.df) + u64::from(change.added);
        let df = df.checked_sub(u64::from(change.removed));
        let df = df.and_then(|df| u32::try_from(df).ok());
        row.df = df.ok_or(Failure::Malformed(
            "a term was taken from more documents than have it",
        ))?;
        if word[0] == ANY {
            return self.finish_any(word, &row);
        }
        let new = &change.postings;
        row.count = row
            .count
            .checked_add(new.len() as u32)
            .ok_or(Failure::Full)?;
        if new.len() > 0 {
            self.append(word, &mut row, new)?;
        }
        if row.df == 0 && row.count == 0 {
            return self.rows.delete(&with(TERM, word));
        }
        self.put(&with(TERM, word), &row.encode())
    }

    fn finish_any(&mut self, word: &[u8], row: &TermRow) -> Result<()> {
        if row.df == 0 {
            return self.rows.delete(&with(TERM, word));
        }
        self.put(&with(TERM, word), &row.encode())
    }

    fn append(&mut self, word: &[u8], row: &mut TermRow, new: &Postings) -> Result<()> {
        let mut postings = match &mut row.place {
            Place::Short(postings) => std::mem::take(postings),
            Place::Chunks(chunks) => {
                let mut postings = Postings::default();
                if let Some(last) = chunks.pop() {
                    self.read_chunk(word, last.first, &mut postings)?;
                }
                postings
            }
        };
        if postings.slots.last() >= new.slots.first() {
            return Err(Failure::Malformed(
                "postings stand behind those that come now",
            ));
        }
        postings.slots.extend_from_slice(&new.slots);
        postings.tfs.extend_from_slice(&new.tfs);
        postings.lengths.extend_from_slice(&new.lengths);
        postings.positions.extend_from_slice(&new.positions);
        self.place(word, row, postings)
    }

    /// Puts postings behind the chunks a row has.
    fn place(&mut self, word: &[u8], row: &mut TermRow, postings: Postings) -> Result<()> {
        let before = match &mut row.place {
            Place::Short(_) => Vec::new(),
            Place::Chunks(chunks) => std::mem::take(chunks),
        };
        if before.is_empty() && postings.len() <= SHORT_MAX {
            row.place = Place::Short(postings);
            return Ok(());
        }
        let mut chunks = before;
        for chunk in chunk::encode(&postings)? {
            self.put(&with_slot(CHUNK, word, chunk.first), &chunk.bytes)?;
            self.put(&with_slot(POSITIONS, word, chunk.first), &chunk.positions)?;
            chunks.push(ChunkRef::from(&chunk));
        }
        row.place = Place::Chunks(chunks);
        Ok(())
    }

    /// Drops dead postings of a word; how many.
    pub(crate) fn compact(&mut self, word: &[u8], dead: &Dead) -> Result<u64> {
        let mut row = self.read(word)?;
        let (mut postings, mut old) = (Postings::default(), Vec::new());
        match &mut row.place {
            Place::Short(short) => postings = std::mem::take(short),
            Place::Chunks(chunks) => old = std::mem::take(chunks),
        }
        for chunk in &old {
            self.read_chunk(word, chunk.first, &mut postings)?;
        }
        let dropped = postings.retain(|slot| !dead.contains(slot))?;
        if dropped == 0 {
            return Ok(0);
        }
        for chunk in &old {
            self.rows.delete(&with_slot(CHUNK, word, chunk.first))?;
            self.rows.delete(&with_slot(POSITIONS, word, chunk.first))?;
        }
        row.count = postings.len() as u32;
        if row.count == 0 && row.df == 0 {
            self.rows.delete(&with(TERM, word))?;
            return Ok(dropped as u64);
        }
        row.place = Place::Short(Postings::default());
        self.place(word, &mut row, postings)?;
        self.put(&with(TERM, word), &row.encode())?;
        Ok(dropped as u64)
    }
}
