//! The shortest histories that each kind of validation must refuse.

use sopasync_core::{Error, Isolation, ScanRange, Transaction};

use super::{WAIT, begin, open, simulated};
use sopasync_core::disk::SimDisk;

/// Two transactions look, then each writes what the other one looked for: the second must be refused.
fn refused(isolation: Isolation, look: fn(&mut Transaction, u64, &[u8]), what: &str) {
    let db = open(&SimDisk::new(1), &simulated(512, 64 << 10)).expect("a new database");
    let mut tx = begin(&db, isolation);
    let store = tx.create_store("items", 0, b"").expect("a store").id;
    for key in [b"a", b"b"] {
        tx.put(store, key, b"", b"old", true).expect("a put");
    }
    tx.commit().expect("a commit");
    let (mut first, mut second) = (begin(&db, isolation), begin(&db, isolation));
    look(&mut first, store, b"1");
    look(&mut second, store, b"2");
    first.put(store, b"2", b"", b"new", true).expect("a put");
    first.put(store, b"a", b"", b"first", true).expect("a put");
    second.put(store, b"1", b"", b"new", true).expect("a put");
    if isolation == Isolation::Snapshot {
        second
            .put(store, b"a", b"", b"second", true)
            .expect("a put");
    }
    first.commit().expect("the first commits");
    let result = second.commit();
    assert!(
        matches!(result, Err(Error::Conflict { .. })),
        "{what}: {result:?}"
    );
}

pub fn every_skew_is_refused() {
    use Isolation::{Serializable, Snapshot};
    let get = |tx: &mut Transaction, store: u64, _: &[u8]| {
        tx.get(store, b"a", WAIT).expect("a read");
    };
    let absent = |tx: &mut Transaction, store: u64, key: &[u8]| {
        assert!(tx.get(store, key, WAIT).expect("a read").is_none());
    };
    let contains = |tx: &mut Transaction, store: u64, key: &[u8]| {
        assert!(!tx.contains(store, key, WAIT).expect("a read"));
    };
    let count = |tx: &mut Transaction, store: u64, _: &[u8]| {
        tx.count(store, WAIT).expect("a count");
    };
    let range = |tx: &mut Transaction, store: u64, _: &[u8]| {
        tx.scan(store, &ScanRange::default(), WAIT, &mut |_, _, _| ())
            .expect("a scan");
    };
    refused(Serializable, get, "a key");
    refused(Serializable, absent, "an absent key");
    refused(Serializable, contains, "an absent key asked for");
    refused(Serializable, count, "a count");
    refused(Serializable, range, "a range");
    refused(Snapshot, |_, _, _| (), "a key both write");
}
