//! The rows every benchmark works on: 24-byte keys, 150-byte values.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::path::Path;
use std::sync::Arc;

use sopasync_core::disk::{RealDisk, SplitMix64};
use sopasync_core::{BulkOptions, BulkTarget, Database, Options};

pub const VALUE_BYTES: usize = 150;
pub const ROW_BYTES: usize = 24 + VALUE_BYTES;

/// Key number `number`, ascending.
pub fn key(number: u64) -> [u8; 24] {
    let mut key = *b"user00000000000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Numbers below `count` in random order.
pub fn shuffled(count: u64) -> Vec<u64> {
    let mut random = SplitMix64::new(7);
    let mut numbers: Vec<u64> = (0..count).collect();
    for last in (1..numbers.len()).rev() {
        numbers.swap(last, random.below(last + 1));
    }
    numbers
}

pub fn value(number: u64) -> [u8; VALUE_BYTES] {
    let mut value = [0x5a; VALUE_BYTES];
    value[..8].copy_from_slice(&number.to_le_bytes());
    value
}

pub fn open(folder: &Path, options: Options) -> Database {
    let disk = RealDisk::open(folder, true).expect("the folder can be made");
    Database::open(Arc::new(disk), options).expect("the database opens")
}

/// A new folder on the disk that holds the build.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be made")
}

/// Loads rows into a new store; its number.
pub fn load(db: &Database, name: &str, numbers: impl Iterator<Item = u64>) -> u64 {
    let target = BulkTarget::New {
        name,
        kind: 1,
        options: b"",
    };
    let mut loader = db
        .bulk_load(target, BulkOptions::default())
        .expect("the store is new");
    for number in numbers {
        loader
            .add(&key(number), b"", &value(number))
            .expect("a row is added");
    }
    let id = loader.store().id;
    loader.finish().expect("the load commits");
    id
}
