//! The bytes of a graph: written once, read in place.
//!
//! ```text
//!  0       4         8       12      16      20      24      28       32       36       40     48      52          56        60      128
//! +-------+---------+-------+-------+-------+-------+-------+--------+--------+--------+------+-------+-----------+---------+-------+
//! | hnsw  | version | rows  | width | levels| upper | entry | groups | members| codes  | seed | step  | tolerance | longest | zeros |
//! +-------+---------+-------+-------+-------+-------+-------+--------+--------+--------+------+-------+-----------+---------+-------+
//! then, each from the next multiple of 64 bytes, with zeros between:
//!   sizes     u32 of each level above the lowest: its rows           ends      u32 of each such level: its links
//!   order     u32 of each rank on such a level: its slot
//!   of each such level, from 1:  offsets  u32 of each rank, and the end      links  u32: ranks
//!   heads     u32 of each group                                      offsets   u32 of each group, and the end
//!   members   u32
//!   origin    f32 of each element                                    (only with codes)
//!   codes     of each slot, one byte of each element                 (only with codes)
//!   reaches   of each slot, f32: how far its row may lie from its code, in steps     (only with codes, from version 2 on)
//!   links     of each slot `width` u32: slots, ffffffff behind the last
//! ```
//!
//! Numbers are little-endian. `upper` is the size of level 1, `entry` the slot a walk begins at, `codes` the bytes of one code
//! or 0, `longest` what no code is longer than, in steps (from version 2 on). Version 1 is still read.
//!
//! F1. Opening reads the head alone and checks that the arrays fill the bytes exactly; nothing is outside of them.
//! F2. [`View::check`] reads all: slots and ranks exist, offsets ascend, the groups hold by D1. After it, no search panics.

use std::io;
use std::ops::Range;

use super::build::Builder;
use super::duplicates::Groups;
use super::layer::{Base, NONE, Table, Upper};
use super::make::MadeCodes;
use crate::code::steps::{Bounds, Codec, StepCodes, Words, is_step, length, space_of_codes};
use crate::graph::{DamagedGraph, ROWS_MAX};
use crate::space::Space;

const MAGIC: [u8; 4] = *b"hnsw";
const VERSION: u32 = 2;
/// Without reaches.
const VERSION_1: u32 = 1;
const HEAD: usize = 128;
const ALIGN: usize = 64;
const LEVELS_MAX: usize = 32;
/// Bytes that are written at once.
const BUFFER_BYTES: usize = 64 << 10;
const WIDTH_MAX: usize = 512;

/// Everything in the bytes of a graph.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    pub(super) rows: usize,
    pub(super) entry: u32,
    pub(super) base: Base<'a>,
    pub(super) order: Words<'a>,
    /// The levels above the lowest, from 1.
    pub(super) upper: Vec<Upper<'a>>,
    pub(super) heads: Words<'a>,
    pub(super) offsets: Words<'a>,
    pub(super) members: Words<'a>,
    pub(super) codes: Option<StepCodes<'a>>,
    pub(super) bytes: usize,
}

/// Write a graph.
pub(super) fn write(
    built: &Builder<'_>,
    groups: &Groups<'_>,
    codes: Option<(&Codec, MadeCodes<'_>)>,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut out = Aligned {
        out,
        buffer: Vec::with_capacity(BUFFER_BYTES),
        written: 0,
    };
    out.bytes(&head_of(built, groups, codes))?;
    let upper_size = built.sizes.get(1).copied().unwrap_or(0);
    out.words(built.sizes.iter().skip(1).map(|&size| size as u32))?;
    let end = |table: &Table<'_>| links_of(table).count() as u32;
    out.words(built.upper.iter().map(end))?;
    out.words(built.order[..upper_size].iter().copied())?;
    for table in &built.upper {
        out.words(offsets_of(table))?;
        out.words(links_of(table))?;
    }
    out.words(groups.heads())?;
    out.words(groups.offsets())?;
    out.words(groups.members())?;
    if let Some((codec, made)) = codes {
        out.words(codec.origin.iter().map(|element| element.to_bits()))?;
        out.bytes(made.codes)?;
        out.words(made.reaches.iter().map(|reach| reach.to_bits()))?;
    }
    out.words(built.base.links.iter().copied())
}

