//! `Cursor`: goes through the documents of one word in the order of slots, first those of the merged index, then those of each
//! delta. Chunks are read when they are reached, and blocks decoded when a document in them is wanted.
//!
//! Invariants
//! 1. Parts, the chunks of a part and the blocks of a chunk ascend in their slots.
//! 2. It never goes back: `seek_unit` and `seek_block` are called with targets that do not fall.

use std::ops::Range;

use super::bytes::varints_length;
use super::chunk::{self, Block, Decoded};
use super::failure::{Failure, Result};
use super::impact::Impacts;
use super::keys::{CHUNK, POSITIONS, TERM, with, with_slot};
use super::pack::BLOCK;
use super::pending::ANY;
use super::posting::{Postings, read_positions};
use super::rows::Rows;
use super::term::{ChunkRef, Place, TermRow};
use super::view::{View, less};
use crate::mutants::mutant;

/// No document.
pub(crate) const END: u32 = u32::MAX;
/// Lists beyond this length get no bound of their own: to compute it would cost what it saves.
const BOUNDED_LIST_MAX: usize = 1024;

#[derive(Debug)]
enum Part {
    List(Postings, Option<Impacts>),
    Chunks(Vec<ChunkRef>),
}

/// A chunk that was read.
#[derive(Debug, Default)]
struct Loaded {
    place: Option<(usize, usize)>,
    bytes: Vec<u8>,
    blocks: Vec<Block>,
}

/// Positions of the block the cursor is in.
#[derive(Debug, Default)]
struct Positions {
    place: Option<(usize, usize)>,
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
    /// The posting whose positions begin at `at`.
    posting: usize,
    block: Option<(usize, usize, usize)>,
    at: usize,
}

/// See the module.
pub(crate) struct Cursor<'r> {
    rows: &'r dyn Rows,
    word: Vec<u8>,
    /// Documents with the word at this snapshot.
    pub(crate) df: u64,
    /// Postings, of deleted documents too.
    pub(crate) count: u64,
    parts: Vec<Part>,
    part: usize,
    unit: usize,
    block: usize,
    loaded: Loaded,
    decoded: Decoded,
    /// The block in `decoded`.
    in_hand: Option<(usize, usize, usize)>,
    at: usize,
    positions: Positions,
}

impl<'r> Cursor<'r> {
    /// On the word's documents; none has it when `df` is 0.
    pub(crate) fn open(view: &View, rows: &'r dyn Rows, word: &[u8]) -> Result<Self> {
        let mut row = None;
        rows.get(&with(TERM, word), &mut |bytes| {
            row = Some(TermRow::decode(bytes))
        })?;
        Self::with_row(view, rows, word, row.transpose()?)
    }

    /// The same, with the word's row of the merged index at hand.
    pub(crate) fn with_row(
        view: &View,
        rows: &'r dyn Rows,
        word: &[u8],
        row: Option<TermRow>,
    ) -> Result<Self> {
        let mut cursor = Cursor {
            rows,
            word: word.to_vec(),
            df: 0,
            count: 0,
            parts: Vec::new(),
            part: 0,
            unit: 0,
            block: 0,
            loaded: Loaded::default(),
            decoded: Decoded::default(),
            in_hand: None,
            at: 0,
            positions: Positions::default(),
        };
        let mut removed = 0;
        if let Some(row) = row {
            cursor.df = u64::from(row.df);
            match row.place {
                Place::Short(postings) => cursor.push_list(postings),
                Place::Chunks(chunks) => {
                    cursor.count += u64::from(row.count);
                    cursor.parts.push(Part::Chunks(chunks));
                }
            }
        }
        for placed in view.deltas_of(word) {
            if let Some(entry) = placed.delta.find(word)? {
                cursor.df += u64::from(entry.added);
                removed += u64::from(entry.removed);
                if word[0] == ANY {
                    continue;
                }
                let mut postings = Postings::default();
                placed.delta.postings(&entry, placed.base, &mut postings)?;
                cursor.push_list(postings);
            }
        }
        if mutant("text-keep-df") {
            removed = 0;
        }
        cursor.df = less(cursor.df, removed, view.mixed)?;
        Ok(cursor)
    }

    fn push_list(&mut self, postings: Postings) {
        if postings.len() > 0 {
            self.count += postings.len() as u64;
            let impacts = (postings.len() <= BOUNDED_LIST_MAX)
                .then(|| Impacts::of(&postings.tfs, &postings.lengths));
            self.parts.push(Part::List(postings, impacts));
        }
    }

    /// The word it goes through.
    pub(crate) fn word(&self) -> &[u8] {
        &self.word
    }

    #[inline]
    pub(crate) fn tf(&self) -> u32 {
        self.decoded.tfs[self.at]
    }

    #[inline]
    pub(crate) fn length(&self) -> u32 {
        self.decoded.lengths[self.at]
    }

