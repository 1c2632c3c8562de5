//! Followers that have to begin again: in the middle of a group, and while they open.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sopasync_core::disk::{Disk, SimDisk};
use sopasync_core::{Database, Done, Error, Options, Transaction};

use crate::check_support::*;
use crate::follower_support::ReadOnlyDisk;
use crate::support::hooked::{Call, HookedDisk};

const ROWS: u32 = 400;

fn put(db: &Database, store: u64, row: u32, value: &[u8]) -> Transaction {
    let mut tx = begin(db);
    tx.put(store, &row.to_be_bytes(), b"", value, true)
        .expect("a put");
    tx
}

/// An owner of a store whose rows lie in many pages of the file.
fn owner_of_rows(disk: &SimDisk) -> (Database, u64) {
    let owner = open(disk);
    let mut tx = begin(&owner);
    let store = tx.create_store("rows", 1, b"").expect("a store").id;
    for row in 0..ROWS {
        tx.put(store, &row.to_be_bytes(), b"", &[1; 40], true)
            .expect("a put");
    }
    tx.commit().expect("a commit");
    owner.checkpoint().expect("a checkpoint");
    (owner, store)
}

/// The disk fails at one read after the other while a follower takes in a group of several commits; each time it stays where
/// it was, and the next refresh has everything. How often the disk failed.
pub fn a_failure_within_a_group_leaves_no_trace() -> usize {
    for failing in 1.. {
        let disk = SimDisk::new(failing as u64);
        let (owner, store) = owner_of_rows(&disk);
        let left = Arc::new(AtomicUsize::new(0));
        let reads = Arc::clone(&left);
        let hooked = HookedDisk::new(Arc::new(disk.clone()), move |name, call| {
            // Counts down to the read that fails; at zero none does.
            let pages = name == "pages" && call == Call::Read;
            let now = |left: usize| (pages && left > 0).then(|| left - 1);
            match reads.fetch_update(Ordering::AcqRel, Ordering::Acquire, now) {
                Ok(1) => Err(io::Error::other("it fails once")),
                _ => Ok(()),
            }
        });
        let options = Options {
            cache_bytes: 16 * PAGE_BYTES,
            ..follower_options()
        };
        let follower = Database::open(Arc::new(hooked), options).expect("it opens");
        let before = content(&follower);
        let group: Vec<(Transaction, Done)> = (0..ROWS)
            .step_by(100)
            .map(|row| {
                let done: Done = Box::new(|result| {
                    result.expect("rows of their own");
                });
                (put(&owner, store, row, &[2; 40]), done)
            })
            .collect();
        for answer in Transaction::submit_all(group) {
            answer.expect("it is handed over");
        }
        left.store(failing, Ordering::Release);
        let seq = follower.last_seq();
        let failed = follower.refresh().is_err();
        left.store(0, Ordering::Release);
        if !failed {
            assert_eq!(content(&follower), content(&owner));
            return failing - 1;
        }
        assert_eq!(follower.last_seq(), seq);
        assert_eq!(content(&follower), before, "of a group nothing or all");
        let newest = owner.last_seq();
        assert_eq!(follower.refresh().expect("the disk works again"), newest);
        assert_eq!(content(&follower), content(&owner));
        // And it goes on from there.
        put(&owner, store, 1, &[3; 40]).commit().expect("a commit");
        follower.refresh().expect("a group more");
        assert_eq!(content(&follower), content(&owner));
        assert_sound(&follower);
    }
    unreachable!("some refresh meets no failure")
}

/// Puts the files of `from` where those of `to` were.
fn replace(to: &SimDisk, from: &SimDisk) {
    for name in from.list().expect("the names") {
        let bytes = from.content(&name).expect("it is there");
        if to.content(&name).is_some_and(|there| there != bytes) {
            to.replace_content(&name, &bytes);
        }
    }
}

/// While a follower opens, the owner crashes and loses the last group, the next one writes another in its place, and that is
/// lost and replaced as well: each time the follower has seen the one and finds the other.
pub fn opening_goes_on_while_the_end_of_the_log_is_replaced() {
    let disk = SimDisk::new(1);
    let (owner, store) = owner_of_rows(&disk);
    let lost = disk.duplicate(7);
    // Large values, so that the group names pages that only its own reader keeps free.
    let large = |owner: &Database, row: u32, length: usize| {
        let mut tx = put(owner, store, row, &vec![row as u8; length]);
        for more in 0..row {
            let key = (ROWS + more).to_be_bytes();
            tx.put(store, &key, b"", b"", true).expect("a put");
        }
        tx.commit().expect("a commit");
    };
    large(&owner, 1, 70_000);
    // From one state, with one seed: all that differs is what they commit.
    let later = [(2, 100_000), (3, 150_000)].map(|(row, length)| {
        let disk = lost.duplicate(7);
        let owner = open(&disk);
        large(&owner, row, length);
        (disk, content(&owner), owner)
    });
    let roots = later
        .iter()
        .map(|(disk, ..)| disk.content("pages").expect("it is there")[..16_384].to_vec());
    let roots: Vec<Vec<u8>> = roots.collect();
    assert_eq!(roots[0], roots[1], "nothing but the log tells them apart");
    let replaced = later.each_ref().map(|(disk, ..)| disk.clone());
    let (own, opened) = (disk.clone(), AtomicUsize::new(0));
    let replacing = ReadOnlyDisk::new(Arc::new(disk)).on_open(move |name| {
        if name.starts_with("log-") {
            // Each try looks at the log twice, and once more after it has failed.
            match opened.fetch_add(1, Ordering::AcqRel) {
                1 => replace(&own, &replaced[0]),
                4 => replace(&own, &replaced[1]),
                _ => {}
            }
        }
    });
    let follower = match Database::open(Arc::new(replacing), follower_options()) {
        Ok(follower) => follower,
        Err(Error::SnapshotExpired) => panic!("it gave up"),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(content(&follower), later[1].1);
    assert_sound(&follower);
    drop(owner);
}
