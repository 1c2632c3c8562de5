//! Reading a segment file in place.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use xxhash_rust::xxh3::xxh3_64;

use super::error::SegmentError;
use super::format::{
    ALIGN, ENTRY_BYTES, Entry, HEAD_BYTES, Head, Kind, SECTIONS_MAX, Section, TAIL_BYTES, Tail,
    Vid, u32_at, u64_at,
};
use crate::graph::hnsw::Hnsw;
#[cfg(feature = "usearch")]
use crate::graph::usearch::native::{Native, NativeError, RowSource};
use crate::graph::{Graph, Request, Search};

/// The bytes of a file, in memory or mapped: the same ones at the same place as long as it exists.
pub trait Bytes: Send + Sync + 'static {
    /// All of them.
    fn bytes(&self) -> &[u8];
}

impl Bytes for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// An open segment file. Nothing of it is copied.
///
/// Opening looks at its head, tail and table. What is in the sections is checked by [`Self::verify`], once, at the latest when
/// something of it is asked for: that reads the whole file, so ask on a thread that may wait.
pub struct Segment {
    bytes: Arc<dyn Bytes>,
    head: Head,
    entries: Vec<Entry>,
    /// Where each section is: every search asks for several.
    places: [Option<Range<usize>>; Section::ALL.len()],
    table: Range<usize>,
    verified: OnceLock<Result<(), SegmentError>>,
    #[cfg(feature = "usearch")]
    native: OnceLock<Result<Native, NativeError>>,
}

/// The rows of a segment, for a graph that holds on to them.
#[cfg(feature = "usearch")]
struct RowsOf {
    bytes: Arc<dyn Bytes>,
    range: Range<usize>,
}

#[cfg(feature = "usearch")]
impl RowSource for RowsOf {
    fn rows(&self) -> &[u8] {
        &self.bytes.bytes()[self.range.clone()]
    }
}

impl Segment {
    /// Open a file.
    pub fn open(bytes: Arc<dyn Bytes>) -> Result<Self, SegmentError> {
        let file = bytes.bytes();
        let head = Head::decode(file)?;
        let damaged = |what| SegmentError::Frame { what };
        let tail = Tail::decode(file)
            .filter(|tail| tail.file_length == file.len() as u64)
            .ok_or(SegmentError::Truncated { found: file.len() })?;
        let sections = tail.sections as usize;
        if sections > SECTIONS_MAX {
            return Err(damaged("its tail counts more sections than there can be"));
        }
        let table_end = (tail
            .table_offset
            .checked_add((sections * ENTRY_BYTES) as u64))
        .filter(|end| end.checked_next_multiple_of(ALIGN) == Some((file.len() - TAIL_BYTES) as u64))
        .ok_or(damaged("its table is not where its tail says"))?;
        let range = tail.table_offset as usize..table_end as usize;
        let table = &file[range.clone()];
        if xxh3_64(table) != tail.table_checksum {
            return Err(damaged("the checksum of its table is wrong"));
        }
        let entries: Option<Vec<Entry>> =
            table.chunks_exact(ENTRY_BYTES).map(Entry::decode).collect();
        let entries = entries.ok_or(damaged("its table names a section that is not known"))?;
        check_entries(&head, &entries, tail.table_offset)?;
        let mut places = Section::ALL.map(|_| None);
        for entry in &entries {
            let (start, end) = (entry.offset, entry.offset + entry.length);
            places[entry.section as usize] = Some(start as usize..end as usize);
        }
        Ok(Self {
            head,
            entries,
            places,
            table: range,
            verified: OnceLock::new(),
            #[cfg(feature = "usearch")]
            native: OnceLock::new(),
            bytes,
        })
    }

