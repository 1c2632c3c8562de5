//! Codes of a flat segment's vectors: its scan reads a thirtieth of the bytes, and measures exactly what looks near.
//!
//! Small segments have none: they are soon part of a graph, and measuring them takes no longer than a graph's walk. Nor
//! have those with a graph, which has its own. Searches that must be exact pass such codes by; stores whose every search is have
//! codes of another kind, by which nothing is missed.

use sopasync_vector::code::steps::{Codec, write_section};
use sopasync_vector::code::{choose, of_section, section_head};
use sopasync_vector::graph::Room;
use sopasync_vector::segment::{Section, SegmentWriter};
use sopasync_vector::{Coded, Coder, Coding, Kernel, Space, TopK, scan_coded};

use super::flat::Source;
use super::hits::Holder;
use super::options::{CodeKind, IndexKind, VectorOptions};
use super::part::Visible;
use super::query::Search;
use super::seal::failed;
use super::segment::Sealed;
use crate::error::{Error, Result};

/// From so many bytes of rows on, codes are made unasked.
const AUTO_BYTES_MIN: usize = 16 << 20;
/// And where the store's options name them.
const ASKED_BYTES_MIN: usize = 1 << 20;
/// Rows that a coding is chosen by.
const SAMPLE_ROWS: usize = 8192;
const SEED: u64 = 0x736f_7061;

/// Rows that are coded at once: whole blocks of codes.
const ROWS_AT_ONCE: usize = 256;

/// The codes that a new flat segment gets.
pub(super) enum FlatCodes {
    /// For approximate searches, and what part of the nearest they find.
    Scan(Coder, f32),
    /// For exact ones.
    Steps(Codec),
}

