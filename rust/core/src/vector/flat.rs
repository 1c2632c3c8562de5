//! Writing the vectors of several parts as one flat segment, without gathering them in memory.

use sopasync_payload::{Part as Columns, Plan};
use sopasync_vector::graph::Room;
use sopasync_vector::segment::{Head, Kind, Section, SegmentWriter, Vid, Written};

use super::codes::{FlatCodes, codes_of};
use super::kept::Kept;
use super::maintain::Care;
use super::part::Part;
use super::query::refused;
use super::records::write_section;
use super::rows::Number;
use super::seal::failed;
use super::segment::Descriptor;
use crate::engine::DerivedWriter;
use crate::error::{Error, Result};

/// Bytes of rows that are written at once at most.
pub(super) const WRITE_BYTES: usize = 1 << 20;

/// A part, and what of it is taken.
pub(super) struct Source<'a> {
    pub(super) part: Part<'a>,
    pub(super) columns: Columns<'a>,
    pub(super) kept: &'a Kept,
}

impl Source<'_> {
    fn vids(&self) -> impl Iterator<Item = Vid> + Clone {
        let numbers = self.part.numbers;
        self.kept.slots().map(move |slot| vid(numbers.get(slot)))
    }

    /// The rows that are kept, those that follow each other together, at most so many bytes.
    pub(super) fn rows(&self, row: usize, most: usize) -> impl Iterator<Item = &[u8]> + Clone {
        let most = most / row * row;
        let runs = self.kept.runs().map(move |run| {
            let bytes = run.start as usize * row..run.end as usize * row;
            &self.part.rows[bytes]
        });
        runs.flat_map(move |rows| rows.chunks(most.max(row)))
    }
}

/// A vector's number as a segment has it.
fn vid(number: Number) -> Vid {
    Vid {
        seq: number.seq,
        ordinal: number.ordinal,
    }
}

impl Care<'_> {
    /// Number and description of a new file with at least one vector, which answers for `first..=last`; with codes, where they
    /// are worth it. `between` is called now and then.
    pub(super) fn write_flat(
        &self,
        sources: &[Source<'_>],
        (first, last): (Number, Number),
        codes: bool,
        between: &mut dyn FnMut() -> Result<()>,
    ) -> Result<(u64, Descriptor)> {
        let number = self.next_number();
        let vids = sources.iter().flat_map(Source::vids);
        let mut last_seqs = sources.iter().filter_map(|source| {
            let run = source.kept.runs().filter(|run| !run.is_empty()).last()?;
            Some(source.part.numbers.seq(run.end - 1))
        });
        let head = Head {
            space: *self.index().space(),
            kind: Kind::Flat,
            count: sources
                .iter()
                .map(|source| source.kept.count() as u32)
                .sum(),
            lo: vids.clone().next().map_or(0, |vid| vid.seq - 1),
            hi: last_seqs.next_back().unwrap_or(0),
            store: self.store.id,
            number,
        };
        let room = self.room();
        let codes = if codes {
            codes_of(&self.index().options, sources, &room)?
        } else {
            None
        };
        let columns: Vec<Columns<'_>> = sources.iter().map(|source| source.columns).collect();
        let plan = refused(Plan::of(&columns))?;
        let mut payload = room
            .take(plan.bytes())
            .map_err(|error| Error::io("columns of payloads", "merge", &error))?;
        let payload = payload.bytes_mut();
        refused(plan.write(payload))?;
        let row = self.index().space().prepared_bytes();
        let written = self.write_file(number, |out| {
            let mut writer = SegmentWriter::new(out, &head).map_err(failed)?;
            writer.vids(vids).map_err(failed)?;
            writer.begin(Section::Rows).map_err(failed)?;
            let mut since = 0;
            for rows in sources
                .iter()
                .flat_map(|source| source.rows(row, WRITE_BYTES))
            {
                writer.write(rows).map_err(failed)?;
                since += rows.len();
                if since >= WRITE_BYTES {
                    since = 0;
                    between()?;
                }
            }
            if let Some(codes) = &codes {
                codes.write(&mut writer, sources, self.index().space())?;
            }
            writer.section(Section::Payload, payload).map_err(failed)?;
            writer.begin(Section::Records).map_err(failed)?;
            let records: Vec<_> = sources
                .iter()
                .map(|source| (source.part.records, source.kept.slots()))
                .collect();
            write_section(&records, |bytes| writer.write(bytes).map_err(failed))?;
            writer.finish().map_err(failed)
        })?;
        let recall = codes.as_ref().and_then(FlatCodes::recall);
        Ok((number, describe(&head, (first, last), &written, recall)))
    }

    pub(super) fn write_file(
        &self,
        number: u64,
        write: impl FnOnce(&mut DerivedWriter) -> Result<Written>,
    ) -> Result<Written> {
        let mut file = self.db.write_derived(self.store.id, number)?;
        let written = write(&mut file)?;
        file.finish()?;
        Ok(written)
    }
}

/// What a manifest row says of a file.
pub(super) fn describe(
    head: &Head,
    (first, last): (Number, Number),
    written: &Written,
    recall: Option<f32>,
) -> Descriptor {
    Descriptor {
        kind: head.kind,
        first,
        last,
        count: head.count,
        bytes: written.bytes,
        checksum: written.checksum,
        recall,
    }
}
