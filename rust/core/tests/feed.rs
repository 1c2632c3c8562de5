//! The change feed: every commit once and in order, kept as long as promised, never a gap.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sopasync_core::disk::{CrashOptions, Disk, SimDisk, SplitMix64};
use sopasync_core::{
    Change, ChangeFeed, ChangeKind, CommitChanges, Database, Error, MergeOp, Options, ScanRange,
    Stamp, TransactionOptions, Wanted,
};
use support::for_seeds;

/// Entries by store name and key: ride-along part and value.
type State = BTreeMap<(String, Vec<u8>), (Vec<u8>, Vec<u8>)>;

fn options(kept: u64) -> Options {
    Options {
        changes_kept_bytes: kept,
        ..support::simulated(1024, 1 << 20)
    }
}

fn open(disk: &SimDisk, kept: u64) -> Database {
    Database::open(Arc::new(disk.clone()), options(kept)).expect("it opens")
}

fn all(feed: &mut ChangeFeed) -> Vec<CommitChanges> {
    let mut found = Vec::new();
    loop {
        let more = feed
            .next(1 << 16, &|_| Wanted::What)
            .expect("changes are read");
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

fn content(db: &Database) -> State {
    let mut state = State::new();
    let mut tx = db.begin(TransactionOptions::default()).unwrap();
    for store in tx.stores() {
        tx.scan(
            store.id,
            &ScanRange::default(),
            Default::default(),
            &mut |key, meta, value| {
                let entry = (meta.to_vec(), value.unwrap().to_vec());
                state.insert((store.name.clone(), key.to_vec()), entry);
            },
        )
        .unwrap();
    }
    state
}

/// Applies changes as a user of the feed would.
fn apply(state: &mut State, commits: &[CommitChanges]) {
    for change in commits.iter().flat_map(|commit| &commit.changes) {
        let name = change.store.name.clone();
        match change.kind.clone() {
            ChangeKind::Created | ChangeKind::Loaded => {}
            ChangeKind::Changed => unreachable!("every change was asked for whole"),
            ChangeKind::Removed => state.retain(|(store, _), _| *store != name),
            ChangeKind::Put { key, meta, value } => {
                let value = value.expect("nothing large was overwritten");
                state.insert((name, key), (meta, value));
            }
            ChangeKind::Deleted { key } => {
                state.remove(&(name, key));
            }
            ChangeKind::MetaChanged { key, meta } => {
                if let Some(entry) = state.get_mut(&(name, key)) {
                    entry.0 = meta;
                }
            }
            ChangeKind::Merged {
                key,
                operation,
                operand,
            } => {
                assert_eq!(operation, MergeOp::Append);
                let entry = state
                    .entry((name, key))
                    .or_insert_with(|| (vec![], EMPTY.to_vec()));
                entry.1.extend_from_slice(&operand[1..]);
                let length = entry.1.len() as u8 - 1;
                entry.1[0] = 0xa0 | length;
            }
        }
    }
}

/// An empty string in msgpack.
const EMPTY: &[u8] = &[0xa0];

/// One random transaction; what it commits is in the feed.
fn work(db: &Database, random: &mut SplitMix64) {
    let mut tx = db.begin(TransactionOptions::default()).unwrap();
    for _ in 0..1 + random.below(4) {
        let name = format!("store{}", random.below(3));
        let store = match tx.find_store(&name) {
            Some(store) => store,
            None => tx.create_store(&name, 1, b"").unwrap(),
        };
        let key = [b"k".as_slice(), &[random.below(40) as u8]].concat();
        match random.below(12) {
            0 => tx.remove_store(store.id).unwrap(),
            1 | 2 => tx.delete(store.id, &key).unwrap(),
            3 => tx
                .put_meta(store.id, &key, &[random.below(9) as u8])
                .unwrap(),
            4 => {
                let long = [b"append".as_slice(), &random.below(1 << 40).to_be_bytes()].concat();
                let operand = [0xa1, b'x'];
                tx.merge(store.id, &long, MergeOp::Append, &operand)
                    .unwrap();
            }
            5 => {
                let ordinal = tx.next_ordinal(store.id).unwrap();
                let key = [&[0x20; 1], &[0xff; 8][..], &ordinal.to_be_bytes()].concat();
                tx.put_stamped(
                    store.id,
                    &key,
                    b"m",
                    &[0xff; 8],
                    Stamp {
                        key_at: Some(1),
                        value_at: Some(0),
                    },
                    true,
                )
                .unwrap();
            }
            6 => tx
                .put(
                    store.id,
                    &key,
                    b"",
                    &vec![random.below(256) as u8; 70_000],
                    true,
                )
                .unwrap(),
            _ => {
                let value = vec![random.below(256) as u8; random.below(900)];
                tx.put(store.id, &key, b"meta", &value, true).unwrap();
            }
        }
    }
    tx.commit().unwrap();
}

fn check_order(commits: &[CommitChanges], after: u64) {
    for (index, commit) in commits.iter().enumerate() {
        assert_eq!(
            commit.seq,
            after + 1 + index as u64,
            "F1: commits in order, none left out"
        );
    }
}

#[test]
fn applying_every_change_gives_the_database_through_checkpoints_and_reopenings() {
    for_seeds(12, |seed| {
        let mut random = SplitMix64::new(seed);
        let disk = SimDisk::new(seed);
        let mut db = open(&disk, 64 << 20);
        let mut state = State::new();
        let mut seen = 0;
        let mut feed = db.changes(0).unwrap();
        for _ in 0..150 {
            work(&db, &mut random);
            match random.below(10) {
                0 => db.checkpoint().unwrap(),
                1 => {
                    drop(feed);
                    db.close().unwrap();
                    db = open(&disk, 64 << 20);
                    feed = db.changes(seen).unwrap();
                }
                2..5 => {
                    let commits = all(&mut feed);
                    check_order(&commits, seen);
                    // A large value that was replaced since may be gone; then the whole is read later only.
                    let whole = commits
                        .iter()
                        .flat_map(|c| &c.changes)
                        .all(|change| !matches!(change.kind, ChangeKind::Put { value: None, .. }));
                    if !whole {
                        state = content(&db);
                    } else {
                        apply(&mut state, &commits);
                    }
                    seen = db.last_seq();
                    assert_eq!(feed.seq(), seen);
                    let now = content(&db);
                    let differs = |key: &&(String, Vec<u8>)| state.get(*key) != now.get(*key);
                    let other: Vec<_> = state.keys().chain(now.keys()).filter(differs).collect();
                    assert!(other.is_empty(), "seed {seed} at commit {seen}: {other:?}");
                }
                _ => {}
            }
        }
    });
}

#[test]
fn changes_that_are_not_kept_are_refused_and_those_that_are_come_again() {
    let disk = SimDisk::new(3);
    let mut random = SplitMix64::new(3);
    let db = open(&disk, 0);
    for _ in 0..400 {
        work(&db, &mut random);
    }
    let middle = db.last_seq();
    let mut slow = db.changes(0).unwrap();
    assert_eq!(slow.next(1, &|_| Wanted::What).unwrap().len(), 1);
    db.checkpoint().unwrap();
    for _ in 0..400 {
        work(&db, &mut random);
        db.checkpoint().unwrap();
    }
    assert!(matches!(db.changes(middle), Err(Error::LogRecycled)));
    assert!(matches!(
        db.changes(db.last_seq() + 1),
        Err(Error::Invalid { .. })
    ));
    let mut late = Vec::new();
    let end = loop {
        match slow.next(1 << 20, &|_| Wanted::What) {
            Ok(more) => late.extend(more),
            Err(error) => break error,
        }
    };
    assert!(matches!(end, Error::LogRecycled), "F3: {end}");
    check_order(&late, 1);
    assert!(
        db.changes(db.last_seq())
            .unwrap()
            .next(9, &|_| Wanted::What)
            .unwrap()
            .is_empty()
    );
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
