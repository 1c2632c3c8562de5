//! Numbers as bytes whose order is the numbers' order, exactly, whatever type they came from.
//!
//! A number of magnitude `m` and sign `s` is
//!
//! ```text
//! not negative:  02 floor residual?             floor     the largest double not above m, 8 bytes big-endian
//! negative:      01 (floor residual? all bits flipped) FF
//!                                               residual  m - floor, if not 0: the exponent E as u64 + 2^63, big-endian,
//!                                                         then the decimal digits of 0.ddd x 10^E, each plus one
//! ```
//!
//! N1 equal numbers have equal bytes: a residual has no leading and no trailing zero digit.
//! N2 no residual ends another: its shorter form is a prefix of the longer and smaller, and FF turns that round.
//! N3 above the largest double the residual is the whole magnitude, since the distance would be as long as the number.

use std::cmp::Ordering;

const NEGATIVE: u8 = 1;
const NOT_NEGATIVE: u8 = 2;
/// Up to here every integer is a double.
const EXACT_MAX: u64 = 1 << 53;
/// Digits enough for any double: the longest has 767.
const DOUBLE_DIGITS: usize = 780;
/// Ints and Decimals beyond take too long to compare; they count as equal to nothing.
pub const NUMBER_BYTES_MAX: usize = 4096;

/// Appends an integer of 64 bits.
pub fn push_int(out: &mut Vec<u8>, value: i64) {
    push_u64(out, value < 0, value.unsigned_abs());
}

/// Appends an integer without sign, or its negative.
pub fn push_u64(out: &mut Vec<u8>, negative: bool, magnitude: u64) {
    if magnitude <= EXACT_MAX {
        return push_parts(out, negative && magnitude != 0, magnitude as f64, None);
    }
    let mut floor = magnitude as f64;
    if floor as u128 > u128::from(magnitude) {
        floor = floor.next_down();
    }
    let residual = magnitude - floor as u64;
    let residual = (residual != 0).then(|| Decimal::from_text(&residual.to_string()));
    push_parts(out, negative, floor, residual.flatten().as_ref());
}

/// Appends a double; false for NaN, which has no place.
pub fn push_float(out: &mut Vec<u8>, value: f64) -> bool {
    if value.is_nan() {
        return false;
    }
    push_parts(out, value < 0.0, value.abs(), None);
    true
}

/// Appends an integer from its two's complement; false when it is too long.
pub fn push_big_int(out: &mut Vec<u8>, content: &[u8]) -> bool {
    if content.is_empty() || content.len() > NUMBER_BYTES_MAX {
        return false;
    }
    let negative = content[0] >= 0x80;
    let mut magnitude = content.to_vec();
    if negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (flipped, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (flipped, over);
        }
    }
    push_decimal(out, negative, &Decimal::from_magnitude(&magnitude));
    true
}

/// Appends a number from its text, as Python writes a Decimal; false for NaN and what is no number.
pub fn push_text(out: &mut Vec<u8>, text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    if text.len() > NUMBER_BYTES_MAX {
        return false;
    }
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if magnitude.eq_ignore_ascii_case("infinity") {
        return push_float(
            out,
            if negative {
                -f64::INFINITY
            } else {
                f64::INFINITY
            },
        );
    }
    let Some(decimal) = Decimal::from_text(magnitude) else {
        return false;
    };
    push_decimal(out, negative, &decimal);
    true
}

fn push_decimal(out: &mut Vec<u8>, negative: bool, value: &Decimal) {
    let nearest = value.nearest();
    let mut floor = nearest.min(f64::MAX);
    let mut exact = Decimal::from_double(floor);
    if exact.order(value) == Ordering::Greater {
        floor = floor.next_down();
        exact = Decimal::from_double(floor);
    }
    let residual = match exact.order(value) {
        Ordering::Equal => None,
        _ if floor == f64::MAX => Some(value.clone()), // N3
        _ => Some(value.minus(&exact)),
    };
    let negative = negative && !value.digits.is_empty();
    push_parts(out, negative, floor, residual.as_ref());
}

fn push_parts(out: &mut Vec<u8>, negative: bool, floor: f64, residual: Option<&Decimal>) {
    out.push(if negative { NEGATIVE } else { NOT_NEGATIVE });
    let start = out.len();
    out.extend(floor.to_bits().to_be_bytes());
    if let Some(residual) = residual {
        let exponent = (residual.exponent as u64) ^ (1 << 63);
        out.extend(exponent.to_be_bytes());
        out.extend(residual.digits.iter().map(|digit| digit + 1));
    }
    if negative {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
        out.push(0xFF);
    }
}

/// A magnitude: `0.digits x 10^exponent`, without leading or trailing zero digits (N1).
#[derive(Debug, Clone, PartialEq)]
struct Decimal {
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    fn new(digits: &[u8], exponent: i64) -> Self {
        let leading = digits.iter().take_while(|&&digit| digit == 0).count();
        let digits = &digits[leading..];
        let trailing = digits.iter().rev().take_while(|&&digit| digit == 0).count();
        let digits = digits[..digits.len() - trailing].to_vec();
        let exponent = if digits.is_empty() {
            0
        } else {
            exponent - leading as i64
        };
        Self { digits, exponent }
    }

