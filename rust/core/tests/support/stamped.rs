//! The shortest check that stamped entries carry the number of their commit.

use sopasync_core::disk::SimDisk;
use sopasync_core::{Isolation, Stamp};

use super::{WAIT, begin, open, reader, simulated};

/// Every commit's entry stands under the number that the commit was told, and nowhere else.
pub fn entries_carry_their_commit() {
    let db = open(&SimDisk::new(1), &simulated(1024, 1 << 20)).expect("a new database");
    let mut tx = begin(&db, Isolation::Serializable);
    let store = tx.create_store("events", 1, b"").expect("a new store").id;
    tx.commit().expect("a commit");
    for _ in 0..5 {
        let mut tx = begin(&db, Isolation::Serializable);
        tx.put_stamped(store, &[0xff; 8], b"", b"", Stamp::key(0), true)
            .expect("a stamped entry");
        let seq = tx.commit().expect("a commit").seq;
        let found = reader(&db).contains(store, &seq.to_be_bytes(), WAIT);
        assert!(found.expect("a read"), "commit {seq}");
    }
    assert_eq!(reader(&db).count(store, WAIT).expect("a read"), 5);
}
