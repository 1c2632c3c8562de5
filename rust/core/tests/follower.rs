//! Reading a database that somebody else owns: `Options::read_only` and `Database::refresh`.

mod check_support;
mod follower_again;
mod follower_support;
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use check_support::*;
use follower_support::ReadOnlyDisk;
use sopasync_core::disk::{CrashOptions, Disk, RealDisk, SimDisk, SplitMix64};
use sopasync_core::{Access, Database, Error, Options, TransactionOptions};

fn follow(disk: &SimDisk) -> Database {
    try_open(disk, follower_options()).expect("the follower opens")
}

#[test]
fn commits_are_seen_after_a_refresh_and_not_before() {
    let (disk, mut model) = closed_database(1, 6);
    let owner = open(&disk);
    let follower = follow(&disk);
    assert_eq!(content(&follower), model);
    let mut random = SplitMix64::new(1);
    for _ in 0..20 {
        let before = model.clone();
        let seq_before = follower.last_seq();
        let mut open_since = begin(&follower);
        work(&owner, &mut model, &mut random);
        assert_eq!(follower.last_seq(), seq_before);
        assert_eq!(content(&follower), before);
        assert_eq!(follower.refresh().unwrap(), owner.last_seq());
        assert_eq!(content(&follower), model);
        assert_eq!(
            content_of(&mut open_since).unwrap(),
            before,
            "a snapshot stays as it is"
        );
    }
}

#[test]
fn a_commit_that_changes_no_page_is_seen_too() {
    let disk = SimDisk::new(9);
    let owner = open(&disk);
    let follower = follow(&disk);
    let mut tx = begin(&owner);
    let store = tx.create_store("empty", 1, b"").unwrap().id;
    tx.commit().unwrap();
    assert_eq!(follower.refresh().unwrap(), 1);
    assert!(begin(&follower).find_store("empty").is_some());
    let mut tx = begin(&owner);
    tx.delete(store, b"nothing").unwrap();
    tx.commit().unwrap();
    assert_eq!(follower.refresh().unwrap(), 2);
}

#[test]
fn a_follower_keeps_up_with_checkpoints_reopenings_and_recycled_logs() {
    for seed in 0..10 {
        let mut random = SplitMix64::new(seed);
        let disk = SimDisk::new(seed);
        let mut owner = open(&disk);
        let follower = follow(&disk);
        let mut model = Model::new();
        for round in 0..80 {
            for _ in 0..1 + random.below(4) {
                work(&owner, &mut model, &mut random);
            }
            match random.below(8) {
                0 | 1 => owner.checkpoint().unwrap(),
                3 => load(&owner, &mut model, &mut random),
                2 => {
                    owner.close().unwrap();
                    owner = open(&disk);
                }
                _ => {}
            }
            if random.below(3) == 0 {
                assert_eq!(follower.refresh().unwrap(), owner.last_seq());
                assert_eq!(content(&follower), model, "seed {seed}, round {round}");
            }
        }
    }
}

#[test]
fn a_snapshot_whose_pages_were_reused_expires_and_the_next_one_is_fine() {
    let mut expired = 0;
    for seed in 0..10 {
        let (disk, mut model) = closed_database(seed, 10);
        let owner = open(&disk);
        let options = Options {
            cache_bytes: 16 * PAGE_BYTES,
            ..follower_options()
        };
        let follower = try_open(&disk, options).unwrap();
        let before = model.clone();
        let mut old = begin(&follower);
        let mut random = SplitMix64::new(seed);
        for _ in 0..40 {
            work(&owner, &mut model, &mut random);
            owner.checkpoint().unwrap();
        }
        match content_of(&mut old) {
            Ok(found) => assert_eq!(found, before, "never a mixture"),
            Err(Error::SnapshotExpired) => expired += 1,
            Err(error) => panic!("{error}"),
        }
        follower.refresh().unwrap();
        assert_eq!(content(&follower), model);
    }
    assert!(expired > 0, "pages are reused");
}

#[test]
fn a_follower_changes_nothing_on_the_disk() {
    let (disk, mut model) = closed_database(3, 10);
    let owner = open(&disk);
    let read_only = ReadOnlyDisk::new(Arc::new(disk.clone()));
    let follower = Database::open(Arc::new(read_only.clone()), follower_options()).unwrap();
    let mut random = SplitMix64::new(3);
    for round in 0..20 {
        work(&owner, &mut model, &mut random);
        if round % 4 == 0 {
            owner.checkpoint().unwrap();
        }
        follower.refresh().unwrap();
        assert_eq!(content(&follower), model);
        assert_sound(&follower);
    }
    owner.close().unwrap();
    follower.refresh().unwrap();
    assert_eq!(content(&follower), model, "also when nobody owns it");
    follower.close().unwrap();
    assert_eq!(read_only.attempts(), 0);
}