    /// What it is.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many rows it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.head.count as usize
    }

    /// The length of the file.
    #[must_use]
    pub fn file_bytes(&self) -> usize {
        self.bytes.bytes().len()
    }

    /// Bytes of a section; 0 when there is none.
    #[must_use]
    pub fn section_bytes(&self, section: Section) -> usize {
        self.range(section).map_or(0, |range| range.len())
    }

    /// Check everything, the first time; say again what was found, later.
    pub fn verify(&self) -> Result<(), SegmentError> {
        match self.verified.get_or_init(|| self.check()) {
            Ok(()) => Ok(()),
            Err(error) => Err(error.clone()),
        }
    }

    /// Whether it was checked before, so that asking will not read the file.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified.get().is_some()
    }

    /// The bytes of a section; none when there is no such section.
    pub fn section(&self, section: Section) -> Result<Option<&[u8]>, SegmentError> {
        self.verify()?;
        Ok(self.raw(section))
    }

    /// Where the bytes of a section are in the file, for those that keep the file open themselves.
    #[must_use]
    pub fn range(&self, section: Section) -> Option<Range<usize>> {
        self.places[section as usize].clone()
    }

    /// The prepared rows.
    pub fn rows(&self) -> Result<&[u8], SegmentError> {
        self.verify()?;
        Ok(self.raw(Section::Rows).unwrap_or_default())
    }

    /// The vids, in the order of slots.
    pub fn vids(&self) -> Result<Vids<'_>, SegmentError> {
        self.verify()?;
        Ok(self.raw_vids())
    }

    /// The graph; none when the segment is flat.
    pub fn graph(&self) -> Result<Option<Box<dyn Graph + '_>>, SegmentError> {
        let rows = self.rows()?;
        let Some(graph) = self.raw(Section::Graph) else {
            return Ok(None);
        };
        Ok(match self.head.kind {
            Kind::Flat => None,
            Kind::Hnsw => Some(Box::new(Hnsw::open(graph, &self.head.space, rows)?)),
            Kind::Usearch => Some(self.native(graph)?),
        })
    }

    /// Walk the graph; none when the segment is flat.
    pub fn search(&self, request: &Request<'_>) -> Result<Option<Search>, SegmentError> {
        Ok(self.graph()?.map(|graph| graph.search(request)))
    }

    #[cfg(feature = "usearch")]
    fn native(&self, graph: &[u8]) -> Result<Box<dyn Graph + '_>, SegmentError> {
        let opened = self.native.get_or_init(|| {
            let rows = Arc::new(RowsOf {
                bytes: Arc::clone(&self.bytes),
                range: self.range(Section::Rows).unwrap_or_default(),
            });
            Native::open(graph, &self.head.space, rows)
        });
        match opened {
            Ok(native) => Ok(Box::new(native)),
            Err(error) => Err(SegmentError::Library(error.to_string())),
        }
    }

    #[cfg(not(feature = "usearch"))]
    fn native(&self, _graph: &[u8]) -> Result<Box<dyn Graph + '_>, SegmentError> {
        Err(SegmentError::Library(
            "its graph is one of the usearch library, which was left out of this build".to_owned(),
        ))
    }

    fn raw(&self, section: Section) -> Option<&[u8]> {
        Some(&self.bytes.bytes()[self.range(section)?])
    }

    fn raw_vids(&self) -> Vids<'_> {
        Vids {
            seqs: self.raw(Section::Seqs).unwrap_or_default(),
            ordinals: self.raw(Section::Ordinals).unwrap_or_default(),
        }
    }

    fn check(&self) -> Result<(), SegmentError> {
        let file = self.bytes.bytes();
        let mut end = HEAD_BYTES;
        for entry in &self.entries {
            let wrong = |what| SegmentError::Section {
                section: entry.section,
                offset: entry.offset,
                what,
            };
            let range = entry.offset as usize..(entry.offset + entry.length) as usize;
            if !is_zero(&file[end..range.start]) {
                return Err(wrong("there is something before it"));
            }
            end = range.end;
            if xxh3_64(&file[range]) != entry.checksum {
                return Err(wrong("its checksum is wrong"));
            }
        }
        let behind = &file[self.table.end..file.len() - TAIL_BYTES];
        if !is_zero(&file[end..self.table.start]) || !is_zero(behind) {
            return Err(SegmentError::Frame {
                what: "there is something between its sections and its end",
            });
        }
        let vids = self.raw_vids();
        let in_range = vids
            .iter()
            .all(|vid| self.head.lo < vid.seq && vid.seq <= self.head.hi);
        if !in_range || !vids.iter().is_sorted_by(|one, other| one < other) {
            return Err(SegmentError::Frame {
                what: "X3: its vids are out of order",
            });
        }
        if let (Kind::Hnsw, Some(graph)) = (self.head.kind, self.raw(Section::Graph)) {
            let rows = self.raw(Section::Rows).unwrap_or_default();
            Hnsw::open(graph, &self.head.space, rows)?.check()?;
        }
        Ok(())
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Segment")
            .field("head", &self.head)
            .field("file_bytes", &self.file_bytes())
            .finish_non_exhaustive()
    }
}

