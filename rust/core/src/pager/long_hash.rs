//! xxh3-64 of a long value: by several threads, or while it is being read.
//!
//! It is written out here because the crate `xxhash_rust` has the processor's wide instructions only where the whole program
//! is compiled for them, and goes through a value with one thread.
//!
//! XXH3 takes a long input in blocks of 1024 bytes. What a block adds to the eight lanes does not depend on the blocks before
//! it; only what is done to the lanes between two blocks does ("XXH3 algorithm overview", "long inputs", in the specification of
//! xxHash, `doc/xxhash_spec.md`). So threads add up blocks, pieces of them in turn, and one goes through their sums in order.
//!
//! H1  The hash is that of the crate `xxhash_rust` for the same bytes.
//! H2  Memory is bounded by a few pieces' sums per thread, however long the value.
//! H3  Every processor makes the same sums, whichever of its instructions are used.

use std::io;
use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};

use crate::sync::processors;

/// What a thread takes at a time: so much is made resident, and so read from the disk, before it is looked at.
const PIECE_BYTES: usize = 2 << 20;
/// Length from which another thread is worth its making.
const SHARED_MIN: usize = 8 << 20;
/// More would not be faster than memory is.
const THREADS_MAX: usize = 4;
/// Pieces whose sums a thread may be ahead.
const PIECES_AHEAD: usize = 2;

/// How far ahead memory is fetched.
const AHEAD_BYTES: usize = 4 << 10;

const STRIPE_BYTES: usize = 64;
const BLOCK_STRIPES: usize = 16;
const BLOCK_BYTES: usize = STRIPE_BYTES * BLOCK_STRIPES;

type Lanes = [u64; 8];

const START: Lanes = [
    0xC2B2_AE3D,
    0x9E37_79B1_85EB_CA87,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0x85EB_CA77_C2B2_AE63,
    0x85EB_CA77,
    0x27D4_EB2F_1656_67C5,
    0x9E37_79B1,
];
const PRIME32_1: u64 = 0x9E37_79B1;
const PRIME64_1: u64 = 0x9E37_79B1_85EB_CA87;
const AVALANCHE: u64 = 0x1656_6791_9E37_79F9;

/// XXH3's own.
const SECRET: [u8; 192] = [
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
];
/// Where in the secret is what is used between blocks, for the last stripe, and at the end.
const SCRAMBLE_AT: usize = 128;
const LAST_AT: usize = 121;
const MERGE_AT: usize = 11;

/// Shorter inputs are hashed otherwise.
const LENGTH_MIN: usize = 241;

/// Bytes of a value in whole blocks. The last byte is never among them.
fn blocks_bytes(length: usize) -> usize {
    (length - 1) / BLOCK_BYTES * BLOCK_BYTES
}

/// The hash of a value of `LENGTH_MIN` bytes and more while its bytes come, one after the other.
pub(super) struct GrowingHash {
    lanes: Lanes,
    /// So many bytes are in the lanes.
    done: usize,
}

impl GrowingHash {
    pub(super) fn new() -> Self {
        Self {
            lanes: START,
            done: 0,
        }
    }

    /// The first `known` bytes of the value are there: no less than when this was called before.
    pub(super) fn advance(&mut self, value: &[u8], known: usize) {
        let end = (known / BLOCK_BYTES * BLOCK_BYTES).min(blocks_bytes(value.len()));
        let lanes = &mut self.lanes;
        each_sum(&value[self.done..end], |sum| take(lanes, &sum));
        self.done = end;
    }

    /// The hash of the value, which is all there.
    pub(super) fn finish(mut self, value: &[u8]) -> u64 {
        self.advance(value, value.len());
        finish(self.lanes, value)
    }
}

/// The hash of a value of `LENGTH_MIN` bytes and more. `load` makes a part of it resident, and is called for every part before
/// that is looked at, by any thread.
pub(super) fn hash(
    value: &[u8],
    load: &(dyn Fn(Range<usize>) -> io::Result<()> + Sync),
) -> io::Result<u64> {
    let threads = if value.len() < SHARED_MIN {
        1
    } else {
        processors().min(THREADS_MAX)
    };
    hash_with(value, load, threads, PIECE_BYTES)
}

