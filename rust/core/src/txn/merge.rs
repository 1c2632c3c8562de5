//! Commutative operations, applied by the sequencer so that they never conflict.
//!
//! Values are MessagePack numbers (`Add`, `Max`, `Min`) or strings and byte strings (`Append`).
//! Integers stay integers as long as both sides are; a sum outside 64 bits is refused.
//! An absent entry takes the operand as its value.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::limits::EXTENT_BYTES_MIN;

/// What is done to the stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeOp {
    /// Adds a number.
    Add,
    /// Keeps the larger number.
    Max,
    /// Keeps the smaller number.
    Min,
    /// Puts a string or byte string after the stored one.
    Append,
}

impl MergeOp {
    /// The operation's byte in the log.
    pub fn code(self) -> u8 {
        match self {
            Self::Add => 0,
            Self::Max => 1,
            Self::Min => 2,
            Self::Append => 3,
        }
    }

    /// The reverse of `code`.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Add, Self::Max, Self::Min, Self::Append]
            .get(usize::from(code))
            .copied()
    }
}

/// The value after the operation.
pub(crate) fn merge(op: MergeOp, old: Option<&[u8]>, operand: &[u8]) -> Result<Vec<u8>> {
    if op == MergeOp::Append {
        return append(old, operand);
    }
    let right = number(operand, "the operand")?;
    let Some(old) = old else {
        return Ok(operand.to_vec());
    };
    let left = number(old, "the stored value")?;
    let keep_left = |order: Option<Ordering>, wanted: Ordering| {
        if order == Some(wanted) || order == Some(Ordering::Equal) {
            old
        } else {
            operand
        }
        .to_vec()
    };
    match op {
        MergeOp::Add => encode(add(left, right)?),
        MergeOp::Max => Ok(keep_left(compare(left, right), Ordering::Greater)),
        MergeOp::Min => Ok(keep_left(compare(left, right), Ordering::Less)),
        MergeOp::Append => unreachable!("handled above"),
    }
}

#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

fn add(left: Number, right: Number) -> Result<Number> {
    if let (Number::Int(a), Number::Int(b)) = (left, right) {
        return Ok(Number::Int(a + b));
    }
    Ok(Number::Float(left.float() + right.float()))
}

fn compare(left: Number, right: Number) -> Option<Ordering> {
    if let (Number::Int(a), Number::Int(b)) = (left, right) {
        return Some(a.cmp(&b));
    }
    left.float().partial_cmp(&right.float())
}

fn number(bytes: &[u8], what: &str) -> Result<Number> {
    parse_number(bytes).ok_or_else(|| Error::BadMerge {
        reason: format!("{what} is not a number of at most 64 bits"),
    })
}

fn parse_number(bytes: &[u8]) -> Option<Number> {
    let (tag, rest) = bytes.split_first()?;
    let unsigned = |width: usize| {
        (rest.len() == width).then(|| {
            rest.iter()
                .fold(0i128, |value, byte| value << 8 | i128::from(*byte))
        })
    };
    let signed = |width: usize| {
        let value = unsigned(width)?;
        let sign = 1i128 << (8 * width - 1);
        Some((value ^ sign) - sign)
    };
    let int = match tag {
        0x00..=0x7f if rest.is_empty() => Some(i128::from(*tag)),
        0xe0..=0xff if rest.is_empty() => Some(i128::from(*tag as i8)),
        0xcc => unsigned(1),
        0xcd => unsigned(2),
        0xce => unsigned(4),
        0xcf => unsigned(8),
        0xd0 => signed(1),
        0xd1 => signed(2),
        0xd2 => signed(4),
        0xd3 => signed(8),
        0xca => {
            return Some(Number::Float(
                f32::from_be_bytes(rest.try_into().ok()?).into(),
            ));
        }
        0xcb => return Some(Number::Float(f64::from_be_bytes(rest.try_into().ok()?))),
        _ => None,
    };
    int.map(Number::Int)
}

fn encode(number: Number) -> Result<Vec<u8>> {
    let value = match number {
        Number::Float(value) => {
            let mut out = vec![0xcb];
            out.extend_from_slice(&value.to_be_bytes());
            return Ok(out);
        }
        Number::Int(value) => value,
    };
    let bytes = value.to_be_bytes();
    let tail = |tag: u8, width: usize| {
        let mut out = vec![tag];
        out.extend_from_slice(&bytes[16 - width..]);
        Ok(out)
    };
    match value {
        -0x20..=0x7f => Ok(vec![value as u8]),
        0x80..=0xff => tail(0xcc, 1),
        0x100..=0xffff => tail(0xcd, 2),
        0x1_0000..=0xffff_ffff => tail(0xce, 4),
        0x1_0000_0000..=0xffff_ffff_ffff_ffff => tail(0xcf, 8),
        -0x80..=-0x21 => tail(0xd0, 1),
        -0x8000..=-0x81 => tail(0xd1, 2),
        -0x8000_0000..=-0x8001 => tail(0xd2, 4),
        -0x8000_0000_0000_0000..=-0x8000_0001 => tail(0xd3, 8),
        _ => Err(Error::BadMerge {
            reason: "the sum does not fit 64 bits".to_owned(),
        }),
    }
}

