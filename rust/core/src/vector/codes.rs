//! Codes of a flat segment's vectors: its scan reads a thirtieth of the bytes, and measures exactly what looks near.
//!
//! Small segments have none: they are soon part of a graph, and measuring them takes no longer than a graph's walk. Nor
//! have those with a graph. Searches that must be exact, and those in stores whose every search is, pass codes by.

use sopasync_vector::code::{choose, of_section, to_section};
use sopasync_vector::{Coded, Coder, Coding, Kernel, Space, TopK, scan_coded};

use super::hits::Holder;
use super::options::{CodeKind, IndexKind, VectorOptions};
use super::part::Visible;
use super::query::Search;
use super::segment::Sealed;

/// From so many bytes of rows on, codes are made unasked.
const AUTO_BYTES_MIN: usize = 16 << 20;
/// And where the store's options name them.
const ASKED_BYTES_MIN: usize = 1 << 20;
/// Rows that a coding is chosen by.
const SAMPLE_ROWS: usize = 8192;
const SEED: u64 = 0x736f_7061;

/// The section of codes of a new flat segment, and what part of the nearest they find. `parts` are rows with the slots
/// of those that are in it.
pub(super) fn section_of(
    options: &VectorOptions,
    parts: &[(&[u8], &[u32])],
) -> Option<(Vec<u8>, f32)> {
    let bytes = options.space.prepared_bytes();
    let count: usize = parts.iter().map(|(_, kept)| kept.len()).sum();
    let (codings, any, least): (&[Coding], _, _) = match options.codes {
        _ if options.index == IndexKind::Exact => return None,
        CodeKind::None => return None,
        CodeKind::Auto => (&[Coding::Bits, Coding::Int8], false, AUTO_BYTES_MIN),
        CodeKind::Int8 => (&[Coding::Int8], true, ASKED_BYTES_MIN),
        CodeKind::Bits => (&[Coding::Bits], true, ASKED_BYTES_MIN),
    };
    if count * bytes < least {
        return None;
    }
    let row = |rows: &'_ [u8], slot: u32| rows[slot as usize * bytes..][..bytes].to_vec();
    let all = parts
        .iter()
        .flat_map(|(rows, kept)| kept.iter().map(move |slot| (*rows, *slot)));
    let sample: Vec<u8> = all
        .step_by(count.div_ceil(SAMPLE_ROWS))
        .flat_map(|(rows, slot)| row(rows, slot))
        .collect();
    let (coder, recall) = choose(&options.space, codings, any, &sample, SEED)?;
    let mut codes = Vec::with_capacity(coder.bytes(count));
    let mut done = 0;
    for (rows, kept) in parts {
        for slot in *kept {
            let at = *slot as usize * bytes;
            coder.push(&mut codes, done, &rows[at..at + bytes]);
            done += 1;
        }
    }
    Some((to_section(&coder, &codes), recall))
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
    pub(super) fn name(&self) -> &'static str {
        match self.coder.coding() {
            Coding::Int8 => "int8",
            Coding::Bits => "bits",
        }
    }
}

impl Sealed {
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
