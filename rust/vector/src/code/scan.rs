//! Candidates from the codes, then exact distances.

use super::coder::{Coder, Coding};
use super::{BLOCK_ROWS, Estimator, bits, int8};
use crate::scan::{Keep, kept, scan_ids, take};
use crate::{Kernel, TopK};

/// Rows with their codes.
#[derive(Clone, Copy, Debug)]
pub struct Coded<'a> {
    /// Measures the rows.
    pub kernel: &'a Kernel,
    /// Made the codes.
    pub coder: &'a Coder,
    /// What [`Coder::push`] made of the rows.
    pub codes: &'a [u8],
    /// Prepared rows, one after the other.
    pub rows: &'a [u8],
}

/// Collect the nearest of the kept rows, as far as `candidates` rows that the codes say are nearest hold them. The
/// distances are exact.
///
/// A limit of `top` is kept, but rows within it may be missed: a range that must be complete takes
/// [`scan`](crate::scan()).
///
/// # Panics
/// When `query` is no prepared row, `rows` are not whole ones, or `codes` not those of as many rows.
pub fn scan_coded(
    coded: &Coded<'_>,
    query: &[u8],
    keep: &impl Keep,
    candidates: usize,
    top: &mut TopK,
) {
    let Coded {
        kernel,
        coder,
        codes,
        rows,
    } = *coded;
    let count = rows.len() / kernel.row_bytes();
    assert!(
        *kernel.space() == coder.space && query.len() == kernel.row_bytes(),
        "a query of another space"
    );
    assert_eq!(
        codes.len(),
        coder.bytes(count),
        "the codes are not those of {count} rows"
    );
    let mut near = TopK::new(candidates);
    match coder.coding {
        Coding::Int8 => walk(
            &int8::Query::new(coder, query),
            coder,
            codes,
            count,
            keep,
            &mut near,
        ),
        Coding::Bits => walk(
            &bits::Query::new(coder, query),
            coder,
            codes,
            count,
            keep,
            &mut near,
        ),
    }
    let mut ids: Vec<u32> = near.into_sorted().iter().map(|hit| hit.slot).collect();
    ids.sort_unstable(); // memory is read in one direction
    scan_ids(kernel, query, rows, &ids, top);
}

fn walk(
    query: &impl Estimator,
    coder: &Coder,
    codes: &[u8],
    count: usize,
    keep: &impl Keep,
    near: &mut TopK,
) {
    const BLOCKS: usize = 64 / BLOCK_ROWS;
    let bytes = coder.block_bytes();
    let mut estimates = [0.0; BLOCK_ROWS];
    for (index, blocks) in codes.chunks(bytes * BLOCKS).enumerate() {
        let word = kept(keep, index, count);
        for (part, block) in blocks.chunks_exact(bytes).enumerate() {
            let kept = (word >> (part * BLOCK_ROWS)) as u32;
            if kept == 0 {
                continue;
            }
            query.estimate(block, &mut estimates);
            let first = index * 64 + part * BLOCK_ROWS;
            take(&estimates, near, |at| {
                ((kept >> at) & 1 == 1).then_some((first + at) as u32)
            });
        }
    }
}
