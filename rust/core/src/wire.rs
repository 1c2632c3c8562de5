//! Lengths and numbers as they stand in log records and in the checkpoint's catalogue:
//! little-endian base-128 varints, and byte strings preceded by their length.

/// Appends to a byte vector.
pub(crate) trait Put {
    fn put_varint(&mut self, value: u64);
    fn put_bytes(&mut self, bytes: &[u8]);
    fn put_u64(&mut self, value: u64);
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

    #[inline]
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
}

/// Reads from the front of a byte slice; `None` when the bytes end early or make no sense.
pub(crate) struct Take<'a> {
    rest: &'a [u8],
}

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
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    #[inline]
    pub(crate) fn raw(&mut self, length: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(first)
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.raw(length)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.raw(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken_and_nothing_past_the_end() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let mut bytes = Vec::new();
        for number in numbers {
            bytes.put_varint(number);
            bytes.put_bytes(&number.to_be_bytes());
            bytes.put_u64(number);
        }
        let mut take = Take::new(&bytes);
        for number in numbers {
            assert_eq!(take.varint(), Some(number));
            assert_eq!(take.bytes(), Some(&number.to_be_bytes()[..]));
            assert_eq!(take.u64(), Some(number));
        }
        assert!(take.is_empty());
        assert_eq!(take.byte(), None);
        for cut in 0..bytes.len() {
            let mut take = Take::new(&bytes[..cut]);
            while take.varint().is_some() && take.bytes().is_some() && take.u64().is_some() {}
        }
    }
}
