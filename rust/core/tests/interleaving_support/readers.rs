//! Readers of changes beside committers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shuttle::thread;
use sopasync_core::disk::SimDisk;
use sopasync_core::{Database, Wanted};

use super::{begin, options};
use crate::support::hooked::{Call, HookedDisk};

const READS: usize = 6;

/// Who follows commits as they happen has each once and in order, and reads no file for them. When he and all others have
/// gone, nothing is kept for them.
pub fn who_follows_closely_reads_no_file() {
    let armed = Arc::new(AtomicBool::new(false));
    let forbidden = Arc::clone(&armed);
    let disk = HookedDisk::new(Arc::new(SimDisk::new(6)), move |name, made| {
        let read = made == Call::Read && name.starts_with("log-");
        assert!(
            !(read && forbidden.load(Ordering::Acquire)),
            "it reads {name}"
        );
        Ok(())
    });
    let db = Database::open(Arc::new(disk), options()).expect("a new database");
    let mut tx = begin(&db);
    let store = tx.create_store("rows", 1, b"").expect("a store").id;
    tx.commit().expect("a commit");
    let first = db.last_seq();
    let mut feed = db.changes(first).expect("it begins here");
    let other = db.changes(first).expect("it begins here");
    armed.store(true, Ordering::Release);
    let mut threads = Vec::new();
    for key in 0..2 {
        let db = db.clone();
        threads.push(thread::spawn(move || {
            let mut tx = begin(&db);
            tx.put(store, &[key], b"", &[key; 60], true).expect("a put");
            tx.commit().expect("keys of its own");
        }));
    }
    threads.push(thread::spawn(move || drop(other)));
    threads.push(thread::spawn(move || {
        let mut seq = first;
        for _ in 0..READS {
            let commits = feed.next_resident(1 << 16, &|_| Wanted::What);
            for commit in commits.expect("nothing has to be waited for") {
                assert_eq!(commit.seq, seq + 1, "each once, and in order");
                seq = commit.seq;
            }
            thread::yield_now();
        }
    }));
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(db.recent_bytes(), 0, "nobody reads changes any more");
    db.close().expect("it closes");
}
