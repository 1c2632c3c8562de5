//! The msgpack format, reading: one item or header at a time, every length checked against what is there.

/// One item. Containers give their count; their elements follow.
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

/// Why reading stopped: the sentence's end after "at byte N".
pub type Reading<T> = Result<T, &'static str>;

/// The content of packed bytes that are nothing but one bytes object of at most 255 bytes.
#[inline]
pub fn short_bytes(data: &[u8]) -> Option<&[u8]> {
    match data {
        [0xC4, length, content @ ..] if content.len() == usize::from(*length) => Some(content),
        _ => None,
    }
}

/// A position in packed bytes.
pub struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn remaining(&self) -> usize {
        self.data.len() - self.at
    }

    pub fn take(&mut self, length: usize) -> Reading<&'a [u8]> {
        if length > self.remaining() {
            return Err("it ends too early");
        }
        let taken = &self.data[self.at..self.at + length];
        self.at += length;
        Ok(taken)
    }

    /// The text that is next, if it is one of at most 31 bytes; `pass_short_str` steps over it.
    #[inline]
    pub fn short_str(&self) -> Option<&'a [u8]> {
        match self.data.get(self.at)? {
            tag @ 0xA0..=0xBF => {
                let start = self.at + 1;
                self.data.get(start..start + usize::from(tag & 0x1F))
            }
            _ => None,
        }
    }

    pub fn pass_short_str(&mut self, text: &[u8]) {
        self.at += 1 + text.len();
    }

    fn number<const N: usize>(&mut self) -> Reading<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn length_8(&mut self) -> Reading<usize> {
        Ok(usize::from(self.number::<1>()?[0]))
    }

    fn length_16(&mut self) -> Reading<usize> {
        Ok(usize::from(u16::from_be_bytes(self.number()?)))
    }

    fn length_32(&mut self) -> Reading<usize> {
        Ok(u32::from_be_bytes(self.number()?) as usize)
    }

    fn extension(&mut self, length: usize) -> Reading<Item<'a>> {
        let code = self.number::<1>()?[0] as i8;
        Ok(Item::Extension(code, self.take(length)?))
    }

    /// A container's count; every element takes a byte at least, so a damaged count cannot ask for memory.
    fn count(&self, count: usize) -> Reading<usize> {
        if count > self.remaining() {
            Err("it ends too early")
        } else {
            Ok(count)
        }
    }

    /// Reads the next item.
    pub fn item(&mut self) -> Reading<Item<'a>> {
        let tag = self.number::<1>()?[0];
        Ok(match tag {
            0x00..=0x7F => Item::Int(i64::from(tag)),
            0x80..=0x8F => Item::Map(self.count(usize::from(tag & 0x0F))?),
            0x90..=0x9F => Item::Array(self.count(usize::from(tag & 0x0F))?),
            0xA0..=0xBF => Item::Str(self.take(usize::from(tag & 0x1F))?),
            0xC0 => Item::Nil,
            0xC2 => Item::Bool(false),
            0xC3 => Item::Bool(true),
            0xC4..=0xC6 => {
                let length = self.length(tag - 0xC4)?;
                Item::Bytes(self.take(length)?)
            }
            0xC7..=0xC9 => {
                let length = self.length(tag - 0xC7)?;
                return self.extension(length);
            }
            0xCA => Item::Float(f64::from(f32::from_be_bytes(self.number()?))),
            0xCB => Item::Float(f64::from_be_bytes(self.number()?)),
            0xCC => Item::Int(self.length_8()? as i64),
            0xCD => Item::Int(self.length_16()? as i64),
            0xCE => Item::Int(self.length_32()? as i64),
            0xCF => Item::Unsigned(u64::from_be_bytes(self.number()?)),
            0xD0 => Item::Int(i64::from(i8::from_be_bytes(self.number()?))),
            0xD1 => Item::Int(i64::from(i16::from_be_bytes(self.number()?))),
            0xD2 => Item::Int(i64::from(i32::from_be_bytes(self.number()?))),
            0xD3 => Item::Int(i64::from_be_bytes(self.number()?)),
            0xD4..=0xD8 => return self.extension(1 << (tag - 0xD4)),
            0xD9..=0xDB => {
                let length = self.length(tag - 0xD9)?;
                Item::Str(self.take(length)?)
            }
            0xDC => Item::Array(self.length_16().and_then(|count| self.count(count))?),
            0xDD => Item::Array(self.length_32().and_then(|count| self.count(count))?),
            0xDE => Item::Map(self.length_16().and_then(|count| self.count(count))?),
            0xDF => Item::Map(self.length_32().and_then(|count| self.count(count))?),
            0xE0..=0xFF => Item::Int(i64::from(tag as i8)),
            0xC1 => return Err("a tag that msgpack does not have"),
        })
    }

    fn length(&mut self, width: u8) -> Reading<usize> {
        match width {
            0 => self.length_8(),
            1 => self.length_16(),
            _ => self.length_32(),
        }
    }
}
