//! Appends key elements to a buffer the caller owns and reuses.
//!
//! An error leaves the buffer with a part of the key in it: the caller clears or truncates it.

use super::{KeyPart, number, tag};
use crate::error::{Error, Result};
use crate::limits::KEY_BYTES_MAX;

const SIGN_64: u64 = 1 << 63;
const SIGN_32: u32 = 1 << 31;

/// Writes elements in element form, or one text in bare form.
#[derive(Debug)]
pub struct KeyWriter<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> KeyWriter<'b> {
    /// Appends to `out`; what is there stays.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Bytes in the buffer; the place where the next element begins.
    pub fn position(&self) -> usize {
        self.out.len()
    }

    /// Inverts every byte since `start`: the elements there now sort in descending order (K2).
    pub fn descend_since(&mut self, start: usize) {
        for byte in &mut self.out[start..] {
            *byte = !*byte;
        }
    }

    /// Checks the length of what was written since `start` (K5).
    pub fn finish(&self, start: usize) -> Result<()> {
        check_length(self.out.len() - start)
    }

    /// Appends any part.
    pub fn part(&mut self, part: &KeyPart<'_>) -> Result<()> {
        match part {
            KeyPart::Null => self.null(),
            KeyPart::Bool(value) => self.bool(*value),
            KeyPart::Int(value) => self.int(*value),
            KeyPart::BigInt {
                negative,
                magnitude,
            } => self.big_int(*negative, magnitude)?,
            KeyPart::Float(value) => self.float(*value)?,
            KeyPart::Str(text) => self.str(text)?,
            KeyPart::Bytes(content) => self.bytes(content)?,
            KeyPart::Uuid(content) => self.uuid(*content),
            KeyPart::DateTime(micros) => self.datetime(*micros),
            KeyPart::NaiveDateTime(micros) => self.naive_datetime(*micros),
            KeyPart::Date(days) => self.date(*days),
            KeyPart::TupleStart => self.begin_tuple(),
            KeyPart::TupleEnd => self.end_tuple(),
        }
        Ok(())
    }

    /// Appends none.
    pub fn null(&mut self) {
        self.out.push(tag::NULL);
    }

    /// Appends a truth value.
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { tag::TRUE } else { tag::FALSE });
    }

    /// Appends an integer.
    pub fn int(&mut self, value: i64) {
        number::push_int(self.out, value);
    }

    /// Appends an integer of any size from its big-endian magnitude.
    pub fn big_int(&mut self, negative: bool, magnitude: &[u8]) -> Result<()> {
        check_length(magnitude.len())?;
        number::push_big_int(self.out, negative, magnitude);
        Ok(())
    }

    /// Appends a double. Errors on NaN.
    pub fn float(&mut self, value: f64) -> Result<()> {
        number::push_float(self.out, value)
    }

    /// Appends text.
    pub fn str(&mut self, text: &str) -> Result<()> {
        self.open_str(text)?;
        self.out.extend([0, tag::TEXT_END]);
        Ok(())
    }

    /// Appends bytes.
    pub fn bytes(&mut self, content: &[u8]) -> Result<()> {
        self.open_bytes(content)?;
        self.out.extend([0, tag::TEXT_END]);
        Ok(())
    }

    /// Appends text without its end: a prefix of every text that begins so.
    pub fn open_str(&mut self, text: &str) -> Result<()> {
        self.escaped(tag::STR, text.as_bytes())
    }

    /// Appends bytes without their end: a prefix of all bytes that begin so.
    pub fn open_bytes(&mut self, content: &[u8]) -> Result<()> {
        self.escaped(tag::BYTES, content)
    }

    /// Appends a whole key that is one text, in bare form.
    pub fn bare_str(&mut self, text: &str) -> Result<()> {
        self.bare(tag::STR, text.as_bytes())
    }

    /// Appends a whole key that is one byte string, in bare form.
    pub fn bare_bytes(&mut self, content: &[u8]) -> Result<()> {
        self.bare(tag::BYTES, content)
    }

    /// Appends a UUID.
    pub fn uuid(&mut self, content: [u8; 16]) {
        self.out.push(tag::UUID);
        self.out.extend(content);
    }

    /// Appends a moment, in microseconds since 1970 UTC.
    pub fn datetime(&mut self, micros: i64) {
        self.out.push(tag::DATETIME);
        self.out.extend((micros as u64 ^ SIGN_64).to_be_bytes());
    }

    /// Appends a reading of calendar and clock without a zone, in microseconds since 1970.
    pub fn naive_datetime(&mut self, micros: i64) {
        self.out.push(tag::NAIVE_DATETIME);
        self.out.extend((micros as u64 ^ SIGN_64).to_be_bytes());
    }

    /// Appends a date, in days since 1970.
    pub fn date(&mut self, days: i32) {
        self.out.push(tag::DATE);
        self.out.extend((days as u32 ^ SIGN_32).to_be_bytes());
    }

    /// Begins a tuple: elements follow, then `end_tuple`.
    pub fn begin_tuple(&mut self) {
        self.out.push(tag::TUPLE);
    }

    /// Ends the innermost tuple.
    pub fn end_tuple(&mut self) {
        self.out.push(tag::END);
    }

    fn bare(&mut self, tag: u8, content: &[u8]) -> Result<()> {
        check_length(content.len() + 1)?;
        self.out.push(tag);
        self.out.extend_from_slice(content);
        Ok(())
    }

    fn escaped(&mut self, tag: u8, content: &[u8]) -> Result<()> {
        // Before copying: a text of a gigabyte is refused, not copied and then refused.
        check_length(content.len())?;
        self.out.push(tag);
        let mut pieces = content.split(|&byte| byte == 0);
        self.out.extend_from_slice(pieces.next().unwrap_or(&[]));
        for piece in pieces {
            self.out.extend([0, tag::ZERO_ESCAPE]);
            self.out.extend_from_slice(piece);
        }
        Ok(())
    }
}

fn check_length(length: usize) -> Result<()> {
    if length > KEY_BYTES_MAX {
        return Err(Error::KeyTooLong {
            length,
            limit: KEY_BYTES_MAX,
        });
    }
    Ok(())
}
