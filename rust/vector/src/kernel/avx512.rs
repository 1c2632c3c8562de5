//! Sums by AVX-512, as Intel's Ice Lake and AMD's Zen 4 have it; the last elements are loaded under a mask.

use std::arch::x86_64::*;

use super::avx2::{fetch, total, totals};
use super::form::{Halves, Products, Singles, Squares, Whole, forms, offer, step};

forms!(
    #[target_feature(enable = "avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq")]
    rows 4 tile 4 x 3 fetch fetch
);

/// A function with the instructions of this level.
macro_rules! at_this_level {
    ($($item:item)*) => {$(
        #[inline]
        #[target_feature(enable = "avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq")]
        $item
    )*};
}

/// Floats, sixteen at a time, of which the first `count` are loaded and the others are zero.
trait Floats {
    /// # Safety
    /// There are sixteen elements from `at` on.
    unsafe fn sixteen(row: *const u8, at: usize) -> __m512;

    /// # Safety
    /// There are `count` elements from `at` on, at most fifteen.
    unsafe fn last(row: *const u8, at: usize, count: usize) -> __m512;
}

impl Floats for Singles {
    at_this_level! {
        unsafe fn sixteen(row: *const u8, at: usize) -> __m512 {
            // SAFETY: as the caller promises.
            unsafe { _mm512_loadu_ps(row.add(at * 4).cast()) }
        }

        unsafe fn last(row: *const u8, at: usize, count: usize) -> __m512 {
            // SAFETY: as the caller promises; what the mask leaves out is not read.
            unsafe { _mm512_maskz_loadu_ps(((1_u32 << count) - 1) as u16, row.add(at * 4).cast()) }
        }
    }
}

impl Floats for Halves {
    at_this_level! {
        unsafe fn sixteen(row: *const u8, at: usize) -> __m512 {
            // SAFETY: as the caller promises.
            unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(row.add(at * 2).cast())) }
        }

        unsafe fn last(row: *const u8, at: usize, count: usize) -> __m512 {
            // SAFETY: as the caller promises; what the mask leaves out is not read.
            unsafe {
                _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(((1_u32 << count) - 1) as u16, row.add(at * 2).cast()))
            }
        }
    }
}

/// What is summed.
trait Term: Whole {
    /// # Safety
    /// The machine has the instructions of this level.
    unsafe fn floats(sum: __m512, one: __m512, other: __m512) -> __m512;

    /// For 32 whole numbers, in sixteen sums.
    ///
    /// # Safety
    /// The machine has the instructions of this level.
    unsafe fn shorts(sum: __m512i, one: __m512i, other: __m512i) -> __m512i;
}

impl Term for Products {
    at_this_level! {
        unsafe fn floats(sum: __m512, one: __m512, other: __m512) -> __m512 {
            _mm512_fmadd_ps(one, other, sum)
        }

        unsafe fn shorts(sum: __m512i, one: __m512i, other: __m512i) -> __m512i {
            _mm512_dpwssd_epi32(sum, one, other)
        }
    }
}

impl Term for Squares {
    at_this_level! {
        unsafe fn floats(sum: __m512, one: __m512, other: __m512) -> __m512 {
            let difference = _mm512_sub_ps(one, other);
            _mm512_fmadd_ps(difference, difference, sum)
        }

        unsafe fn shorts(sum: __m512i, one: __m512i, other: __m512i) -> __m512i {
            let difference = _mm512_sub_epi16(one, other);
            _mm512_dpwssd_epi32(sum, difference, difference)
        }
    }
}

