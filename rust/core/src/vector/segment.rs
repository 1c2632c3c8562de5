//! Vectors in a sealed file, and what their manifest row says of it.
//!
//! ```text
//! descriptor := kind:u8 first:number last:number count:u32 bytes:u64 checksum:u64 recall:u16
//! ```
//!
//! Numbers are big-endian. `kind` is 0 flat, 1 own graph, 2 usearch's graph; `first..=last` are the numbers whose vectors lie in
//! this segment, except those that no snapshot could see when it was written; `checksum` is the last of the file's bytes;
//! `recall` is what a sample of queries found of the ten nearest through graph or codes, in ten thousandths, or FFFF.

use std::sync::Arc;

use sopasync_payload::SealedColumns;
use sopasync_vector::code::steps::{StepCodes, open_section};
use sopasync_vector::segment::{Bytes, Kind, Section, Segment};

use super::codes::SegmentCodes;
use super::filters::Selections;
use super::index::Index;
use super::kept::Kept;
use super::marks::{ALIVE, Marks};
use super::part::{Numbers, Part};
use super::records::Records;
use super::rows::{Number, malformed};
use crate::disk::Mapping;
use crate::engine::Transaction;
use crate::error::Result;
use crate::mutants::mutant;
use crate::txn::StoreInfo;

/// What a manifest row says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Descriptor {
    pub(super) kind: Kind,
    pub(super) first: Number,
    pub(super) last: Number,
    pub(super) count: u32,
    pub(super) bytes: u64,
    pub(super) checksum: u64,
    pub(super) recall: Option<f32>,
}

const KINDS: [Kind; 3] = [Kind::Flat, Kind::Hnsw, Kind::Usearch];
const NO_RECALL: u16 = u16::MAX;

impl Descriptor {
    const BYTES: usize = 1 + 2 * Number::BYTES + 4 + 8 + 8 + 2;

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        let kind = KINDS.iter().position(|kind| *kind == self.kind);
        out.push(kind.expect("one of the kinds") as u8);
        out.extend_from_slice(&self.first.encode());
        out.extend_from_slice(&self.last.encode());
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.bytes.to_be_bytes());
        out.extend_from_slice(&self.checksum.to_be_bytes());
        let recall = self
            .recall
            .map_or(NO_RECALL, |recall| (recall * 10_000.0) as u16);
        out.extend_from_slice(&recall.to_be_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let read = || {
            let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
            let number = |at: usize| Number::decode(&bytes[at..at + Number::BYTES]);
            let long = |at: usize| {
                let eight = bytes[at..at + 8].try_into().expect("eight bytes");
                u64::from_be_bytes(eight)
            };
            let recall = u16::from_be_bytes([bytes[45], bytes[46]]);
            Some(Self {
                kind: *KINDS.get(usize::from(bytes[0]))?,
                first: number(1)?,
                last: number(13)?,
                count: u32::from_be_bytes(bytes[25..29].try_into().expect("four bytes")),
                bytes: long(29),
                checksum: long(37),
                recall: (recall != NO_RECALL).then(|| f32::from(recall) / 10_000.0),
            })
        };
        read().ok_or_else(|| malformed("the row of a segment is not well formed"))
    }

    /// What is wrong with the file that the row names, if anything is. Reads all of it.
    pub(super) fn check(&self, file: &Segment, store: u64, number: u64) -> Option<String> {
        let head = file.head();
        let same = (
            head.store,
            head.number,
            head.count,
            head.kind,
            file.file_bytes() as u64,
        ) == (store, number, self.count, self.kind, self.bytes);
        if !same {
            return Some("it is not the file that its row describes".to_owned());
        }
        file.verify().err().map(|error| error.to_string())
    }
}

/// The mapped bytes of a file.
struct Mapped(Arc<dyn Mapping>);

