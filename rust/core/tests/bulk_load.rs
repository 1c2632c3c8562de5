//! Bulk loads: what was added is what the store holds, in whatever order it came; nothing shows before, and nothing
//! is left behind by a load that did not commit.

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use sopasync_core::disk::{Disk, RealDisk, SimDisk, SplitMix64};
use sopasync_core::{
    BulkLoader, BulkOptions, BulkTarget, Database, Duplicates, Error, Isolation, Options, ScanRange,
};
use support::{WAIT, begin, for_seeds, open, reader, simulated};

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)>;

const NEW: BulkTarget<'static> = BulkTarget::New {
    name: "loaded",
    kind: 1,
    options: b"",
};

fn small_memory() -> BulkOptions {
    BulkOptions {
        memory_bytes: 64 << 10,
        ..BulkOptions::default()
    }
}

fn assert_sound(db: &Database, place: &str) {
    let report = db.check(&mut |_, _| ControlFlow::Continue(())).unwrap();
    assert!(report.is_sound(), "{place}: {report:?}");
}

fn assert_holds(db: &Database, model: &Model, place: &str) {
    let mut tx = reader(db);
    let store = tx
        .find_store("loaded")
        .unwrap_or_else(|| panic!("{place}: no store"));
    let mut expected = model.iter();
    tx.scan(
        store.id,
        &ScanRange::default(),
        WAIT,
        &mut |key, meta, value| {
            let (wanted, (wanted_meta, wanted_value)) =
                expected.next().expect("no more entries than were added");
            assert_eq!(key, wanted.as_slice(), "{place}");
            assert_eq!(meta, wanted_meta.as_slice(), "{place}: ride-along part");
            assert!(value.unwrap() == wanted_value.as_slice(), "{place}: value");
        },
    )
    .unwrap();
    assert!(expected.next().is_none(), "{place}: entries are missing");
    assert_eq!(
        tx.count(store.id, WAIT).unwrap(),
        model.len() as u64,
        "{place}"
    );
    for (key, (_, value)) in model.iter().step_by(1 + model.len() / 20) {
        assert_eq!(
            &tx.get(store.id, key, WAIT).unwrap().unwrap().value,
            value,
            "{place}"
        );
    }
}

/// Keys of all lengths, some with much in common, some very long; values inline, out of line and extents.
fn random_row(random: &mut SplitMix64, many: usize) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let number = random.below(many) as u64;
    let mut key = match random.below(40) {
        0 => vec![b'k'; 300 + random.below(7000)],
        1..8 => Vec::new(),
        8..20 => b"some/longer/prefix/of/all/".to_vec(),
        _ => b"p".to_vec(),
    };
    key.extend_from_slice(&number.to_be_bytes()[4..]);
    let length = match random.below(60) {
        0 => 70_000 + random.below(300_000),
        1 | 2 => random.below(60_000),
        3..10 => random.below(3000),
        _ => random.below(100),
    };
    let meta = if random.chance(1, 4) {
        vec![7; random.below(100)]
    } else {
        Vec::new()
    };
    (key, meta, vec![number as u8; length])
}

fn add_all(loader: &mut BulkLoader, rows: &[(Vec<u8>, Vec<u8>, Vec<u8>)]) -> Model {
    let mut model = Model::new();
    for (key, meta, value) in rows {
        loader.add(key, meta, value).unwrap();
        model.insert(key.clone(), (meta.clone(), value.clone()));
    }
    model
}

#[test]
fn a_loaded_store_equals_a_map_filled_with_the_same_rows_in_the_same_order() {
    for_seeds(40, |seed| {
        let mut random = SplitMix64::new(seed);
        let page_bytes = [512, 1024, 4096, 8192, 32768][random.below(5)];
        let disk = SimDisk::new(seed);
        let options = simulated(page_bytes, 64 * page_bytes);
        let db = open(&disk, &options).unwrap();
        let bulk = BulkOptions {
            memory_bytes: [64 << 10, 1 << 20][random.below(2)],
            fill_percent: [50, 95, 100][random.below(3)],
            ..BulkOptions::default()
        };
        let count = [0, 1, 2, 50, 700, 3000][random.below(6)];
        let mut rows: Vec<_> = (0..count).map(|_| random_row(&mut random, 1000)).collect();
        match random.below(4) {
            0 => rows.sort(),
            // Sorted, and then not any more.
            1 if count > 0 => {
                let end = random.below(count);
                rows[..end].sort();
            }
            2 => rows.sort_by(|a, b| b.cmp(a)),
            _ => {}
        }
        let mut loader = db.bulk_load(NEW, bulk).unwrap();
        let model = add_all(&mut loader, &rows);
        assert_eq!(loader.rows(), count as u64);
        assert!(
            reader(&db).find_store("loaded").is_none(),
            "nothing shows before the end"
        );
        let info = loader.finish().unwrap();
        assert_eq!(info.seq, db.last_seq());
        assert_holds(&db, &model, "at once");
        assert_sound(&db, "at once");
        db.close().unwrap();
        let db = open(&disk, &options).unwrap();
        assert_holds(&db, &model, "reopened");
        assert_sound(&db, "reopened");
        assert!(leftovers(&disk).is_empty(), "temporary files are removed");
    });
}

