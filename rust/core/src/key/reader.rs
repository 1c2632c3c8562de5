//! Reads encoded keys back, element by element.
//!
//! Keys come from pages whose checksum was verified; a malformed one is still an error, never a wrong value (K3).

use std::borrow::Cow;

use super::number::{float_from, malformed};
use super::{KeyPart, tag};
use crate::error::Result;

/// Walks over an encoded key.
#[derive(Debug, Clone)]
pub struct KeyReader<'a> {
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    /// Reads `key` from its beginning.
    pub fn new(key: &'a [u8]) -> Self {
        Self { rest: key }
    }

    /// Reads the next element if it is a small whole number from 0 on, ascending: most ids are. What this does not recognise
    /// is left for `part` to tell.
    #[inline]
    pub fn small_whole(&mut self) -> Option<i64> {
        let (&tag, rest) = self.rest.split_first()?;
        let length = usize::from(tag.checked_sub(tag::ZERO)?);
        if length >= tag::SHORT_MAGNITUDE_BYTES {
            return None;
        }
        let (magnitude, rest) = rest.split_at_checked(length)?;
        let (&end, rest) = rest.split_first()?;
        if end != tag::WHOLE || magnitude.first() == Some(&0) {
            return None;
        }
        self.rest = rest;
        let digits = magnitude.iter();
        Some(digits.fold(0, |number, &byte| number << 8 | i64::from(byte)))
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads a whole key of the bare form: all that is left.
    pub fn bare(&mut self) -> Result<KeyPart<'a>> {
        match self.rest.split_first() {
            Some((&tag::STR, content)) => {
                self.rest = &[];
                text(Cow::Borrowed(content))
            }
            Some((&tag::BYTES, content)) => {
                self.rest = &[];
                Ok(KeyPart::Bytes(Cow::Borrowed(content)))
            }
            _ => self.part(false),
        }
    }

    /// Reads the next element, or beginning or end of a tuple. `descending` as it was written.
    pub fn part(&mut self, descending: bool) -> Result<KeyPart<'a>> {
        let mask = if descending { 0xFF } else { 0x00 };
        let tag = self.byte(mask)?;
        Ok(match tag {
            tag::END => KeyPart::TupleEnd,
            tag::NULL => KeyPart::Null,
            tag::FALSE => KeyPart::Bool(false),
            tag::TRUE => KeyPart::Bool(true),
            tag::MINUS_INFINITY => KeyPart::Float(f64::NEG_INFINITY),
            tag::PLUS_INFINITY => KeyPart::Float(f64::INFINITY),
            tag::NEGATIVE_LONG..=tag::POSITIVE_LONG => return self.number(tag, mask),
            tag::STR => {
                return match self.escaped(mask)? {
                    Cow::Borrowed(content) => text(Cow::Borrowed(content)),
                    Cow::Owned(content) => text(Cow::Owned(content)),
                };
            }
            tag::BYTES => KeyPart::Bytes(self.escaped(mask)?),
            tag::UUID => KeyPart::Uuid(self.array(mask)?),
            tag::DATETIME => KeyPart::DateTime(self.signed_64(mask)?),
            tag::NAIVE_DATETIME => KeyPart::NaiveDateTime(self.signed_64(mask)?),
            tag::DATE => {
                let bits = u32::from_be_bytes(self.array(mask)?) ^ (1 << 31);
                KeyPart::Date(bits as i32)
            }
            tag::TUPLE => KeyPart::TupleStart,
            _ => return Err(malformed("unknown tag")),
        })
    }

    fn byte(&mut self, mask: u8) -> Result<u8> {
        let (&byte, rest) = self
            .rest
            .split_first()
            .ok_or_else(|| malformed("it ends in the middle"))?;
        self.rest = rest;
        Ok(byte ^ mask)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| malformed("it ends in the middle"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, mask: u8) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes.map(|byte| byte ^ mask))
    }

    fn signed_64(&mut self, mask: u8) -> Result<i64> {
        Ok((u64::from_be_bytes(self.array(mask)?) ^ (1 << 63)) as i64)
    }

    fn number(&mut self, tag: u8, mask: u8) -> Result<KeyPart<'a>> {
        let negative = tag < tag::ZERO;
        let sign_mask = if negative { !mask } else { mask };
        let is_long = matches!(tag, tag::NEGATIVE_LONG | tag::POSITIVE_LONG);
        let length = if is_long {
            usize::from(u16::from_be_bytes(self.array(sign_mask)?))
        } else {
            usize::from(tag.abs_diff(tag::ZERO))
        };
        let magnitude = self.take(length)?;
        let has_leading_zero = magnitude.first().is_some_and(|&byte| byte ^ sign_mask == 0);
        if has_leading_zero || is_long && length <= tag::SHORT_MAGNITUDE_BYTES {
            return Err(malformed("a number with needless digits"));
        }
        match self.byte(mask)? {
            tag::WHOLE if is_long => Ok(big(negative, magnitude, sign_mask)),
            tag::WHOLE => Ok(short(negative, magnitude, sign_mask)),
            tag::FRACTION if !is_long => {
                let floor = short_magnitude(magnitude, sign_mask);
                let mut digits = self.fraction_digits(mask)?;
                Ok(KeyPart::Float(float_from(negative, floor, &mut digits)?))
            }
            _ => Err(malformed("a number without an end")),
        }
    }

    fn fraction_digits(&mut self, mask: u8) -> Result<Vec<u8>> {
        let mut digits = Vec::with_capacity(8);
        loop {
            let byte = self.byte(mask)?;
            digits.push(byte >> 1);
            if byte & 1 == 0 {
                return Ok(digits);
            }
        }
    }

    fn escaped(&mut self, mask: u8) -> Result<Cow<'a, [u8]>> {
        let content = self.rest;
        let zero = mask;
        let mut owned: Option<Vec<u8>> = None;
        let mut from = 0;
        loop {
            let at = content[from..]
                .iter()
                .position(|&byte| byte == zero)
                .map(|offset| from + offset)
                .filter(|&at| at + 1 < content.len())
                .ok_or_else(|| malformed("a text without an end"))?;
            let piece = &content[from..at];
            match content[at + 1] ^ mask {
                tag::TEXT_END => {
                    self.rest = &content[at + 2..];
                    return Ok(match owned {
                        None if mask == 0 => Cow::Borrowed(piece),
                        owned => {
                            let mut owned = owned.unwrap_or_default();
                            owned.extend(piece.iter().map(|byte| byte ^ mask));
                            Cow::Owned(owned)
                        }
                    });
                }
                tag::ZERO_ESCAPE => {
                    let owned = owned.get_or_insert_default();
                    owned.extend(piece.iter().map(|byte| byte ^ mask));
                    owned.push(0);
                    from = at + 2;
                }
                _ => return Err(malformed("a zero byte inside a text")),
            }
        }
    }
}

