//! Entries that carry the number of their commit: in order, unique, the same after replay, for followers and after
//! every crash; seen by their own transaction as provisional ones, and never in anybody's way.

mod support;

use std::ops::Bound;
use std::sync::Arc;

use sopasync_core::disk::{CrashOptions, Disk, SimDisk, SplitMix64};
use sopasync_core::{
    Database, Error, Isolation, Options, ScanRange, Stamp, StoreInfo, Transaction,
    TransactionOptions,
};
use support::{WAIT, begin, for_seeds, open, reader, simulated};

const PROVISIONAL: u64 = u64::MAX;

fn options() -> Options {
    simulated(1024, 1 << 20)
}

fn database() -> (SimDisk, Database, StoreInfo) {
    let disk = SimDisk::new(1);
    let db = open(&disk, &options()).unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    let store = tx.create_store("events", 1, b"").unwrap();
    tx.commit().unwrap();
    (disk, db, store)
}

fn key(seq: u64, ordinal: u32) -> Vec<u8> {
    let mut key = vec![b'e'];
    key.extend_from_slice(&seq.to_be_bytes());
    key.extend_from_slice(&ordinal.to_be_bytes());
    key
}

/// The commit's number in the key (from byte 1) and in the value (from byte 2).
fn add(tx: &mut Transaction, store: u64, text: &str) -> u32 {
    let ordinal = tx.next_ordinal(store).unwrap();
    let mut value = b"v:".to_vec();
    value.extend_from_slice(&PROVISIONAL.to_be_bytes());
    value.extend_from_slice(text.as_bytes());
    let stamp = Stamp {
        key_at: Some(1),
        value_at: Some(2),
    };
    let key = key(PROVISIONAL, ordinal);
    tx.put_stamped(store, &key, b"meta", &value, stamp, true)
        .unwrap();
    ordinal
}

/// Number in the key, number in the value, ordinal, text.
type Row = (u64, u64, u32, String);

fn rows(tx: &mut Transaction, store: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    tx.scan(
        store,
        &ScanRange::default(),
        WAIT,
        &mut |key, meta, value| {
            let value = value.unwrap();
            assert_eq!(meta, b"meta");
            assert_eq!(&value[..2], b"v:");
            let number = |bytes: &[u8]| u64::from_be_bytes(bytes[..8].try_into().unwrap());
            let ordinal = u32::from_be_bytes(key[9..13].try_into().unwrap());
            let text = String::from_utf8(value[10..].to_vec()).unwrap();
            rows.push((number(&key[1..]), number(&value[2..]), ordinal, text));
        },
    )
    .unwrap();
    rows
}

fn committed(db: &Database, store: u64) -> Vec<Row> {
    rows(&mut reader(db), store)
}

fn row(seq: u64, ordinal: u32, text: &str) -> Row {
    (seq, seq, ordinal, text.to_owned())
}

#[test]
fn a_stamped_entry_carries_its_commit_in_key_and_value() {
    let (_disk, db, store) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    assert_eq!(add(&mut tx, store.id, "a"), 0);
    assert_eq!(add(&mut tx, store.id, "b"), 1);
    let first = tx.commit().unwrap().seq;
    let mut tx = begin(&db, Isolation::Serializable);
    assert_eq!(
        add(&mut tx, store.id, "c"),
        0,
        "each transaction counts from 0"
    );
    let second = tx.commit().unwrap().seq;
    let expected = [row(first, 0, "a"), row(first, 1, "b"), row(second, 0, "c")];
    assert_eq!(committed(&db, store.id), expected);
    assert_eq!((second, db.last_seq()), (first + 1, second));
}

#[test]
fn a_transaction_sees_its_own_behind_all_others() {
    let (_disk, db, store) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    add(&mut tx, store.id, "old");
    let seq = tx.commit().unwrap().seq;
    let mut tx = begin(&db, Isolation::Serializable);
    let ordinal = add(&mut tx, store.id, "new");
    let expected = [row(seq, 0, "old"), row(PROVISIONAL, 0, "new")];
    assert_eq!(rows(&mut tx, store.id), expected);
    let own = tx.get(store.id, &key(PROVISIONAL, ordinal), WAIT).unwrap();
    assert!(own.unwrap().value.ends_with(b"new"));
    assert_eq!(tx.count(store.id, WAIT).unwrap(), 2);
    assert_eq!(committed(&db, store.id).len(), 1);
    tx.rollback();
    assert_eq!(committed(&db, store.id).len(), 1);
}

