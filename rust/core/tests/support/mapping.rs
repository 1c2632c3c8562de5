//! What holds for values mapped into memory, on a real disk: for the tests of it, and for the mutants.

use std::os::unix::fs::FileExt;
use std::sync::Arc;

use sopasync_core::disk::{RealDisk, SplitMix64};
use sopasync_core::{
    Database, Durability, Error, KeptValue, Options, PinnedValue, TransactionOptions, ValueBytes,
};

use super::WAIT;

pub const VALUE_BYTES: usize = 300_000;

pub fn options(durability: Durability) -> Options {
    Options {
        page_bytes: 4096,
        cache_bytes: 4 << 20,
        durability,
        background: false,
        ..Options::default()
    }
}

pub fn open(folder: &std::path::Path, durability: Durability) -> Database {
    let disk = RealDisk::open(folder, true).expect("a folder");
    Database::open(Arc::new(disk), options(durability)).expect("it opens")
}

/// Bytes that tell one value from every other.
pub fn value(number: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(number);
    let words = (0..VALUE_BYTES / 8).flat_map(|_| random.next_u64().to_le_bytes());
    words.collect()
}

pub fn put(db: &Database, key: &[u8], value: &[u8]) {
    let mut tx = db.begin(TransactionOptions::default()).expect("begin");
    let store = match tx.find_store("values") {
        Some(store) => store.id,
        None => tx.create_store("values", 1, b"").expect("a store").id,
    };
    tx.put(store, key, b"", value, true).expect("a put");
    tx.commit().expect("a commit");
}

pub fn delete(db: &Database, key: &[u8]) {
    let mut tx = db.begin(TransactionOptions::default()).expect("begin");
    let store = tx.find_store("values").expect("the store").id;
    tx.delete(store, key).expect("a delete");
    tx.commit().expect("a commit");
}

pub fn map(db: &Database, key: &[u8], verify: bool) -> Result<Option<ValueBytes>, Error> {
    let mut tx = db.begin(TransactionOptions::default())?;
    let store = tx.find_store("values").expect("the store").id;
    tx.map_value(store, key, WAIT, verify)
}

pub fn mapped(db: &Database, key: &[u8]) -> ValueBytes {
    let found = map(db, key, false)
        .expect("it is read")
        .expect("it is there");
    assert!(cfg!(not(target_os = "linux")) || matches!(found, ValueBytes::Mapped(_)));
    found
}

/// The value whose place is kept, to be read later.
pub fn kept(db: &Database, key: &[u8]) -> PinnedValue {
    let mut tx = db.begin(TransactionOptions::default()).expect("begin");
    let store = tx.find_store("values").expect("the store").id;
    match tx.pin_value(store, key, WAIT).expect("it is found") {
        Some(KeptValue::Pinned(pinned)) => pinned,
        other => panic!("no value whose place is kept but {other:?}"),
    }
}

pub fn read(kept: &PinnedValue) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; kept.len()];
    kept.read(&mut bytes).map(|()| bytes)
}

/// Changes bytes of the page file in place: where the first copy of `content` lies.
pub fn damage(folder: &std::path::Path, content: &[u8]) {
    let path = folder.join("pages");
    let bytes = std::fs::read(&path).expect("the page file");
    let start = bytes
        .windows(32)
        .position(|window| window == &content[..32])
        .expect("the value lies in the file");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("the page file");
    file.write_all_at(&[!content[1000]], start as u64 + 1000)
        .expect("a write");
}

/// Everything below, for the mutants.
pub fn mapped_values_stay_as_they_are() {
    what_is_mapped_is_not_overwritten(Durability::Full);
    what_is_mapped_is_not_overwritten(Durability::Relaxed);
    what_is_mapped_outlives_its_database();
    damage_is_never_mapped();
}