    /// `12.5E+3` and the like; none for what is no number.
    fn from_text(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let numeric = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        // Python's own limit; it also leaves room for the sums below.
        if !numeric || exponent.unsigned_abs() > 2_000_000_000_000_000_000 {
            return None;
        }
        let digits: Vec<u8> = digits.iter().map(|digit| digit - b'0').collect();
        Some(Self::new(&digits, exponent + whole.len() as i64))
    }

    fn from_magnitude(bytes: &[u8]) -> Self {
        // Digits of base 10^9, least significant first.
        let mut limbs: Vec<u32> = Vec::new();
        for &byte in bytes {
            let mut carry = u64::from(byte);
            for limb in &mut limbs {
                let sum = u64::from(*limb) * 256 + carry;
                *limb = (sum % 1_000_000_000) as u32;
                carry = sum / 1_000_000_000;
            }
            if carry > 0 {
                limbs.push(carry as u32);
            }
        }
        let text: String = limbs
            .iter()
            .rev()
            .map(|limb| format!("{limb:09}"))
            .collect();
        let digits: Vec<u8> = text.bytes().map(|digit| digit - b'0').collect();
        let exponent = digits.len() as i64;
        Self::new(&digits, exponent)
    }

    fn from_double(value: f64) -> Self {
        Self::from_text(&format!("{value:.DOUBLE_DIGITS$e}")).unwrap_or(Self {
            digits: Vec::new(),
            exponent: 0,
        })
    }

    fn nearest(&self) -> f64 {
        let digits: String = self
            .digits
            .iter()
            .map(|&digit| char::from(digit + b'0'))
            .collect();
        format!("0.{digits}e{}", self.exponent)
            .parse()
            .unwrap_or(f64::INFINITY)
    }

    fn order(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => (self.exponent, &self.digits).cmp(&(other.exponent, &other.digits)),
        }
    }

    /// The difference; `other` is smaller.
    fn minus(&self, other: &Self) -> Self {
        if other.digits.is_empty() {
            return self.clone();
        }
        let gap = (self.exponent - other.exponent) as usize;
        let length = self.digits.len().max(gap + other.digits.len());
        let mut digits = self.digits.clone();
        digits.resize(length, 0);
        let mut borrow = 0;
        for place in (0..length).rev() {
            let taken = place
                .checked_sub(gap)
                .and_then(|at| other.digits.get(at))
                .copied()
                .unwrap_or(0)
                + borrow;
            borrow = u8::from(digits[place] < taken);
            digits[place] = digits[place] + borrow * 10 - taken;
        }
        Self::new(&digits, self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(push_text(&mut out, value.as_bytes()), "{value}");
        out
    }

    fn float(value: f64) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(push_float(&mut out, value));
        out
    }

    fn int(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        push_int(&mut out, value);
        out
    }

    #[test]
    fn order_of_bytes_is_order_of_numbers() {
        let ascending = [
            text("-Infinity"),
            text("-1E+999999999999999999"),
            text("-1E+400"),
            float(f64::MIN),
            text("-1e300"),
            int(i64::MIN),
            int(i64::MIN + 1),
            int(-9_007_199_254_740_993),
            int(-9_007_199_254_740_992),
            int(-3),
            float(-2.5),
            text("-0.1"),
            text("-0.0999999999999999999999999999"),
            float(-5e-324),
            text("-1E-400"),
            text("-1E-999999999999999999"),
            int(0),
            text("1E-999999999999999999"),
            float(5e-324),
            text("0.1"),
            float(0.1), // slightly above a tenth
            int(1),
            text("1.00000000000000000000000000000000000001"),
            int(9_007_199_254_740_992),
            int(9_007_199_254_740_993),
            float(9_007_199_254_740_994.0),
            int(i64::MAX),
            text("9223372036854775807.5"),
            float(9_223_372_036_854_775_808.0),
            float(f64::MAX),
            text("1E+309"),
            text("1.5E+309"),
            text("1E+999999999999999999"),
            float(f64::INFINITY),
        ];
        for pair in ascending.windows(2) {
            assert!(pair[0] < pair[1], "{:x?} {:x?}", pair[0], pair[1]);
        }
    }

    #[test]
    fn equal_numbers_have_equal_bytes() {
        assert_eq!(float(-0.0), int(0));
        assert_eq!(text("-0"), int(0));
        assert_eq!(text("100.000"), int(100));
        assert_eq!(text("1E+2"), float(100.0));
        assert_eq!(text("9223372036854775807"), int(i64::MAX));
        assert_eq!(text("-9223372036854775808"), int(i64::MIN));
        let mut big = Vec::new();
        assert!(push_big_int(&mut big, &[1, 0, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(big, text("18446744073709551617"));
        let mut negative = Vec::new();
        assert!(push_big_int(
            &mut negative,
            &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
        ));
        assert_eq!(negative, text("-18446744073709551617"));
        let tenth = format!("{:.70}", 0.1_f64);
        assert_eq!(text(&tenth), float(0.1));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for wrong in [
            "",
            ".",
            "-",
            "NaN",
            "sNaN",
            "1E",
            "1E+",
            "0x1",
            "--1",
            "1E+99999999999999999999",
        ] {
            assert!(!push_text(&mut Vec::new(), wrong.as_bytes()), "{wrong}");
        }
        assert!(!push_float(&mut Vec::new(), f64::NAN));
        assert!(!push_big_int(&mut Vec::new(), &[1; NUMBER_BYTES_MAX + 1]));
    }
}