    /// The decoded block and the place in it, after a seek that did not end.
    #[inline]
    pub(crate) fn decoded(&self) -> (&Decoded, usize) {
        (&self.decoded, self.at)
    }

    #[inline]
    fn place(&self) -> (usize, usize, usize) {
        (self.part, self.unit, self.block)
    }

    /// First and last slot of the unit (a block of a list, or a chunk) it is in.
    fn unit_range(&self) -> Option<(u32, u32)> {
        self.parts.get(self.part).map(|part| part.range(self.unit))
    }

    /// Goes to the first unit that may have a document at or behind `target`, reading nothing; a slot below which there is none.
    #[inline]
    pub(crate) fn seek_unit(&mut self, target: u32) -> u32 {
        while let Some(part) = self.parts.get(self.part) {
            let units = part.units();
            if self.unit < units && part.range(self.unit).1 >= target {
                return part.range(self.unit).0.max(target);
            }
            let from = self.unit;
            self.unit = match part {
                Part::List(postings, _) => {
                    match postings.slots.partition_point(|slot| *slot < target) {
                        all if all == postings.len() => units,
                        before => before / BLOCK,
                    }
                }
                Part::Chunks(chunks) => chunks.partition_point(|chunk| chunk.last < target),
            }
            .max(from);
            self.block = 0;
            if self.unit < units {
                continue;
            }
            self.part += 1;
            self.unit = 0;
        }
        END
    }

    /// Goes to the block that has the first document at or behind `target`; `false` when there is none.
    pub(crate) fn seek_block(&mut self, target: u32) -> Result<bool> {
        if self.seek_unit(target) == END {
            return Ok(false);
        }
        if let Part::Chunks(chunks) = &self.parts[self.part] {
            let chunk = chunks[self.unit];
            self.load(chunk)?;
            let blocks = &self.loaded.blocks;
            while blocks
                .get(self.block)
                .is_some_and(|block| block.last < target)
            {
                self.block += 1;
            }
            if self.block == blocks.len() {
                return Err(Failure::Malformed("a chunk ends before its term says"));
            }
        }
        Ok(true)
    }

    fn load(&mut self, chunk: ChunkRef) -> Result<()> {
        let place = Some((self.part, self.unit));
        if self.loaded.place == place {
            return Ok(());
        }
        self.loaded.place = None;
        self.block = 0;
        let bytes = &mut self.loaded.bytes;
        bytes.clear();
        let there = self
            .rows
            .get(&with_slot(CHUNK, &self.word, chunk.first), &mut |row| {
                bytes.extend_from_slice(row);
            })?;
        if !there {
            return Err(Failure::Malformed("a chunk of postings has no row"));
        }
        chunk::open(bytes, chunk.first, &mut self.loaded.blocks)?;
        if self.loaded.blocks.last().map(|block| block.last) != Some(chunk.last) {
            return Err(Failure::Malformed(
                "a chunk ends elsewhere than its term says",
            ));
        }
        self.loaded.place = place;
        Ok(())
    }

    /// Best postings of the block it is in; `None` when nothing is known.
    pub(crate) fn block_impacts(&self) -> Option<&Impacts> {
        match &self.parts[self.part] {
            Part::List(_, impacts) => impacts.as_ref(),
            Part::Chunks(chunks) if self.loaded.place == Some((self.part, self.unit)) => {
                let block = self.loaded.blocks.get(self.block);
                Some(block.map_or(&chunks[self.unit].impacts, |block| &block.impacts))
            }
            Part::Chunks(chunks) => Some(&chunks[self.unit].impacts),
        }
    }

    /// Best postings of the unit it is in.
    pub(crate) fn unit_impacts(&self) -> Option<&Impacts> {
        match &self.parts[self.part] {
            Part::List(_, impacts) => impacts.as_ref(),
            Part::Chunks(chunks) => Some(&chunks[self.unit].impacts),
        }
    }

    /// The last slot of the unit it is in.
    pub(crate) fn unit_last(&self) -> u32 {
        self.unit_range().map_or(END, |range| range.1)
    }

    /// The last slot of the block it is in.
    pub(crate) fn block_last(&self) -> u32 {
        match &self.parts[self.part] {
            Part::Chunks(_) if self.loaded.place == Some((self.part, self.unit)) => self
                .loaded
                .blocks
                .get(self.block)
                .map_or(END, |block| block.last),
            part => part.range(self.unit).1,
        }
    }

