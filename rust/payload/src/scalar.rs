//! Scalars as bytes: one byte for the class, then bytes that order and equal as the values do within it.

use crate::msgpack::{Item, Reader, extension};
use crate::number;

/// Texts and bytes are kept whole up to here; beyond, as this prefix and a hash of the whole.
pub const KEY_PREFIX_BYTES: usize = 256;

const NIL: u8 = 0x10;
const BOOL: u8 = 0x20;
const NUMBER: u8 = 0x30;
const STR: u8 = 0x40;
const BYTES: u8 = 0x50;
/// An instant: a datetime with an offset.
const MOMENT: u8 = 0x60;
const NAIVE_DATETIME: u8 = 0x61;
const DATE: u8 = 0x62;
const TIME: u8 = 0x63;
const AWARE_TIME: u8 = 0x64;
const TIMEDELTA: u8 = 0x65;
const UUID: u8 = 0x70;

/// Replaces `out` with the scalar's key. False when the item compares with nothing (NaN, containers, arrays); then
/// `out` is of no use.
pub fn key_of(out: &mut Vec<u8>, item: Item<'_>) -> bool {
    out.clear();
    match item {
        Item::Nil => out.push(NIL),
        Item::Bool(truth) => out.extend([BOOL, u8::from(truth)]),
        Item::Int(value) => {
            out.push(NUMBER);
            number::push_int(out, value);
        }
        Item::Unsigned(value) => {
            out.push(NUMBER);
            number::push_u64(out, false, value);
        }
        Item::Float(value) => {
            out.push(NUMBER);
            return number::push_float(out, value);
        }
        Item::Str(text) => push_bounded(out, STR, text),
        Item::Bytes(content) => push_bounded(out, BYTES, content),
        Item::Extension(code, content) => return push_extension(out, code, content),
        Item::Array(_) | Item::Map(_) => return false,
    }
    true
}

fn push_bounded(out: &mut Vec<u8>, class: u8, content: &[u8]) {
    out.push(class);
    if content.len() <= KEY_PREFIX_BYTES {
        out.extend_from_slice(content);
    } else {
        out.extend_from_slice(&content[..KEY_PREFIX_BYTES]);
        out.extend(xxhash_rust::xxh3::xxh3_128(content).to_be_bytes());
    }
}

/// Whether a key is of a text or bytes that were cut: such a key can be found, but is no bound of a range.
pub fn is_cut(key: &[u8]) -> bool {
    matches!(key.first(), Some(&STR | &BYTES)) && key.len() > 1 + KEY_PREFIX_BYTES
}

/// The name of a key's class, for messages.
pub fn class_name(key: &[u8]) -> &'static str {
    match key.first() {
        Some(&NIL) => "None",
        Some(&BOOL) => "bool",
        Some(&NUMBER) => "number",
        Some(&STR) => "str",
        Some(&BYTES) => "bytes",
        Some(&MOMENT) => "datetime with an offset",
        Some(&NAIVE_DATETIME) => "datetime without an offset",
        Some(&DATE) => "date",
        Some(&TIME) => "time",
        Some(&AWARE_TIME) => "time with an offset",
        Some(&TIMEDELTA) => "timedelta",
        Some(&UUID) => "UUID",
        _ => "value",
    }
}

fn push_extension(out: &mut Vec<u8>, code: i8, content: &[u8]) -> bool {
    match (code, content.len()) {
        (extension::BIG_INT, _) => {
            out.push(NUMBER);
            return number::push_big_int(out, content);
        }
        (extension::DECIMAL, _) => {
            out.push(NUMBER);
            return number::push_text(out, content);
        }
        (extension::SCALAR, _) => return push_numpy(out, content),
        (extension::DATETIME, 16) => {
            // Local reading minus the offset is the instant.
            let (Some(local), Some(offset)) = (i64_at(content, 0), i64_at(content, 8)) else {
                return false;
            };
            push_i64(out, MOMENT, local.wrapping_sub(offset));
        }
        (extension::NAIVE_DATETIME, 9) => match i64_at(content, 0) {
            Some(micros) => push_i64(out, NAIVE_DATETIME, micros),
            None => return false,
        },
        (extension::DATE, 4) => {
            out.push(DATE);
            out.extend_from_slice(content);
            out[1] ^= 0x80;
        }
        (extension::TIME, 9) => match i64_at(content, 0) {
            Some(micros) => push_i64(out, TIME, micros),
            None => return false,
        },
        (extension::TIME, 17) => {
            let (Some(micros), Some(offset)) = (i64_at(content, 0), i64_at(content, 9)) else {
                return false;
            };
            push_i64(out, AWARE_TIME, micros.wrapping_sub(offset));
        }
        (extension::TIMEDELTA, 12) => {
            // Days carry the sign; seconds and microseconds are never negative.
            out.push(TIMEDELTA);
            out.extend_from_slice(content);
            out[1] ^= 0x80;
        }
        (extension::UUID, 16) => {
            out.push(UUID);
            out.extend_from_slice(content);
        }
        _ => return false,
    }
    true
}

