//! Sums by Arm's NEON; the last elements are copied to where zeros follow them.

use std::arch::aarch64::*;
use std::arch::asm;
use std::ptr;

use super::form::{Halves, Products, Singles, Squares, Whole, forms, offer, step};

forms!(
    #[target_feature(enable = "neon")]
    rows 4 tile 2 x 3 fetch fetch
);

#[inline]
unsafe fn fetch(at: *const u8) {
    // SAFETY: fetching ahead reads nothing, wherever the address leads.
    unsafe {
        asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly))
    }
}

/// The bytes from `at` to `end`, at most sixteen, and zeros.
///
/// # Safety
/// The row has `end` bytes.
#[inline]
unsafe fn last_bytes(row: *const u8, at: usize, end: usize) -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: as the caller promises; at most sixteen.
    unsafe { ptr::copy_nonoverlapping(row.add(at), bytes.as_mut_ptr(), end - at) };
    bytes
}

/// Floats, four at a time.
trait Floats {
    const BYTES: usize;

    /// # Safety
    /// There are four elements at the address.
    unsafe fn four(at: *const u8) -> float32x4_t;
}

impl Floats for Singles {
    const BYTES: usize = 4;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn four(at: *const u8) -> float32x4_t {
        // SAFETY: as the caller promises; loading bytes asks for no alignment.
        vreinterpretq_f32_u8(unsafe { vld1q_u8(at) })
    }
}

impl Floats for Halves {
    const BYTES: usize = 2;

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn four(at: *const u8) -> float32x4_t {
        let wide: float32x4_t;
        // SAFETY: as the caller promises; every machine with NEON has the conversion, though the compiler's
        // function for it is not stable in the oldest compiler that we take.
        unsafe {
            let half = vld1_u8(at);
            asm!("fcvtl {wide:v}.4s, {half:v}.4h", wide = out(vreg) wide, half = in(vreg) half,
                options(pure, nomem, nostack, preserves_flags));
        }
        wide
    }
}

/// What is summed.
trait Term: Whole {
    /// # Safety
    /// The machine has the instructions of this level.
    unsafe fn floats(sum: float32x4_t, one: float32x4_t, other: float32x4_t) -> float32x4_t;

    /// For eight whole numbers, in four sums.
    ///
    /// # Safety
    /// The machine has the instructions of this level.
    unsafe fn bytes(sum: int32x4_t, one: int8x8_t, other: int8x8_t) -> int32x4_t;
}

impl Term for Products {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn floats(sum: float32x4_t, one: float32x4_t, other: float32x4_t) -> float32x4_t {
        vfmaq_f32(sum, one, other)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn bytes(sum: int32x4_t, one: int8x8_t, other: int8x8_t) -> int32x4_t {
        vpadalq_s16(sum, vmull_s8(one, other))
    }
}

impl Term for Squares {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn floats(sum: float32x4_t, one: float32x4_t, other: float32x4_t) -> float32x4_t {
        let difference = vsubq_f32(one, other);
        vfmaq_f32(sum, difference, difference)
    }

    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn bytes(sum: int32x4_t, one: int8x8_t, other: int8x8_t) -> int32x4_t {
        let difference = vsubl_s8(one, other);
        let sum = vmlal_s16(sum, vget_low_s16(difference), vget_low_s16(difference));
        vmlal_s16(sum, vget_high_s16(difference), vget_high_s16(difference))
    }
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn sum_of_floats<E: Floats, T: Term, const Q: usize, const R: usize>(
    queries: [*const u8; Q],
    rows: [*const u8; R],
    dimension: usize,
) -> [[f32; R]; Q] {
    let zero = vdupq_n_f32(0.0);
    let (mut even, mut odd) = ([[zero; R]; Q], [[zero; R]; Q]);
    let mut at = 0;
    // SAFETY: every load ends within the `dimension` elements of a row.
    unsafe {
        while at + 8 <= dimension {
            step!(
                |row: *const u8| E::four(row.add(at * E::BYTES)),
                floats,
                queries,
                rows,
                even,
                zero
            );
            step!(
                |row: *const u8| E::four(row.add((at + 4) * E::BYTES)),
                floats,
                queries,
                rows,
                odd,
                zero
            );
            at += 8;
        }
        if at + 4 <= dimension {
            step!(
                |row: *const u8| E::four(row.add(at * E::BYTES)),
                floats,
                queries,
                rows,
                even,
                zero
            );
            at += 4;
        }
        if at < dimension {
            let last = |row| E::four(last_bytes(row, at * E::BYTES, dimension * E::BYTES).as_ptr());
            step!(last, floats, queries, rows, odd, zero);
        }
    }
    let mut found = [[0.0; R]; Q];
    for ((found, even), odd) in found.iter_mut().zip(even).zip(odd) {
        for ((found, even), odd) in found.iter_mut().zip(even).zip(odd) {
            // Pairs of lanes, then pairs of pairs: always in this order, K1.
            let two = vpaddq_f32(vaddq_f32(even, odd), zero);
            *found = vgetq_lane_f32::<0>(two) + vgetq_lane_f32::<1>(two);
        }
    }
    found
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn sum_of_bytes<T: Term, const Q: usize, const R: usize>(
    queries: [*const u8; Q],
    rows: [*const u8; R],
    dimension: usize,
) -> [[f32; R]; Q] {
    let zero = vdupq_n_s32(0);
    let mut sums = [[zero; R]; Q];
    let mut at = 0;
    // SAFETY: every load ends within the `dimension` bytes of a row.
    unsafe {
        while at + 8 <= dimension {
            step!(
                |row: *const u8| vld1_s8(row.add(at).cast()),
                bytes,
                queries,
                rows,
                sums,
                vdup_n_s8(0)
            );
            at += 8;
        }
        if at < dimension {
            let last = |row| vld1_s8(last_bytes(row, at, dimension).as_ptr().cast());
            step!(last, bytes, queries, rows, sums, vdup_n_s8(0));
        }
    }
    sums.map(|sums| sums.map(|sum| T::whole(vaddvq_s32(sum))))
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn differences<const Q: usize, const R: usize>(
    queries: [*const u8; Q],
    rows: [*const u8; R],
    dimension: usize,
) -> [[f32; R]; Q] {
    let bytes = dimension.div_ceil(8);
    let mut sums = [[vdupq_n_u32(0); R]; Q];
    let mut at = 0;
    // SAFETY: every load ends within the bytes of a row, or is of a copy of its last bytes.
    unsafe {
        while at < bytes {
            let load = |row: *const u8| {
                if bytes - at >= 16 {
                    vld1q_u8(row.add(at))
                } else {
                    vld1q_u8(last_bytes(row, at, bytes).as_ptr())
                }
            };
            for (sums, query) in sums.iter_mut().zip(queries) {
                let query = load(query);
                for (sum, row) in sums.iter_mut().zip(rows) {
                    let counts = vcntq_u8(veorq_u8(query, load(row)));
                    *sum = vpadalq_u16(*sum, vpaddlq_u8(counts));
                }
            }
            at += 16;
        }
    }
    sums.map(|sums| sums.map(|sum| vaddvq_u32(sum) as f32))
}

offer!(#[target_feature(enable = "neon")]);
