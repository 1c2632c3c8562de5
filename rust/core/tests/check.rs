//! `Database::check`: finds every kind of damage, and none where there is none.

mod check_support;

use check_support::damage::settled;
use check_support::*;
use sopasync_core::Access;
use sopasync_core::disk::{SimDisk, SplitMix64};

#[test]
fn a_database_is_sound_after_any_work() {
    for seed in 0..12 {
        let mut random = SplitMix64::new(seed);
        let disk = SimDisk::new(seed);
        let mut db = open(&disk);
        let mut model = Model::new();
        for round in 0..60 {
            work(&db, &mut model, &mut random);
            match random.below(12) {
                0 => db.checkpoint().unwrap(),
                2 => load(&db, &mut model, &mut random),
                1 => {
                    db.close().unwrap();
                    db = open(&disk);
                }
                _ => {}
            }
            if round % 6 == 0 {
                let report = assert_sound(&db);
                let entries: usize = model.values().map(|entries| entries.len()).sum();
                assert_eq!(report.entries, entries as u64, "seed {seed}");
                assert_eq!(report.stores, model.len() as u64);
                assert_eq!(
                    report.in_flight_pages, 0,
                    "nothing is under way: seed {seed}"
                );
                assert_eq!(report.seq, db.last_seq());
            }
        }
        assert_eq!(content(&db), model, "seed {seed}");
    }
}

#[test]
fn pages_of_transactions_under_way_are_not_called_leaked() {
    let disk = SimDisk::new(14);
    let db = open(&disk);
    let mut tx = begin(&db);
    let store = tx.create_store("one", 1, b"").unwrap().id;
    tx.put(store, b"film", b"", &vec![1; 100_000], true)
        .unwrap();
    let report = assert_sound(&db);
    assert_eq!(
        report.in_flight_pages,
        100_000_u64.div_ceil(PAGE_BYTES as u64)
    );
    drop(tx);
    assert_eq!(
        assert_sound(&db).in_flight_pages,
        0,
        "rolled back and given back"
    );
}

#[test]
fn pages_kept_for_an_old_reader_are_counted_and_sound() {
    let (_disk, db, mut model) = settled(15);
    let mut random = SplitMix64::new(15);
    let mut old = begin(&db);
    let before = content_of(&mut old).unwrap();
    for _ in 0..20 {
        work(&db, &mut model, &mut random);
        db.checkpoint().unwrap();
    }
    assert!(assert_sound(&db).waiting_pages > 0);
    assert_eq!(content_of(&mut old).unwrap(), before);
    drop(old);
    work(&db, &mut model, &mut random);
    db.checkpoint().unwrap();
    work(&db, &mut model, &mut random);
    let report = assert_sound(&db);
    assert_eq!(report.in_flight_pages, 0);
}

#[test]
fn a_removed_store_is_verified_until_its_pages_are_free() {
    let disk = SimDisk::new(16);
    let db = open(&disk);
    let mut tx = begin(&db);
    let store = tx.create_store("one", 1, b"").unwrap().id;
    for number in 0..300u32 {
        tx.put(store, &number.to_be_bytes(), b"", &[5; 60], true)
            .unwrap();
    }
    tx.commit().unwrap();
    db.checkpoint().unwrap();
    let mut tx = begin(&db);
    tx.remove_store(store).unwrap();
    tx.commit().unwrap();
    let report = assert_sound(&db);
    assert_eq!(
        (report.stores, report.removed_stores, report.entries),
        (0, 1, 0)
    );
    assert!(report.pages > 40);
    db.checkpoint().unwrap();
    db.checkpoint().unwrap();
    let report = assert_sound(&db);
    assert_eq!((report.removed_stores, report.pages), (0, 0));
}

#[test]
fn a_check_of_a_closed_database_is_refused() {
    let (_disk, db, _) = settled(17);
    db.close().unwrap();
    let result = db.check(&mut |_, _| std::ops::ControlFlow::Continue(()));
    assert!(matches!(result, Err(sopasync_core::Error::Closed { .. })));
}

#[test]
fn a_check_can_be_stopped() {
    let (_disk, db, model) = settled(18);
    let mut calls = 0;
    let result = db.check(&mut |_, _| {
        calls += 1;
        std::ops::ControlFlow::Break(())
    });
    assert!(matches!(result, Err(sopasync_core::Error::Invalid { .. })));
    assert_eq!(calls, 1);
    assert_eq!(content(&db), model);
}

#[test]
fn a_check_caches_nothing() {
    let (disk, _) = closed_database(19, 20);
    let db = open(&disk);
    let before = db.statistics().resident_bytes;
    assert_sound(&db);
    assert_eq!(db.statistics().resident_bytes, before);
    let mut tx = begin(&db);
    let store = tx.stores()[0].id;
    let cold = Access {
        may_wait: false,
        track: false,
    };
    assert!(
        tx.get(store, b"key-0001", cold).is_err(),
        "the page is not in memory"
    );
}
