//! Numbers as key elements: a floor of any size, then the exact binary fraction.
//!
//! N1 the fraction is in [0, 1) and added to the floor, also below zero: -0.25 is floor -1 and fraction 0.75.
//! N2 fraction digits end with a non-zero one; a double has at most `FRACTION_DIGITS_MAX` of them.

use super::tag;
use crate::error::{Error, Result};

/// The smallest double is 2^-1074: 154 digits of 7 bits.
const FRACTION_DIGITS_MAX: usize = 154;
/// From here on every double is an integer.
const INTEGRAL_FROM: f64 = 9_007_199_254_740_992.0;

/// Appends an integer or the floor of a number, without suffix. `magnitude` has no leading zero.
fn push_magnitude(out: &mut Vec<u8>, negative: bool, magnitude: &[u8]) {
    let mask = if negative { 0xFF } else { 0x00 };
    let length = magnitude.len();
    if length <= tag::SHORT_MAGNITUDE_BYTES {
        let step = length as u8;
        out.push(if negative {
            tag::ZERO - step
        } else {
            tag::ZERO + step
        });
    } else {
        out.push(if negative {
            tag::NEGATIVE_LONG
        } else {
            tag::POSITIVE_LONG
        });
        out.extend((length as u16).to_be_bytes().map(|byte| byte ^ mask));
    }
    out.extend(magnitude.iter().map(|byte| byte ^ mask));
}

fn push_u64(out: &mut Vec<u8>, negative: bool, magnitude: u64) {
    let skip = magnitude.leading_zeros() as usize / 8;
    push_magnitude(out, negative, &magnitude.to_be_bytes()[skip..]);
}

/// Appends a 64-bit integer.
pub fn push_int(out: &mut Vec<u8>, value: i64) {
    push_u64(out, value < 0, value.unsigned_abs());
    out.push(tag::WHOLE);
}

/// Appends an integer of any size. The caller has bounded its length.
pub fn push_big_int(out: &mut Vec<u8>, negative: bool, magnitude: &[u8]) {
    let skip = magnitude.iter().take_while(|&&byte| byte == 0).count();
    let magnitude = &magnitude[skip..];
    assert!(
        magnitude.len() <= usize::from(u16::MAX),
        "K5: integer longer than a key"
    );
    push_magnitude(out, negative && !magnitude.is_empty(), magnitude);
    out.push(tag::WHOLE);
}

/// Appends a double; NaN has no place in an order.
pub fn push_float(out: &mut Vec<u8>, value: f64) -> Result<()> {
    if value.is_nan() {
        return Err(Error::invalid(
            "NaN cannot be a key: it has no place in an order",
        ));
    }
    if value.is_infinite() {
        out.push(if value < 0.0 {
            tag::MINUS_INFINITY
        } else {
            tag::PLUS_INFINITY
        });
        return Ok(());
    }
    let magnitude = value.abs();
    if magnitude >= INTEGRAL_FROM {
        push_large_integral(out, value);
        return Ok(());
    }
    let whole = magnitude.trunc();
    let fraction = magnitude - whole;
    let negative = value < 0.0;
    if fraction == 0.0 {
        push_u64(out, negative && whole != 0.0, whole as u64);
        out.push(tag::WHOLE);
    } else {
        push_u64(out, negative, whole as u64 + u64::from(negative));
        out.push(tag::FRACTION);
        push_fraction(out, fraction, negative);
    }
    Ok(())
}

fn push_large_integral(out: &mut Vec<u8>, value: f64) {
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7FF) as usize - 1075;
    let mantissa = (bits & ((1 << 52) - 1)) | (1 << 52);
    // The mantissa, shifted by the exponent's odd bits, stands before whole zero bytes.
    let mut digits = [0_u8; 16 + 128];
    digits[..16].copy_from_slice(&(u128::from(mantissa) << (exponent % 8)).to_be_bytes());
    push_big_int(out, value < 0.0, &digits[..16 + exponent / 8]);
}

/// Appends `fraction`, or `1 - fraction` when the number is below zero (N1); both exactly.
fn push_fraction(out: &mut Vec<u8>, fraction: f64, negative: bool) {
    let mut rest = fraction;
    while rest != 0.0 {
        rest *= 128.0;
        let digit = rest.trunc();
        rest -= digit;
        let mut digit = digit as u8;
        if negative {
            // The complement to one: every digit to 127, the last one to 128.
            digit = if rest == 0.0 { 128 } else { 127 } - digit;
        }
        out.push(digit << 1 | u8::from(rest != 0.0));
    }
}

/// A double from its floor and fraction digits (each 0..=127).
pub fn float_from(negative: bool, floor_magnitude: u64, digits: &mut [u8]) -> Result<f64> {
    let canonical = digits.last().is_some_and(|&digit| digit != 0)
        && digits.len() <= FRACTION_DIGITS_MAX
        && (floor_magnitude as f64) < INTEGRAL_FROM;
    if !canonical {
        return Err(malformed("a fraction no double has"));
    }
    let mut whole = floor_magnitude as f64;
    if negative {
        whole -= 1.0;
        let last = digits.len() - 1;
        for digit in &mut digits[..last] {
            *digit = 127 - *digit;
        }
        digits[last] = 128 - digits[last];
    }
    let mut fraction = 0.0;
    for &digit in digits.iter().rev() {
        let sum = exact_sum(f64::from(digit), fraction)?;
        fraction = sum / 128.0;
        if fraction * 128.0 != sum {
            return Err(malformed("a fraction no double has"));
        }
    }
    let value = exact_sum(whole, fraction)?;
    Ok(if negative { -value } else { value })
}

/// `larger` is an integer and `smaller` is below one: the sum is rounded if and only if taking it apart shows it.
fn exact_sum(larger: f64, smaller: f64) -> Result<f64> {
    let sum = larger + smaller;
    if sum - larger == smaller {
        Ok(sum)
    } else {
        Err(malformed("a fraction no double has"))
    }
}

pub fn malformed(what: &str) -> Error {
    Error::invalid(format!("these bytes are not an encoded key: {what}"))
}