fn i64_at(content: &[u8], at: usize) -> Option<i64> {
    Some(i64::from_be_bytes(
        content.get(at..at + 8)?.try_into().ok()?,
    ))
}

fn push_i64(out: &mut Vec<u8>, class: u8, value: i64) {
    out.push(class);
    out.extend(((value as u64) ^ (1 << 63)).to_be_bytes());
}

/// A scalar of numpy: its dtype as numpy describes it, then its bytes.
fn push_numpy(out: &mut Vec<u8>, content: &[u8]) -> bool {
    let mut reader = Reader::new(content);
    let Ok(Item::Str(descr)) = reader.item() else {
        return false;
    };
    let [order, kind, size @ ..] = descr else {
        return false;
    };
    let mut bytes = reader.remaining().to_vec();
    let width = bytes.len();
    if size != width.to_string().as_bytes() || width > 8 {
        return false;
    }
    if *order == b'>' {
        bytes.reverse();
    }
    let mut little = [0; 8];
    little[..width].copy_from_slice(&bytes);
    let whole = u64::from_le_bytes(little);
    match (kind, width) {
        (b'b', 1) => {
            out.extend([BOOL, u8::from(whole != 0)]);
            true
        }
        (b'i', 1 | 2 | 4 | 8) => {
            out.push(NUMBER);
            let shift = 64 - width * 8;
            number::push_int(out, ((whole << shift) as i64) >> shift);
            true
        }
        (b'u', 1 | 2 | 4 | 8) => {
            out.push(NUMBER);
            number::push_u64(out, false, whole);
            true
        }
        (b'f', 2 | 4 | 8) => {
            out.push(NUMBER);
            let value = match width {
                2 => half(whole as u16),
                4 => f64::from(f32::from_bits(whole as u32)),
                _ => f64::from_bits(whole),
            };
            number::push_float(out, value)
        }
        _ => false,
    }
}

fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let fraction = f64::from(bits & 0x03FF);
    sign * match (bits >> 10) & 0x1F {
        0 => fraction * 2.0_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * 2.0_f64.powi(i32::from(exponent) - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read_as_ieee_says() {
        assert_eq!(half(0x3C00), 1.0);
        assert_eq!(half(0xC000), -2.0);
        assert_eq!(half(0x7BFF), 65504.0);
        assert_eq!(half(0x0001), 2.0_f64.powi(-24));
        assert_eq!(half(0x7C00), f64::INFINITY);
        assert!(half(0x7E00).is_nan());
    }

    #[test]
    fn scalars_of_numpy_equal_plain_numbers() {
        let key = |item: Item<'_>| {
            let mut out = Vec::new();
            assert!(key_of(&mut out, item));
            out
        };
        let numpy = |descr: &str, bytes: &[u8]| {
            let mut content = vec![0xA0 | descr.len() as u8];
            content.extend(descr.bytes());
            content.extend(bytes);
            key(Item::Extension(extension::SCALAR, &content))
        };
        assert_eq!(numpy("<i2", &[0xFE, 0xFF]), key(Item::Int(-2)));
        assert_eq!(numpy(">i2", &[0xFF, 0xFE]), key(Item::Int(-2)));
        assert_eq!(numpy("|u1", &[200]), key(Item::Int(200)));
        assert_eq!(numpy("<f4", &1.5_f32.to_le_bytes()), key(Item::Float(1.5)));
        assert_eq!(numpy("|b1", &[1]), key(Item::Bool(true)));
    }

    #[test]
    fn only_long_texts_are_cut() {
        let mut key = Vec::new();
        assert!(key_of(&mut key, Item::Str(&[b'a'; KEY_PREFIX_BYTES])));
        assert!(!is_cut(&key));
        assert!(key_of(&mut key, Item::Str(&[b'a'; KEY_PREFIX_BYTES + 1])));
        assert!(is_cut(&key));
    }
}
