//! Memory of a process that takes in far more vectors than its cache holds: within the cache and 64 MiB.
//!
//! What counts is anonymous memory, the highest there was: pages of mapped files are the system's to drop or write out. It
//! is that of the whole process, so a test of it has a program of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sopasync_core::disk::{Disk, RealDisk, SplitMix64};
use sopasync_core::vector::{VECTOR_KIND, VectorOptions, VectorQuery, VectorStore};
use sopasync_core::{Database, Isolation, Maintainer, Options, Result, Step, StoreInfo};

use super::{create, numbered};
use crate::support::{WAIT, begin, reader};

/// Numbers of each vector.
pub const DIMENSION: usize = 128;
const MIB: usize = 1 << 20;
const CACHE: usize = 16 * MIB;
const BEYOND_MAX: usize = 64 * MIB;
const ROWS: usize = 100_000;
const COMMIT: usize = 1000;
/// More than may be kept of those that nobody makes a segment of.
const ROWS_BEHIND: usize = 150_000;

/// Anonymous resident memory of this process.
fn anonymous() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kibibytes
        .expect("a number")
        .trim()
        .parse::<usize>()
        .expect("a number")
        * 1024
}

/// Looks at the memory again and again.
struct Peak {
    highest: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peak {
    fn watch() -> Self {
        let (highest, ended) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (noted, stop) = (Arc::clone(&highest), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                noted.fetch_max(anonymous(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self {
            highest,
            ended,
            thread: Some(thread),
        }
    }
}

impl Drop for Peak {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Vectors in clusters, as much structure as embeddings have.
fn vectors(random: &mut SplitMix64, centres: &[f32]) -> Vec<u8> {
    let mut rows = Vec::with_capacity(COMMIT * DIMENSION * 4);
    for _ in 0..COMMIT {
        let centre = random.below(centres.len() / DIMENSION) * DIMENSION;
        for value in &centres[centre..centre + DIMENSION] {
            let value = value + random.below(1000) as f32 / 1000.0;
            rows.extend_from_slice(&value.to_le_bytes());
        }
    }
    rows
}

fn key(row: usize) -> String {
    format!("{row:08}")
}

fn pour(db: &Database, store: &VectorStore, count: usize) {
    let mut random = SplitMix64::new(5);
    let centres: Vec<f32> = (0..100 * DIMENSION)
        .map(|_| random.below(1000) as f32 / 250.0)
        .collect();
    for first in (0..count).step_by(COMMIT) {
        let rows = vectors(&mut random, &centres);
        let keys: Vec<String> = (first..first + COMMIT).map(key).collect();
        let payloads: Vec<Vec<u8>> = (0..COMMIT).map(|row| numbered(row as u16)).collect();
        let mut tx = begin(db, Isolation::Serializable);
        let added = store.upsert_many(&mut tx, &keys, &rows, &payloads, true);
        added.expect("vectors");
        tx.commit().expect("a commit");
    }
}

/// Bytes beyond the cache while vectors are added, and until there is nothing left to maintain.
fn beyond(options: &VectorOptions) -> [usize; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path(), true).expect("a disk"));
    let settings = Options {
        cache_bytes: CACHE,
        ..Options::default()
    };
    let before = anonymous();
    let db = Database::open(disk, settings).expect("a database");
    let store = create(&db, "vectors", options);
    let peak = Peak::watch();
    pour(&db, &store, ROWS);
    let added = peak.highest.swap(0, Ordering::Relaxed);
    db.settle(store.id()).expect("maintenance");
    let built = peak.highest.load(Ordering::Relaxed);
    drop(peak);
    let statistics = store.statistics();
    let rows: usize = statistics.segments.iter().map(|segment| segment.rows).sum();
    // A store without graphs keeps up to 8 MiB of vectors in memory.
    assert!(rows > ROWS * 4 / 5, "{rows} vectors in segments");
    db.close().expect("closes");
    [added, built].map(|bytes| bytes.saturating_sub(before + CACHE))
}

/// Asserts that a store of that kind stays within its memory.
pub fn stays_within(name: &str, options: &VectorOptions) {
    let [added, built] = beyond(options);
    eprintln!(
        "{name}: {} KiB while added, {} KiB while built",
        added >> 10,
        built >> 10
    );
    for (when, bytes) in [("added", added), ("built", built)] {
        assert!(
            bytes <= BEYOND_MAX,
            "{name}: {} MiB while {when}",
            bytes / MIB
        );
    }
}

struct Idle;

impl Maintainer for Idle {
    fn step(&self, _: &Database, _: &StoreInfo) -> Result<Step> {
        Ok(Step::Idle)
    }
}

/// Asserts that searches stay within their memory when nothing of a store has been maintained, and still find what is there.
pub fn searches_behind_stay_within(options: &VectorOptions) {
    let folder = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path(), true).expect("a disk"));
    let settings = Options {
        cache_bytes: CACHE,
        ..Options::default()
    };
    let before = anonymous();
    let db = Database::open(disk, settings).expect("a database");
    db.maintain_kind(VECTOR_KIND, Arc::new(Idle));
    let store = create(&db, "vectors", options);
    pour(&db, &store, ROWS_BEHIND);
    db.checkpoint().expect("a checkpoint");
    // One after the other in one piece: the test itself is to take next to nothing.
    let keys: String = (0..ROWS_BEHIND).map(key).collect();
    let keys: Vec<&[u8]> = keys.as_bytes().chunks_exact(key(0).len()).collect();
    let poured = anonymous().saturating_sub(before);
    let peak = Peak::watch();
    let mut tx = reader(&db);
    for row in (0..ROWS_BEHIND).step_by(ROWS_BEHIND / 4) {
        let sought = store.get(&mut tx, keys[row], WAIT);
        let sought = sought.expect("a read").expect("it is there").elements;
        let query = VectorQuery::new(&sought, 10);
        let found = store.query(&mut tx, &query, WAIT).expect("a search");
        let among = store.find_among(&mut tx, &query, keys.iter().copied(), WAIT);
        let among = among.expect("a search");
        assert_eq!(found[0].len(), 10);
        assert_eq!(found[0][0].distance, 0.0);
        for (place, hit) in found[0].iter().enumerate() {
            assert_eq!(hit.key, among.key(place));
        }
    }
    let searched = peak.highest.load(Ordering::Relaxed);
    drop(peak);
    let beyond = searched.saturating_sub(before + CACHE);
    eprintln!(
        "far behind: {} KiB in all before, {} KiB beyond the cache while searched",
        poured >> 10,
        beyond >> 10
    );
    assert!(beyond <= BEYOND_MAX, "{} MiB while searched", beyond / MIB);
    drop(tx);
    db.close().expect("closes");
}
