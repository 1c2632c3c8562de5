//! Rows in fewer bits: a scan of codes reads a quarter or a thirtieth of the memory, finds candidates by estimated
//! distances, and measures those exactly.
//!
//! ```text
//! coder     what all codes of a matrix share: centre and rotation; encoding
//! rotation  a random rotation in d log d steps
//! int8      eight bits per element
//! bits      one bit per element (RaBitQ)
//! scan      candidates from the codes, then exact distances
//! choose    which coding suits the rows
//! section   coder and codes in a file
//! steps     eight bits per element in steps that are the same for all rows, for graphs and exact searches
//!
//! codes     blocks of 32 rows:  codes of the rows | 32 factors, f32 | 32 constants, f32
//!           int8: a row's bytes one after the other, then the next row's
//!           bits: the first byte of every row, then the second of every row...
//! ```
//!
//! Both estimate the inner product of a row with the query from the row's difference to the centre, which is exact
//! algebra: `<q, r> = <q, r - c> + <q, c>`, and `|q - r|` does not change when both are moved.
//!
//! Measured on clustered data of 128 elements, recall@10 and time of a query among 100,000 rows, 51 MB (one shared core
//! of a Zen 3; the exact scan takes 2.4 ms):
//!
//! ```text
//! int8, 10 candidates 0.988, 20 candidates 1.000: 0.44 ms
//! bits, 100 candidates 0.998: 0.22 ms      200 candidates 1.000: 0.29 ms
//! bits among 1,000,000 rows, 100 candidates 0.983, 200 candidates 1.000: 2.0 ms
//! bits on noise of 384 elements without any structure, 100 candidates 0.61: choose int8 there, which finds all
//! ```
//!
//! [`Coder::candidates`] follows these; [`choose`] looks at the rows.
//!
//! Invariants:
//! C1. A code is a function of coder and row alone: appending gives the same bytes as encoding all at once.
//! C2. Estimates are the same on every machine but for the rounding of f32 sums in the query's preparation.
//! C3. Distances that come out of [`scan_coded`] are exact; only which rows are looked at is estimated.

mod bits;
mod choose;
mod coder;
mod int8;
mod rotation;
mod scan;
mod section;
pub mod steps;
#[cfg(test)]
mod tests;

pub use choose::{RECALL_MIN, choose};
pub use coder::{Coder, Coding};
pub use scan::{Coded, scan_coded};
pub use section::{of_section, section_head};

/// Rows of a block.
pub(crate) const BLOCK_ROWS: usize = 32;

/// A query, ready to estimate distances: `constant + row's constant + row's factor * sum`.
trait Estimator {
    /// Estimate the distances of the rows of one block.
    fn estimate(&self, block: &[u8], out: &mut [f32; BLOCK_ROWS]);
}

/// Factors and constants of a block: the last bytes of it.
fn parts(block: &[u8]) -> (&[u8], &[[u8; 4]; BLOCK_ROWS], &[[u8; 4]; BLOCK_ROWS]) {
    let (rest, constants) = block
        .split_last_chunk::<{ BLOCK_ROWS * 4 }>()
        .expect("a block has constants");
    let (codes, factors) = rest
        .split_last_chunk::<{ BLOCK_ROWS * 4 }>()
        .expect("a block has factors");
    let [factors, constants] = [factors, constants].map(|part| {
        let (numbers, _) = part.as_chunks::<4>();
        <&[[u8; 4]; BLOCK_ROWS]>::try_from(numbers).expect("32 numbers")
    });
    (codes, factors, constants)
}
