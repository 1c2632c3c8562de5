//! Identities of items in stores whose keys are not unique: UUIDs of version 7, ascending within the process.
//!
//! ```text
//! 48 bits milliseconds since 1970 · 4 bits version · 12 bits · 2 bits variant · 62 bits
//! ```
//! The 74 free bits are drawn at random for each new millisecond and counted up within it.

use std::hash::{BuildHasher, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// Free bits: 12 before the variant and 62 after it.
const FREE_BITS: u32 = 74;
/// The highest free bit is drawn as zero, so that counting within a millisecond has room.
const DRAWN_MASK: u128 = (1 << (FREE_BITS - 1)) - 1;

/// Milliseconds and free bits of the newest one.
struct Newest {
    time: u64,
    free: u128,
}

/// A new identity, above every one given before.
pub fn next_item_id() -> [u8; 16] {
    static NEWEST: Mutex<Newest> = Mutex::new(Newest { time: 0, free: 0 });
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    let mut newest = NEWEST.lock();
    if now > newest.time {
        *newest = Newest {
            time: now,
            free: random_bits() & DRAWN_MASK,
        };
    } else {
        // Also when the clock was set back.
        newest.free += 1;
        if newest.free >> FREE_BITS != 0 {
            *newest = Newest {
                time: newest.time + 1,
                free: random_bits() & DRAWN_MASK,
            };
        }
    }
    assemble(newest.time, newest.free)
}

fn assemble(time: u64, free: u128) -> [u8; 16] {
    let high = free >> 62;
    let low = free & ((1 << 62) - 1);
    (u128::from(time) << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low).to_be_bytes()
}

fn random_bits() -> u128 {
    // The keys of a `RandomState` come from the operating system; no two of them hash alike. A forked child has
    // its parent's, so the process is hashed too.
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    half() << 64 | half()
}
