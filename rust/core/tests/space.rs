//! Given commits at random places, a closed database takes little more room than its rows: leaves are well filled, the
//! page file is packed, and the log keeps no segments for later. Nothing a reader sees changes while pages move.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use sopasync_core::disk::{Disk, SimDisk, SplitMix64};
use sopasync_core::{Database, Durability, Isolation, Options, TransactionOptions};
use support::check::assert_sound;
use support::{WAIT, begin, open, reader, simulated};

const VALUE_BYTES: usize = 150;
const ROW_BYTES: usize = 24 + VALUE_BYTES;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn key(random: &mut SplitMix64) -> Vec<u8> {
    (0..3)
        .flat_map(|_| random.next_u64().to_be_bytes())
        .collect()
}

/// Puts new rows and changes old ones, `portion` in a commit.
fn put_rows(db: &Database, rows: &mut Rows, count: usize, portion: usize, random: &mut SplitMix64) {
    for _ in 0..count / portion {
        let mut tx = begin(db, Isolation::NoCheck);
        let store = match tx.find_store("rows") {
            Some(store) => store.id,
            None => tx.create_store("rows", 1, b"").expect("a store").id,
        };
        for _ in 0..portion {
            let (key, value) = (key(random), vec![random.below(256) as u8; VALUE_BYTES]);
            tx.put(store, &key, b"", &value, true).expect("a put");
            rows.insert(key, value);
        }
        tx.commit().expect("a commit");
    }
}

fn assert_rows(db: &Database, rows: &Rows, when: &str) {
    let mut tx = reader(db);
    let store = tx.find_store("rows").expect("the store").id;
    assert_eq!(tx.count(store, WAIT).expect("a count"), rows.len() as u64);
    for (key, value) in rows {
        let found = tx.get(store, key, WAIT).expect("a read").expect("a row");
        assert_eq!(&found.value[..], &value[..], "{when}");
    }
    drop(tx);
    assert_sound(db, when);
}

fn folder_bytes(disk: &SimDisk) -> usize {
    let names = disk.list().expect("the names");
    names
        .iter()
        .map(|name| disk.content(name).expect("a file").len())
        .sum()
}

#[test]
fn a_closed_database_is_at_most_half_as_long_again_as_its_rows() {
    let disk = SimDisk::new(1);
    let mut random = SplitMix64::new(5);
    let mut rows = Rows::new();
    let options = Options {
        segment_bytes: 256 << 10,
        ..simulated(8192, 64 << 20)
    };
    let db = open(&disk, &options).expect("it opens");
    for _ in 0..10 {
        put_rows(&db, &mut rows, 2000, 100, &mut random);
        db.checkpoint().expect("a checkpoint");
    }
    let raw = rows.len() * ROW_BYTES;
    let before = folder_bytes(&disk);
    db.close().expect("it closes");
    let after = folder_bytes(&disk);
    assert!(
        before > 2 * raw,
        "{before} bytes: there was nothing to give back"
    );
    assert!(
        2 * after <= 3 * raw,
        "{after} bytes of files for {raw} of rows"
    );
    let db = open(&disk, &options).expect("it opens again");
    assert_rows(&db, &rows, "after reopening");
}

#[test]
fn an_open_snapshot_and_commits_go_on_while_pages_move() {
    let disk = SimDisk::new(2);
    let mut random = SplitMix64::new(6);
    let mut rows = Rows::new();
    let options = Options {
        background: true,
        durability: Durability::Full,
        ..simulated(1024, 4 << 20)
    };
    let db = open(&disk, &options).expect("it opens");
    for _ in 0..4 {
        put_rows(&db, &mut rows, 2000, 100, &mut random);
        db.checkpoint().expect("a checkpoint");
    }
    let old_rows = rows.clone();
    let mut old = db
        .begin(TransactionOptions::default())
        .expect("a transaction");
    let store = old.find_store("rows").expect("the store").id;
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (db, ended) = (&db, &ended);
        let packing = scope.spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                db.compact().expect("a compaction");
            }
        });
        put_rows(db, &mut rows, 3000, 50, &mut random);
        ended.store(true, Ordering::Relaxed);
        packing.join().expect("no panic");
    });
    for (key, value) in &old_rows {
        let found = old.get(store, key, WAIT).expect("a read").expect("a row");
        assert_eq!(&found.value[..], &value[..]);
    }
    let moved = db.statistics().moved_pages;
    assert!(moved > 100, "only {moved} pages have moved");
    // No row that it read was changed, wherever it lies now.
    let (first, value) = old_rows.first_key_value().expect("a row");
    old.put(store, first, b"", value, true).expect("a put");
    old.commit().expect("there is no conflict");
    assert_rows(&db, &rows, "after moving");
    db.close().expect("it closes");
}