    /// Tells `visit` the bounds of all blocks with slots in `low..high`, from the place it is at; `None` for "anything".
    pub(crate) fn bounds(&mut self, low: u32, high: u32, visit: &mut dyn FnMut(Option<&Impacts>)) {
        if self.seek_unit(low) >= high {
            return;
        }
        let (first, mut unit) = (self.part, self.unit);
        for (number, part) in self.parts.iter().enumerate().skip(first) {
            while unit < part.units() {
                if part.range(unit).0 >= high {
                    return;
                }
                match part {
                    Part::List(_, impacts) => {
                        visit(impacts.as_ref());
                        break;
                    }
                    Part::Chunks(_) if self.loaded.place == Some((number, unit)) => {
                        let blocks = &self.loaded.blocks;
                        let from = blocks.partition_point(|block| block.last < low);
                        let inside = blocks[from..].iter().take_while(|block| block.base < high);
                        inside.for_each(|block| visit(Some(&block.impacts)));
                    }
                    Part::Chunks(chunks) => visit(Some(&chunks[unit].impacts)),
                }
                unit += 1;
            }
            unit = 0;
        }
    }

    /// Decodes the block it is in, if that was not done.
    pub(crate) fn decode(&mut self) -> Result<()> {
        let place = self.place();
        if self.in_hand == Some(place) {
            return Ok(());
        }
        match &self.parts[self.part] {
            Part::List(postings, _) => {
                let begin = self.unit * BLOCK;
                let count = BLOCK.min(postings.len() - begin);
                self.decoded.slots[..count].copy_from_slice(&postings.slots[begin..begin + count]);
                self.decoded.tfs[..count].copy_from_slice(&postings.tfs[begin..begin + count]);
                self.decoded.lengths[..count]
                    .copy_from_slice(&postings.lengths[begin..begin + count]);
                self.decoded.count = count;
            }
            Part::Chunks(_) => {
                let block = &self.loaded.blocks[self.block];
                chunk::decode(
                    &self.loaded.bytes,
                    block,
                    self.block == 0,
                    &mut self.decoded,
                )?;
            }
        }
        self.in_hand = Some(place);
        self.at = 0;
        Ok(())
    }

    /// Goes to the first document at or behind `target`.
    #[inline]
    pub(crate) fn seek(&mut self, target: u32) -> Result<u32> {
        if self.in_hand != Some(self.place()) || self.decoded.slots[self.decoded.count - 1] < target
        {
            if !self.seek_block(target)? {
                self.in_hand = None;
                return Ok(END);
            }
            self.decode()?;
        }
        let slots = &self.decoded.slots[..self.decoded.count];
        // Most seeks go to the next few.
        let mut at = self.at;
        let near = (at + 8).min(slots.len());
        while at < near && slots[at] < target {
            at += 1;
        }
        if at == near {
            at += slots[at..].partition_point(|slot| *slot < target);
        }
        self.at = at;
        Ok(slots[at])
    }

    /// The positions in the document it is on.
    pub(crate) fn positions(&mut self, out: &mut Vec<u32>) -> Result<()> {
        let (part, unit) = (self.part, self.unit);
        let (mut posting, mut block) = (self.at, Some(self.place()));
        let (bytes, tfs): (&[u8], &[u32]) = match &self.parts[part] {
            Part::List(postings, _) => {
                // One stretch for the whole list.
                posting += unit * BLOCK;
                block = Some((part, 0, 0));
                (&postings.positions, &postings.tfs)
            }
            Part::Chunks(chunks) => {
                if self.positions.place != Some((part, unit)) {
                    self.positions.place = None;
                    let bytes = &mut self.positions.bytes;
                    bytes.clear();
                    let key = with_slot(POSITIONS, &self.word, chunks[unit].first);
                    let there = self
                        .rows
                        .get(&key, &mut |row| bytes.extend_from_slice(row))?;
                    if !there {
                        return Err(Failure::Malformed("a chunk has no row of positions"));
                    }
                    let blocks = self.loaded.blocks.len();
                    chunk::open_positions(
                        &self.positions.bytes,
                        blocks,
                        &mut self.positions.ranges,
                    )?;
                    self.positions.place = Some((part, unit));
                    self.positions.block = None;
                }
                let range = self.positions.ranges[self.block].clone();
                (&self.positions.bytes[range], &self.decoded.tfs)
            }
        };
        if self.positions.block != block || self.positions.posting > posting {
            (
                self.positions.block,
                self.positions.posting,
                self.positions.at,
            ) = (block, 0, 0);
        }
        let between = &tfs[self.positions.posting..posting];
        let skip = between.iter().map(|tf| *tf as usize).sum();
        self.positions.at += varints_length(&bytes[self.positions.at..], skip)?;
        self.positions.posting = posting;
        read_positions(&bytes[self.positions.at..], tfs[posting] as usize, out)
    }
}

impl Part {
    fn units(&self) -> usize {
        match self {
            Part::List(postings, _) => postings.len().div_ceil(BLOCK),
            Part::Chunks(chunks) => chunks.len(),
        }
    }

    #[inline]
    fn range(&self, unit: usize) -> (u32, u32) {
        match self {
            Part::List(postings, _) => {
                let end = postings.len().min((unit + 1) * BLOCK);
                (postings.slots[unit * BLOCK], postings.slots[end - 1])
            }
            Part::Chunks(chunks) => (chunks[unit].first, chunks[unit].last),
        }
    }
}
