//! Reading msgpack one item at a time, every length checked against what is there.

use crate::error::{Error, Result};

/// Containers nest at most this deep.
pub const DEPTH_MAX: usize = 256;

/// Extension types of the project's packed values.
#[expect(missing_docs, reason = "each is named after the type it packs")]
pub mod extension {
    pub const BIG_INT: i8 = 1;
    pub const TUPLE: i8 = 2;
    pub const SET: i8 = 3;
    pub const FROZENSET: i8 = 4;
    pub const DATETIME: i8 = 5;
    pub const NAIVE_DATETIME: i8 = 6;
    pub const DATE: i8 = 7;
    pub const TIME: i8 = 8;
    pub const TIMEDELTA: i8 = 9;
    pub const UUID: i8 = 10;
    pub const DECIMAL: i8 = 11;
    pub const SCALAR: i8 = 13;
}

/// One item. Containers give their count; their elements follow.
#[expect(missing_docs, reason = "each is named after what msgpack calls it")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Float(f64),
    Str(&'a [u8]),
    Bytes(&'a [u8]),
    Array(usize),
    Map(usize),
    Extension(i8, &'a [u8]),
}

/// A position in packed bytes.
#[derive(Clone)]
pub struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the beginning of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// What has not been read.
    pub fn remaining(&self) -> &'a [u8] {
        &self.data[self.at..]
    }

    /// The error that something is not well formed where the reader stands.
    pub fn wrong(&self, reason: &'static str) -> Error {
        Error::Malformed {
            at: self.at,
            reason,
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let taken = self
            .remaining()
            .get(..length)
            .ok_or_else(|| self.wrong("it ends too early"))?;
        self.at += length;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    /// A length of 1, 2 or 4 bytes.
    fn length(&mut self, power: u8) -> Result<usize> {
        Ok(match power {
            0 => usize::from(self.number::<1>()?[0]),
            1 => usize::from(u16::from_be_bytes(self.number()?)),
            _ => u32::from_be_bytes(self.number()?) as usize,
        })
    }

    fn extension(&mut self, length: usize) -> Result<Item<'a>> {
        let code = self.number::<1>()?[0] as i8;
        Ok(Item::Extension(code, self.take(length)?))
    }

    /// A container's count; every element takes a byte at least, so a damaged one is found before memory is asked for.
    fn count(&self, count: usize) -> Result<usize> {
        if count > self.remaining().len() {
            return Err(self.wrong("it ends too early"));
        }
        Ok(count)
    }

    /// Reads the next item.
    #[inline]
    pub fn item(&mut self) -> Result<Item<'a>> {
        let tag = self.number::<1>()?[0];
        Ok(match tag {
            0x00..=0x7F => Item::Int(i64::from(tag)),
            0x80..=0x8F => Item::Map(self.count(usize::from(tag & 0x0F))?),
            0x90..=0x9F => Item::Array(self.count(usize::from(tag & 0x0F))?),
            0xA0..=0xBF => Item::Str(self.take(usize::from(tag & 0x1F))?),
            0xE0..=0xFF => Item::Int(i64::from(tag as i8)),
            _ => return self.tagged(tag),
        })
    }

    fn tagged(&mut self, tag: u8) -> Result<Item<'a>> {
        Ok(match tag {
            0xC0 => Item::Nil,
            0xC2 => Item::Bool(false),
            0xC3 => Item::Bool(true),
            0xC4..=0xC6 => {
                let length = self.length(tag - 0xC4)?;
                Item::Bytes(self.take(length)?)
            }
            0xC7..=0xC9 => {
                let length = self.length(tag - 0xC7)?;
                self.extension(length)?
            }
            0xCA => Item::Float(f64::from(f32::from_be_bytes(self.number()?))),
            0xCB => Item::Float(f64::from_be_bytes(self.number()?)),
            0xCC..=0xCE => Item::Int(self.length(tag - 0xCC)? as i64),
            0xCF => Item::Unsigned(u64::from_be_bytes(self.number()?)),
            0xD0 => Item::Int(i64::from(i8::from_be_bytes(self.number()?))),
            0xD1 => Item::Int(i64::from(i16::from_be_bytes(self.number()?))),
            0xD2 => Item::Int(i64::from(i32::from_be_bytes(self.number()?))),
            0xD3 => Item::Int(i64::from_be_bytes(self.number()?)),
            0xD4..=0xD8 => self.extension(1 << (tag - 0xD4))?,
            0xD9..=0xDB => {
                let length = self.length(tag - 0xD9)?;
                Item::Str(self.take(length)?)
            }
            0xDC | 0xDD => {
                let count = self.length(tag - 0xDC + 1)?;
                Item::Array(self.count(count)?)
            }
            0xDE | 0xDF => {
                let count = self.length(tag - 0xDE + 1)?;
                Item::Map(self.count(count)?)
            }
            _ => return Err(self.wrong("is a tag that msgpack does not have")),
        })
    }

    /// Passes over what belongs to an item that was just read.
    pub fn skip_rest(&mut self, item: Item<'a>) -> Result<()> {
        let inside = |item| match item {
            Item::Array(count) => count,
            Item::Map(count) => count * 2,
            _ => 0,
        };
        let mut pending = inside(item);
        while pending > 0 {
            // Every pending item needs a byte, so the sum cannot overflow.
            pending = pending - 1 + inside(self.item()?);
            if pending > self.remaining().len() {
                return Err(self.wrong("it ends too early"));
            }
        }
        Ok(())
    }
}