#[test]
fn writes_through_a_follower_are_refused() {
    let (disk, model) = closed_database(4, 5);
    let follower = follow(&disk);
    let mut tx = begin(&follower);
    let store = tx.stores()[0].id;
    let refused = |result: sopasync_core::Result<()>| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    };
    refused(tx.put(store, b"key", b"", b"value", true).map(|_| ()));
    refused(tx.delete(store, b"key").map(|_| ()));
    refused(tx.create_store("new", 1, b"").map(|_| ()));
    refused(tx.remove_store(store));
    refused(follower.checkpoint());
    assert_eq!(content(&follower), model);
}

#[test]
fn a_second_owner_is_refused_and_a_follower_does_not_stand_in_its_way() {
    let (disk, model) = closed_database(5, 5);
    let follower = follow(&disk);
    let owner = open(&disk);
    let error = try_open(&disk, options()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert!(error.to_string().contains("open it read-only"));
    assert_eq!(content(&owner), model, "the first owner is not disturbed");
    owner.close().unwrap();
    let owner = open(&disk);
    assert_eq!(content(&owner), model);
    assert_eq!(follower.refresh().unwrap(), owner.last_seq());
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let disk = SimDisk::new(6);
    let error = try_open(&disk, follower_options()).map(|_| ()).unwrap_err();
    assert!(
        error.to_string().contains("there is no database"),
        "{error}"
    );
    assert!(disk.list().unwrap().is_empty());
}

#[test]
fn a_database_whose_owner_crashed_can_be_read_without_repair() {
    let disk = SimDisk::new(7);
    let owner = open(&disk);
    let mut random = SplitMix64::new(7);
    let mut versions = vec![Model::new()];
    let mut model = Model::new();
    disk.restart_trace();
    for round in 0..8 {
        work(&owner, &mut model, &mut random);
        versions.push(model.clone());
        if round % 3 == 1 {
            owner.checkpoint().unwrap();
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for image in disk.crash_images(CrashOptions::default()) {
        let read_only = ReadOnlyDisk::new(Arc::new(image.disk.clone()));
        let follower = Database::open(Arc::new(read_only.clone()), follower_options()).unwrap();
        let seq = follower.last_seq() as usize;
        assert_eq!(content(&follower), versions[seq]);
        seen.insert(seq);
        assert_eq!(read_only.attempts(), 0);
        drop(follower);
        // And the owner that comes next sees at least as much.
        let owner = open(&image.disk);
        assert!(owner.last_seq() as usize >= seq);
        assert_eq!(content(&owner), versions[owner.last_seq() as usize]);
    }
    assert_eq!(seen.len(), versions.len(), "images of every commit");
}

#[test]
fn followers_on_threads_see_whole_commits_while_the_owner_works() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(RealDisk::open(folder.path(), true).unwrap());
    let options = Options {
        page_bytes: PAGE_BYTES,
        cache_bytes: 64 << 10,
        checkpoint_log_bytes: 32 << 10,
        segment_bytes: 32 << 10,
        ..Options::default()
    };
    let owner = Database::open(disk(), options.clone()).unwrap();
    let mut tx = begin(&owner);
    let store = tx.create_store("pairs", 1, b"").unwrap().id;
    for pair in 0..300u32 {
        tx.put(store, &pair.to_be_bytes(), b"", &0u64.to_le_bytes(), true)
            .unwrap();
    }
    tx.commit().unwrap();

    let stop = AtomicBool::new(false);
    let follower_options = Options {
        read_only: true,
        ..options
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (disk, options, stop) = (disk(), follower_options.clone(), &stop);
            scope.spawn(move || {
                let follower = Database::open(disk, options).unwrap();
                let mut looks = 0;
                while !stop.load(Ordering::Relaxed) {
                    follower.refresh().unwrap();
                    looks += u32::from(see_whole_pairs(&follower, store));
                }
                assert!(looks > 0, "some looks were quick enough");
            });
        }
        let end = Instant::now() + Duration::from_secs(3);
        let mut random = SplitMix64::new(8);
        let mut number = 0u64;
        while Instant::now() < end {
            number += 1;
            let mut tx = begin(&owner);
            let pair = random.below(150) as u32;
            for key in [pair, 299 - pair] {
                tx.put(
                    store,
                    &key.to_be_bytes(),
                    &[1; 100],
                    &number.to_le_bytes(),
                    true,
                )
                .unwrap();
            }
            if number.is_multiple_of(50) {
                tx.put(store, b"large", b"", &vec![number as u8; 70_000], true)
                    .unwrap();
            }
            tx.commit().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(
        owner.statistics().checkpoints > 3,
        "the log was recycled under them"
    );
    assert_sound(&owner);
}

#[test]
fn a_follower_that_opens_while_the_log_grows_takes_no_page_that_the_new_groups_name() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let owner = open(&disk);
        let mut tx = begin(&owner);
        let store = tx.create_store("s", 1, b"").unwrap().id;
        tx.commit().unwrap();
        let mut random = SplitMix64::new(seed);
        let commit = move |owner: &Database| {
            let mut tx = begin(owner);
            for _ in 0..10 {
                let key = random.below(1000).to_be_bytes();
                tx.put(store, &key, b"", &[7; 60], true).unwrap();
            }
            let large = vec![seed as u8; 70_000];
            tx.put(store, b"large", b"", &large, true).unwrap();
            tx.commit().unwrap();
        };
        let work = Arc::new(Mutex::new((owner, commit)));
        let at_work = Arc::clone(&work);
        let growing = ReadOnlyDisk::new(Arc::new(disk)).on_open(move |name| {
            if name.starts_with("log-") {
                let (owner, commit) = &mut *at_work.lock().unwrap();
                commit(owner);
            }
        });
        let follower = Database::open(Arc::new(growing), follower_options()).unwrap();
        for _ in 0..5 {
            follower.refresh().unwrap();
            assert_sound(&follower);
            let (owner, commit) = &mut *work.lock().unwrap();
            commit(owner);
        }
        assert_eq!(
            follower.refresh().unwrap(),
            work.lock().unwrap().0.last_seq()
        );
    }
}

#[test]
fn a_follower_goes_on_after_the_owner_has_moved_pages_without_a_commit() {
    let (disk, mut model) = closed_database(12, 4);
    let owner = open(&disk);
    let mut random = SplitMix64::new(12);
    let mut moved = 0;
    for _ in 0..12 {
        for _ in 0..4 {
            work(&owner, &mut model, &mut random);
            owner.checkpoint().unwrap();
        }
        let follower = follow(&disk);
        assert_eq!(content(&follower), model);
        owner.compact().unwrap();
        follower.refresh().unwrap();
        assert_eq!(content(&follower), model);
        // Other bytes come to lie where its pages were.
        work(&owner, &mut model, &mut random);
        owner.checkpoint().unwrap();
        owner.compact().unwrap();
        follower.refresh().unwrap();
        assert_eq!(content(&follower), model);
        moved = owner.statistics().moved_pages;
    }
    assert!(moved > 0, "nothing was moved");
}

#[test]
fn a_follower_with_threads_closes_after_it_went_on_from_a_newer_checkpoint() {
    let (disk, mut model) = closed_database(10, 5);
    let owner = open(&disk);
    let options = Options {
        background: true,
        ..follower_options()
    };
    let follower = try_open(&disk, options).unwrap();
    work(&owner, &mut model, &mut SplitMix64::new(10));
    owner.checkpoint().unwrap();
    follower.refresh().unwrap();
    let (told, hear) = std::sync::mpsc::channel();
    let tx = begin(&follower);
    tx.submit(Box::new(move |result| told.send(result).unwrap()))
        .unwrap();
    hear.recv().unwrap().unwrap();
    follower.close().unwrap();
}

#[test]
fn a_follower_that_fails_within_a_group_begins_again() {
    let failures = follower_again::a_failure_within_a_group_leaves_no_trace();
    assert!(failures > 4, "the disk failed at {failures} reads only");
}

#[test]
fn a_follower_opens_while_the_end_of_the_log_is_replaced() {
    follower_again::opening_goes_on_while_the_end_of_the_log_is_replaced();
}

/// Keys `n` and `299 - n` are always written together. False when the snapshot expired meanwhile.
fn see_whole_pairs(follower: &Database, store: u64) -> bool {
    let mut tx = follower
        .begin(TransactionOptions {
            read_only: true,
            ..TransactionOptions::default()
        })
        .unwrap();
    for pair in 0..150u32 {
        let mut value = |key: u32| tx.get(store, &key.to_be_bytes(), Access::default());
        match (value(pair), value(299 - pair)) {
            (Ok(a), Ok(b)) => assert_eq!(a, b, "half a transaction was seen"),
            (Err(Error::SnapshotExpired), _) | (_, Err(Error::SnapshotExpired)) => return false,
            (Err(error), _) | (_, Err(error)) => panic!("{error}"),
        }
    }
    match tx.get(store, b"large", Access::default()) {
        Ok(None) => true,
        Ok(Some(large)) => {
            assert!(large.value.iter().all(|byte| *byte == large.value[0]));
            true
        }
        Err(Error::SnapshotExpired) => false,
        Err(error) => panic!("{error}"),
    }
}