fn head_of(
    built: &Builder<'_>,
    groups: &Groups<'_>,
    codes: Option<(&Codec, MadeCodes<'_>)>,
) -> [u8; HEAD] {
    let mut head = MAGIC.to_vec();
    for number in [
        VERSION as usize,
        built.base.places(),
        built.base.width,
        built.upper.len(),
        built.sizes.get(1).copied().unwrap_or(0),
        built.order.first().copied().unwrap_or(0) as usize,
        groups.heads().count(),
        groups.members().len(),
        codes.map_or(0, |(codec, _)| codec.origin.len()),
    ] {
        head.extend_from_slice(&(number as u32).to_le_bytes());
    }
    head.extend_from_slice(&built.options.seed.to_le_bytes());
    let of_codes = |(codec, made): (&Codec, _)| [codec.step, codec.tolerance, longest(made)];
    for number in codes.map_or([0.0; 3], of_codes) {
        head.extend_from_slice(&number.to_le_bytes());
    }
    head.resize(HEAD, 0);
    head.try_into().expect("as long as a head")
}

/// What no code is longer than.
fn longest(made: MadeCodes<'_>) -> f32 {
    let code = made.codes.len() / made.reaches.len().max(1);
    let lengths = made.codes.chunks_exact(code.max(1)).map(length);
    lengths.fold(0.0, f32::max)
}

fn links_of(table: &Table<'_>) -> impl Iterator<Item = u32> {
    table.links.iter().copied().filter(|&link| link != NONE)
}

fn offsets_of(table: &Table<'_>) -> impl Iterator<Item = u32> {
    let mut end = 0;
    let ends = (0..table.places() as u32).map(move |place| {
        end += table.of(place).len() as u32;
        end
    });
    std::iter::once(0).chain(ends)
}

/// Writes arrays, each from a multiple of 64 bytes on.
struct Aligned<'o> {
    out: &'o mut dyn io::Write,
    buffer: Vec<u8>,
    written: usize,
}

impl Aligned<'_> {
    fn words(&mut self, mut words: impl Iterator<Item = u32>) -> io::Result<()> {
        loop {
            self.buffer.clear();
            let some = words.by_ref().take(BUFFER_BYTES / 4);
            self.buffer.extend(some.flat_map(u32::to_le_bytes));
            if self.buffer.is_empty() {
                return self.align();
            }
            self.out.write_all(&self.buffer)?;
            self.written += self.buffer.len();
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        // In pieces, so that whoever takes them may do something else in between.
        for piece in bytes.chunks(BUFFER_BYTES) {
            self.out.write_all(piece)?;
        }
        self.written += bytes.len();
        self.align()
    }

    fn align(&mut self) -> io::Result<()> {
        let padded = self.written.next_multiple_of(ALIGN);
        let zeros = [0; ALIGN];
        self.out.write_all(&zeros[..padded - self.written])?;
        self.written = padded;
        Ok(())
    }
}

/// Takes arrays from the front.
struct Arrays<'a> {
    rest: &'a [u8],
}

impl<'a> Arrays<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], DamagedGraph> {
        let padded = bytes
            .checked_next_multiple_of(ALIGN)
            .filter(|&padded| padded <= self.rest.len())
            .ok_or(DamagedGraph("its arrays are longer than its bytes"))?;
        let (array, rest) = self.rest.split_at(padded);
        self.rest = rest;
        Ok(&array[..bytes])
    }

    fn words(&mut self, count: usize) -> Result<Words<'a>, DamagedGraph> {
        let bytes = count
            .checked_mul(4)
            .ok_or(DamagedGraph("an array is too long"))?;
        Ok(self.take(bytes)?.as_chunks().0)
    }
}

fn word(words: Words<'_>, at: usize) -> usize {
    u32::from_le_bytes(words[at]) as usize
}

