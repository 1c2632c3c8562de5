//! Numbers as strings of bits, low bits first: small ones in few bits, and ascending ones in hardly more than a choice of them needs.
//!
//! ```text
//! minimal(r)  := a number below r, in floor(log2 r) bits or one more            (phased-in, "truncated binary")
//! golomb(k)   := floor(n / 2^k) + 1 in Elias' gamma code, then k bits           (Exp-Golomb)
//! ascending   := the middle one, minimal in the range that the others leave it; those before it; those behind it
//! ```
//! The last is binary interpolative coding (Moffat and Stuiver, "Binary Interpolative Coding for Effective Index Compression", 2000): runs of
//! neighbours cost nothing.

use super::failure::{Failure, Result};

const CUT: Failure =
    Failure::Malformed("a string of bits ends early, or a number in it is too large");

/// Appends to a string of bits.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    buffer: u64,
    filled: u32,
}

impl BitWriter {
    /// At most 32 bits at a time.
    fn put(&mut self, value: u64, bits: u32) {
        debug_assert!(bits <= 32 && value >> bits == 0);
        self.buffer |= value << self.filled;
        self.filled += bits;
        while self.filled >= 8 {
            self.bytes.push(self.buffer as u8);
            self.buffer >>= 8;
            self.filled -= 8;
        }
    }

    fn put_minimal(&mut self, value: u32, range: u64) {
        let bits = range.ilog2();
        let short = (2 << bits) - range;
        if u64::from(value) < short {
            self.put(u64::from(value), bits);
        } else {
            let value = u64::from(value) + short;
            self.put(value >> 1, bits);
            self.put(value & 1, 1);
        }
    }

    pub(crate) fn put_golomb(&mut self, value: u32, k: u32) {
        let high = (u64::from(value) >> k) + 1;
        let bits = high.ilog2();
        self.put(0, bits);
        self.put(1, 1);
        self.put(high - (1 << bits), bits);
        self.put(u64::from(value) & ((1 << k) - 1), k);
    }

    /// Numbers that ascend strictly, all below `end`.
    pub(crate) fn put_ascending(&mut self, numbers: &[u32], end: u32) {
        self.put_between(numbers, 0, u64::from(end));
    }

    fn put_between(&mut self, numbers: &[u32], low: u64, high: u64) {
        let middle = numbers.len() / 2;
        let Some(number) = numbers.get(middle) else {
            return;
        };
        let behind = (numbers.len() - 1 - middle) as u64;
        let least = low + middle as u64;
        self.put_minimal((u64::from(*number) - least) as u32, high - behind - least);
        self.put_between(&numbers[..middle], low, u64::from(*number));
        self.put_between(&numbers[middle + 1..], u64::from(*number) + 1, high);
    }

    /// All of it, filled to a byte.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.bytes.push(self.buffer as u8);
        }
        self.bytes
    }
}

/// Reads a string of bits from its front.
#[derive(Debug)]
pub(crate) struct BitReader<'b> {
    bytes: &'b [u8],
    buffer: u64,
    filled: u32,
}