#[test]
fn savepoints_take_stamped_entries_back_and_ordinals_are_never_given_twice() {
    let (_disk, db, store) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    add(&mut tx, store.id, "kept");
    let savepoint = tx.savepoint();
    add(&mut tx, store.id, "dropped");
    tx.rollback_to(savepoint).unwrap();
    assert_eq!(add(&mut tx, store.id, "after"), 2);
    let forgotten = add(&mut tx, store.id, "forgotten");
    let savepoint = tx.savepoint();
    tx.forget(store.id, &key(PROVISIONAL, forgotten)).unwrap();
    assert_eq!(rows(&mut tx, store.id).len(), 2);
    tx.rollback_to(savepoint).unwrap();
    assert_eq!(rows(&mut tx, store.id).len(), 3);
    tx.forget(store.id, &key(PROVISIONAL, forgotten)).unwrap();
    let seq = tx.commit().unwrap().seq;
    let expected = [row(seq, 0, "kept"), row(seq, 2, "after")];
    assert_eq!(committed(&db, store.id), expected);
}

#[test]
fn stamped_entries_never_conflict() {
    for isolation in [Isolation::Serializable, Isolation::Snapshot] {
        let (_disk, db, store) = database();
        let mut all: Vec<Transaction> = (0..16).map(|_| begin(&db, isolation)).collect();
        for tx in &mut all {
            add(tx, store.id, "x");
        }
        for tx in all {
            tx.commit().unwrap();
        }
        let rows = committed(&db, store.id);
        let seqs: Vec<u64> = rows.iter().map(|row| row.0).collect();
        assert_eq!(seqs, (2..18).collect::<Vec<u64>>());
        assert!(rows.iter().all(|row| row.0 == row.1));
    }
}

#[test]
fn a_range_above_the_snapshot_that_was_read_is_a_conflict() {
    let (_disk, db, store) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    let low = key(tx.seq() + 1, 0);
    let range = ScanRange {
        low: Bound::Included(&low),
        ..ScanRange::default()
    };
    tx.scan(store.id, &range, WAIT, &mut |_, _, _| {}).unwrap();
    add(&mut tx, store.id, "mine");
    let mut other = begin(&db, Isolation::Serializable);
    add(&mut other, store.id, "other");
    other.commit().unwrap();
    assert!(matches!(tx.commit(), Err(Error::Conflict { .. })));
}

#[test]
fn many_transactions_of_one_group_get_their_own_numbers() {
    let (_disk, db, store) = database();
    let (sender, receiver) = std::sync::mpsc::channel();
    let batch = (0..8)
        .map(|number| {
            let mut tx = begin(&db, Isolation::Serializable);
            add(&mut tx, store.id, &number.to_string());
            let sender = sender.clone();
            let done = move |result: sopasync_core::Result<sopasync_core::CommitInfo>| {
                sender.send((number, result.unwrap())).unwrap();
            };
            (tx, Box::new(done) as sopasync_core::Done)
        })
        .collect();
    for answer in Transaction::submit_all(batch) {
        answer.unwrap();
    }
    let told: Vec<_> = receiver.try_iter().collect();
    assert_eq!(told.len(), 8);
    assert!(
        told.windows(2)
            .all(|pair| pair[0].1.stamp == pair[1].1.stamp)
    );
    let expected: Vec<Row> = told
        .iter()
        .map(|(number, info)| row(info.seq, 0, &number.to_string()))
        .collect();
    assert_eq!(committed(&db, store.id), expected);
}

#[test]
fn what_cannot_be_stamped_is_refused_and_changes_nothing() {
    let (_disk, db, store) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    let ff = key(PROVISIONAL, 0);
    let mut put = |key: &[u8], value: &[u8], stamp| {
        let error = tx.put_stamped(store.id, key, b"", value, stamp, true);
        assert!(matches!(error, Err(Error::Invalid { .. })), "{error:?}");
    };
    put(&key(5, 0), b"", Stamp::key(1));
    put(&ff, b"", Stamp::key(0));
    put(&ff, b"", Stamp::key(9));
    put(&ff, b"short", Stamp::value(0));
    put(&ff, &vec![0xff; 70_000], Stamp::value(0));
    assert!(!tx.has_writes());
    let merged = tx.put_stamped(store.id, &ff, b"", b"\x01", Stamp::key(1), true);
    merged.unwrap();
    let error = tx.merge(store.id, &ff, sopasync_core::MergeOp::Add, b"\x01");
    assert!(matches!(error, Err(Error::BadMerge { .. })));
}