fn leftovers(disk: &SimDisk) -> Vec<String> {
    let names = disk.list().unwrap();
    names
        .into_iter()
        .filter(|name| name.starts_with("bulk-"))
        .collect()
}

#[test]
fn a_loaded_tree_can_be_changed_like_any_other_and_survives_replay() {
    for_seeds(20, |seed| {
        let mut random = SplitMix64::new(seed);
        let disk = SimDisk::new(seed);
        let options = simulated(1024, 64 << 10);
        let db = open(&disk, &options).unwrap();
        let mut loader = db.bulk_load(NEW, small_memory()).unwrap();
        let rows: Vec<_> = (0..600).map(|_| random_row(&mut random, 1000)).collect();
        let mut model = add_all(&mut loader, &rows);
        loader.finish().unwrap();
        for round in 0..30 {
            let mut tx = begin(&db, Isolation::Serializable);
            let store = tx.find_store("loaded").unwrap();
            for _ in 0..20 {
                let (key, meta, value) = random_row(&mut random, 1000);
                if random.chance(1, 2) {
                    tx.delete(store.id, &key).unwrap();
                    model.remove(&key);
                } else {
                    tx.put(store.id, &key, &meta, &value, true).unwrap();
                    model.insert(key, (meta, value));
                }
            }
            tx.commit().unwrap();
            if round % 10 == 3 {
                db.checkpoint().unwrap();
            }
        }
        assert_holds(&db, &model, "changed");
        assert_sound(&db, "changed");
        // The process ends here without closing: everything since the checkpoint is replayed.
        let copy = disk.duplicate(seed);
        let db = open(&copy, &options).unwrap();
        assert_holds(&db, &model, "replayed");
        assert_sound(&db, "replayed");
    });
}

#[test]
fn a_load_that_is_dropped_gives_everything_back() {
    let disk = SimDisk::new(1);
    let db = open(&disk, &simulated(1024, 64 << 10)).unwrap();
    let used = |db: &Database| {
        let now = db.statistics();
        now.file_pages - now.free_pages
    };
    let before = used(&db);
    for sorted in [true, false] {
        let mut random = SplitMix64::new(3);
        let mut rows: Vec<_> = (0..3000)
            .map(|_| random_row(&mut random, 100_000))
            .collect();
        if sorted {
            rows.sort();
        }
        let mut loader = db.bulk_load(NEW, small_memory()).unwrap();
        add_all(&mut loader, &rows);
        assert!(used(&db) > before);
        assert_eq!(
            leftovers(&disk).is_empty(),
            sorted,
            "unsorted rows went to files"
        );
        drop(loader);
        assert_eq!(used(&db), before, "every page is free again");
        assert!(leftovers(&disk).is_empty());
    }
    assert_eq!(db.last_seq(), 0);
}