impl<'b> BitReader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            buffer: 0,
            filled: 0,
        }
    }

    /// At most 32 bits at a time.
    #[inline]
    fn take(&mut self, bits: u32) -> Result<u64> {
        while self.filled < bits {
            let (first, rest) = self.bytes.split_first().ok_or(CUT)?;
            self.buffer |= u64::from(*first) << self.filled;
            self.filled += 8;
            self.bytes = rest;
        }
        let value = self.buffer & ((1 << bits) - 1);
        self.buffer >>= bits;
        self.filled -= bits;
        Ok(value)
    }

    fn take_minimal(&mut self, range: u64) -> Result<u32> {
        let bits = range.ilog2();
        let short = (2 << bits) - range;
        let value = self.take(bits)?;
        if value < short {
            return Ok(value as u32);
        }
        Ok(((value << 1 | self.take(1)?) - short) as u32)
    }

    pub(crate) fn take_golomb(&mut self, k: u32) -> Result<u32> {
        let mut bits = 0;
        while self.take(1)? == 0 {
            bits += 1;
            if bits > 32 {
                return Err(CUT);
            }
        }
        let high = (1u64 << bits) + self.take(bits)? - 1;
        let value = high << k | self.take(k)?;
        u32::try_from(value).map_err(|_| CUT)
    }

    /// So many numbers below `end`, appended to `out`.
    pub(crate) fn take_ascending(
        &mut self,
        count: u32,
        end: u32,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        if count > end {
            return Err(CUT);
        }
        let at = out.len();
        out.resize(at + count as usize, 0);
        self.take_between(&mut out[at..], 0, u64::from(end))
    }

    fn take_between(&mut self, out: &mut [u32], low: u64, high: u64) -> Result<()> {
        let middle = out.len() / 2;
        let behind = out.len().saturating_sub(1 + middle) as u64;
        let (before, rest) = out.split_at_mut(middle);
        let Some((number, after)) = rest.split_first_mut() else {
            return Ok(());
        };
        let least = low + middle as u64;
        *number = self.take_minimal(high - behind - least)? + least as u32;
        let number = u64::from(*number);
        self.take_between(before, low, number)?;
        self.take_between(after, number + 1, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken_and_a_cut_is_noticed(
            lists in prop::collection::vec((prop::collection::btree_set(0u32..400, 0..60), 0u32..500, 0u32..6), 1..20),
        ) {
            let mut bits = BitWriter::default();
            for (numbers, more, k) in &lists {
                let numbers: Vec<u32> = numbers.iter().copied().collect();
                let end = numbers.last().map_or(0, |last| last + 1) + more;
                bits.put_golomb(end, *k);
                bits.put_golomb(numbers.len() as u32, *k);
                bits.put_ascending(&numbers, end);
            }
            let bytes = bits.finish();
            let read = |bytes: &[u8]| {
                let mut bits = BitReader::new(bytes);
                let mut read = Vec::new();
                for (_, _, k) in &lists {
                    let (end, count) = (bits.take_golomb(*k)?, bits.take_golomb(*k)?);
                    let mut numbers = Vec::new();
                    bits.take_ascending(count, end, &mut numbers)?;
                    read.push(numbers);
                }
                Ok::<_, Failure>(read)
            };
            let expected: Vec<Vec<u32>> = lists.iter().map(|list| list.0.iter().copied().collect()).collect();
            prop_assert_eq!(read(&bytes).unwrap(), expected);
            prop_assert!(read(&bytes[..bytes.len() - 1]).is_err());
        }

        #[test]
        fn any_bits_are_numbers_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60), end in any::<u32>(), k in 0u32..9) {
            let mut bits = BitReader::new(&bytes);
            let mut numbers = Vec::new();
            while let Ok(count) = bits.take_golomb(k) {
                numbers.clear();
                if bits.take_ascending(count % 100, end, &mut numbers).is_err() {
                    break;
                }
                prop_assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.iter().all(|number| *number < end));
            }
        }
    }

    #[test]
    fn the_largest_numbers_and_runs_of_neighbours() {
        let mut bits = BitWriter::default();
        bits.put_golomb(u32::MAX, 0);
        bits.put_golomb(u32::MAX, 4);
        let numbers: Vec<u32> = (0..1000).collect();
        bits.put_ascending(&numbers, 1000);
        bits.put_ascending(&[u32::MAX - 1], u32::MAX);
        let bytes = bits.finish();
        assert!(
            bytes.len() <= 21,
            "a thousand neighbours cost {} bytes",
            bytes.len()
        );
        let (mut bits, mut read) = (BitReader::new(&bytes), Vec::new());
        assert_eq!(
            (bits.take_golomb(0), bits.take_golomb(4)),
            (Ok(u32::MAX), Ok(u32::MAX))
        );
        bits.take_ascending(1000, 1000, &mut read).unwrap();
        bits.take_ascending(1, u32::MAX, &mut read).unwrap();
        assert_eq!((&read[..1000], read[1000]), (&numbers[..], u32::MAX - 1));
    }
}