impl Bytes for Mapped {
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// Opens the bytes of a segment and compares them with their row. A reason when they are not to be used.
pub(super) fn open_file(
    mapping: Arc<dyn Mapping>,
    descriptor: &Descriptor,
    store: u64,
    number: u64,
) -> std::result::Result<Segment, String> {
    let bytes = mapping.bytes();
    let checksum = bytes
        .last_chunk::<8>()
        .map(|last| u64::from_le_bytes(*last));
    if checksum != Some(descriptor.checksum) {
        return Err("it does not end with the checksum of its row".to_owned());
    }
    let file = Segment::open(Arc::new(Mapped(mapping))).map_err(|error| error.to_string())?;
    match descriptor.check(&file, store, number) {
        Some(reason) => Err(reason),
        None => Ok(file),
    }
}

/// The segments of a store whose files are missing or damaged at the transaction's snapshot, and why. Reads all of them.
pub(crate) fn damaged_segments(
    tx: &mut Transaction,
    info: &StoreInfo,
) -> Result<Vec<(u64, String)>> {
    let mut damaged = Vec::new();
    for (number, descriptor) in super::pull::manifest(tx, info.id)? {
        let opened = match tx.open_derived(info.id, number)? {
            Some(mapping) => open_file(mapping, &descriptor, info.id, number).map(drop),
            None => Err("its file is missing".to_owned()),
        };
        damaged.extend(opened.err().map(|reason| (number, reason)));
    }
    Ok(damaged)
}

/// One section of an open segment.
pub(super) struct SectionBytes {
    file: Arc<Segment>,
    section: Section,
}

impl AsRef<[u8]> for SectionBytes {
    fn as_ref(&self) -> &[u8] {
        let bytes = self.file.section(self.section).ok().flatten();
        bytes.expect("verified when it was opened")
    }
}

/// A segment in use.
pub(super) struct Sealed {
    pub(super) number: u64,
    pub(super) descriptor: Descriptor,
    pub(super) file: Arc<Segment>,
    pub(super) columns: SealedColumns<SectionBytes>,
    pub(super) codes: Option<SegmentCodes>,
    /// Bytes of a row's code in the graph, 0 when there are none; nothing without a graph.
    pub(super) graph_code: Option<usize>,
    /// Bytes of a row's code by which searches that miss nothing leave rows out, if there are such codes.
    pub(super) bounded_code: Option<usize>,
    pub(super) selections: Selections,
    deleted: Marks,
}

impl Sealed {
    /// Reads and verifies the whole file.
    pub(super) fn open(
        mapping: Arc<dyn Mapping>,
        descriptor: Descriptor,
        store: u64,
        number: u64,
        index: &Index,
    ) -> std::result::Result<Self, String> {
        let file = Arc::new(open_file(mapping, &descriptor, store, number)?);
        if file.head().space != *index.space() {
            return Err("its vectors are of another space".to_owned());
        }
        let section = SectionBytes {
            file: Arc::clone(&file),
            section: Section::Payload,
        };
        if file.range(Section::Payload).is_none() {
            return Err("it has no columns of payloads".to_owned());
        }
        let columns = SealedColumns::open(section).map_err(|error| error.to_string())?;
        if columns.slots() != descriptor.count {
            return Err("its columns are of another number of vectors".to_owned());
        }
        let codes = match file.section(Section::Codes) {
            Ok(Some(section)) => Some(SegmentCodes::open(
                index.space(),
                section,
                descriptor.count as usize,
            )?),
            _ => None,
        };
        let records = file.section(Section::Records).ok().flatten();
        Records::open(records.unwrap_or_default(), descriptor.count as usize)?;
        let steps = match file.section(Section::Steps) {
            Ok(Some(section)) => {
                let opened = open_section(index.space(), section, descriptor.count as usize);
                Some(opened.map_err(|error| error.to_string())?.code_bytes())
            }
            _ => None,
        };
        let graph = file.graph().ok().flatten();
        let graph = graph.map(|graph| (graph.code_bytes(), graph.is_bounded()));
        let bounded = graph.filter(|(_, bounded)| *bounded).map(|(code, _)| code);
        Ok(Self {
            number,
            descriptor,
            columns,
            codes,
            graph_code: graph.map(|(code, _)| code),
            bounded_code: steps.or(bounded),
            selections: Selections::default(),
            deleted: Marks::of(descriptor.count as usize),
            file,
        })
    }

    fn bytes(&self, section: Section) -> &[u8] {
        let bytes = self
            .file
            .section(section)
            .expect("verified when it was opened");
        bytes.unwrap_or_default()
    }

    pub(super) fn codes_section(&self) -> &[u8] {
        self.bytes(Section::Codes)
    }

    /// The codes of a flat segment by which exact searches leave rows out.
    pub(super) fn steps(&self) -> Option<StepCodes<'_>> {
        let section = self.bytes(Section::Steps);
        open_section(&self.file.head().space, section, self.count()).ok()
    }

    pub(super) fn part(&self) -> Part<'_> {
        Part {
            rows: self.bytes(Section::Rows),
            numbers: Numbers {
                seqs: self.bytes(Section::Seqs),
                ordinals: self.bytes(Section::Ordinals),
            },
            deleted: Some(&self.deleted),
            dead: self.deleted.dead(),
            records: Records::of_opened(self.bytes(Section::Records), self.count()),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.deleted.count()
    }

    pub(super) fn has_graph(&self) -> bool {
        self.descriptor.kind != Kind::Flat
    }

    /// The numbers it answers for, from the first to the last.
    pub(super) fn covers(&self, number: Number) -> bool {
        (self.descriptor.first..=self.descriptor.last).contains(&number)
    }

    /// Notes a deletion; false when the vector is not here.
    pub(super) fn mark(&self, number: Number, seq: u64) -> bool {
        if !self.covers(number) {
            return false;
        }
        let Some(slot) = self.part().numbers.slot(number) else {
            return false;
        };
        self.deleted.mark(slot, seq);
        true
    }

    /// Notes what was deleted of a part whose kept vectors are here.
    pub(super) fn take_marks(&self, from: &Part<'_>, kept: &Kept) {
        for (old, new) in kept.slots().zip(kept.new_slots()) {
            let seq = from.deleted_at(old);
            if seq != ALIVE && !mutant("vector-lose-marks") {
                self.deleted.mark(new, seq);
            }
        }
    }
}
