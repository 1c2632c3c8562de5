//! Chunks: some blocks of a frequent term in one row, and their positions in a sibling row.
//!
//! ```text
//! chunk     := blocks:varint meta* data*
//! meta      := postings-1:u8  last - last before:varint  bits of gaps:u8  of tfs:u8  of lengths:u8  impacts
//! data      := gaps, tf - 1, lengths: each packed (see `pack`)
//! positions := (bytes:varint)*  varints*              one length for each block, then their positions
//! ```
//!
//! Invariants
//! 1. The first slot of a chunk is in its key; a gap is the distance to the slot before, of the first posting to that first slot.
//! 2. Every block but the last of a term has 128 postings, unless dead ones were dropped.
//! 3. Impacts bound every posting of their block.

use super::bytes::{Put, Take, varints_length};
use super::failure::{Failure, Result};
use super::impact::Impacts;
use super::pack::{BLOCK, pack, packed_length, unpack, width};
use super::posting::Postings;

/// A chunk ends before its row, or that of its positions, would leave the leaf of an 8 KiB page.
const CHUNK_BYTES_SOFT_MAX: usize = 1800;

/// One block of a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// The slot before its first; of the chunk's first block, the chunk's first slot.
    pub(crate) base: u32,
    pub(crate) last: u32,
    pub(crate) count: usize,
    pub(crate) impacts: Impacts,
    bits: [u8; 3],
    at: usize,
}

/// The decoded numbers of one block.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    pub(crate) slots: [u32; BLOCK],
    pub(crate) tfs: [u32; BLOCK],
    pub(crate) lengths: [u32; BLOCK],
    pub(crate) count: usize,
}

impl Default for Decoded {
    fn default() -> Self {
        Self {
            slots: [0; BLOCK],
            tfs: [0; BLOCK],
            lengths: [0; BLOCK],
            count: 0,
        }
    }
}

/// A chunk on its way to the rows.
pub(crate) struct NewChunk {
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) count: usize,
    pub(crate) impacts: Impacts,
    pub(crate) bytes: Vec<u8>,
    pub(crate) positions: Vec<u8>,
}

/// Cuts postings into chunks.
pub(crate) fn encode(postings: &Postings) -> Result<Vec<NewChunk>> {
    let mut chunks = Vec::new();
    let (mut at, mut positions) = (0, postings.positions.as_slice());
    while at < postings.len() {
        let first = postings.slots[at];
        let (mut metas, mut data) = (Vec::new(), Vec::new());
        let (mut lengths, mut own_positions) = (Vec::new(), Vec::new());
        let (mut blocks, mut base, mut impacts, begin) = (0, first, Impacts::default(), at);
        while at < postings.len() {
            let end = postings.len().min(at + BLOCK);
            let tfs: usize = postings.tfs[at..end].iter().map(|tf| *tf as usize).sum();
            let length = varints_length(positions, tfs)?;
            if blocks > 0
                && (metas.len() + data.len() + 240 > CHUNK_BYTES_SOFT_MAX
                    || own_positions.len() + length > CHUNK_BYTES_SOFT_MAX)
            {
                break;
            }
            impacts.join(&encode_block(
                postings,
                at..end,
                base,
                &mut metas,
                &mut data,
            ));
            base = postings.slots[end - 1];
            lengths.put_varint(length as u64);
            own_positions.extend_from_slice(&positions[..length]);
            positions = &positions[length..];
            blocks += 1;
            at = end;
        }
        let mut bytes = Vec::with_capacity(metas.len() + data.len() + 2);
        bytes.put_varint(blocks);
        bytes.extend_from_slice(&metas);
        bytes.extend_from_slice(&data);
        lengths.extend_from_slice(&own_positions);
        chunks.push(NewChunk {
            first,
            last: base,
            count: at - begin,
            impacts,
            bytes,
            positions: lengths,
        });
    }
    Ok(chunks)
}

fn encode_block(
    postings: &Postings,
    range: std::ops::Range<usize>,
    base: u32,
    metas: &mut Vec<u8>,
    data: &mut Vec<u8>,
) -> Impacts {
    let count = range.len();
    let (mut gaps, mut tfs) = ([0; BLOCK], [0; BLOCK]);
    let mut before = base;
    for (at, posting) in range.clone().enumerate() {
        gaps[at] = postings.slots[posting] - before;
        tfs[at] = postings.tfs[posting] - 1;
        before = postings.slots[posting];
    }
    let lengths = &postings.lengths[range.clone()];
    let arrays = [&gaps[..count], &tfs[..count], lengths];
    let impacts = Impacts::of(&postings.tfs[range.clone()], lengths);
    metas.push(count as u8 - 1);
    metas.put_varint(u64::from(before - base));
    metas.extend(arrays.map(width));
    impacts.encode(metas);
    for array in arrays {
        pack(array, width(array), data);
    }
    impacts
}

