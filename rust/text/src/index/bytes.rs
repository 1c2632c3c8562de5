//! Varints (base 128, low bits first) and byte strings: how numbers stand in rows.

use super::failure::{Failure, Result};

/// Appends to a byte vector.
pub(crate) trait Put {
    fn put_varint(&mut self, value: u64);
    fn put_bytes(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    #[inline]
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

/// Reads from the front of a byte slice. What is not there, or too large, is a malformed row.
#[derive(Clone, Debug)]
pub(crate) struct Take<'a> {
    rest: &'a [u8],
}

const CUT: Failure = Failure::Malformed("it ends early, or a number in it is too large");

impl<'a> Take<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or(CUT)?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CUT)
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Result<u32> {
        u32::try_from(self.varint()?).map_err(|_| CUT)
    }

    /// A count of things of which each takes at least one byte: never more than there are bytes.
    pub(crate) fn count(&mut self) -> Result<usize> {
        let count = self.varint()?;
        if count > self.rest.len() as u64 {
            return Err(CUT);
        }
        Ok(count as usize)
    }

    #[inline]
    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8]> {
        let (first, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.count()?;
        self.raw(length)
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Failure::Malformed("it goes on after its end"))
    }
}

/// The bytes that the first `count` varints of `bytes` take.
pub(crate) fn varints_length(bytes: &[u8], count: usize) -> Result<usize> {
    if count == 0 {
        return Ok(0);
    }
    let (mut left, mut begin) = (count, 0);
    // Eight bytes at a time, as long as the last varint does not end in them.
    for eight in bytes.chunks_exact(8) {
        let eight = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
        let ends = (!eight & 0x8080_8080_8080_8080).count_ones() as usize;
        if ends >= left {
            break;
        }
        left -= ends;
        begin += 8;
    }
    for (at, byte) in bytes[begin..].iter().enumerate() {
        left -= usize::from(*byte < 0x80);
        if left == 0 {
            return Ok(begin + at + 1);
        }
    }
    Err(CUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken_and_a_cut_is_noticed() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let mut bytes = Vec::new();
        for number in numbers {
            bytes.put_varint(number);
            bytes.put_bytes(&number.to_be_bytes());
        }
        let mut take = Take::new(&bytes);
        for number in numbers {
            assert_eq!(take.varint(), Ok(number));
            assert_eq!(take.bytes(), Ok(&number.to_be_bytes()[..]));
        }
        assert_eq!(take.end(), Ok(()));
        assert!(take.byte().is_err());
        for cut in 0..bytes.len() {
            let mut take = Take::new(&bytes[..cut]);
            while take.varint().is_ok() && take.bytes().is_ok() {}
        }
        let twelve: Vec<u8> = vec![0xff; 12];
        assert!(Take::new(&twelve).varint().is_err());
    }

    #[test]
    fn the_length_of_varints_is_where_the_last_of_them_ends() {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for number in 0..60u64 {
            bytes.put_varint(1 << (number * 7 % 50));
            ends.push(bytes.len());
        }
        for (count, end) in ends.iter().enumerate() {
            assert_eq!(varints_length(&bytes, count), Ok(*end));
            assert_eq!(varints_length(&bytes[..*end], count), Ok(*end));
            assert!(count == 0 || varints_length(&bytes[..end - 1], count).is_err());
        }
        assert!(varints_length(&bytes, ends.len()).is_err());
    }
}
