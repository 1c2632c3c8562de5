//! Threads of the engine on a simulated disk, under a scheduler that chooses how they interleave.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

mod followers;
mod outcomes;
mod readers;
mod snapshots;

use std::sync::Arc;

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};
use sopasync_core::disk::{CrashOptions, Disk, SimDisk};
use sopasync_core::{Access, Database, Options, Transaction, TransactionOptions};

pub use followers::followers_see_whole_commits;
pub use outcomes::{
    every_commit_has_one_outcome, everybody_is_told_when_the_disk_fails, what_shows_is_durable,
};
pub use readers::who_follows_closely_reads_no_file;
pub use snapshots::{pinned_values_stay, snapshots_stay_as_they_are};

const STACK_BYTES: usize = 512 << 10;
/// How many changes of thread against priorities a bug may need, under the second scheduler.
const DEPTH: usize = 4;

/// Runs `scenario` as often under each of two schedulers: one chooses by chance at every step, the other gives each thread a
/// priority and changes a few of them by chance (Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of
/// Finding Bugs", 2010).
pub fn explore(scenario: fn(), seed: u64, times: usize) {
    run(scenario, RandomScheduler::new_from_seed(seed, times));
    run(scenario, PctScheduler::new_from_seed(seed, DEPTH, times));
}

fn run(scenario: fn(), scheduler: impl Scheduler + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(10_000_000);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(scenario);
}

/// Below `end`, as the schedule's seed has it.
fn below(end: u64) -> u64 {
    thread_rng().gen_range(0..end)
}

/// Small pages in a small cache; all threads of the engine run.
fn options() -> Options {
    Options {
        page_bytes: 512,
        cache_bytes: 16 << 10,
        segment_bytes: 16 << 10,
        ..Options::default()
    }
}

fn open(disk: &SimDisk, options: Options) -> sopasync_core::Result<Database> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Database::open(disk, options)
}

/// The disk as a crash at this moment leaves it: nothing that was not synced.
fn durable_now(disk: &SimDisk) -> SimDisk {
    let now = disk.trace_len();
    let mut images = disk.crash_images(CrashOptions {
        from: now,
        to: now,
        ..CrashOptions::default()
    });
    images.next().expect("an image of this moment").disk
}

fn begin(db: &Database) -> Transaction {
    db.begin(TransactionOptions::default())
        .expect("the database is open")
}

fn get(tx: &mut Transaction, store: u64, key: &[u8]) -> sopasync_core::Result<Option<Vec<u8>>> {
    let entry = tx.get(store, key, Access::default())?;
    Ok(entry.map(|entry| entry.value))
}

/// A database with one empty store.
fn with_store(disk: &SimDisk) -> (Database, u64) {
    let db = open(disk, options()).expect("a new database");
    let mut tx = begin(&db);
    let store = tx.create_store("rows", 1, b"").expect("a store").id;
    tx.commit().expect("a commit");
    (db, store)
}

/// Opens what is left without threads, and looks whether `key` is there.
fn is_there(db: &Database, store: u64, key: &[u8]) -> bool {
    let mut tx = begin(db);
    get(&mut tx, store, key).expect("a read").is_some()
}

/// Opens a disk that nobody uses any more.
fn reopen(disk: &SimDisk) -> Database {
    let quiet = Options {
        background: false,
        ..options()
    };
    open(disk, quiet).expect("it opens again")
}