fn text(content: Cow<'_, [u8]>) -> Result<KeyPart<'_>> {
    let not_text = |_| malformed("a text that is not UTF-8");
    Ok(KeyPart::Str(match content {
        Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).map_err(not_text)?),
        Cow::Owned(bytes) => {
            Cow::Owned(String::from_utf8(bytes).map_err(|error| not_text(error.utf8_error()))?)
        }
    }))
}

fn short_magnitude(magnitude: &[u8], sign_mask: u8) -> u64 {
    magnitude
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte ^ sign_mask))
}

fn short<'a>(negative: bool, magnitude: &'a [u8], sign_mask: u8) -> KeyPart<'a> {
    let absolute = short_magnitude(magnitude, sign_mask);
    let value = if negative {
        0_i64.checked_sub_unsigned(absolute)
    } else {
        i64::try_from(absolute).ok()
    };
    value.map_or_else(|| big(negative, magnitude, sign_mask), KeyPart::Int)
}

fn big(negative: bool, magnitude: &[u8], sign_mask: u8) -> KeyPart<'_> {
    let magnitude = if sign_mask == 0 {
        Cow::Borrowed(magnitude)
    } else {
        Cow::Owned(magnitude.iter().map(|byte| byte ^ sign_mask).collect())
    };
    KeyPart::BigInt {
        negative,
        magnitude,
    }
}
