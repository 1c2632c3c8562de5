//! One bit per element (Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound for
//! Approximate Nearest Neighbor Search", SIGMOD 2024, arXiv:2405.12497).
//!
//! The difference of a row to the centre, `r`, is rotated at random; its code is the sign of every element, a corner
//! `x` of a cube. The inner product with a rotated query `q` is estimated as
//!
//! ```text
//! <q, r>  ~  |r|^2 / <x, r> * <q, x>          <x, r> = the sum of the magnitudes of r, kept with |r|^2 as one factor
//! ```
//!
//! without bias, since the rotation makes what `x` misses of `r` point anywhere; the error falls with the root of
//! the dimension. The query keeps its precision: `<q, x>` is the sum of one number from a table for every four bits.
//! The numbers are rounded to 7 bits of their largest range, which adds an error of about a hundredth of the codes'.

use super::coder::{Coder, elements};
use super::int8::measure;
use super::rotation::Rotation;
use super::{BLOCK_ROWS, Estimator, parts};
use crate::kernel::Lookup;

/// The largest number in a table: two of them are added in one byte.
const ENTRY_MAX: f32 = 127.0;

/// Entries of a table, for four bits.
const ENTRIES: usize = 16;

/// Code the difference to the centre as row `place` of a block; returns its factor.
pub fn encode(
    rotation: &Rotation,
    values: &mut Vec<f32>,
    squared: f32,
    place: usize,
    block: &mut [u8],
) -> f32 {
    values.resize(values.len().next_multiple_of(8), 0.0);
    rotation.apply(values);
    for (bits, values) in block
        .chunks_exact_mut(BLOCK_ROWS)
        .zip(values.as_chunks::<8>().0)
    {
        bits[place] = values
            .iter()
            .rev()
            .fold(0, |byte, value| (byte << 1) | u8::from(*value > 0.0));
    }
    let magnitudes: f32 = values.iter().map(|value| value.abs()).sum();
    if magnitudes > 0.0 {
        squared / magnitudes
    } else {
        0.0
    }
}

pub struct Query {
    lookup: Lookup,
    /// 32 entries for every byte of a code: sixteen for its low, sixteen for its high four bits.
    tables: Vec<u8>,
    /// `<q, x>` is `least + step * sum of entries`; both with the slope of the metric.
    least: f32,
    step: f32,
    constant: f32,
}

impl Query {
    pub fn new(coder: &Coder, query: &[u8]) -> Self {
        let mut values = Vec::new();
        elements(&coder.space, query, &mut values);
        let (slope, constant) = measure(&coder.space, &coder.centre, &mut values);
        values.resize(values.len().next_multiple_of(8), 0.0);
        coder
            .rotation
            .as_ref()
            .expect("bits are of rotated rows")
            .apply(&mut values);
        let range = |four: &[f32; 4]| four.iter().map(|value| value.abs()).sum::<f32>();
        let (fours, _) = values.as_chunks::<4>();
        let widest = fours
            .iter()
            .map(|four| 2.0 * range(four))
            .fold(0.0, f32::max);
        let inverse = if widest > f32::MIN_POSITIVE {
            ENTRY_MAX / widest
        } else {
            0.0
        };
        let mut tables = Vec::with_capacity(fours.len() * ENTRIES);
        for four in fours {
            for corner in 0..ENTRIES {
                // Against the least entry, where every sign is wrong, those that are right count twice.
                let right = four
                    .iter()
                    .enumerate()
                    .filter(|&(at, &value)| (corner >> at & 1 == 1) == (value > 0.0));
                let above: f32 = right.map(|(_, value)| 2.0 * value.abs()).sum();
                tables.push((above * inverse).round_ties_even() as u8);
            }
        }
        Self {
            lookup: Lookup::here(),
            tables,
            least: -slope * fours.iter().map(range).sum::<f32>(),
            step: slope * widest / ENTRY_MAX,
            constant,
        }
    }
}

impl Estimator for Query {
    #[inline]
    fn estimate(&self, block: &[u8], out: &mut [f32; BLOCK_ROWS]) {
        let (codes, factors, constants) = parts(block);
        let mut sums = [0; BLOCK_ROWS];
        self.lookup.sums(&self.tables, codes, &mut sums);
        for (((out, sum), factor), constant) in out.iter_mut().zip(sums).zip(factors).zip(constants)
        {
            let (factor, constant) = (f32::from_le_bytes(*factor), f32::from_le_bytes(*constant));
            *out = self.constant + constant + factor * (self.least + self.step * sum as f32);
        }
    }
}
