//! Numbers of a block in as many bits as its largest needs.
//!
//! A full block (128 numbers) has the layout of the crate `bitpacking` (four lanes), which unpacks a number in a fraction of a
//! nanosecond; a shorter one has its numbers one after the other, low bits first, filled to a byte.

use bitpacking::{BitPacker, BitPacker4x};

use super::failure::{Failure, Result};

/// Postings in a full block.
pub(crate) const BLOCK: usize = BitPacker4x::BLOCK_LEN;

/// Bits that the largest number needs.
pub(crate) fn width(values: &[u32]) -> u8 {
    let all = values.iter().fold(0, |all, value| all | value);
    (32 - all.leading_zeros()) as u8
}

/// Bytes that `count` numbers of `bits` bits take.
pub(crate) fn packed_length(count: usize, bits: u8) -> usize {
    (count * usize::from(bits)).div_ceil(8)
}

pub(crate) fn pack(values: &[u32], bits: u8, out: &mut Vec<u8>) {
    let at = out.len();
    if values.len() == BLOCK {
        out.resize(at + packed_length(BLOCK, bits), 0);
        BitPacker4x::new().compress(values, &mut out[at..], bits);
        return;
    }
    let (mut buffer, mut filled) = (0u64, 0);
    for value in values {
        buffer |= u64::from(*value) << filled;
        filled += u32::from(bits);
        while filled >= 8 {
            out.push(buffer as u8);
            buffer >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(buffer as u8);
    }
}

/// Unpacks `count` numbers; `bytes` are exactly theirs.
pub(crate) fn unpack(bytes: &[u8], bits: u8, count: usize, out: &mut [u32; BLOCK]) -> Result<()> {
    if bits > 32 || count > BLOCK || bytes.len() != packed_length(count, bits) {
        return Err(Failure::Malformed("the lengths of a block do not agree"));
    }
    if count == BLOCK {
        BitPacker4x::new().decompress(bytes, out, bits);
        return Ok(());
    }
    let mask = (1u64 << bits) - 1;
    let (mut buffer, mut filled, mut bytes) = (0u64, 0, bytes.iter());
    for value in &mut out[..count] {
        while filled < u32::from(bits) {
            buffer |= u64::from(*bytes.next().unwrap_or(&0)) << filled;
            filled += 8;
        }
        *value = (buffer & mask) as u32;
        buffer >>= bits;
        filled -= u32::from(bits);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(bits in 0u32..=32, values in prop::collection::vec(any::<u32>(), 1..=BLOCK)) {
            let values: Vec<u32> = values.iter().map(|v| (u64::from(*v) & ((1u64 << bits) - 1)) as u32).collect();
            let width = width(&values);
            let mut bytes = Vec::new();
            pack(&values, width, &mut bytes);
            let mut out = [0; BLOCK];
            unpack(&bytes, width, values.len(), &mut out).unwrap();
            prop_assert_eq!(&out[..values.len()], &values[..]);
            prop_assert!(unpack(&bytes, width + 1, values.len(), &mut out).is_err() || values.len() < 8);
        }
    }

    #[test]
    fn full_blocks_of_every_width() {
        for bits in 0..=32u32 {
            let mask = ((1u64 << bits) - 1) as u32;
            let values: Vec<u32> = (0..BLOCK as u32)
                .map(|i| i.wrapping_mul(0x9e37_79b9) & mask)
                .collect();
            let mut bytes = Vec::new();
            pack(&values, bits as u8, &mut bytes);
            let mut out = [0; BLOCK];
            unpack(&bytes, bits as u8, BLOCK, &mut out).unwrap();
            assert_eq!(&out[..], &values[..]);
        }
    }
}