/// What codes the rows of a new flat segment get, if any.
pub(super) fn codes_of(
    options: &VectorOptions,
    sources: &[Source<'_>],
    room: &dyn Room,
) -> Result<Option<FlatCodes>> {
    let row = options.space.prepared_bytes();
    let count: usize = sources.iter().map(|source| source.kept.count()).sum();
    let exact = options.index == IndexKind::Exact;
    let (codings, any, least): (&[Coding], _, _) = match options.codes {
        CodeKind::None => return Ok(None),
        CodeKind::Bits if exact => return Ok(None), // how far off they are is not known
        _ if exact => (&[], true, ASKED_BYTES_MIN),
        CodeKind::Auto => (&[Coding::Bits, Coding::Int8], false, AUTO_BYTES_MIN),
        CodeKind::Int8 => (&[Coding::Int8], true, ASKED_BYTES_MIN),
        CodeKind::Bits => (&[Coding::Bits], true, ASKED_BYTES_MIN),
    };
    if count * row < least {
        return Ok(None);
    }
    let every = count.div_ceil(SAMPLE_ROWS);
    let mut place = room
        .take(count.div_ceil(every) * row)
        .map_err(|error| Error::io("a sample of vectors", "gather", &error))?;
    let sample = place.bytes_mut();
    let all = sources.iter().flat_map(|source| {
        let slots = source.kept.slots().map(|slot| slot as usize * row);
        slots.map(|at| &source.part.rows[at..at + row])
    });
    for (to, from) in sample.chunks_exact_mut(row).zip(all.step_by(every)) {
        to.copy_from_slice(from);
    }
    if exact {
        return Ok(Codec::fit(&options.space, sample).map(FlatCodes::Steps));
    }
    let chosen = choose(&options.space, codings, any, sample, SEED);
    Ok(chosen.map(|(coder, recall)| FlatCodes::Scan(coder, recall)))
}

impl FlatCodes {
    /// What part of the nearest they find, where they are for approximate searches.
    pub(super) fn recall(&self) -> Option<f32> {
        match self {
            Self::Scan(_, recall) => Some(*recall),
            Self::Steps(_) => None,
        }
    }

    /// Writes their section.
    pub(super) fn write<W: std::io::Write>(
        &self,
        writer: &mut SegmentWriter<W>,
        sources: &[Source<'_>],
        space: &Space,
    ) -> Result<()> {
        let row = space.prepared_bytes();
        match self {
            Self::Scan(coder, _) => write_codes(writer, coder, sources, row),
            Self::Steps(codec) => {
                writer.begin(Section::Steps).map_err(failed)?;
                let count = sources.iter().map(|source| source.kept.count()).sum();
                let rows = sources.iter().flat_map(|source| source.rows(row, row));
                let written = write_section(space, codec, count, rows, |bytes| writer.write(bytes));
                written.map_err(failed)
            }
        }
    }
}

/// Writes the section of codes.
fn write_codes<W: std::io::Write>(
    writer: &mut SegmentWriter<W>,
    coder: &Coder,
    sources: &[Source<'_>],
    row: usize,
) -> Result<()> {
    writer.begin(Section::Codes).map_err(failed)?;
    writer.write(&section_head(coder)).map_err(failed)?;
    let (mut rows, mut codes) = (Vec::with_capacity(ROWS_AT_ONCE * row), Vec::new());
    let mut flush = |rows: &mut Vec<u8>| {
        codes.clear();
        coder.push(&mut codes, 0, rows);
        rows.clear();
        writer.write(&codes).map_err(failed)
    };
    for one in sources.iter().flat_map(|source| source.rows(row, row)) {
        rows.extend_from_slice(one);
        if rows.len() == ROWS_AT_ONCE * row {
            flush(&mut rows)?;
        }
    }
    flush(&mut rows)
}

/// A segment's coder, and where its codes begin in their section.
pub(super) struct SegmentCodes {
    coder: Coder,
    start: usize,
}

impl SegmentCodes {
    pub(super) fn open(
        space: &Space,
        section: &[u8],
        rows: usize,
    ) -> std::result::Result<Self, String> {
        let opened = of_section(space, section, rows).map_err(|error| error.to_string());
        opened.map(|(coder, start)| Self { coder, start })
    }

    /// Which codes they are.
    fn name(&self) -> &'static str {
        match self.coder.coding() {
            Coding::Int8 => "int8",
            Coding::Bits => "bits",
        }
    }
}

impl Sealed {
    /// Which codes a flat segment has.
    pub(super) fn codes_name(&self) -> Option<&'static str> {
        let steps = || self.steps().map(|_| "int8");
        self.codes.as_ref().map(SegmentCodes::name).or_else(steps)
    }

    /// Bytes of a row's code that a scan reads, when there are such codes.
    pub(super) fn scan_code(&self) -> Option<usize> {
        let codes = self.codes.as_ref()?;
        Some(codes.coder.bytes(self.count()) / self.count().max(1))
    }
}

impl Search<'_> {
    /// Takes the nearest of a flat segment in by its codes; false when it has none that this search can use.
    pub(super) fn scan_codes(
        &mut self,
        kernel: &Kernel,
        segment: &Sealed,
        visible: &Visible<'_>,
        holder: Holder,
    ) -> bool {
        let Some(codes) = &segment.codes else {
            return false;
        };
        let part = *visible.part();
        let coded = Coded {
            kernel,
            coder: &codes.coder,
            codes: &segment.codes_section()[codes.start..],
            rows: part.rows,
        };
        let (k, bytes) = (self.query.k, kernel.row_bytes());
        let candidates = codes.coder.candidates(k, part.count());
        let candidates = candidates.max(self.query.ef.unwrap_or(0));
        for at in 0..self.tops.len() {
            let query = &self.prepared[at * bytes..(at + 1) * bytes];
            let mut near = TopK::within(k, self.tops[at].bound());
            scan_coded(&coded, query, visible, candidates, &mut near);
            self.take(at, &part, near.into_sorted(), holder);
        }
        true
    }
}
