//! Given large values mapped into memory, nothing that happens to the database changes a byte of them, and damage is
//! an error before it is mapped.
#![cfg(unix)]

mod support;

use sopasync_core::{Durability, Error, KeptValue, Options, TransactionOptions, ValueBytes};
use support::WAIT;
use support::mapping::{self, kept, map, mapped, open, options, put, value};

#[test]
fn what_is_mapped_is_not_overwritten() {
    mapping::what_is_mapped_is_not_overwritten(Durability::Full);
}

#[test]
fn nor_where_commits_are_not_synced() {
    mapping::what_is_mapped_is_not_overwritten(Durability::Relaxed);
}

#[test]
fn what_is_mapped_outlives_its_database() {
    mapping::what_is_mapped_outlives_its_database();
}

#[test]
fn damage_is_never_mapped() {
    mapping::damage_is_never_mapped();
}

#[test]
fn a_short_value_is_a_copy_and_so_is_everything_of_a_follower() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path(), Durability::Full);
    put(&db, b"short", &[7; 60_000]);
    put(&db, b"long", &value(1));
    let short = map(&db, b"short", false).expect("a read").expect("there");
    assert!(matches!(&short, ValueBytes::Copied(found) if found == &[7; 60_000]));
    assert!(map(&db, b"absent", false).expect("a read").is_none());
    db.checkpoint().expect("a checkpoint");
    let disk = sopasync_core::disk::RealDisk::open(folder.path(), false).expect("the folder");
    let read_only = Options {
        read_only: true,
        create: false,
        ..options(Durability::Full)
    };
    let follower =
        sopasync_core::Database::open(std::sync::Arc::new(disk), read_only).expect("it opens");
    let found = map(&follower, b"long", false)
        .expect("a read")
        .expect("there");
    assert!(matches!(&found, ValueBytes::Copied(found) if *found == value(1)));
}

#[test]
fn two_who_map_one_value_share_the_mapping() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path(), Durability::Full);
    put(&db, b"key", &value(1));
    let (one, other) = (mapped(&db, b"key"), mapped(&db, b"key"));
    assert_eq!(one.as_ptr(), other.as_ptr());
    drop(one);
    assert!(*other == value(1)[..]);
}

#[test]
fn a_pinned_value_stays_when_the_process_forks_with_it_mapped() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path(), Durability::Full);
    put(&db, b"key", &value(1));
    let mapped = mapped(&db, b"key");
    let mut tx = db.begin(TransactionOptions::default()).expect("begin");
    let store = tx.find_store("values").expect("it is there").id;
    let pinned = tx.pin_value(store, b"key", WAIT).expect("a read");
    drop(tx);
    db.detach_mapped().expect("a copy");
    for number in 2..6 {
        put(&db, b"key", &value(number));
        db.checkpoint().expect("a checkpoint");
    }
    let Some(KeptValue::Pinned(pinned)) = pinned else {
        panic!("a long value is pinned")
    };
    let mut read = vec![0; pinned.len()];
    pinned.read(&mut read).expect("its place is kept");
    assert!(read == value(1) && *mapped == value(1)[..]);
    drop((pinned, mapped));
    let waiting = || db.statistics().waiting_pages;
    put(&db, b"key", &value(6));
    db.checkpoint().expect("a checkpoint");
    assert_eq!(waiting(), 0, "its place is given up with both");
}

#[test]
fn threads_map_and_overwrite_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path(), Durability::Full);
    put(&db, b"key", &value(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let db = db.clone();
            scope.spawn(move || {
                for _ in 0..60 {
                    let found = mapped(&db, b"key");
                    let before = found.to_vec();
                    std::thread::yield_now();
                    assert!(*found == before[..], "it changed while it was mapped");
                }
            });
        }
        for number in 1..60 {
            put(&db, b"key", &value(number));
        }
    });
    db.close().expect("it closes");
}

#[test]
fn values_of_several_writes_are_whole_wherever_they_lie() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path(), Durability::Full);
    let all: Vec<u8> = (0..5).flat_map(value).collect();
    // Writes end at multiples of 512 KiB in the file, and these values begin anywhere.
    for length in [524_288, 70_000, 524_289, 1_048_575, all.len(), 524_287] {
        let (key, bytes) = (length.to_be_bytes(), &all[..length]);
        put(&db, &key, bytes);
        let mut read = vec![0; length];
        kept(&db, &key).read(&mut read).expect("its checksum fits");
        assert!(read == bytes);
        let again = map(&db, &key, true).expect("it fits again");
        assert!(*again.expect("there") == *bytes);
    }
}

#[test]
fn a_value_in_parts_is_the_value_put_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let db = open(folder.path(), Durability::Full);
    let whole = value(3);
    for cuts in [
        vec![],
        vec![0, 8, 8, 262_144],
        vec![1, 2, 299_999],
        vec![100_000],
    ] {
        let mut tx = db.begin(TransactionOptions::default()).expect("begin");
        let store = match tx.find_store("values") {
            Some(store) => store.id,
            None => tx.create_store("values", 1, b"").expect("a store").id,
        };
        let ends = cuts.iter().copied().chain([whole.len()]);
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let parts: Vec<&[u8]> = starts
            .zip(ends)
            .map(|(start, end)| &whole[start..end])
            .collect();
        tx.put_parts(store, b"key", &parts, true).expect("a put");
        tx.put_parts(store, b"short", &[b"ab", b"", b"c"], false)
            .expect("a put");
        let found = tx.get(store, b"key", WAIT).expect("a read").expect("there");
        assert!(found.value == whole);
        tx.commit().expect("a commit");
        assert!(*mapped(&db, b"key") == whole[..]);
        assert_eq!(
            &*map(&db, b"short", false).expect("a read").expect("there"),
            b"abc"
        );
    }
    assert!(
        matches!(map(&db, b"key", true), Ok(Some(_))),
        "its checksum is that of the whole"
    );
    let _: Error = {
        let mut tx = db
            .begin(TransactionOptions {
                read_only: true,
                ..Default::default()
            })
            .expect("begin");
        let store = tx.find_store("values").expect("the store").id;
        tx.put_parts(store, b"key", &[&whole], true)
            .expect_err("it only reads")
    };
}