#[test]
fn equal_keys_are_the_last_one_or_an_error() {
    let disk = SimDisk::new(1);
    let db = open(&disk, &simulated(1024, 64 << 10)).unwrap();
    let used = |db: &Database| {
        let now = db.statistics();
        now.file_pages - now.free_pages
    };
    let before = used(&db);
    let refuse = BulkOptions {
        duplicates: Duplicates::Refuse,
        ..small_memory()
    };
    let mut loader = db.bulk_load(NEW, refuse).unwrap();
    loader.add(b"a", b"", b"1").unwrap();
    let error = loader.add(b"a", b"", b"2").unwrap_err();
    assert!(error.to_string().contains("same key"), "{error}");
    let again = loader.add(b"b", b"", b"2").unwrap_err();
    assert_eq!(again.to_string(), error.to_string(), "the load is over");
    assert!(loader.finish().is_err());
    let mut loader = db.bulk_load(NEW, refuse).unwrap();
    for key in [b"b", b"a", b"b"] {
        loader.add(key, b"", b"").unwrap();
    }
    assert!(
        loader
            .finish()
            .unwrap_err()
            .to_string()
            .contains("same key")
    );
    assert_eq!(used(&db), before, "refused loads leave nothing");

    // Each key many times, in files and in memory, with values of their own runs.
    let mut loader = db.bulk_load(NEW, small_memory()).unwrap();
    let mut model = Model::new();
    for number in 0..3000u32 {
        let key = (number * 7 % 100).to_be_bytes().to_vec();
        let value = vec![number as u8; if number % 3 == 0 { 2000 } else { 50 }];
        loader.add(&key, b"", &value).unwrap();
        model.insert(key, (Vec::new(), value));
    }
    loader.finish().unwrap();
    assert_holds(&db, &model, "the last of each key");
    assert_sound(&db, "the last of each key");
    assert!(
        used(&db) < 400,
        "replaced values are free again: {}",
        used(&db)
    );
}

#[test]
fn only_a_new_or_empty_store_is_loaded_and_a_write_meanwhile_is_a_conflict() {
    let disk = SimDisk::new(1);
    let db = open(&disk, &simulated(1024, 64 << 10)).unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    let (full, empty) = (
        tx.create_store("full", 1, b"").unwrap(),
        tx.create_store("empty", 1, b"").unwrap(),
    );
    tx.put(full.id, b"k", b"", b"v", true).unwrap();
    tx.commit().unwrap();
    let refused = |target| db.bulk_load(target, BulkOptions::default()).err().unwrap();
    let error = refused(BulkTarget::Store(full.id));
    assert!(error.to_string().contains("not empty"), "{error}");
    assert!(matches!(
        refused(BulkTarget::Store(99)),
        Error::StoreNotFound { .. }
    ));
    let taken = BulkTarget::New {
        name: "full",
        kind: 1,
        options: b"",
    };
    assert!(matches!(refused(taken), Error::StoreExists { .. }));

    let load = |target| {
        let mut loader = db.bulk_load(target, BulkOptions::default()).unwrap();
        loader.add(b"loaded", b"", b"v").unwrap();
        loader
    };
    // Somebody writes to it.
    let loader = load(BulkTarget::Store(empty.id));
    let mut tx = begin(&db, Isolation::Serializable);
    tx.put(empty.id, b"other", b"", b"v", true).unwrap();
    tx.commit().unwrap();
    assert!(matches!(loader.finish(), Err(Error::Conflict { .. })));
    // It is empty again, with pages that died meanwhile.
    let mut tx = begin(&db, Isolation::Serializable);
    tx.delete(empty.id, b"other").unwrap();
    tx.commit().unwrap();
    load(BulkTarget::Store(empty.id)).finish().unwrap();
    assert_eq!(
        begin(&db, Isolation::Serializable)
            .count(empty.id, WAIT)
            .unwrap(),
        1
    );
    // Somebody makes a store of that name.
    let loader = load(NEW);
    let mut tx = begin(&db, Isolation::Serializable);
    tx.create_store("loaded", 1, b"").unwrap();
    tx.commit().unwrap();
    assert!(matches!(loader.finish(), Err(Error::Conflict { .. })));
    // Somebody removes it.
    let id = reader(&db).find_store("loaded").unwrap().id;
    let loader = load(BulkTarget::Store(id));
    let mut tx = begin(&db, Isolation::Serializable);
    tx.remove_store(id).unwrap();
    tx.commit().unwrap();
    assert!(matches!(loader.finish(), Err(Error::Conflict { .. })));
    assert_sound(&db, "after conflicts");
}

#[test]
fn a_transaction_that_saw_the_empty_store_conflicts_with_a_load_of_it() {
    let disk = SimDisk::new(1);
    let db = open(&disk, &simulated(1024, 64 << 10)).unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    let (store, other) = (
        tx.create_store("loaded", 1, b"").unwrap(),
        tx.create_store("other", 1, b"").unwrap(),
    );
    tx.commit().unwrap();
    let mut saw = begin(&db, Isolation::Serializable);
    assert!(saw.get(store.id, b"key", WAIT).unwrap().is_none());
    saw.put(other.id, b"k", b"", b"v", true).unwrap();
    let mut blind = begin(&db, Isolation::Serializable);
    assert!(blind.get(store.id, b"never", WAIT).unwrap().is_none());
    blind.put(other.id, b"k", b"", b"v", true).unwrap();
    let mut loader = db
        .bulk_load(BulkTarget::Store(store.id), BulkOptions::default())
        .unwrap();
    loader.add(b"key", b"", b"v").unwrap();
    loader.finish().unwrap();
    assert!(
        saw.get(store.id, b"key", WAIT).unwrap().is_none(),
        "its snapshot stays"
    );
    assert!(matches!(saw.commit(), Err(Error::Conflict { .. })));
    blind.commit().unwrap();
}

