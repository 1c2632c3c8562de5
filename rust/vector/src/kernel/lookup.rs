//! Sums of table entries for 32 rows at once: what one-bit codes are measured with.
//!
//! ```text
//! codes    byte 0 of 32 rows | byte 1 of 32 rows | ...
//! tables   for byte 0: 16 entries for its low, 16 for its high four bits | for byte 1 | ...
//! ```
//!
//! L1. Entries are at most 127, so that two of them fit one byte.
//! L2. Every level gives the same sums, since they are whole numbers.

use super::Level;

/// Rows at once.
const ROWS: usize = 32;

/// Bytes of codes after which sums of 16 bits are full: 2 * 127 * 256 < 2^16.
const SPILL: usize = 256;

type Sums = unsafe fn(&[u8], &[u8], &mut [u32; ROWS]);

/// Sums of entries, with the instructions chosen.
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    sums: Sums,
}

impl Lookup {
    /// The fastest of this machine.
    pub fn here() -> Self {
        Self::at(Level::best())
    }

    /// The one of certain instructions.
    ///
    /// # Panics
    /// When this machine does not have them: what makes it safe to call them.
    pub fn at(level: Level) -> Self {
        assert!(level.is_here(), "this machine does not have {level}");
        let sums = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 | Level::Avx512 => avx2 as Sums,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => neon,
            _ => plain,
        };
        Self { sums }
    }

    /// The sum of entries for each row.
    ///
    /// # Panics
    /// When there are not 32 entries for every 32 bytes of codes.
    #[inline]
    pub fn sums(&self, tables: &[u8], codes: &[u8], out: &mut [u32; ROWS]) {
        assert!(
            codes.len() == tables.len() && codes.len().is_multiple_of(ROWS),
            "tables and codes of one dimension"
        );
        // SAFETY: `at` has seen that the instructions are here; the lengths are equal.
        unsafe { (self.sums)(tables, codes, out) }
    }
}

unsafe fn plain(tables: &[u8], codes: &[u8], out: &mut [u32; ROWS]) {
    *out = [0; ROWS];
    for (tables, codes) in tables
        .as_chunks::<ROWS>()
        .0
        .iter()
        .zip(codes.as_chunks::<ROWS>().0)
    {
        for (out, code) in out.iter_mut().zip(codes) {
            let (low, high) = (code & 15, code >> 4);
            *out += u32::from(tables[usize::from(low)]) + u32::from(tables[16 + usize::from(high)]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(tables: &[u8], codes: &[u8], out: &mut [u32; ROWS]) {
    use std::arch::x86_64::*;
    *out = [0; ROWS];
    let low_bits = _mm256_set1_epi8(15);
    for (tables, codes) in tables.chunks(SPILL * ROWS).zip(codes.chunks(SPILL * ROWS)) {
        // In lanes of 16 bits: both bytes together modulo 2^16, and the upper bytes alone.
        let (mut both, mut upper) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for (tables, codes) in tables
            .as_chunks::<ROWS>()
            .0
            .iter()
            .zip(codes.as_chunks::<ROWS>().0)
        {
            // SAFETY: 32 bytes of codes, and twice 16 entries.
            let (codes, low_table, high_table) = unsafe {
                (
                    _mm256_loadu_si256(codes.as_ptr().cast()),
                    _mm256_broadcastsi128_si256(_mm_loadu_si128(tables.as_ptr().cast())),
                    _mm256_broadcastsi128_si256(_mm_loadu_si128(tables.as_ptr().add(16).cast())),
                )
            };
            let low = _mm256_shuffle_epi8(low_table, _mm256_and_si256(codes, low_bits));
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(codes), low_bits);
            let entries = _mm256_add_epi8(low, _mm256_shuffle_epi8(high_table, high)); // L1
            both = _mm256_add_epi16(both, entries);
            upper = _mm256_add_epi16(upper, _mm256_srli_epi16::<8>(entries));
        }
        let lower = _mm256_sub_epi16(both, _mm256_slli_epi16::<8>(upper));
        let (mut even, mut odd) = ([0_u16; ROWS / 2], [0_u16; ROWS / 2]);
        // SAFETY: sixteen sums of 16 bits each.
        unsafe {
            _mm256_storeu_si256(even.as_mut_ptr().cast(), lower);
            _mm256_storeu_si256(odd.as_mut_ptr().cast(), upper);
        }
        for ((out, even), odd) in out.as_chunks_mut::<2>().0.iter_mut().zip(even).zip(odd) {
            out[0] += u32::from(even);
            out[1] += u32::from(odd);
        }
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
unsafe fn neon(tables: &[u8], codes: &[u8], out: &mut [u32; ROWS]) {
    use std::arch::aarch64::*;
    *out = [0; ROWS];
    for (tables, codes) in tables.chunks(SPILL * ROWS).zip(codes.chunks(SPILL * ROWS)) {
        let mut sums = [vdupq_n_u16(0); 4];
        for (tables, codes) in tables
            .as_chunks::<ROWS>()
            .0
            .iter()
            .zip(codes.as_chunks::<ROWS>().0)
        {
            // SAFETY: 32 bytes of codes, and twice 16 entries.
            let (low_table, high_table, halves) = unsafe {
                (
                    vld1q_u8(tables.as_ptr()),
                    vld1q_u8(tables.as_ptr().add(16)),
                    [vld1q_u8(codes.as_ptr()), vld1q_u8(codes.as_ptr().add(16))],
                )
            };
            for (sums, codes) in sums.as_chunks_mut::<2>().0.iter_mut().zip(halves) {
                let low = vqtbl1q_u8(low_table, vandq_u8(codes, vdupq_n_u8(15)));
                let entries = vaddq_u8(low, vqtbl1q_u8(high_table, vshrq_n_u8::<4>(codes))); // L1
                sums[0] = vaddw_u8(sums[0], vget_low_u8(entries));
                sums[1] = vaddw_high_u8(sums[1], entries);
            }
        }
        for (out, sums) in out.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
            let mut eight = [0_u16; 8];
            // SAFETY: eight sums of 16 bits.
            unsafe { vst1q_u16(eight.as_mut_ptr(), sums) };
            for (out, sum) in out.iter_mut().zip(eight) {
                *out += u32::from(sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn every_level_sums_the_same() {
        let mut random = Random::new(4);
        for bytes in [1, 2, 16, 48, 255, 256, 257, 1000, 8192] {
            for largest in [false, true] {
                let codes: Vec<u8> = (0..bytes * ROWS).map(|_| random.bits() as u8).collect();
                let tables: Vec<u8> = (0..bytes * ROWS)
                    .map(|_| {
                        if largest {
                            127
                        } else {
                            random.below(128) as u8
                        }
                    })
                    .collect();
                let mut expected = [0_u32; ROWS];
                for (at, code) in codes.iter().enumerate() {
                    let table = &tables[at / ROWS * ROWS..];
                    expected[at % ROWS] += u32::from(table[usize::from(code % 16)]);
                    expected[at % ROWS] += u32::from(table[16 + usize::from(code / 16)]);
                }
                for level in Level::here() {
                    let mut found = [7; ROWS];
                    Lookup::at(level).sums(&tables, &codes, &mut found);
                    assert_eq!(found, expected, "L2: {level}, {bytes} bytes");
                }
            }
        }
    }
}
