//! What went wrong in the library this one follows, by name, and must not go wrong here. Lost commits under threads,
//! hangs under splits and pre-seeding are in `concurrency.rs`; write skew, phantoms and read skew in `isolation.rs`.

mod support;

use std::ops::Bound;
use std::sync::Arc;

use sopasync_core::disk::{RealDisk, SimDisk};
use sopasync_core::{Database, Error, Isolation, MergeOp, Options, ScanRange};
use support::check::{assert_nothing_in_flight, assert_sound, read_all};
use support::number::encode_int;
use support::{WAIT, begin, open, reader, simulated};

fn database() -> (Database, u64) {
    let db = open(&SimDisk::new(1), &simulated(512, 64 << 10)).unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    let id = tx.create_store("items", 0, b"").unwrap().id;
    tx.commit().unwrap();
    (db, id)
}

#[test]
fn an_empty_store_is_scanned_either_way_and_counted() {
    let (db, id) = database();
    for reverse in [false, true] {
        let mut tx = begin(&db, Isolation::Serializable);
        let range = ScanRange {
            reverse,
            limit: 10,
            ..ScanRange::default()
        };
        let last = tx.scan(id, &range, WAIT, &mut |_, _, _| panic!("nothing is there"));
        assert_eq!(last.unwrap(), None);
        assert_eq!(tx.skip(id, &range, 0, WAIT).unwrap(), None);
        assert_eq!(tx.count(id, WAIT).unwrap(), 0);
        assert!(tx.get(id, b"", WAIT).unwrap().is_none());
        tx.delete(id, b"nothing").unwrap();
        tx.commit().unwrap();
    }
}

#[test]
fn a_store_emptied_again_is_as_good_as_new() {
    let (db, id) = database();
    for round in 0..3u8 {
        let mut tx = begin(&db, Isolation::Serializable);
        (0..300u32).for_each(|key| {
            tx.put(id, &key.to_be_bytes(), b"", &[round; 50], true)
                .unwrap()
        });
        tx.commit().unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        (0..300u32).for_each(|key| tx.delete(id, &key.to_be_bytes()).unwrap());
        tx.commit().unwrap();
        assert_eq!(reader(&db).count(id, WAIT).unwrap(), 0);
        assert_sound(&db, "emptied");
    }
}

#[test]
fn a_page_past_the_end_is_empty() {
    let (db, id) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    (0..50u8).for_each(|key| tx.put(id, &[key], b"", b"v", true).unwrap());
    tx.commit().unwrap();
    let mut tx = reader(&db);
    for reverse in [false, true] {
        let range = ScanRange {
            reverse,
            ..ScanRange::default()
        };
        assert_eq!(
            tx.skip(id, &range, 49, WAIT).unwrap(),
            Some(vec![if reverse { 0 } else { 49 }])
        );
        assert_eq!(tx.skip(id, &range, 50, WAIT).unwrap(), None);
        assert_eq!(tx.skip(id, &range, u64::MAX, WAIT).unwrap(), None);
    }
    let range = ScanRange {
        low: Bound::Excluded(&[49]),
        ..ScanRange::default()
    };
    let last = tx.scan(id, &range, WAIT, &mut |_, _, _| {
        panic!("nothing is behind the last one")
    });
    assert_eq!(last.unwrap(), None);
}

#[test]
fn an_empty_value_is_a_value_and_an_empty_key_a_key() {
    let (db, id) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    tx.put(id, b"", b"", b"", true).unwrap();
    tx.commit().unwrap();
    let mut tx = reader(&db);
    assert!(tx.get(id, b"", WAIT).unwrap().unwrap().value.is_empty());
    assert!(tx.contains(id, b"", WAIT).unwrap());
    assert_eq!(tx.count(id, WAIT).unwrap(), 1);
}

#[test]
fn a_commit_refused_in_its_last_operation_changes_nothing() {
    let (db, id) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    (0..200u32).for_each(|key| tx.put(id, &key.to_be_bytes(), b"", &[1; 40], true).unwrap());
    tx.put(id, b"text", b"", b"\xa4text", true).unwrap();
    tx.put(id, b"large", b"", &vec![1; 90_000], true).unwrap();
    tx.commit().unwrap();
    let before = read_all(&mut reader(&db)).unwrap();
    let seq = db.last_seq();
    for _ in 0..5 {
        let mut tx = begin(&db, Isolation::Serializable);
        tx.create_store("another", 0, b"").unwrap();
        (100..300u32).for_each(|key| tx.put(id, &key.to_be_bytes(), b"", &[2; 70], true).unwrap());
        (0..90u32).for_each(|key| tx.delete(id, &key.to_be_bytes()).unwrap());
        tx.put(id, b"large", b"", &vec![2; 120_000], true).unwrap();
        tx.put(id, b"medium", b"", &vec![2; 20_000], true).unwrap();
        // The last key in order: everything else has been applied when this is refused.
        tx.merge(id, b"text", MergeOp::Add, &encode_int(1)).unwrap();
        let refused = tx.commit();
        assert!(
            matches!(&refused, Err(Error::MergeRefused { store, key, .. }) if store == "items" && key == b"text"),
            "{refused:?}"
        );
        let difference = read_all(&mut reader(&db)).unwrap().difference(&before);
        assert_eq!((difference, db.last_seq()), (None, seq));
        assert_sound(&db, "after a refusal");
        assert_nothing_in_flight(&db, "after a refusal");
    }
    let mut tx = begin(&db, Isolation::Serializable);
    tx.put(id, b"after", b"", b"v", true).unwrap();
    assert_eq!(
        tx.commit().unwrap().seq,
        seq + 1,
        "a refused commit takes no number"
    );
}

#[test]
fn refused_commits_leave_no_trace_in_the_group_they_came_with() {
    let db = open(
        &SimDisk::new(1),
        &Options {
            background: true,
            ..simulated(512, 1 << 20)
        },
    )
    .unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    let id = tx.create_store("items", 0, b"").unwrap().id;
    tx.put(id, b"text", b"", b"\xa4text", true).unwrap();
    tx.commit().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6u32 {
            let db = &db;
            scope.spawn(move || {
                for number in 0..150u32 {
                    let key = [number.to_be_bytes(), thread.to_be_bytes()].concat();
                    let mut tx = begin(db, Isolation::Serializable);
                    let size = if number % 20 == 0 { 70_000 } else { 60 };
                    tx.put(id, &key, b"", &vec![1; size], true).unwrap();
                    let bad = (number + thread) % 3 == 0;
                    if bad {
                        tx.merge(id, b"text", MergeOp::Max, &encode_int(1)).unwrap();
                    }
                    let result = support::clients::submit(tx);
                    assert_eq!(
                        bad,
                        matches!(result, Err(Error::MergeRefused { .. })),
                        "{result:?}"
                    );
                }
            });
        }
    });
    assert_eq!(reader(&db).count(id, WAIT).unwrap(), 1 + 6 * 100);
    assert_sound(&db, "after refusals among others");
    assert_nothing_in_flight(&db, "after refusals among others");
}

#[test]
fn a_second_owner_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(RealDisk::open(folder.path(), true).unwrap());
    let db = Database::open(disk(), Options::default()).unwrap();
    assert!(matches!(
        Database::open(disk(), Options::default()),
        Err(Error::Locked { .. })
    ));
    db.close().unwrap();
    Database::open(disk(), Options::default()).unwrap();
}