fn hash_with(
    value: &[u8],
    load: &(dyn Fn(Range<usize>) -> io::Result<()> + Sync),
    threads: usize,
    piece_bytes: usize,
) -> io::Result<u64> {
    let blocks = &value[..blocks_bytes(value.len())];
    let sums = |number: usize| -> io::Result<Vec<Lanes>> {
        let start = number * piece_bytes;
        let piece = start..blocks.len().min(start + piece_bytes);
        load(piece.clone())?;
        let mut sums = Vec::with_capacity(piece.len() / BLOCK_BYTES);
        for block in blocks[piece].chunks(BLOCK_BYTES) {
            fetch_ahead(block);
            each_sum(block, |sum| sums.push(sum));
        }
        Ok(sums)
    };
    let pieces = blocks.len().div_ceil(piece_bytes);
    let mut lanes = START;
    std::thread::scope(|scope| {
        let others: Vec<Receiver<io::Result<Vec<Lanes>>>> = (1..threads)
            .map(|first| {
                let (sender, receiver) = sync_channel(PIECES_AHEAD);
                let sums = &sums;
                scope.spawn(move || {
                    let mut numbers = (first..pieces).step_by(threads);
                    // Nobody takes them any more after an error.
                    let _ = numbers.try_for_each(|number| sender.send(sums(number)));
                });
                receiver
            })
            .collect();
        for number in 0..pieces {
            let sums = match number % threads {
                0 => sums(number)?,
                other => (others[other - 1].recv()).expect("one for every piece")?,
            };
            sums.iter().for_each(|sum| take(&mut lanes, sum));
        }
        Ok::<(), io::Error>(())
    })?;
    load(blocks.len()..value.len())?;
    Ok(finish(lanes, value))
}

/// Takes what a whole block adds.
#[inline]
fn take(lanes: &mut Lanes, sum: &Lanes) {
    add(lanes, sum);
    scramble(lanes);
}

/// The hash of a value whose whole blocks are in the lanes.
fn finish(mut lanes: Lanes, value: &[u8]) -> u64 {
    assert!(
        value.len() >= LENGTH_MIN,
        "shorter inputs are hashed otherwise"
    );
    let rest = &value[blocks_bytes(value.len())..value.len() - 1];
    let (stripes, _) = rest.as_chunks::<STRIPE_BYTES>();
    add(&mut lanes, &sum_of(stripes, 0));
    let last = value.last_chunk().expect("longer than a stripe");
    add(&mut lanes, &sum_of(std::slice::from_ref(last), LAST_AT));
    merge(&lanes, value.len())
}

/// Has the processor fetch the block that is to be looked at soon: by itself it stops at the end of a page.
#[inline]
fn fetch_ahead(of: &[u8]) {
    let ahead = of.as_ptr().wrapping_add(AHEAD_BYTES);
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for at in (0..BLOCK_BYTES).step_by(STRIPE_BYTES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing that the program sees and never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(at).cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = ahead;
}

/// Hands what each of some whole blocks adds to `then`.
fn each_sum(blocks: &[u8], then: impl FnMut(Lanes)) {
    let (blocks, _) = blocks.as_chunks::<BLOCK_BYTES>();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx2::each_sum(blocks, then) };
    }
    each_sum_plain(blocks, then);
}

fn each_sum_plain(blocks: &[[u8; BLOCK_BYTES]], mut then: impl FnMut(Lanes)) {
    for block in blocks {
        let (stripes, _) = block.as_chunks::<STRIPE_BYTES>();
        then(sum_of(stripes, 0));
    }
}

/// The same with instructions for four lanes at once. Left to itself the compiler takes the same lane of several stripes
/// together, which is half as fast.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use bytemuck::pod_read_unaligned;

    use super::{BLOCK_BYTES, Lanes, SECRET, STRIPE_BYTES};

    const HALF_BYTES: usize = STRIPE_BYTES / 2;
    /// Changes each word's place with its neighbour's.
    const NEIGHBOURS: i32 = 0b01_00_11_10;

    #[target_feature(enable = "avx2")]
    pub(super) fn each_sum(blocks: &[[u8; BLOCK_BYTES]], mut then: impl FnMut(Lanes)) {
        for block in blocks {
            let halves = [half_of(block, 0), half_of(block, HALF_BYTES)];
            then(bytemuck::cast(halves));
        }
    }

    /// What a block adds to four lanes.
    #[target_feature(enable = "avx2")]
    fn half_of(block: &[u8; BLOCK_BYTES], at: usize) -> __m256i {
        let (mut products, mut words) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        let (stripes, _) = block.as_chunks::<STRIPE_BYTES>();
        for (number, stripe) in stripes.iter().enumerate() {
            let word: __m256i = pod_read_unaligned(&stripe[at..at + HALF_BYTES]);
            let secret = pod_read_unaligned(&SECRET[8 * number + at..][..HALF_BYTES]);
            let mixed = _mm256_xor_si256(word, secret);
            let product = _mm256_mul_epu32(mixed, _mm256_srli_epi64::<32>(mixed));
            products = _mm256_add_epi64(products, product);
            words = _mm256_add_epi64(words, word);
        }
        _mm256_add_epi64(products, _mm256_shuffle_epi32::<NEIGHBOURS>(words))
    }
}

