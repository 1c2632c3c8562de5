//! The change feed: every commit once and in order, kept as long as promised, never a gap.

mod feed_support;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use feed_support::{
    State, a_commit_comes_again_after_an_error, a_group_comes_as_its_commits, all,
    applied_changes_give_the_database, apply, changes_not_kept_are_refused, check_order, content,
    open, who_falls_behind_reads_the_log_from_where_he_is, work,
};
use sopasync_core::disk::{CrashOptions, Disk, SimDisk, SplitMix64};
use sopasync_core::{
    Change, ChangeKind, Database, Durability, Error, Options, TransactionOptions, Wanted,
};
use support::for_seeds;

#[test]
fn applying_every_change_gives_the_database_through_checkpoints_and_reopenings() {
    for_seeds(12, |seed| applied_changes_give_the_database(seed, 150));
}

#[test]
fn changes_that_are_not_kept_are_refused_and_those_that_are_come_again() {
    changes_not_kept_are_refused();
}

#[test]
fn who_falls_behind_what_is_in_memory_reads_the_log_from_where_he_is() {
    who_falls_behind_reads_the_log_from_where_he_is();
}

#[test]
fn commits_of_one_group_come_one_by_one() {
    a_group_comes_as_its_commits();
}

#[test]
fn whichever_call_fails_every_commit_comes_once() {
    a_commit_comes_again_after_an_error();
}

#[test]
fn a_commit_that_was_just_made_is_read_without_waiting_and_a_long_one_is_left_to_who_may_wait() {
    let db = open(&SimDisk::new(9), 1 << 20);
    let put = |length: usize| {
        let mut tx = db.begin(TransactionOptions::default()).unwrap();
        let store = tx.find_store("store");
        let store = store.unwrap_or_else(|| tx.create_store("store", 1, b"").unwrap());
        for number in 0..length / 100 {
            let key = (number as u64).to_be_bytes();
            tx.put(store.id, &key, b"", &[7; 100], true).unwrap();
        }
        tx.commit().unwrap();
        db.last_seq()
    };
    let mut feed = db.changes(0).unwrap();
    for _ in 0..5 {
        let made = put(200);
        let read = feed.next_resident(1 << 10, &|_| Wanted::What).unwrap();
        assert_eq!((read.len(), read[0].seq), (1, made));
        let none = feed.next_resident(1 << 10, &|_| Wanted::What).unwrap();
        assert!(none.is_empty());
    }
    let long = put(10_000);
    let refused = feed.next_resident(1 << 10, &|_| Wanted::What);
    assert!(matches!(refused, Err(Error::WouldBlock)));
    let read = feed.next(1 << 10, &|_| Wanted::What).unwrap();
    assert_eq!((read.len(), read[0].seq), (1, long));
}

#[test]
fn who_follows_closely_reads_nothing_and_who_falls_behind_reads_the_log_and_catches_up() {
    let disk = SimDisk::new(10);
    let db = open(&disk, 64 << 20);
    let put = |number: u64| {
        let mut tx = db.begin(TransactionOptions::default()).unwrap();
        let store = tx.find_store("store");
        let store = store.unwrap_or_else(|| tx.create_store("store", 1, b"").unwrap());
        let value = [number as u8; 30_000];
        tx.put(store.id, &number.to_be_bytes(), b"", &value, true)
            .unwrap();
        tx.commit().unwrap();
    };
    let numbers = |commits: Vec<sopasync_core::CommitChanges>| -> Vec<u64> {
        let changes = commits.into_iter().flat_map(|commit| commit.changes);
        let puts = changes.filter_map(|change| match change.kind {
            ChangeKind::Put {
                key,
                value: Some(value),
                ..
            } => {
                let number = u64::from_be_bytes(key.try_into().unwrap());
                assert_eq!(value, [number as u8; 30_000]);
                Some(number)
            }
            _ => None,
        });
        puts.collect()
    };
    let mut feed = db.changes(0).unwrap();
    for number in 0..20 {
        put(number);
        let calls = disk.call_count();
        let read = feed.next_resident(1 << 20, &|_| Wanted::What).unwrap();
        assert_eq!(numbers(read), [number]);
        assert_eq!(disk.call_count(), calls, "it read a file");
    }
    // Far more than is kept in memory, over several segments of the log.
    for number in 20..220 {
        put(number);
    }
    let (mut seen, mut later) = (Vec::new(), 220..225);
    while feed.seq() < db.last_seq() {
        seen.extend(numbers(feed.next(1 << 16, &|_| Wanted::What).unwrap()));
        if seen.len() > 100 {
            later.by_ref().for_each(put);
        }
    }
    assert_eq!(seen, (20..225).collect::<Vec<u64>>());
    put(225);
    let calls = disk.call_count();
    let read = feed.next_resident(1 << 20, &|_| Wanted::What).unwrap();
    assert_eq!(numbers(read), [225]);
    assert_eq!(disk.call_count(), calls, "it has caught up");
}

#[test]
fn groups_are_kept_in_memory_while_somebody_reads_changes_and_up_to_a_limit() {
    const LIMIT: usize = 1 << 20;
    let db = open(&SimDisk::new(11), 1 << 20);
    let put = || {
        let mut tx = db.begin(TransactionOptions::default()).unwrap();
        let store = tx.find_store("store");
        let store = store.unwrap_or_else(|| tx.create_store("store", 1, b"").unwrap());
        tx.put(store.id, b"key", b"", &[1; 50_000], true).unwrap();
        tx.commit().unwrap();
    };
    put();
    assert_eq!(db.recent_bytes(), 0);
    let (feed, other) = (db.changes(0).unwrap(), db.changes(1).unwrap());
    for _ in 0..40 {
        put();
        assert!(db.recent_bytes() <= LIMIT);
    }
    assert!(db.recent_bytes() > LIMIT / 2);
    drop(feed);
    assert!(db.recent_bytes() > 0);
    drop(other);
    assert_eq!(db.recent_bytes(), 0);
}

