//! Writing a segment file, front to back, so that it can be larger than memory.

use std::io::{self, Write};

use xxhash_rust::xxh3::Xxh3Default;

use super::format::{ALIGN, Entry, Head, Section, Tail, Vid};

/// Numbers that are written at once.
const NUMBERS_AT_ONCE: usize = 8192;

/// Writes one file. Sections are begun in any order, each once; [`Self::finish`] makes the file whole.
pub struct SegmentWriter<W> {
    out: W,
    head: Head,
    offset: u64,
    entries: Vec<Entry>,
    /// The checksum so far of the last entry's section, while it is written.
    open: Option<Box<Xxh3Default>>,
}

/// A file that was written to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its length in bytes.
    pub bytes: u64,
    /// A number that two files of different content do not share: it covers every section's checksum.
    pub checksum: u64,
}

impl<W: Write> SegmentWriter<W> {
    /// Begin a file.
    pub fn new(mut out: W, head: &Head) -> io::Result<Self> {
        let bytes = head.encode();
        out.write_all(&bytes)?;
        Ok(Self {
            out,
            head: *head,
            offset: bytes.len() as u64,
            entries: Vec::new(),
            open: None,
        })
    }

    /// Begin a section, and end the one before. Gives its offset in the file.
    ///
    /// # Panics
    /// When there is one of that name already.
    pub fn begin(&mut self, section: Section) -> io::Result<u64> {
        self.end()?;
        assert!(
            self.entries.iter().all(|entry| entry.section != section),
            "X2: two sections {section}"
        );
        self.open = Some(Box::default());
        self.entries.push(Entry {
            section,
            offset: self.offset,
            length: 0,
            checksum: 0,
        });
        Ok(self.offset)
    }

    /// Write more of the section that was begun.
    ///
    /// # Panics
    /// When none was.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (Some(entry), Some(hash)) = (self.entries.last_mut(), &mut self.open) else {
            panic!("X2: bytes of no section");
        };
        self.out.write_all(bytes)?;
        hash.update(bytes);
        entry.length += bytes.len() as u64;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Write a whole section.
    pub fn section(&mut self, section: Section, bytes: &[u8]) -> io::Result<()> {
        self.begin(section)?;
        self.write(bytes)
    }

    /// Write the sections of vids.
    ///
    /// # Panics
    /// When they are out of order, too many or too few, or outside of the segment's range.
    pub fn vids(&mut self, vids: impl Iterator<Item = Vid> + Clone) -> io::Result<()> {
        assert!(
            vids.clone().is_sorted_by(|one, other| one < other),
            "X3: vids out of order"
        );
        assert!(
            vids.clone()
                .all(|vid| self.head.lo < vid.seq && vid.seq <= self.head.hi),
            "X3: a vid outside of the segment"
        );
        self.begin(Section::Seqs)?;
        self.numbers(vids.clone().map(|vid| vid.seq.to_le_bytes()))?;
        self.begin(Section::Ordinals)?;
        self.numbers(vids.map(|vid| vid.ordinal.to_le_bytes()))
    }

    fn numbers<const N: usize>(
        &mut self,
        mut all: impl Iterator<Item = [u8; N]>,
    ) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(NUMBERS_AT_ONCE * N);
        loop {
            buffer.clear();
            buffer.extend(all.by_ref().take(NUMBERS_AT_ONCE).flatten());
            if buffer.is_empty() {
                return Ok(());
            }
            self.write(&buffer)?;
        }
    }

    /// What everything goes to, for flushing it while a section is not yet begun or still open.
    pub fn out(&mut self) -> &mut W {
        &mut self.out
    }

    fn end(&mut self) -> io::Result<()> {
        if let (Some(entry), Some(hash)) = (self.entries.last_mut(), self.open.take()) {
            entry.checksum = hash.digest();
            let wanted = self.head.length_of(entry.section).unwrap_or(entry.length);
            assert_eq!(
                entry.length, wanted,
                "the section {} does not have the bytes of {} rows",
                entry.section, self.head.count
            );
        }
        self.pad()
    }

    fn pad(&mut self) -> io::Result<()> {
        let padded = self.offset.next_multiple_of(ALIGN);
        self.out
            .write_all(&[0; ALIGN as usize][..(padded - self.offset) as usize])?;
        self.offset = padded;
        Ok(())
    }

    /// Write the end of the file, and flush. Syncing it is the caller's.
    ///
    /// # Panics
    /// When a section has not the bytes that the head says.
    pub fn finish(mut self) -> io::Result<Written> {
        self.end()?;
        let mut table = Vec::new();
        self.entries
            .iter()
            .for_each(|entry| entry.encode(&mut table));
        let table_offset = self.offset;
        self.out.write_all(&table)?;
        self.offset += table.len() as u64;
        self.pad()?;
        let tail = Tail {
            table_offset,
            sections: self.entries.len() as u32,
            table_checksum: xxhash_rust::xxh3::xxh3_64(&table),
            file_length: self.offset + super::format::TAIL_BYTES as u64,
        };
        let bytes = tail.encode();
        self.out.write_all(&bytes)?;
        self.out.flush()?;
        Ok(Written {
            bytes: tail.file_length,
            checksum: super::format::u64_at(&bytes, bytes.len() - 8),
        })
    }
}

/// Everything of a segment that is in memory.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// One for each row, ascending.
    pub vids: &'a [Vid],
    /// The prepared rows.
    pub rows: &'a [u8],
    /// Codes for scans, empty for none.
    pub codes: &'a [u8],
    /// The graph, empty for none.
    pub graph: &'a [u8],
    /// Columns of payloads, empty for none.
    pub payload: &'a [u8],
    /// Keys and short payloads, empty for none.
    pub records: &'a [u8],
    /// Codes for exact searches, empty for none.
    pub steps: &'a [u8],
}

/// Write a segment that is in memory.
///
/// # Panics
/// When the parts do not have the bytes that the head says.
pub fn write_segment(out: impl Write, head: &Head, parts: &Parts<'_>) -> io::Result<Written> {
    let mut writer = SegmentWriter::new(out, head)?;
    writer.vids(parts.vids.iter().copied())?;
    writer.section(Section::Rows, parts.rows)?;
    for (section, bytes) in [
        (Section::Codes, parts.codes),
        (Section::Graph, parts.graph),
        (Section::Payload, parts.payload),
        (Section::Records, parts.records),
        (Section::Steps, parts.steps),
    ] {
        if !bytes.is_empty() {
            writer.section(section, bytes)?;
        }
    }
    writer.finish()
}