#[test]
fn long_values_are_stamped_in_the_key() {
    let (disk, db, store) = database();
    let value = vec![7; 100_000];
    let mut tx = begin(&db, Isolation::Serializable);
    let own = key(PROVISIONAL, 0);
    tx.put_stamped(store.id, &own, b"m", &value, Stamp::key(1), true)
        .unwrap();
    assert_eq!(tx.get(store.id, &own, WAIT).unwrap().unwrap().value, value);
    let seq = tx.commit().unwrap().seq;
    let seen = |db: &Database| {
        reader(db)
            .get(store.id, &key(seq, 0), WAIT)
            .unwrap()
            .unwrap()
            .value
    };
    assert_eq!(seen(&db), value);
    assert_eq!(
        seen(&open(&disk.next_process(), &options()).unwrap()),
        value
    );
}

#[test]
fn followers_and_replay_see_the_same_numbers() {
    let (disk, db, store) = database();
    let follow = Options {
        read_only: true,
        ..options()
    };
    let follower = Database::open(Arc::new(disk.clone()) as Arc<dyn Disk>, follow).unwrap();
    let mut random = SplitMix64::new(9);
    for number in 0..60 {
        let mut tx = begin(&db, Isolation::Serializable);
        for _ in 0..random.below(3) {
            add(&mut tx, store.id, &number.to_string());
        }
        tx.commit().unwrap();
        if random.chance(1, 10) {
            db.checkpoint().unwrap();
        }
        if random.chance(1, 3) {
            follower.refresh().unwrap();
            assert_eq!(committed(&follower, store.id), committed(&db, store.id));
        }
    }
    let expected = committed(&db, store.id);
    let again = open(&disk.next_process(), &options()).unwrap();
    assert_eq!(committed(&again, store.id), expected);
    assert!(expected.len() > 30 && expected.iter().all(|row| row.0 == row.1));
}

#[test]
fn after_every_crash_the_entries_are_those_of_a_prefix() {
    for_seeds(6, |seed| {
        let mut random = SplitMix64::new(seed);
        let disk = SimDisk::new(seed);
        let db = open(&disk, &options()).unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        let store = tx.create_store("events", 1, b"").unwrap();
        tx.commit().unwrap();
        let mut versions = vec![Vec::new(), Vec::new()];
        disk.restart_trace();
        for number in 0..12 {
            let mut tx = begin(&db, Isolation::Serializable);
            for _ in 0..1 + random.below(4) {
                add(&mut tx, store.id, &number.to_string());
            }
            tx.commit().unwrap();
            versions.push(committed(&db, store.id));
            if random.chance(1, 5) {
                db.checkpoint().unwrap();
            }
        }
        let images = CrashOptions {
            seed,
            images_per_point: 2,
            ..CrashOptions::default()
        };
        let mut count = 0;
        for image in disk.crash_images(images) {
            let db = open(&image.disk, &options()).unwrap();
            let seq = db.last_seq() as usize;
            assert_eq!(committed(&db, store.id), versions[seq], "commit {seq}");
            // And the life goes on with the next number.
            let mut tx = begin(&db, Isolation::Serializable);
            add(&mut tx, store.id, "later");
            let later = tx.commit().unwrap().seq;
            assert_eq!(later as usize, seq + 1);
            assert_eq!(committed(&db, store.id).last().unwrap().0, later);
            count += 1;
        }
        assert!(count > 30, "{count} images");
    });
}

#[test]
fn the_oldest_number_is_that_of_the_oldest_reader() {
    let (_disk, db, store) = database();
    db.checkpoint().unwrap();
    let old = reader(&db);
    for _ in 0..3 {
        let mut tx = begin(&db, Isolation::Serializable);
        add(&mut tx, store.id, "x");
        tx.commit().unwrap();
        db.checkpoint().unwrap();
    }
    assert_eq!((db.oldest_seq(), db.last_seq()), (1, 4));
    drop(old);
    assert_eq!(db.oldest_seq(), 4);
    let options = TransactionOptions::default();
    let _reader = db.begin(options).unwrap();
    assert_eq!(db.oldest_seq(), 4);
}
