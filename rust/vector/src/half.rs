//! Half precision (IEEE 754 binary16) to single and back, without instructions that a machine may lack.

/// The value of a half, exactly.
#[must_use]
pub fn to_f32(half: u16) -> f32 {
    // Exponent and fraction moved to their places in a single, whose exponent is still biased as a half's:
    // a multiplication by a power of two mends that, for subnormal halves as well, and is exact.
    const REBIAS: f32 = f32::from_bits((127 + (127 - 15)) << 23);
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff) << 13;
    if half & 0x7c00 == 0x7c00 {
        return f32::from_bits(sign | 0x7f80_0000 | magnitude);
    }
    f32::from_bits(sign | (f32::from_bits(magnitude) * REBIAS).to_bits())
}

/// The half nearest to a single, to even when two are as near; infinite from 65520 on.
#[must_use]
pub fn from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00; // 65520 and above
    }
    if magnitude < 0x3880_0000 {
        // Below the smallest normal half, 2^-14: adding 0.5 leaves a half's fraction, rounded, in the last bits.
        let rounded = f32::from_bits(magnitude) + 0.5;
        return sign | (rounded.to_bits() - 0.5_f32.to_bits()) as u16;
    }
    let odd = (magnitude >> 13) & 1;
    sign | ((magnitude - ((127 - 15) << 23) + 0xfff + odd) >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_its_value() {
        for half in 0..=u16::MAX {
            let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
            let exponent = i32::from((half >> 10) & 31);
            let fraction = f64::from(half & 0x3ff) / 1024.0;
            let expected = match exponent {
                0 => sign * fraction * 2f64.powi(-14),
                31 if fraction == 0.0 => sign * f64::INFINITY,
                31 => f64::NAN,
                _ => sign * (1.0 + fraction) * 2f64.powi(exponent - 15),
            };
            let found = f64::from(to_f32(half));
            assert!(
                found == expected || (found.is_nan() && expected.is_nan()),
                "{half:#x}: {found} not {expected}"
            );
            assert_eq!(found.is_sign_negative(), half & 0x8000 != 0, "{half:#x}");
        }
    }

    #[test]
    fn a_single_becomes_the_nearest_half() {
        for half in 0..0x7c00_u16 {
            let (low, high) = (
                to_f32(half),
                if half == 0x7bff {
                    65536.0
                } else {
                    to_f32(half + 1)
                },
            );
            let middle = (low + high) / 2.0; // exact: 12 bits suffice
            assert_eq!(from_f32(low), half);
            assert_eq!(from_f32(-low), half | 0x8000);
            assert_eq!(from_f32(middle.next_down()), half);
            assert_eq!(from_f32(middle.next_up()), half + 1);
            assert_eq!(
                from_f32(middle),
                half + (half & 1),
                "{half:#x}: a tie goes to even"
            );
        }
        assert_eq!(from_f32(f32::INFINITY), 0x7c00);
        assert_eq!(from_f32(f32::MAX), 0x7c00);
        assert_eq!(from_f32(f32::MIN_POSITIVE), 0);
        assert!(to_f32(from_f32(f32::NAN)).is_nan());
    }
}
