//! A damaged page in a store that is removed: nothing else suffers, and checkpoints go on.

use std::sync::Arc;

use sopasync_core::disk::{Disk, SimDisk};
use sopasync_core::{Access, Database, Options, TransactionOptions};

const PAGE_BYTES: usize = 512;

fn open(disk: &SimDisk) -> Database {
    let options = Options {
        page_bytes: PAGE_BYTES,
        background: false,
        ..Options::default()
    };
    Database::open(Arc::new(disk.clone()), options).unwrap()
}

fn fill(db: &Database, name: &str) -> u64 {
    let mut tx = db.begin(TransactionOptions::default()).unwrap();
    let store = tx.create_store(name, 1, b"").unwrap().id;
    for i in 0..200u32 {
        tx.put(store, &i.to_be_bytes(), b"", &[7; 40], true)
            .unwrap();
    }
    tx.commit().unwrap();
    store
}

#[test]
fn checkpoints_go_on_after_removing_a_store_with_a_damaged_page() {
    let disk = SimDisk::new(1);
    let db = open(&disk);
    let broken = fill(&db, "broken");
    db.close().unwrap();
    let file = disk.open("pages", false).unwrap();
    // Every page of the only store, so that its root is among them.
    let pages = file.len().unwrap() / PAGE_BYTES as u64;
    let mut damaged = 0;
    for page in 16_384 / PAGE_BYTES as u64..pages {
        let mut header = [0; PAGE_BYTES];
        file.read_at(&mut header, page * PAGE_BYTES as u64).unwrap();
        let (kind, store) = (header[48], &header[56..64]);
        if kind == 1 && store == broken.to_le_bytes() && page % 3 == 0 {
            file.write_at(&[header[100] ^ 1], page * PAGE_BYTES as u64 + 100)
                .unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "no leaf was damaged: the test shows nothing");
    file.sync().unwrap();

    let db = open(&disk);
    let whole = fill(&db, "whole");
    let mut tx = db.begin(TransactionOptions::default()).unwrap();
    tx.remove_store(broken).unwrap();
    tx.commit().unwrap();
    db.checkpoint().unwrap();
    let written = db.statistics().checkpoint_seq;
    assert_eq!(
        written,
        db.last_seq(),
        "the checkpoint holds the newest commit"
    );
    db.close().unwrap();

    let db = open(&disk);
    let mut tx = db.begin(TransactionOptions::default()).unwrap();
    assert!(tx.find_store("broken").is_none());
    assert_eq!(tx.count(whole, Access::default()).unwrap(), 200);
    drop(tx);
    db.close().unwrap();
}