#[test]
fn no_more_is_kept_than_was_asked_for_and_it_is_the_newest() {
    let disk = SimDisk::new(4);
    let mut random = SplitMix64::new(4);
    let kept = 200 << 10;
    let mut db = open(&disk, kept);
    for round in 0..30 {
        for _ in 0..100 {
            work(&db, &mut random);
        }
        db.checkpoint().unwrap();
        if round % 7 == 6 {
            db.close().unwrap();
            db = open(&disk, kept);
        }
        let names: Vec<String> = disk.list().unwrap();
        let bytes: u64 = names
            .iter()
            .filter(|name| name.starts_with("kept-"))
            .map(|name| disk.open_read_only(name).unwrap().len().unwrap())
            .sum();
        assert!(bytes <= kept, "{bytes} bytes of changes are kept");
        assert!(
            round < 8 || bytes > kept / 2,
            "only {bytes} bytes of changes are kept"
        );
    }
    let newest = db.last_seq();
    let oldest = (0..newest).find(|seq| db.changes(*seq).is_ok()).unwrap();
    assert!(oldest > 0);
    for after in [oldest, oldest + 1, newest - 1] {
        let commits = all(&mut db.changes(after).unwrap());
        check_order(&commits, after);
        assert_eq!(commits.len() as u64, newest - after);
    }
    db.close().unwrap();
    let db = open(&disk, 0);
    assert!(db.changes(oldest).is_err());
    assert!(
        !disk
            .list()
            .unwrap()
            .iter()
            .any(|name| name.starts_with("kept-"))
    );
}

#[test]
fn after_a_crash_the_feed_has_what_the_database_has() {
    for_seeds(10, |seed| {
        let mut random = SplitMix64::new(seed);
        let disk = SimDisk::new(seed);
        let db = open(&disk, 64 << 20);
        disk.restart_trace();
        for _ in 0..25 {
            work(&db, &mut random);
            if random.below(6) == 0 {
                db.checkpoint().unwrap();
            }
        }
        let options = CrashOptions {
            seed,
            stride: 7,
            images_per_point: 3,
            combinations_max: 3,
            ..CrashOptions::default()
        };
        for image in disk.crash_images(options) {
            let db = open(&image.disk, 64 << 20);
            let commits = all(&mut db.changes(0).unwrap());
            check_order(&commits, 0);
            assert_eq!(
                commits.len() as u64,
                db.last_seq(),
                "seed {seed}, point {}",
                image.point
            );
            let mut state = State::new();
            let whole =
                |change: &Change| !matches!(change.kind, ChangeKind::Put { value: None, .. });
            if commits.iter().flat_map(|commit| &commit.changes).all(whole) {
                apply(&mut state, &commits);
                assert!(state == content(&db), "seed {seed}, point {}", image.point);
            }
        }
    });
}

#[test]
fn whoever_waits_is_told_of_the_next_commit_and_of_the_end() {
    let disk = SimDisk::new(5);
    let db = open(&disk, 0);
    let told = Arc::new(AtomicU64::new(u64::MAX));
    let watch = |seq| {
        told.store(u64::MAX, Ordering::SeqCst);
        let told = Arc::clone(&told);
        db.when_published(
            seq,
            Box::new(move |newest| told.store(newest, Ordering::SeqCst)),
        );
    };
    watch(0);
    assert_eq!(told.load(Ordering::SeqCst), u64::MAX);
    work(&db, &mut SplitMix64::new(1));
    assert_eq!(told.load(Ordering::SeqCst), 1);
    watch(0);
    assert_eq!(
        told.load(Ordering::SeqCst),
        1,
        "at once, when it is there already"
    );
    watch(1);
    assert_eq!(told.load(Ordering::SeqCst), u64::MAX);
    db.close().unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 1);
}

#[test]
fn commits_that_a_power_cut_took_out_of_the_middle_are_told_of() {
    let disk = SimDisk::new(8);
    let relaxed = Options {
        durability: Durability::Relaxed,
        ..feed_support::options(1 << 20)
    };
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let db = Database::open(shared, relaxed).unwrap();
    let mut random = SplitMix64::new(8);
    for _ in 0..20 {
        work(&db, &mut random);
    }
    // Durable without the log: what led there may go.
    db.checkpoint().unwrap();
    let newest = db.last_seq();
    let now = disk.trace_len();
    let mut gaps = 0;
    for image in disk.crash_images(CrashOptions {
        from: now,
        to: now,
        images_per_point: 40,
        ..CrashOptions::default()
    }) {
        let db = open(&image.disk, 1 << 20);
        assert_eq!(db.last_seq(), newest);
        let mut feed = match db.changes(0) {
            Ok(feed) => feed,
            Err(error) => {
                assert!(matches!(error, Error::LogRecycled), "{error}");
                gaps += 1;
                continue;
            }
        };
        let mut seen = 0;
        while seen < newest {
            match feed.next(1 << 20, &|_| Wanted::What) {
                Ok(commits) => {
                    check_order(&commits, seen);
                    assert!(!commits.is_empty(), "it says nothing, and there is more");
                    seen = feed.seq();
                }
                Err(error) => {
                    assert!(matches!(error, Error::LogRecycled), "{error}");
                    gaps += 1;
                    break;
                }
            }
        }
    }
    assert!(gaps > 1, "nothing was lost");
}
