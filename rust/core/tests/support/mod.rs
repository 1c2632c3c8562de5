//! What the tests of the engine share: a model of the database, random transactions on both, and the
//! checks that compare them. Everything follows from a seed, which is printed when a check fails.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod bench;
pub mod check;
pub mod clients;
pub mod crashes;
pub mod damage;
pub mod derived;
pub mod elle;
pub mod faults;
pub mod groups;
pub mod history;
pub mod hooked;
pub mod life;
#[cfg(unix)]
pub mod mapping;
pub mod number;
pub mod session;
pub mod skew;
pub mod stamped;
pub mod state;

use std::sync::Arc;

use sopasync_core::disk::{Disk, SimDisk, SplitMix64};
use sopasync_core::{Access, Database, Isolation, Options, Transaction, TransactionOptions};

/// Multiplies the work of every suite; set by the long `make` targets.
pub fn scale() -> usize {
    let wanted = std::env::var("SOPASYNC_TEST_SCALE").ok();
    wanted.map_or(1, |wanted| {
        wanted
            .parse()
            .expect("SOPASYNC_TEST_SCALE is a whole number")
    })
}

/// Calls `run` for `count * scale` seeds, or for the one in SOPASYNC_TEST_SEED; a failure names its seed.
pub fn for_seeds(count: usize, run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    if let Ok(seed) = std::env::var("SOPASYNC_TEST_SEED") {
        return run(seed.parse().expect("SOPASYNC_TEST_SEED is a number"));
    }
    for seed in 0..(count * scale()) as u64 {
        if let Err(reason) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("failed with SOPASYNC_TEST_SEED={seed}");
            std::panic::resume_unwind(reason);
        }
    }
}

/// Options for a simulated disk: no threads, so that everything follows from the seed.
pub fn simulated(page_bytes: usize, cache_bytes: usize) -> Options {
    Options {
        page_bytes,
        cache_bytes,
        background: false,
        segment_bytes: 32 << 10,
        ..Options::default()
    }
}

pub fn open(disk: &SimDisk, options: &Options) -> sopasync_core::Result<Database> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Database::open(disk, options.clone())
}

pub fn begin(db: &Database, isolation: Isolation) -> Transaction {
    db.begin(TransactionOptions {
        isolation,
        read_only: false,
    })
    .expect("the database is open")
}

pub fn reader(db: &Database) -> Transaction {
    db.begin(TransactionOptions {
        isolation: Isolation::Serializable,
        read_only: true,
    })
    .expect("the database is open")
}

pub const WAIT: Access = Access {
    may_wait: true,
    track: true,
};

/// An index into weights, by chance.
pub fn pick(random: &mut SplitMix64, weights: &[usize]) -> usize {
    let mut left = random.below(weights.iter().sum());
    for (index, weight) in weights.iter().enumerate() {
        if left < *weight {
            return index;
        }
        left -= weight;
    }
    unreachable!("below the sum")
}