#[test]
fn arguments_out_of_range_change_nothing() {
    let disk = SimDisk::new(1);
    let db = open(&disk, &simulated(1024, 64 << 10)).unwrap();
    for options in [
        BulkOptions {
            fill_percent: 101,
            ..BulkOptions::default()
        },
        BulkOptions {
            memory_bytes: 10,
            ..BulkOptions::default()
        },
    ] {
        assert!(matches!(
            db.bulk_load(NEW, options),
            Err(Error::Invalid { .. })
        ));
    }
    let mut loader = db.bulk_load(NEW, BulkOptions::default()).unwrap();
    assert!(matches!(
        loader.add(&[1; 8001], b"", b""),
        Err(Error::KeyTooLong { .. })
    ));
    assert!(matches!(
        loader.add(b"k", &[1; 1025], b""),
        Err(Error::ValueTooLarge { .. })
    ));
    loader.add(b"k", b"", b"v").unwrap();
    loader.finish().unwrap();
    let model = Model::from([(b"k".to_vec(), (Vec::new(), b"v".to_vec()))]);
    assert_holds(&db, &model, "the good one");
}

#[test]
fn a_load_outlives_neither_its_database_nor_touches_the_next_owners_files() {
    let disk = SimDisk::new(1);
    let options = simulated(1024, 64 << 10);
    let db = open(&disk, &options).unwrap();
    let mut loader = db.bulk_load(NEW, small_memory()).unwrap();
    let mut random = SplitMix64::new(5);
    let rows: Vec<_> = (0..2000)
        .map(|_| random_row(&mut random, 100_000))
        .collect();
    add_all(&mut loader, &rows[..1000]);
    db.close().unwrap();
    let db = open(&disk, &options).unwrap();
    let before = disk.trace_len();
    let refused = rows[1000..]
        .iter()
        .any(|(key, meta, value)| loader.add(key, meta, value).is_err());
    assert!(refused, "the database is closed");
    assert!(loader.finish().is_err());
    assert_eq!(disk.trace_len(), before, "nothing was changed on the disk");
    assert_sound(&db, "the next owner");
}

#[test]
fn loads_and_commits_of_several_threads_go_on_at_the_same_time() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path(), true).unwrap());
    let db = Database::open(
        disk,
        Options {
            checkpoint_log_bytes: 1 << 20,
            ..Options::default()
        },
    )
    .unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    let busy = tx.create_store("busy", 1, b"").unwrap();
    tx.commit().unwrap();
    let done = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..3usize {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                let name = format!("loaded-{thread}");
                let target = BulkTarget::New {
                    name: &name,
                    kind: 1,
                    options: b"",
                };
                let mut loader = db.bulk_load(target, small_memory()).unwrap();
                for number in 0..30_000u64 {
                    // Sorted, backwards, by chance.
                    let key = [
                        number,
                        30_000 - number,
                        number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                    ][thread];
                    loader
                        .add(&key.to_be_bytes(), b"", &[thread as u8; 50])
                        .unwrap();
                }
                loader.finish().unwrap();
                done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            });
        }
        for thread in 0..2u8 {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                let mut number = 0u64;
                while done.load(std::sync::atomic::Ordering::SeqCst) < 3 || number < 100 {
                    let mut tx = begin(db, Isolation::Serializable);
                    let key = [&[thread][..], &(number % 500).to_be_bytes()].concat();
                    tx.put(busy.id, &key, b"", &[1; 300], true).unwrap();
                    tx.commit().unwrap();
                    number += 1;
                }
            });
        }
    });
    for thread in 0..3 {
        let mut tx = reader(&db);
        let store = tx.find_store(&format!("loaded-{thread}")).unwrap();
        assert_eq!(tx.count(store.id, WAIT).unwrap(), 30_000);
    }
    assert_sound(&db, "after all");
}