at_this_level! {
    unsafe fn sum_of_floats<E: Floats, T: Term, const Q: usize, const R: usize>(
        queries: [*const u8; Q],
        rows: [*const u8; R],
        dimension: usize,
    ) -> [[f32; R]; Q] {
        let zero = _mm512_setzero_ps();
        let (mut even, mut odd) = ([[zero; R]; Q], [[zero; R]; Q]);
        let mut at = 0;
        // SAFETY: every load ends within the `dimension` elements of a row.
        unsafe {
            while at + 32 <= dimension {
                step!(|row| E::sixteen(row, at), floats, queries, rows, even, zero);
                step!(|row| E::sixteen(row, at + 16), floats, queries, rows, odd, zero);
                at += 32;
            }
            if at + 16 <= dimension {
                step!(|row| E::sixteen(row, at), floats, queries, rows, even, zero);
                at += 16;
            }
            if at < dimension {
                step!(|row| E::last(row, at, dimension - at), floats, queries, rows, odd, zero);
            }
        }
        let mut found = [[0.0; R]; Q];
        for ((found, even), odd) in found.iter_mut().zip(even).zip(odd) {
            let mut sums = [_mm256_setzero_ps(); R];
            for ((sum, even), odd) in sums.iter_mut().zip(even).zip(odd) {
                let wide = _mm512_add_ps(even, odd);
                *sum = _mm256_add_ps(_mm512_castps512_ps256(wide), _mm512_extractf32x8_ps::<1>(wide));
            }
            *found = totals(sums);
        }
        found
    }

    unsafe fn sum_of_bytes<T: Term, const Q: usize, const R: usize>(
        queries: [*const u8; Q],
        rows: [*const u8; R],
        dimension: usize,
    ) -> [[f32; R]; Q] {
        let zero = _mm512_setzero_si512();
        let mut sums = [[zero; R]; Q];
        let mut at = 0;
        // SAFETY: every load ends within the `dimension` bytes of a row; the last is masked.
        unsafe {
            while at + 32 <= dimension {
                step!(
                    |row: *const u8| _mm512_cvtepi8_epi16(_mm256_loadu_si256(row.add(at).cast())),
                    shorts, queries, rows, sums, zero
                );
                at += 32;
            }
            if at < dimension {
                let mask = (1_u32 << (dimension - at)) - 1;
                step!(
                    |row: *const u8| _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, row.add(at).cast())),
                    shorts, queries, rows, sums, zero
                );
            }
        }
        let mut found = [[0.0; R]; Q];
        for (found, sums) in found.iter_mut().zip(sums) {
            *found = whole_totals(sums).map(T::whole);
        }
        found
    }

    /// The sum of each register's lanes, of four registers at once where there are four; whole numbers modulo 2^32, so any
    /// order will do.
    fn whole_totals<const R: usize>(sums: [__m512i; R]) -> [i32; R] {
        let mut halves = [_mm256_setzero_si256(); R];
        for (half, sum) in halves.iter_mut().zip(sums) {
            *half = _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
        }
        let mut found = [0; R];
        let (fours, rest) = found.as_chunks_mut::<4>();
        let (sums_of_fours, sums_of_rest) = halves.as_chunks::<4>();
        for (found, [a, b, c, d]) in fours.iter_mut().zip(sums_of_fours) {
            let four = _mm256_hadd_epi32(_mm256_hadd_epi32(*a, *b), _mm256_hadd_epi32(*c, *d));
            let four = _mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256::<1>(four));
            // SAFETY: four numbers of 32 bits have room in four of them.
            unsafe { _mm_storeu_si128(found.as_mut_ptr().cast(), four) };
        }
        for (found, sum) in rest.iter_mut().zip(sums_of_rest) {
            *found = total(*sum);
        }
        found
    }

    unsafe fn differences<const Q: usize, const R: usize>(
        queries: [*const u8; Q],
        rows: [*const u8; R],
        dimension: usize,
    ) -> [[f32; R]; Q] {
        let bytes = dimension.div_ceil(8);
        let zero = _mm512_setzero_si512();
        let mut sums = [[zero; R]; Q];
        let mut at = 0;
        // SAFETY: every load ends within the bytes of a row; the last is masked.
        unsafe {
            while at < bytes {
                let mask = if bytes - at >= 64 { u64::MAX } else { (1_u64 << (bytes - at)) - 1 };
                for (sums, query) in sums.iter_mut().zip(queries) {
                    let query = _mm512_maskz_loadu_epi8(mask, query.add(at).cast());
                    for (sum, row) in sums.iter_mut().zip(rows) {
                        let row = _mm512_maskz_loadu_epi8(mask, row.add(at).cast());
                        *sum = _mm512_add_epi64(*sum, _mm512_popcnt_epi64(_mm512_xor_si512(query, row)));
                    }
                }
                at += 64;
            }
        }
        let mut found = [[0.0; R]; Q];
        for (found, sums) in found.iter_mut().zip(sums) {
            for (found, sum) in found.iter_mut().zip(sums) {
                *found = _mm512_reduce_add_epi64(sum) as f32;
            }
        }
        found
    }
}

offer!(#[target_feature(enable = "avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq")]);
