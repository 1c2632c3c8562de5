//! Kernels in plain Rust, for any machine; sixteen sums side by side, which compilers make vectors of.

use crate::half;

const LANES: usize = 16;

fn sum<const BYTES: usize>(
    one: &[u8],
    other: &[u8],
    value: impl Fn([u8; BYTES]) -> f32,
    term: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut sums = [0_f32; LANES];
    let (one, other) = (one.as_chunks::<BYTES>().0, other.as_chunks::<BYTES>().0);
    for (one, other) in one.chunks(LANES).zip(other.chunks(LANES)) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += term(value(*one), value(*other));
        }
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

fn product(one: f32, other: f32) -> f32 {
    one * other
}

fn squared_difference(one: f32, other: f32) -> f32 {
    (one - other) * (one - other)
}

fn half_value(bytes: [u8; 2]) -> f32 {
    half::to_f32(u16::from_le_bytes(bytes))
}

/// 1 / length, which follows the elements of a prepared row.
fn inverse_length(row: &[u8], at: usize) -> f32 {
    f32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]])
}

pub fn f32_inner(one: &[u8], other: &[u8], _: usize) -> f32 {
    -sum(one, other, f32::from_le_bytes, product)
}

pub fn f32_cosine(one: &[u8], other: &[u8], _: usize) -> f32 {
    1.0 - sum(one, other, f32::from_le_bytes, product)
}

pub fn f32_l2(one: &[u8], other: &[u8], _: usize) -> f32 {
    sum(one, other, f32::from_le_bytes, squared_difference)
}

pub fn f16_inner(one: &[u8], other: &[u8], _: usize) -> f32 {
    -sum(one, other, half_value, product)
}

pub fn f16_cosine(one: &[u8], other: &[u8], dimension: usize) -> f32 {
    let at = dimension * 2;
    let scale = inverse_length(one, at) * inverse_length(other, at);
    1.0 - sum(&one[..at], &other[..at], half_value, product) * scale
}

pub fn f16_l2(one: &[u8], other: &[u8], _: usize) -> f32 {
    sum(one, other, half_value, squared_difference)
}

fn i8_product(one: &[u8], other: &[u8]) -> f32 {
    one.iter()
        .zip(other)
        .map(|(&one, &other)| i32::from(one as i8) * i32::from(other as i8))
        .sum::<i32>() as f32
}

pub fn i8_inner(one: &[u8], other: &[u8], _: usize) -> f32 {
    -i8_product(one, other)
}

pub fn i8_cosine(one: &[u8], other: &[u8], dimension: usize) -> f32 {
    let scale = inverse_length(one, dimension) * inverse_length(other, dimension);
    1.0 - i8_product(&one[..dimension], &other[..dimension]) * scale
}

pub fn i8_l2(one: &[u8], other: &[u8], _: usize) -> f32 {
    let squared = |(&one, &other): (&u8, &u8)| u32::from((one as i8).abs_diff(other as i8)).pow(2);
    one.iter().zip(other).map(squared).sum::<u32>() as f32
}

pub fn hamming(one: &[u8], other: &[u8], _: usize) -> f32 {
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    let in_words = words
        .iter()
        .zip(other_words)
        .map(|(one, other)| (u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other)).count_ones());
    let in_rest = rest
        .iter()
        .zip(other_rest)
        .map(|(one, other)| (one ^ other).count_ones());
    (in_words.sum::<u32>() + in_rest.sum::<u32>()) as f32
}
