//! The row of a term in the merged index.
//!
//! ```text
//! term   := df:varint  postings:varint  chunks:varint  ( chunks = 0: short | directory )
//! short  := bytes:varint  postings in their short form (see `posting`)  positions
//! directory := (first - last before:varint  last - first:varint  postings:varint  impacts)*
//! ```
//!
//! Invariants
//! 1. df counts documents that are not deleted; postings counts those that stand here, of deleted documents too.
//! 2. A term with at most `SHORT_MAX` postings is short, others have chunks in rows of their own.
//! 3. Chunks ascend and do not overlap.

use super::bytes::{Put, Take};
use super::chunk::NewChunk;
use super::failure::{Failure, Result};
use super::impact::Impacts;
use super::posting::Postings;

/// Postings that stand in the term's own row.
pub(crate) const SHORT_MAX: usize = 128;

/// One chunk as the term's row describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkRef {
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) count: u32,
    pub(crate) impacts: Impacts,
}

/// Where the postings are.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Short(Postings),
    Chunks(Vec<ChunkRef>),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct TermRow {
    pub(crate) df: u32,
    pub(crate) count: u32,
    pub(crate) place: Place,
}

impl TermRow {
    pub(crate) fn new() -> Self {
        Self {
            df: 0,
            count: 0,
            place: Place::Short(Postings::default()),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_varint(u64::from(self.df));
        out.put_varint(u64::from(self.count));
        match &self.place {
            Place::Short(postings) => {
                let mut short = Vec::with_capacity(postings.len() * 4);
                postings.encode_short(&mut short);
                out.put_varint(0);
                out.put_bytes(&short);
                out.extend_from_slice(&postings.positions);
            }
            Place::Chunks(chunks) => {
                out.put_varint(chunks.len() as u64);
                let mut last = 0;
                for chunk in chunks {
                    out.put_varint(u64::from(chunk.first - last));
                    out.put_varint(u64::from(chunk.last - chunk.first));
                    out.put_varint(u64::from(chunk.count));
                    chunk.impacts.encode(&mut out);
                    last = chunk.last;
                }
            }
        }
        out
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self> {
        let mut take = Take::new(row);
        let (df, count, chunks) = (take.number()?, take.number()?, take.count()?);
        let place = if chunks == 0 {
            let short = take.bytes()?;
            if count as usize > SHORT_MAX {
                return Err(Failure::Malformed("a short term has too many postings"));
            }
            let mut postings = Postings::default();
            postings.decode_short(short, count as usize)?;
            postings.positions.extend_from_slice(take.rest());
            Place::Short(postings)
        } else {
            Place::Chunks(directory(&mut take, chunks, count)?)
        };
        if df > count && count > 0 {
            return Err(Failure::Malformed(
                "a term has more documents than postings",
            ));
        }
        Ok(Self { df, count, place })
    }
}

fn directory(take: &mut Take<'_>, chunks: usize, count: u32) -> Result<Vec<ChunkRef>> {
    let wrong = Failure::Malformed("the chunks of a term do not ascend");
    let mut directory = Vec::with_capacity(chunks);
    let (mut last, mut total) = (0u32, 0u64);
    for at in 0..chunks {
        let gap = take.number()?;
        let first = last.checked_add(gap).filter(|_| gap > 0 || at == 0);
        let first = first.ok_or(wrong.clone())?;
        last = first
            .checked_add(take.number()?)
            .filter(|last| *last < u32::MAX)
            .ok_or(wrong.clone())?;
        let count = take.number()?;
        total += u64::from(count);
        directory.push(ChunkRef {
            first,
            last,
            count,
            impacts: Impacts::decode(take)?,
        });
    }
    take.end()?;
    if total != u64::from(count) {
        return Err(Failure::Malformed(
            "the chunks of a term have not all its postings",
        ));
    }
    Ok(directory)
}

impl From<&NewChunk> for ChunkRef {
    fn from(chunk: &NewChunk) -> Self {
        Self {
            first: chunk.first,
            last: chunk.last,
            count: chunk.count as u32,
            impacts: chunk.impacts,
        }
    }
}