/// X2, and the lengths that the head knows.
fn check_entries(head: &Head, entries: &[Entry], table: u64) -> Result<(), SegmentError> {
    let mut end = HEAD_BYTES as u64;
    for (at, entry) in entries.iter().enumerate() {
        let wrong = |what| SegmentError::Section {
            section: entry.section,
            offset: entry.offset,
            what,
        };
        if entries[..at]
            .iter()
            .any(|other| other.section == entry.section)
        {
            return Err(wrong("it is there twice"));
        }
        let fits = end.next_multiple_of(ALIGN) == entry.offset
            && entry.length <= table.saturating_sub(entry.offset);
        if !fits {
            return Err(wrong("it is not where it can be"));
        }
        if head
            .length_of(entry.section)
            .is_some_and(|length| length != entry.length)
        {
            return Err(wrong(
                "it does not have the bytes of the rows that the head counts",
            ));
        }
        end = entry.offset + entry.length;
    }
    if end.next_multiple_of(ALIGN) != table {
        return Err(SegmentError::Frame {
            what: "its table does not follow its sections",
        });
    }
    let mut needed = vec![Section::Seqs, Section::Ordinals, Section::Rows];
    if head.kind != Kind::Flat {
        needed.push(Section::Graph);
    }
    for section in needed {
        if entries.iter().all(|entry| entry.section != section) {
            return Err(SegmentError::Section {
                section,
                offset: table,
                what: "it is missing",
            });
        }
    }
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// The vids of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Vids<'a> {
    seqs: &'a [u8],
    ordinals: &'a [u8],
}

impl<'a> Vids<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ordinals.len() / 4
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ordinals.is_empty()
    }

    /// When the row at a slot was committed.
    ///
    /// # Panics
    /// When there is no such slot.
    #[inline]
    #[must_use]
    pub fn seq(&self, slot: u32) -> u64 {
        u64_at(self.seqs, slot as usize * 8)
    }

    /// The vid of a slot.
    ///
    /// # Panics
    /// When there is no such slot.
    #[must_use]
    pub fn get(&self, slot: u32) -> Vid {
        Vid {
            seq: self.seq(slot),
            ordinal: u32_at(self.ordinals, slot as usize * 4),
        }
    }

    /// The slot of a vid, if it is here.
    #[must_use]
    pub fn slot_of(&self, vid: Vid) -> Option<u32> {
        let slot = self.before(vid);
        ((slot as usize) < self.len() && self.get(slot) == vid).then_some(slot)
    }

    /// How many vids are below one: the slots of those visible at a commit are the first ones.
    #[must_use]
    pub fn before(&self, vid: Vid) -> u32 {
        let (mut from, mut to) = (0, self.len() as u32);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.get(middle) < vid {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Vid> + Clone + 'a {
        let seqs = self.seqs.as_chunks().0.iter();
        let ordinals = self.ordinals.as_chunks().0.iter();
        seqs.zip(ordinals).map(|(seq, ordinal)| Vid {
            seq: u64::from_le_bytes(*seq),
            ordinal: u32::from_le_bytes(*ordinal),
        })
    }
}
