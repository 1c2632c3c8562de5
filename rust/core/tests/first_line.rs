//! The thin line through all layers: one put, one durable commit, one get after reopening.

use std::sync::Arc;

use sopasync_core::disk::RealDisk;
use sopasync_core::{Access, Database, Options, TransactionOptions};

#[test]
fn a_committed_put_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let disk = RealDisk::open(folder.path(), true).unwrap();
        Database::open(Arc::new(disk), Options::default()).unwrap()
    };
    let db = open();
    let mut tx = db.begin(TransactionOptions::default()).unwrap();
    let store = tx.create_store("users", 1, b"").unwrap();
    tx.put(store.id, b"ann", b"", b"first", true).unwrap();
    tx.put(store.id, b"long", b"meta", &vec![7; 200_000], true)
        .unwrap();
    tx.put(store.id, b"middle", b"", &vec![8; 20_000], true)
        .unwrap();
    assert_eq!(tx.commit().unwrap().seq, 1);
    for closed in [false, true, false] {
        if closed {
            db.close().unwrap();
        }
        let db2 = if closed { Some(open()) } else { None };
        let db = db2.as_ref().unwrap_or(&db);
        let Ok(mut tx) = db.begin(TransactionOptions::default()) else {
            continue;
        };
        let store = tx.find_store("users").unwrap();
        let mut get = |key: &[u8]| tx.get(store.id, key, Access::default()).unwrap().unwrap();
        assert_eq!(get(b"ann").value, b"first");
        assert_eq!(get(b"long").value, vec![7; 200_000]);
        assert_eq!(get(b"long").meta, b"meta");
        assert_eq!(get(b"middle").value, vec![8; 20_000]);
        assert_eq!(tx.count(store.id, Access::default()).unwrap(), 3);
    }
}
