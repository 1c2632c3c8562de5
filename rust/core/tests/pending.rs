//! Work that a transaction puts off until its commit: written once, also by savepoints, and not when it is rolled back.

mod support;

use std::any::Any;

use sopasync_core::disk::SimDisk;
use sopasync_core::{Database, Error, Isolation, Pending, Result, Stamp, StoreInfo, Transaction};
use support::{WAIT, begin, open, reader, simulated};

const KEY: &[u8] = b"d\xff\xff\xff\xff\xff\xff\xff\xff";

/// Words that become one row.
#[derive(Default)]
struct Words {
    list: Vec<String>,
    refuse: bool,
}

impl Pending for Words {
    fn mark(&self) -> usize {
        self.list.len()
    }

    fn rollback_to(&mut self, mark: usize) {
        self.list.truncate(mark);
    }

    fn finish(&mut self, transaction: &mut Transaction, store: u64) -> Result<()> {
        if self.refuse {
            return Err(Error::invalid("the words are refused"));
        }
        if self.list.is_empty() {
            return transaction.forget(store, KEY);
        }
        let value = self.list.join(" ");
        transaction.put_stamped(store, KEY, b"", value.as_bytes(), Stamp::key(1), true)
    }

    fn cost(&self) -> usize {
        self.list.iter().map(String::len).sum()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

fn database() -> (Database, StoreInfo) {
    let db = open(&SimDisk::new(1), &simulated(1024, 1 << 20)).unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    let store = tx.create_store("words", 1, b"").unwrap();
    tx.commit().unwrap();
    (db, store)
}

fn add(tx: &mut Transaction, store: &StoreInfo, word: &str) {
    let words = tx.pending_or_begin(store.id, Words::default).unwrap();
    words.list.push(word.to_owned());
}

fn row(db: &Database, store: &StoreInfo, seq: u64) -> Option<String> {
    let mut key = b"d".to_vec();
    key.extend_from_slice(&seq.to_be_bytes());
    let entry = reader(db).get(store.id, &key, WAIT).unwrap();
    entry.map(|entry| String::from_utf8(entry.value).unwrap())
}

#[test]
fn pending_work_is_written_by_the_commit() {
    let (db, store) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    assert!(!tx.has_writes() && tx.pending_cost() == 0);
    assert!(tx.pending::<Words>(store.id).unwrap().is_none());
    add(&mut tx, &store, "one");
    add(&mut tx, &store, "two");
    assert!(tx.has_writes() && tx.pending_cost() == 6);
    assert_eq!(
        tx.pending::<Words>(store.id).unwrap().unwrap().list.len(),
        2
    );
    let seq = tx.commit().unwrap().seq;
    assert_eq!(row(&db, &store, seq).as_deref(), Some("one two"));
}

#[test]
fn preparing_is_idempotent_and_later_work_is_written_too() {
    let (db, store) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    add(&mut tx, &store, "one");
    tx.prepare().unwrap();
    tx.prepare().unwrap();
    assert_eq!(tx.pending_cost(), 0);
    add(&mut tx, &store, "two");
    assert_eq!(tx.pending_cost(), 6);
    let seq = tx.commit().unwrap().seq;
    assert_eq!(row(&db, &store, seq).as_deref(), Some("one two"));
}

#[test]
fn savepoints_take_pending_work_back() {
    let (db, store) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    let empty = tx.savepoint();
    add(&mut tx, &store, "one");
    let first = tx.savepoint();
    add(&mut tx, &store, "two");
    let second = tx.savepoint();
    add(&mut tx, &store, "three");
    tx.prepare().unwrap();
    tx.rollback_to(second).unwrap();
    add(&mut tx, &store, "four");
    tx.rollback_to(second).unwrap();
    add(&mut tx, &store, "five");
    let words = |tx: &mut Transaction| {
        let words = tx.pending::<Words>(store.id).unwrap().unwrap();
        words.list.join(" ")
    };
    assert_eq!(words(&mut tx), "one two five");
    tx.rollback_to(first).unwrap();
    assert_eq!(words(&mut tx), "one");
    tx.rollback_to(empty).unwrap();
    assert_eq!(words(&mut tx), "");
    add(&mut tx, &store, "six");
    let seq = tx.commit().unwrap().seq;
    assert_eq!(row(&db, &store, seq).as_deref(), Some("six"));
}

#[test]
fn work_that_was_all_taken_back_commits_nothing() {
    let (db, store) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    let empty = tx.savepoint();
    add(&mut tx, &store, "one");
    tx.prepare().unwrap();
    tx.rollback_to(empty).unwrap();
    let before = db.last_seq();
    tx.commit().unwrap();
    assert_eq!(db.last_seq(), before);
}

#[test]
fn a_refusal_is_told_and_nothing_is_committed() {
    let (db, store) = database();
    let mut tx = begin(&db, Isolation::Serializable);
    tx.put(store.id, b"x", b"", b"y", true).unwrap();
    add(&mut tx, &store, "one");
    tx.pending::<Words>(store.id).unwrap().unwrap().refuse = true;
    let before = db.last_seq();
    assert!(matches!(tx.commit(), Err(Error::Invalid { .. })));
    assert_eq!(db.last_seq(), before);
}
