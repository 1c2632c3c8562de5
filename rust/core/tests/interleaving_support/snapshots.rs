//! Readers beside writers and checkpoints, in a cache that is much too small.

use shuttle::thread;
use sopasync_core::disk::SimDisk;
use sopasync_core::{Access, Database, KeptValue, Transaction};

use super::{begin, durable_now, get, reopen, with_store};

const ACCOUNTS: u64 = 24;
const EACH: u64 = 100;

fn account(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// A balance in a value that takes some room.
fn row(balance: u64) -> Vec<u8> {
    let mut row = balance.to_le_bytes().to_vec();
    row.resize(100, balance as u8);
    row
}

fn balance(tx: &mut Transaction, store: u64, number: u64) -> u64 {
    let row = get(tx, store, &account(number)).expect("a read");
    let row = row.expect("the account is there");
    let balance = u64::from_le_bytes(row[..8].try_into().expect("eight bytes"));
    assert!(
        row[8..].iter().all(|byte| *byte == balance as u8),
        "{row:?}"
    );
    balance
}

fn total(tx: &mut Transaction, store: u64) -> u64 {
    (0..ACCOUNTS).map(|number| balance(tx, store, number)).sum()
}

fn transfer(db: &Database, store: u64, from: u64, to: u64) {
    let mut tx = begin(db);
    for (number, change) in [(from, -1), (to, 1)] {
        let now = balance(&mut tx, store, number).wrapping_add_signed(change);
        tx.put(store, &account(number), b"", &row(now), true)
            .expect("a put");
    }
    tx.commit().expect("accounts of its own");
}

/// Money moves, checkpoints write, pages are evicted and used again; whoever has a snapshot finds all the money there.
pub fn snapshots_stay_as_they_are() {
    let disk = SimDisk::new(4);
    let (db, store) = with_store(&disk);
    let mut tx = begin(&db);
    for number in 0..ACCOUNTS {
        tx.put(store, &account(number), b"", &row(EACH), true)
            .expect("a put");
    }
    tx.commit().expect("a commit");
    db.checkpoint().expect("a checkpoint");
    let mut threads = Vec::new();
    for lane in 0..2 {
        let db = db.clone();
        threads.push(thread::spawn(move || {
            for step in 0..2 {
                let from = 4 * lane + 8 * step;
                transfer(&db, store, from, from + 1);
            }
        }));
    }
    for _ in 0..2 {
        let db = db.clone();
        threads.push(thread::spawn(move || {
            let mut tx = begin(&db);
            assert_eq!(total(&mut tx, store), ACCOUNTS * EACH);
            thread::yield_now();
            assert_eq!(total(&mut tx, store), ACCOUNTS * EACH);
        }));
    }
    {
        let db = db.clone();
        threads.push(thread::spawn(move || {
            for _ in 0..2 {
                db.checkpoint().expect("a checkpoint");
            }
        }));
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(total(&mut begin(&db), store), ACCOUNTS * EACH);
    let crashed = durable_now(&disk);
    db.close().expect("it closes");
    for left in [crashed, disk] {
        let db = reopen(&left);
        assert_eq!(db.last_seq(), 6, "every commit was acknowledged");
        assert_eq!(total(&mut begin(&db), store), ACCOUNTS * EACH);
    }
}

/// So long that it lies in pages of its own, written before the commit.
fn large(number: u8) -> Vec<u8> {
    vec![number; 70_000]
}

fn put_large(db: &Database, store: u64, number: u8) {
    let mut tx = begin(db);
    tx.put(store, b"large", b"", &large(number), true)
        .expect("a put");
    tx.commit().expect("the only writer");
}

/// A value whose place is kept is overwritten, its pages are freed, other values take free pages, and the process forks.
pub fn pinned_values_stay() {
    let disk = SimDisk::new(5);
    let (db, store) = with_store(&disk);
    put_large(&db, store, 1);
    let writer = {
        let db = db.clone();
        thread::spawn(move || {
            for number in 2..5 {
                put_large(&db, store, number);
                db.checkpoint().expect("a checkpoint");
            }
        })
    };
    let mut threads = vec![writer];
    for forks in [false, true] {
        let db = db.clone();
        threads.push(thread::spawn(move || {
            let mut tx = begin(&db);
            let mapped = tx.map_value(store, b"large", Access::default(), false);
            let mapped = mapped.expect("a read").expect("it is there");
            let pinned = tx.pin_value(store, b"large", Access::default());
            let pinned = pinned.expect("a read").expect("it is there");
            drop(tx);
            if forks {
                db.detach_mapped().expect("a copy");
            }
            for _ in 0..8 {
                thread::yield_now();
            }
            let KeptValue::Pinned(pinned) = pinned else {
                panic!("a long value is pinned")
            };
            let mut read = vec![0; pinned.len()];
            pinned.read(&mut read).expect("its place is kept");
            assert!(read == large(read[0]), "a mixture of values");
            assert!(*mapped == read[..], "one of two values");
        }));
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
    db.close().expect("it closes");
    let db = reopen(&disk);
    let found = get(&mut begin(&db), store, b"large").expect("a read");
    assert!(found.expect("it is there") == large(4));
}