/// Overwrites and deletes mapped values and fills what falls free, with checkpoints and compaction between.
pub fn what_is_mapped_is_not_overwritten(durability: Durability) {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path(), durability);
    let mut random = SplitMix64::new(5);
    let mut number = 0;
    let mut held: Vec<(u64, ValueBytes)> = Vec::new();
    let mut pinned: Vec<(u64, PinnedValue)> = Vec::new();
    let mut there = [None; 6];
    for round in 0..120 {
        let place = random.below(there.len());
        let key = [place as u8];
        match random.below(8) {
            0 if there[place].take().is_some() => delete(&db, &key),
            1 => db.checkpoint().expect("a checkpoint"),
            2 => db.compact().expect("it is packed"),
            3 if !held.is_empty() => {
                held.swap_remove(random.below(held.len()));
            }
            4 => {
                // Of a transaction that does not commit.
                number += 1;
                let mut tx = db.begin(TransactionOptions::default()).expect("begin");
                let Some(store) = tx.find_store("values") else {
                    continue;
                };
                tx.put(store.id, &key, b"", &value(number), true)
                    .expect("a put");
                let own = tx.map_value(store.id, &key, WAIT, false).expect("a read");
                held.push((number, own.expect("it is there")));
            }
            _ => {
                number += 1;
                put(&db, &key, &value(number));
                there[place] = Some(number);
                if held.len() < 8 {
                    held.push((number, mapped(&db, &key)));
                }
                if pinned.len() == 4 {
                    pinned.swap_remove(random.below(4));
                }
                pinned.push((number, kept(&db, &key)));
            }
        }
        for (number, kept) in &pinned {
            let found = read(kept).expect("it is read");
            assert!(
                found == value(*number),
                "round {round}: value {number}, kept, changed"
            );
        }
        for (number, found) in &held {
            assert!(
                **found == value(*number)[..],
                "round {round}: value {number} changed"
            );
        }
        let statistics = db.statistics();
        let most =
            (there.len() + held.len() + pinned.len() + 8) * (VALUE_BYTES / 4096 + 1) * 2 + 200;
        assert!(
            statistics.file_pages < most as u64,
            "round {round}: {} pages for {} values",
            statistics.file_pages,
            held.len()
        );
    }
    super::check::assert_sound(&db, "with mappings");
    drop((held, pinned));
    db.checkpoint().expect("a checkpoint");
    db.checkpoint().expect("a checkpoint");
    assert_eq!(db.statistics().waiting_pages, 0, "all is given back");
    super::check::assert_sound(&db, "without mappings");
    db.close().expect("it closes");
}

/// Close, open and write again, cut: what was mapped before is as it was.
pub fn what_is_mapped_outlives_its_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path(), Durability::Full);
    for number in 0..6 {
        put(&db, &[number as u8], &value(number));
    }
    let held: Vec<ValueBytes> = (0..6).map(|number| mapped(&db, &[number])).collect();
    let pinned: Vec<PinnedValue> = (0..6).map(|number| kept(&db, &[number])).collect();
    for number in 0..6 {
        delete(&db, &[number]);
    }
    let aside = db.begin(TransactionOptions::default()).expect("begin");
    db.close().expect("it closes");
    drop(aside);
    let length = std::fs::metadata(folder.path().join("pages"))
        .expect("the file")
        .len();
    assert!(
        length < 2 * VALUE_BYTES as u64,
        "the file was cut to {length} bytes"
    );
    let db = open(folder.path(), Durability::Full);
    for number in 10..20 {
        put(&db, &[number as u8], &value(number));
    }
    for (number, found) in held.iter().enumerate() {
        assert!(
            **found == value(number as u64)[..],
            "value {number} changed"
        );
    }
    for (number, kept) in pinned.iter().enumerate() {
        // Nothing keeps its place once the database is closed, so it is whole or an error.
        match read(kept) {
            Ok(found) => assert!(
                found == value(number as u64),
                "value {number}, kept, changed"
            ),
            Err(Error::Corruption { .. } | Error::Io { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let again = mapped(&db, &[12]);
    db.detach_mapped().expect("copied aside");
    assert!(*again == value(12)[..], "copied aside before a fork");
    let later = mapped(&db, &[12]);
    drop(again);
    delete(&db, &[12]);
    put(&db, &[13], &value(13));
    assert!(
        *later == value(12)[..],
        "a mapping after that is one of its own"
    );
    db.close().expect("it closes");
}

/// A changed byte is an error at the first mapping since opening, and whenever verification is asked for.
pub fn damage_is_never_mapped() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path(), Durability::Full);
    for number in 0..3 {
        put(&db, &[number as u8], &value(number));
    }
    drop(mapped(&db, &[0]));
    damage(folder.path(), &value(0));
    damage(folder.path(), &value(1));
    assert!(matches!(
        map(&db, &[0], true),
        Err(Error::Corruption { .. })
    ));
    assert!(matches!(
        map(&db, &[1], false),
        Err(Error::Corruption { .. })
    ));
    assert!(matches!(
        read(&kept(&db, &[1])),
        Err(Error::Corruption { .. })
    ));
    assert!(*mapped(&db, &[2]) == value(2)[..]);
    let mut tx = db.begin(TransactionOptions::default()).expect("begin");
    let store = tx.find_store("values").expect("the store").id;
    let at_once = sopasync_core::Access {
        may_wait: false,
        track: false,
    };
    assert!(
        tx.map_value(store, &[2], at_once, false)
            .expect("at once")
            .is_some(),
        "what was verified is mapped without waiting"
    );
    assert!(matches!(
        tx.map_value(store, &[2], at_once, true),
        Err(Error::WouldBlock)
    ));
}
