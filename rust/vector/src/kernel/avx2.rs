//! Sums by AVX2, FMA and F16C: what x86-64 machines have had since 2013.
//!
//! Floats are summed in two registers of eight, for every other eight elements; the last elements are loaded
//! with zeros behind them. Where at least sixteen bytes are in a row, the last ones are loaded together with
//! those before them and shifted, so that no byte outside of the row is read: K2.

use std::arch::x86_64::*;
use std::ptr;

use super::form::{Halves, Products, Singles, Squares, Whole, forms, offer, step};

forms!(
    #[target_feature(enable = "avx2,fma,f16c,popcnt")]
    rows 4 tile 2 x 3 fetch fetch
);

#[inline]
pub(super) unsafe fn fetch(at: *const u8) {
    // SAFETY: fetching ahead reads nothing, wherever the address leads; every x86-64 machine has it.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

/// Floats, eight at a time.
trait Floats {
    /// # Safety
    /// There are eight elements from `at` on.
    unsafe fn eight(row: *const u8, at: usize) -> __m256;

    /// The elements from `at` to `end`, one to seven, and zeros.
    ///
    /// # Safety
    /// The row has `end` elements.
    unsafe fn last(row: *const u8, at: usize, end: usize) -> __m256;
}

impl Floats for Singles {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,popcnt")]
    unsafe fn eight(row: *const u8, at: usize) -> __m256 {
        // SAFETY: as the caller promises.
        unsafe { _mm256_loadu_ps(row.add(at * 4).cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,popcnt")]
    unsafe fn last(row: *const u8, at: usize, end: usize) -> __m256 {
        const LANES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        debug_assert!((1..8).contains(&(end - at)));
        // SAFETY: eight lanes of the sixteen; the masked load reads those that are set, which the row has.
        unsafe {
            let mask = _mm256_loadu_si256(LANES.as_ptr().add(8 - (end - at)).cast());
            _mm256_maskload_ps(row.add(at * 4).cast(), mask)
        }
    }
}

impl Floats for Halves {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,popcnt")]
    unsafe fn eight(row: *const u8, at: usize) -> __m256 {
        // SAFETY: as the caller promises.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(row.add(at * 2).cast())) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,popcnt")]
    unsafe fn last(row: *const u8, at: usize, end: usize) -> __m256 {
        // SAFETY: as the caller promises.
        unsafe { _mm256_cvtph_ps(last_bytes(row, at * 2, end * 2)) }
    }
}

/// The bytes from `at` to `end`, one to fifteen, and zeros.
///
/// # Safety
/// The row has `end` bytes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
unsafe fn last_bytes(row: *const u8, at: usize, end: usize) -> __m128i {
    const SHIFTS: [u8; 32] = {
        let mut shifts = [0x80; 32]; // a byte from nowhere: zero
        let mut at = 0;
        while at < 16 {
            shifts[at] = at as u8;
            at += 1;
        }
        shifts
    };
    debug_assert!((1..16).contains(&(end - at)));
    // SAFETY: the sixteen bytes before `end` are in the row, or those from `at` on are copied; 16 of the 32 shifts.
    unsafe {
        if end >= 16 {
            let bytes = _mm_loadu_si128(row.add(end - 16).cast());
            _mm_shuffle_epi8(
                bytes,
                _mm_loadu_si128(SHIFTS.as_ptr().add(16 - (end - at)).cast()),
            )
        } else {
            let mut bytes = [0_u8; 16];
            ptr::copy_nonoverlapping(row.add(at), bytes.as_mut_ptr(), end - at);
            _mm_loadu_si128(bytes.as_ptr().cast())
        }
    }
}

/// What is summed.
trait Term: Whole {
    /// # Safety
    /// The machine has the instructions of this level.
    unsafe fn floats(sum: __m256, one: __m256, other: __m256) -> __m256;

    /// For sixteen whole numbers, in eight sums.
    ///
    /// # Safety
    /// The machine has the instructions of this level.
    unsafe fn shorts(sum: __m256i, one: __m256i, other: __m256i) -> __m256i;
}

impl Term for Products {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,popcnt")]
    unsafe fn floats(sum: __m256, one: __m256, other: __m256) -> __m256 {
        _mm256_fmadd_ps(one, other, sum)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,popcnt")]
    unsafe fn shorts(sum: __m256i, one: __m256i, other: __m256i) -> __m256i {
        _mm256_add_epi32(sum, _mm256_madd_epi16(one, other))
    }
}

impl Term for Squares {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,popcnt")]
    unsafe fn floats(sum: __m256, one: __m256, other: __m256) -> __m256 {
        let difference = _mm256_sub_ps(one, other);
        _mm256_fmadd_ps(difference, difference, sum)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c,popcnt")]
    unsafe fn shorts(sum: __m256i, one: __m256i, other: __m256i) -> __m256i {
        let difference = _mm256_sub_epi16(one, other);
        _mm256_add_epi32(sum, _mm256_madd_epi16(difference, difference))
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
unsafe fn sum_of_floats<E: Floats, T: Term, const Q: usize, const R: usize>(
    queries: [*const u8; Q],
    rows: [*const u8; R],
    dimension: usize,
) -> [[f32; R]; Q] {
    let zero = _mm256_setzero_ps();
    let (mut even, mut odd) = ([[zero; R]; Q], [[zero; R]; Q]);
    let mut at = 0;
    // SAFETY: every load ends within the `dimension` elements of a row.
    unsafe {
        while at + 16 <= dimension {
            step!(|row| E::eight(row, at), floats, queries, rows, even, zero);
            step!(
                |row| E::eight(row, at + 8),
                floats,
                queries,
                rows,
                odd,
                zero
            );
            at += 16;
        }
        if at + 8 <= dimension {
            step!(|row| E::eight(row, at), floats, queries, rows, even, zero);
            at += 8;
        }
        if at < dimension {
            step!(
                |row| E::last(row, at, dimension),
                floats,
                queries,
                rows,
                odd,
                zero
            );
        }
    }
    let mut found = [[0.0; R]; Q];
    for ((found, even), odd) in found.iter_mut().zip(even).zip(odd) {
        let mut sums = even;
        for (sum, odd) in sums.iter_mut().zip(odd) {
            *sum = _mm256_add_ps(*sum, odd);
        }
        *found = totals(sums);
    }
    found
}

/// The sum of each register's lanes; in the same order however many registers there are: K1.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
pub(super) fn totals<const R: usize>(sums: [__m256; R]) -> [f32; R] {
    let mut found = [0.0; R];
    let (fours, rest) = found.as_chunks_mut::<4>();
    let (sums_of_fours, sums_of_rest) = sums.as_chunks::<4>();
    for (found, [a, b, c, d]) in fours.iter_mut().zip(sums_of_fours) {
        let four = _mm256_hadd_ps(_mm256_hadd_ps(*a, *b), _mm256_hadd_ps(*c, *d));
        let four = _mm_add_ps(
            _mm256_castps256_ps128(four),
            _mm256_extractf128_ps::<1>(four),
        );
        // SAFETY: four floats have room in four floats.
        unsafe { _mm_storeu_ps(found.as_mut_ptr(), four) };
    }
    for (found, sum) in rest.iter_mut().zip(sums_of_rest) {
        let one = _mm256_hadd_ps(*sum, *sum);
        let one = _mm256_hadd_ps(one, one);
        *found = _mm_cvtss_f32(_mm_add_ss(
            _mm256_castps256_ps128(one),
            _mm256_extractf128_ps::<1>(one),
        ));
    }
    found
}

/// Sixteen bytes as whole numbers of sixteen bits.
///
/// # Safety
/// There are sixteen bytes at the address.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
unsafe fn sixteen(at: *const u8) -> __m256i {
    // SAFETY: as the caller promises.
    _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(at.cast()) })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
unsafe fn sum_of_bytes<T: Term, const Q: usize, const R: usize>(
    queries: [*const u8; Q],
    rows: [*const u8; R],
    dimension: usize,
) -> [[f32; R]; Q] {
    let zero = _mm256_setzero_si256();
    let mut sums = [[zero; R]; Q];
    let mut at = 0;
    // SAFETY: every load ends within the `dimension` bytes of a row.
    unsafe {
        while at + 16 <= dimension {
            step!(
                |row: *const u8| sixteen(row.add(at)),
                shorts,
                queries,
                rows,
                sums,
                zero
            );
            at += 16;
        }
        if at < dimension {
            step!(
                |row| _mm256_cvtepi8_epi16(last_bytes(row, at, dimension)),
                shorts,
                queries,
                rows,
                sums,
                zero
            );
        }
    }
    let mut found = [[0.0; R]; Q];
    for (found, sums) in found.iter_mut().zip(sums) {
        for (found, sum) in found.iter_mut().zip(sums) {
            *found = T::whole(total(sum));
        }
    }
    found
}

/// The sum of eight whole numbers, modulo 2^32.
#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
pub(super) fn total(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(
        _mm256_castsi256_si128(sums),
        _mm256_extracti128_si256::<1>(sums),
    );
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b01>(two)))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
unsafe fn differences<const Q: usize, const R: usize>(
    queries: [*const u8; Q],
    rows: [*const u8; R],
    dimension: usize,
) -> [[f32; R]; Q] {
    let bytes = dimension.div_ceil(8);
    let mut found = [[0_u32; R]; Q];
    let mut at = 0;
    // SAFETY: every load ends within the bytes of a row.
    unsafe {
        while at + 8 <= bytes {
            for (found, query) in found.iter_mut().zip(queries) {
                let query = query.add(at).cast::<u64>().read_unaligned();
                for (found, row) in found.iter_mut().zip(rows) {
                    *found += (query ^ row.add(at).cast::<u64>().read_unaligned()).count_ones();
                }
            }
            at += 8;
        }
        while at < bytes {
            for (found, query) in found.iter_mut().zip(queries) {
                for (found, row) in found.iter_mut().zip(rows) {
                    *found += (query.add(at).read() ^ row.add(at).read()).count_ones();
                }
            }
            at += 1;
        }
    }
    found.map(|found| found.map(|sum| sum as f32))
}

offer!(#[target_feature(enable = "avx2,fma,f16c,popcnt")]);