/// What stripes add, with the secret from `secret_at` on.
#[inline(always)]
fn sum_of(stripes: &[[u8; STRIPE_BYTES]], secret_at: usize) -> Lanes {
    let (mut products, mut words) = ([0_u64; 8], [0_u64; 8]);
    for (number, stripe) in stripes.iter().enumerate() {
        let secret = &SECRET[secret_at + 8 * number..][..STRIPE_BYTES];
        for lane in 0..8 {
            let word = word_at(stripe, 8 * lane);
            let mixed = word ^ word_at(secret, 8 * lane);
            products[lane] = products[lane].wrapping_add((mixed & 0xFFFF_FFFF) * (mixed >> 32));
            words[lane] = words[lane].wrapping_add(word);
        }
    }
    // A word goes to the lane beside its own.
    std::array::from_fn(|lane| products[lane].wrapping_add(words[lane ^ 1]))
}

#[inline(always)]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("eight bytes"))
}

#[inline]
fn add(lanes: &mut Lanes, sum: &Lanes) {
    for (lane, added) in lanes.iter_mut().zip(sum) {
        *lane = lane.wrapping_add(*added);
    }
}

#[inline]
fn scramble(lanes: &mut Lanes) {
    for (number, lane) in lanes.iter_mut().enumerate() {
        let mixed = *lane ^ (*lane >> 47) ^ word_at(&SECRET, SCRAMBLE_AT + 8 * number);
        *lane = mixed.wrapping_mul(PRIME32_1);
    }
}

fn merge(lanes: &Lanes, length: usize) -> u64 {
    let mut merged = (length as u64).wrapping_mul(PRIME64_1);
    for pair in 0..4 {
        let half = |odd: usize| {
            let number = 2 * pair + odd;
            u128::from(lanes[number] ^ word_at(&SECRET, MERGE_AT + 8 * number))
        };
        let product = half(0) * half(1);
        merged = merged.wrapping_add(product as u64 ^ (product >> 64) as u64);
    }
    merged = (merged ^ (merged >> 37)).wrapping_mul(AVALANCHE);
    merged ^ (merged >> 32)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use xxhash_rust::xxh3::xxh3_64;

    use super::*;
    use crate::disk::SplitMix64;

    fn bytes(length: usize) -> Vec<u8> {
        let mut random = SplitMix64::new(length as u64);
        (0..length).map(|_| random.below(256) as u8).collect()
    }

    #[test]
    fn it_is_the_hash_that_one_thread_makes() {
        let all = bytes(40_000);
        let edges = [1, 2, 5].map(|blocks| blocks * BLOCK_BYTES);
        let near = edges.iter().flat_map(|edge| edge - 66..edge + 67);
        for length in (241..400).chain(near).chain([9_000, 39_999, 40_000]) {
            let value = &all[..length];
            for (threads, piece) in [(1, 4), (2, 1), (3, 2), (4, 1)] {
                let found = hash_with(value, &|_| Ok(()), threads, piece * BLOCK_BYTES);
                assert_eq!(
                    found.unwrap(),
                    xxh3_64(value),
                    "{length} bytes, {threads} threads"
                );
            }
            for step in [1, 100, BLOCK_BYTES, 5000] {
                let mut growing = GrowingHash::new();
                (0..length)
                    .step_by(step)
                    .for_each(|known| growing.advance(value, known));
                assert_eq!(
                    growing.finish(value),
                    xxh3_64(value),
                    "{length} bytes, {step} at a time"
                );
            }
            let mut sums = (Vec::new(), Vec::new());
            each_sum(value, |sum| sums.0.push(sum));
            each_sum_plain(value.as_chunks().0, |sum| sums.1.push(sum));
            assert_eq!(sums.0, sums.1);
        }
        let long = bytes(SHARED_MIN + 12_345);
        assert_eq!(hash(&long, &|_| Ok(())).unwrap(), xxh3_64(&long));
    }

    #[test]
    fn every_part_is_loaded_first_and_what_cannot_be_is_an_error() {
        let value = bytes(20 * BLOCK_BYTES + 77);
        for threads in 1..4 {
            let loaded = Mutex::new(Vec::new());
            let note = |part: Range<usize>| {
                loaded.lock().unwrap().extend(part);
                Ok(())
            };
            hash_with(&value, &note, threads, 2 * BLOCK_BYTES).unwrap();
            let mut loaded = loaded.into_inner().unwrap();
            loaded.sort_unstable();
            assert_eq!(loaded, (0..value.len()).collect::<Vec<_>>());
            for at in (0..value.len()).step_by(BLOCK_BYTES) {
                let fail = |part: Range<usize>| match part.contains(&at) {
                    true => Err(io::Error::other("the disk")),
                    false => Ok(()),
                };
                assert!(hash_with(&value, &fail, threads, 2 * BLOCK_BYTES).is_err());
            }
        }
    }
}