fn append(old: Option<&[u8]>, operand: &[u8]) -> Result<Vec<u8>> {
    let (kind, right) = text(operand, "the operand")?;
    let left = match old {
        None => &[],
        Some(old) => {
            let (stored, left) = text(old, "the stored value")?;
            if stored != kind {
                return Err(Error::BadMerge {
                    reason: "one of the two is a string, the other a byte string".to_owned(),
                });
            }
            left
        }
    };
    let length = left.len() + right.len();
    if length + 5 >= EXTENT_BYTES_MIN {
        return Err(Error::BadMerge {
            reason: format!(
                "appending would make {length} bytes; append to values below {EXTENT_BYTES_MIN} only"
            ),
        });
    }
    let mut out = kind.header(length);
    out.extend_from_slice(left);
    out.extend_from_slice(right);
    Ok(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Str,
    Bin,
}

impl Text {
    fn header(self, length: usize) -> Vec<u8> {
        let (tag8, tag16) = match self {
            Self::Str => (0xd9, 0xda),
            Self::Bin => (0xc4, 0xc5),
        };
        match (self, u8::try_from(length)) {
            (Self::Str, Ok(short @ 0..=31)) => vec![0xa0 | short],
            (_, Ok(short)) => vec![tag8, short],
            (_, Err(_)) => {
                let length = u16::try_from(length).expect("below EXTENT_BYTES_MIN");
                let [high, low] = length.to_be_bytes();
                vec![tag16, high, low]
            }
        }
    }
}

fn text<'a>(bytes: &'a [u8], what: &str) -> Result<(Text, &'a [u8])> {
    parse_text(bytes).ok_or_else(|| Error::BadMerge {
        reason: format!("{what} is not a string or byte string below {EXTENT_BYTES_MIN} bytes"),
    })
}

fn parse_text(bytes: &[u8]) -> Option<(Text, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (kind, width) = match tag {
        0xa0..=0xbf => return Some((Text::Str, rest)),
        0xd9 => (Text::Str, 1),
        0xda => (Text::Str, 2),
        0xc4 => (Text::Bin, 1),
        0xc5 => (Text::Bin, 2),
        _ => return None,
    };
    rest.get(width..).map(|content| (kind, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_width_add_exactly() {
        let edges = [
            0,
            1,
            0x7f,
            0x80,
            0xff,
            0x100,
            0xffff,
            0x1_0000,
            0xffff_ffff,
            0x1_0000_0000,
            i128::from(u64::MAX),
            -1,
            -0x20,
            -0x21,
            -0x80,
            -0x81,
            -0x8000,
            -0x8001,
            -0x8000_0000,
            -0x8000_0001,
            i128::from(i64::MIN),
        ];
        for a in edges {
            for b in edges {
                let (left, right) = (
                    encode(Number::Int(a)).unwrap(),
                    encode(Number::Int(b)).unwrap(),
                );
                let sum = merge(MergeOp::Add, Some(&left), &right);
                let fits = i128::from(i64::MIN) <= a + b && a + b <= i128::from(u64::MAX);
                assert_eq!(sum.is_ok(), fits, "{a} + {b}");
                if let Ok(sum) = sum {
                    assert_eq!(sum, encode(Number::Int(a + b)).unwrap());
                }
                let max = merge(MergeOp::Max, Some(&left), &right).unwrap();
                assert_eq!(max, if a >= b { left.clone() } else { right.clone() });
                let min = merge(MergeOp::Min, Some(&left), &right).unwrap();
                assert_eq!(min, if a <= b { left.clone() } else { right.clone() });
            }
        }
    }

    #[test]
    fn strings_append_across_header_widths_and_kinds_do_not_mix() {
        for (a, b) in [(0, 3), (20, 20), (31, 1), (200, 100), (40_000, 20_000)] {
            for kind in [Text::Str, Text::Bin] {
                let whole = |n: usize, byte: u8| {
                    let mut out = kind.header(n);
                    out.extend(std::iter::repeat_n(byte, n));
                    out
                };
                let joined =
                    merge(MergeOp::Append, Some(&whole(a, b'a')), &whole(b, b'b')).unwrap();
                let (_, content) = parse_text(&joined).unwrap();
                assert_eq!(content.len(), a + b);
                assert!(content[..a].iter().all(|c| *c == b'a'));
            }
        }
        assert!(merge(MergeOp::Append, Some(&[0xa0]), &[0xc4, 0]).is_err());
        assert!(merge(MergeOp::Add, Some(&[0xa0]), &[1]).is_err());
        assert!(merge(MergeOp::Add, Some(&[1]), &[0xc0]).is_err());
    }
}
