//! What the tests of check, backup, followers and the format share: a database on a simulated disk,
//! random work on it with a plain model beside it, and damage done to its files.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod damage;
pub mod pages;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use sopasync_core::disk::{Disk, SimDisk, SplitMix64};
use sopasync_core::{
    Access, BulkOptions, BulkTarget, CheckReport, Database, Options, ScanRange, Transaction,
    TransactionOptions,
};

pub const PAGE_BYTES: usize = 512;

/// Every store: name, and its entries with ride-along part and value.
pub type Model = BTreeMap<String, BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)>>;

/// No threads, so that everything follows from the seed; small pages, so that little data has every
/// kind of page; a cache that holds a part of it.
pub fn options() -> Options {
    Options {
        page_bytes: PAGE_BYTES,
        cache_bytes: 64 << 10,
        background: false,
        segment_bytes: 32 << 10,
        ..Options::default()
    }
}

pub fn follower_options() -> Options {
    Options {
        read_only: true,
        create: false,
        ..options()
    }
}

pub fn open(disk: &SimDisk) -> Database {
    try_open(disk, options()).expect("the database opens")
}

pub fn try_open(disk: &SimDisk, options: Options) -> sopasync_core::Result<Database> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Database::open(disk, options)
}

pub fn begin(db: &Database) -> Transaction {
    db.begin(TransactionOptions::default())
        .expect("the database is open")
}

pub fn check(db: &Database) -> CheckReport {
    let mut last = None;
    let report = db
        .check(&mut |done, total| {
            assert!(done <= total, "progress of {done} of {total}");
            last = Some((done, total));
            ControlFlow::Continue(())
        })
        .expect("the check runs");
    let (done, total) = last.expect("progress was told");
    assert_eq!(done, total, "the last call says that all is done");
    report
}

pub fn assert_sound(db: &Database) -> CheckReport {
    let report = check(db);
    assert!(report.is_sound(), "{:#?}", report.faults);
    assert_eq!(report.leaked_pages, 0);
    assert_eq!(report.unverified_pages, 0);
    report
}

/// Everything in the database.
pub fn content(db: &Database) -> Model {
    let mut tx = db
        .begin(TransactionOptions {
            read_only: true,
            ..TransactionOptions::default()
        })
        .expect("the database is open");
    content_of(&mut tx).expect("everything can be read")
}

pub fn content_of(tx: &mut Transaction) -> sopasync_core::Result<Model> {
    let mut model = Model::new();
    for store in tx.stores() {
        let entries = model.entry(store.name.clone()).or_default();
        let range = ScanRange {
            limit: usize::MAX,
            limit_bytes: usize::MAX,
            ..ScanRange::default()
        };
        tx.scan(
            store.id,
            &range,
            Access::default(),
            &mut |key, meta, value| {
                entries.insert(key.to_vec(), (meta.to_vec(), value.unwrap().to_vec()));
            },
        )?;
        let count = tx.count(store.id, Access::default())?;
        assert_eq!(count, entries.len() as u64, "count of {}", store.name);
    }
    Ok(model)
}

/// Loads a new store at once.
pub fn load(db: &Database, model: &mut Model, random: &mut SplitMix64) {
    let name = format!("loaded-{}", random.below(1 << 30));
    let target = BulkTarget::New {
        name: &name,
        kind: 1,
        options: b"",
    };
    let mut loader = db.bulk_load(target, BulkOptions::default()).unwrap();
    let entries = model.entry(name.clone()).or_default();
    for number in 0..random.below(400) {
        let value = vec![number as u8; [10, 10, 10, 700][random.below(4)]];
        let key = format!("{number:05}").into_bytes();
        loader.add(&key, b"m", &value).unwrap();
        entries.insert(key, (b"m".to_vec(), value));
    }
    loader.finish().unwrap();
}

/// One random transaction on the database and its model.
pub fn work(db: &Database, model: &mut Model, random: &mut SplitMix64) {
    let mut tx = begin(db);
    let name = format!("store-{}", random.below(4));
    if let Some(store) = tx.find_store(&name) {
        if random.below(40) == 0 {
            tx.remove_store(store.id).unwrap();
            tx.commit().unwrap();
            model.remove(&name);
            return;
        }
    } else {
        tx.create_store(&name, 1, b"options").unwrap();
    }
    let store = tx.find_store(&name).unwrap();
    let entries = model.entry(name).or_default();
    for _ in 0..1 + random.below(40) {
        let key = format!("key-{:04}", random.below(1500)).into_bytes();
        if random.below(4) == 0 {
            tx.delete(store.id, &key).unwrap();
            entries.remove(&key);
            continue;
        }
        let length = match random.below(60) {
            0 => 64 << 10,
            1 | 2 => 2000,
            3..8 => 140,
            _ => random.below(30),
        };
        let mut value = vec![0; length];
        value
            .iter_mut()
            .for_each(|byte| *byte = random.next_u64() as u8);
        let meta = vec![7; random.below(3) * 5];
        tx.put(store.id, &key, &meta, &value, true).unwrap();
        entries.insert(key, (meta, value));
    }
    tx.commit().unwrap();
}

/// A disk with a database after some random work and a checkpoint, closed; and what is in it.
pub fn closed_database(seed: u64, rounds: usize) -> (SimDisk, Model) {
    let mut random = SplitMix64::new(seed);
    let disk = SimDisk::new(seed);
    let db = open(&disk);
    let mut model = Model::new();
    for _ in 0..rounds {
        work(&db, &mut model, &mut random);
    }
    db.close().unwrap();
    (disk, model)
}

/// Copies the database to a new disk.
pub fn backup(
    db: &Database,
    seed: u64,
) -> sopasync_core::Result<(SimDisk, sopasync_core::BackupReport)> {
    let target = SimDisk::new(seed);
    let disk: Arc<dyn Disk> = Arc::new(target.clone());
    let report = db.backup(disk, &mut |done, total| {
        assert!(done <= total, "progress of {done} of {total}");
        ControlFlow::Continue(())
    })?;
    Ok((target, report))
}