pub(super) fn each(words: Words<'_>) -> impl Iterator<Item = u32> + Clone + '_ {
    words.iter().map(|word| u32::from_le_bytes(*word))
}

impl<'a> View<'a> {
    /// Find the arrays in the bytes of a graph over `rows` rows of `space`: F1.
    pub(super) fn open(bytes: &'a [u8], space: &Space, rows: usize) -> Result<Self, DamagedGraph> {
        let head = bytes
            .get(..HEAD)
            .ok_or(DamagedGraph("its head is cut off"))?;
        if head[..4] != MAGIC {
            return Err(DamagedGraph("it does not begin as a graph does"));
        }
        let words: Words<'_> = head.as_chunks().0;
        let version = word(words, 1) as u32;
        if version != VERSION && version != VERSION_1 {
            return Err(DamagedGraph(
                "its version is not known here: read it with a newer release",
            ));
        }
        let [width, levels, upper, groups, members, code] =
            [3, 4, 5, 7, 8, 9].map(|at| word(words, at));
        let entry = word(words, 6);
        if word(words, 2) != rows || rows > ROWS_MAX {
            return Err(DamagedGraph(
                "it has another number of rows than its segment",
            ));
        }
        if !(1..=WIDTH_MAX).contains(&width) || levels > LEVELS_MAX || (entry >= rows && rows > 0) {
            return Err(DamagedGraph("a number in its head is out of range"));
        }
        let mut arrays = Arrays {
            rest: &bytes[HEAD..],
        };
        let sizes = arrays.words(levels)?;
        let ends = arrays.words(levels)?;
        if sizes.first().map_or(0, |_| word(sizes, 0)) != upper {
            return Err(DamagedGraph("its levels contradict its head"));
        }
        let order = arrays.words(upper)?;
        let mut levels_above = Vec::with_capacity(levels);
        for level in 0..levels {
            levels_above.push(Upper {
                order,
                offsets: arrays.words(word(sizes, level) + 1)?,
                links: arrays.words(word(ends, level))?,
            });
        }
        let heads = arrays.words(groups)?;
        let offsets = arrays.words(groups + 1)?;
        let members = arrays.words(members)?;
        let codes = match code {
            0 => None,
            _ => {
                let of_codes = space_of_codes(space).filter(|space| space.prepared_bytes() == code);
                let bytes = code.checked_mul(rows);
                Some(StepCodes {
                    space: of_codes.ok_or(DamagedGraph("its codes are of another space"))?,
                    origin: arrays.words(code)?,
                    step: f32::from_le_bytes(words[12]),
                    tolerance: f32::from_le_bytes(words[13]),
                    rows: arrays.take(bytes.ok_or(DamagedGraph("an array is too long"))?)?,
                    bounds: match version {
                        VERSION_1 => None,
                        _ => Some(Bounds {
                            reaches: arrays.words(rows)?,
                            longest: f32::from_le_bytes(words[14]),
                        }),
                    },
                })
            }
        };
        let links = arrays.words(
            rows.checked_mul(width)
                .ok_or(DamagedGraph("an array is too long"))?,
        )?;
        if !arrays.rest.is_empty() {
            return Err(DamagedGraph("there are bytes behind its end"));
        }
        Ok(Self {
            rows,
            entry: entry as u32,
            base: Base { width, links },
            order,
            upper: levels_above,
            heads,
            offsets,
            members,
            codes,
            bytes: bytes.len(),
        })
    }

    /// Read all of it: F2.
    pub(super) fn check(&self) -> Result<(), DamagedGraph> {
        let slots = self.rows as u32;
        let all_below = |words: Words<'_>, limit: u32| each(words).all(|word| word < limit);
        if !all_below(self.order, slots) {
            return Err(DamagedGraph("a rank has no row"));
        }
        if !each(self.base.links).all(|link| link < slots || link == NONE) {
            return Err(DamagedGraph("a link leads to no row"));
        }
        let mut above = usize::MAX;
        for level in &self.upper {
            let size = level.offsets.len() - 1;
            if size == 0 || size > above || !ascend(level.offsets, level.links.len()) {
                return Err(DamagedGraph("the offsets of a level are out of order"));
            }
            if !all_below(level.links, size as u32) {
                return Err(DamagedGraph(
                    "a link leads to a rank that its level does not have",
                ));
            }
            above = size;
        }
        if !ascend(self.offsets, self.members.len())
            || !each(self.heads).is_sorted_by(|one, other| one < other)
            || !all_below(self.heads, slots)
            || !all_below(self.members, slots)
        {
            return Err(DamagedGraph("its groups of equal rows are out of order"));
        }
        for ends in self.offsets.windows(2) {
            let members = &self.members[word(ends, 0)..word(ends, 1)];
            if !each(members).is_sorted_by(|one, other| one < other) {
                return Err(DamagedGraph("its groups of equal rows are out of order"));
            }
        }
        match &self.codes {
            Some(codes) if !is_step(codes.step) => Err(DamagedGraph(
                "the step of its codes is no number to divide by",
            )),
            _ => Ok(()),
        }
    }

    /// The head of each group, and where its members are among all.
    pub(super) fn groups(&self) -> impl Iterator<Item = (u32, Range<usize>)> + '_ {
        (each(self.heads).zip(self.offsets.windows(2)))
            .map(|(head, ends)| (head, word(ends, 0)..word(ends, 1)))
    }

    /// The group whose members begin at a place among all.
    pub(super) fn group_at(&self, first: usize) -> (u32, Range<usize>) {
        let at = self
            .offsets
            .partition_point(|offset| u32::from_le_bytes(*offset) as usize <= first)
            - 1;
        (
            word(self.heads, at) as u32,
            word(self.offsets, at)..word(self.offsets, at + 1),
        )
    }

    /// Whether any rows are equal.
    #[inline(always)]
    pub(super) fn has_groups(&self) -> bool {
        !self.heads.is_empty()
    }

    /// The rows equal to that at `slot`, if it stands for others.
    pub(super) fn members_of(&self, slot: u32) -> impl Iterator<Item = u32> + Clone + 'a {
        let found = self
            .heads
            .binary_search_by_key(&slot, |head| u32::from_le_bytes(*head));
        let members = match found {
            Ok(at) => &self.members[word(self.offsets, at)..word(self.offsets, at + 1)],
            Err(_) => &self.members[..0],
        };
        each(members)
    }
}

/// Whether offsets begin at 0, never descend and end at `end`.
fn ascend(offsets: Words<'_>, end: usize) -> bool {
    word(offsets, 0) == 0 && word(offsets, offsets.len() - 1) == end && each(offsets).is_sorted()
}
