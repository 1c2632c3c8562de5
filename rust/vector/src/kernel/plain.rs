//! Sums in plain Rust, for any machine: sixteen side by side, which compilers make vectors of.

use std::slice;

use super::form::forms;
use crate::half;

forms!(rows 4 tile 2 x 2 fetch no_fetch);

const LANES: usize = 16;

/// Nothing is fetched ahead where there is no instruction for it.
fn no_fetch(_: *const u8) {}

/// A term of a sum.
trait Term {
    fn single(one: f32, other: f32) -> f32;
    fn byte(one: i8, other: i8) -> u32;
}

pub struct Product;
pub struct Square;

impl Term for Product {
    #[inline]
    fn single(one: f32, other: f32) -> f32 {
        one * other
    }

    #[inline]
    fn byte(one: i8, other: i8) -> u32 {
        (i32::from(one) * i32::from(other)) as u32
    }
}

impl Term for Square {
    #[inline]
    fn single(one: f32, other: f32) -> f32 {
        (one - other) * (one - other)
    }

    #[inline]
    fn byte(one: i8, other: i8) -> u32 {
        u32::from(one.abs_diff(other)).pow(2)
    }
}

#[inline]
fn sum_of_floats<T: Term, const BYTES: usize>(
    one: &[u8],
    other: &[u8],
    value: impl Fn([u8; BYTES]) -> f32,
) -> f32 {
    let mut sums = [0_f32; LANES];
    let (blocks, rest) = one.as_chunks::<BYTES>().0.as_chunks::<LANES>();
    let (other_blocks, other_rest) = other.as_chunks::<BYTES>().0.as_chunks::<LANES>();
    for (one, other) in blocks.iter().zip(other_blocks) {
        for lane in 0..LANES {
            sums[lane] += T::single(value(one[lane]), value(other[lane]));
        }
    }
    for ((sum, one), other) in sums.iter_mut().zip(rest).zip(other_rest) {
        *sum += T::single(value(*one), value(*other));
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

#[inline]
fn half_value(bytes: [u8; 2]) -> f32 {
    half::to_f32(u16::from_le_bytes(bytes))
}

/// Sums for every query and every row, one pair after the other.
macro_rules! pairwise {
    ($name:ident, $bytes:expr, $sum:expr) => {
        #[doc = concat!("See [`Sums`]: ", stringify!($name))]
        pub struct $name;

        impl Sums for $name {
            #[inline]
            unsafe fn sums<const Q: usize, const R: usize>(
                queries: [*const u8; Q],
                rows: [*const u8; R],
                dimension: usize,
            ) -> [[f32; R]; Q] {
                let bytes = $bytes(dimension);
                queries.map(|query| {
                    rows.map(|row| {
                        // SAFETY: as the caller promises, that many bytes are the elements of a prepared row.
                        let (query, row) = unsafe {
                            (
                                slice::from_raw_parts(query, bytes),
                                slice::from_raw_parts(row, bytes),
                            )
                        };
                        $sum(query, row)
                    })
                })
            }
        }
    };
}

pairwise!(SingleProducts, |dimension| dimension * 4, |one, other| {
    sum_of_floats::<Product, 4>(one, other, f32::from_le_bytes)
});
pairwise!(SingleSquares, |dimension| dimension * 4, |one, other| {
    sum_of_floats::<Square, 4>(one, other, f32::from_le_bytes)
});
pairwise!(HalfProducts, |dimension| dimension * 2, |one, other| {
    sum_of_floats::<Product, 2>(one, other, half_value)
});
pairwise!(HalfSquares, |dimension| dimension * 2, |one, other| {
    sum_of_floats::<Square, 2>(one, other, half_value)
});
pairwise!(
    ByteProducts,
    |dimension| dimension,
    |one, other| sum_of_bytes::<Product>(one, other) as i32 as f32
);
pairwise!(
    ByteSquares,
    |dimension| dimension,
    |one, other| sum_of_bytes::<Square>(one, other) as f32
);
pairwise!(
    BitDifferences,
    |dimension: usize| dimension.div_ceil(8),
    |one, other| differences(one, other) as f32
);

/// Modulo 2^32, which S3 makes exact.
#[inline]
fn sum_of_bytes<T: Term>(one: &[u8], other: &[u8]) -> u32 {
    let terms = one
        .iter()
        .zip(other)
        .map(|(&one, &other)| T::byte(one as i8, other as i8));
    terms.fold(0, u32::wrapping_add)
}

#[inline]
fn differences(one: &[u8], other: &[u8]) -> u32 {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let in_words = words
        .iter()
        .zip(other_words)
        .map(|(one, other)| (u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other)).count_ones());
    let in_rest = rest
        .iter()
        .zip(other_rest)
        .map(|(one, other)| (one ^ other).count_ones());
    in_words.sum::<u32>() + in_rest.sum::<u32>()
}