/// Reads the blocks' places and bounds.
pub(crate) fn open(bytes: &[u8], first: u32, blocks: &mut Vec<Block>) -> Result<()> {
    let mut take = Take::new(bytes);
    let count = take.count()?;
    blocks.clear();
    let (mut base, mut at) = (first, 0);
    for index in 0..count {
        let postings = usize::from(take.byte()?) + 1;
        let gap = take.number()?;
        let last = base.checked_add(gap).filter(|last| *last < u32::MAX);
        let last = last.ok_or(Failure::Malformed("a block ends behind the last slot"))?;
        let bits = [take.byte()?, take.byte()?, take.byte()?];
        if postings > BLOCK || bits.iter().any(|bits| *bits > 32) || (gap == 0 && index > 0) {
            return Err(Failure::Malformed("a block's description makes no sense"));
        }
        let impacts = Impacts::decode(&mut take)?;
        blocks.push(Block {
            base,
            last,
            count: postings,
            impacts,
            bits,
            at,
        });
        at += bits
            .iter()
            .map(|bits| packed_length(postings, *bits))
            .sum::<usize>();
        base = last;
    }
    if count == 0 || take.rest().len() != at {
        return Err(Failure::Malformed(
            "a chunk has another length than its blocks",
        ));
    }
    let begin = bytes.len() - at;
    blocks.iter_mut().for_each(|block| block.at += begin);
    Ok(())
}

/// Decodes one block of the chunk `bytes`, opened before.
pub(crate) fn decode(
    bytes: &[u8],
    block: &Block,
    chunk_first: bool,
    out: &mut Decoded,
) -> Result<()> {
    let mut at = block.at;
    let mut next = |bits: u8| {
        let length = packed_length(block.count, bits);
        at += length;
        bytes
            .get(at - length..at)
            .ok_or(Failure::Malformed("a block is cut"))
    };
    unpack(
        next(block.bits[0])?,
        block.bits[0],
        block.count,
        &mut out.slots,
    )?;
    unpack(
        next(block.bits[1])?,
        block.bits[1],
        block.count,
        &mut out.tfs,
    )?;
    unpack(
        next(block.bits[2])?,
        block.bits[2],
        block.count,
        &mut out.lengths,
    )?;
    out.count = block.count;
    let (mut slot, mut total) = (block.base, 0);
    let mut sound = chunk_first == (out.slots[0] == 0);
    for (index, gap) in out.slots[..block.count].iter_mut().enumerate() {
        sound &= *gap != 0 || index == 0;
        total += u64::from(*gap);
        slot = slot.wrapping_add(*gap);
        *gap = slot;
    }
    for tf in &mut out.tfs[..block.count] {
        *tf = tf.wrapping_add(1);
    }
    if !sound || total != u64::from(block.last - block.base) {
        return Err(Failure::Malformed(
            "the slots of a block do not ascend to its last",
        ));
    }
    Ok(())
}

/// The byte range of each block's positions.
pub(crate) fn open_positions(
    bytes: &[u8],
    blocks: usize,
    ranges: &mut Vec<std::ops::Range<usize>>,
) -> Result<()> {
    ranges.clear();
    let mut take = Take::new(bytes);
    let mut at = 0;
    for _ in 0..blocks {
        let length = take.number()? as usize;
        ranges.push(at..at + length);
        at += length;
    }
    if take.rest().len() != at {
        return Err(Failure::Malformed(
            "positions have another length than said",
        ));
    }
    let begin = bytes.len() - at;
    for range in ranges {
        *range = range.start + begin..range.end + begin;
    }
    Ok(())
}

/// Reads a whole chunk back into plain arrays, behind what is there.
pub(crate) fn decode_all(
    bytes: &[u8],
    positions: &[u8],
    first: u32,
    out: &mut Postings,
) -> Result<()> {
    let (mut blocks, mut ranges, mut decoded) = (Vec::new(), Vec::new(), Decoded::default());
    open(bytes, first, &mut blocks)?;
    open_positions(positions, blocks.len(), &mut ranges)?;
    for (index, block) in blocks.iter().enumerate() {
        decode(bytes, block, index == 0, &mut decoded)?;
        out.slots.extend_from_slice(&decoded.slots[..decoded.count]);
        out.tfs.extend_from_slice(&decoded.tfs[..decoded.count]);
        out.lengths
            .extend_from_slice(&decoded.lengths[..decoded.count]);
        let own = &positions[ranges[index].clone()];
        let tfs: usize = decoded.tfs[..decoded.count]
            .iter()
            .map(|tf| *tf as usize)
            .sum();
        if varints_length(own, tfs)? != own.len() {
            return Err(Failure::Malformed(
                "a block has another number of positions than occurrences",
            ));
        }
        out.positions.extend_from_slice(own);
    }
    Ok(())
}
