//! Reading the change feed as its users do: applying what it tells to a copy, and comparing that with the database.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sopasync_core::disk::{Fault, FaultKind, SimDisk, SplitMix64};
use sopasync_core::{
    ChangeFeed, ChangeKind, CommitChanges, Database, Error, MergeOp, Options, ScanRange, Stamp,
    Transaction, TransactionOptions, Wanted,
};

use crate::support;

/// Entries by store name and key: ride-along part and value.
pub type State = BTreeMap<(String, Vec<u8>), (Vec<u8>, Vec<u8>)>;

pub fn options(kept: u64) -> Options {
    Options {
        changes_kept_bytes: kept,
        ..support::simulated(1024, 1 << 20)
    }
}

pub fn open(disk: &SimDisk, kept: u64) -> Database {
    Database::open(Arc::new(disk.clone()), options(kept)).expect("it opens")
}

pub fn all(feed: &mut ChangeFeed) -> Vec<CommitChanges> {
    let mut found = Vec::new();
    loop {
        // Both ways in turn: what is in memory and short, then the rest.
        let more = match feed.next_resident(1 << 9, &|_| Wanted::What) {
            Err(Error::WouldBlock) => feed.next(1 << 16, &|_| Wanted::What),
            read => read,
        };
        let more = more.expect("changes are read");
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

pub fn content(db: &Database) -> State {
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
pub fn apply(state: &mut State, commits: &[CommitChanges]) {
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
pub const EMPTY: &[u8] = &[0xa0];

/// One random transaction; what it commits is in the feed.
pub fn work(db: &Database, random: &mut SplitMix64) {
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

pub fn check_order(commits: &[CommitChanges], after: u64) {
    for (index, commit) in commits.iter().enumerate() {
        assert_eq!(
            commit.seq,
            after + 1 + index as u64,
            "F1: commits in order, none left out"
        );
    }
}

/// Through checkpoints and reopenings, applying every change gives the database.
pub fn applied_changes_give_the_database(seed: u64, transactions: usize) {
    let mut random = SplitMix64::new(seed);
    let disk = SimDisk::new(seed);
    let mut db = open(&disk, 64 << 20);
    let mut state = State::new();
    let mut seen = 0;
    let mut feed = db.changes(0).unwrap();
    for _ in 0..transactions {
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
                if random.below(3) == 0 {
                    // Another one begins with what the log has; this one had it from memory.
                    drop(feed);
                    feed = db.changes(seen).unwrap();
                }
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
}

/// What is kept no longer is refused, also in the middle of reading, and nothing is left out before.
pub fn changes_not_kept_are_refused() {
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
            Ok(more) => {
                assert!(!more.is_empty(), "F3: the end is told");
                late.extend(more);
            }
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

/// Transactions of one group, the first two of which make the same store, come as the commits they are.
pub fn a_group_comes_as_its_commits() {
    let disk = SimDisk::new(6);
    let db = open(&disk, 64 << 20);
    let done = Arc::new(AtomicUsize::new(0));
    let batch = (0..4u8).map(|number| {
        let mut tx = db.begin(TransactionOptions::default()).unwrap();
        let store = tx.create_store("store", 1, b"").unwrap();
        tx.put(store.id, &[number], b"", b"value", true).unwrap();
        let done = Arc::clone(&done);
        let told: Box<dyn FnOnce(_) + Send> = Box::new(move |result: Result<_, Error>| {
            result.expect("a commit");
            done.fetch_add(1, Ordering::SeqCst);
        });
        (tx, told)
    });
    for answer in Transaction::submit_all(batch.collect()) {
        answer.expect("handed over");
    }
    assert_eq!(done.load(Ordering::SeqCst), 4);
    let commits = all(&mut db.changes(0).unwrap());
    check_order(&commits, 0);
    assert_eq!(commits.len() as u64, db.last_seq());
    let made = |change: &&sopasync_core::Change| change.kind == ChangeKind::Created;
    let changes = commits.iter().flat_map(|commit| &commit.changes);
    assert_eq!(changes.filter(made).count(), 1, "it is one store");
    let mut state = State::new();
    apply(&mut state, &commits);
    assert!(state == content(&db));
}

/// Whichever call to the disk fails, every commit comes once and in order (F1).
pub fn a_commit_comes_again_after_an_error() {
    let disk = SimDisk::new(7);
    let db = open(&disk, 64 << 20);
    for number in 0..6u8 {
        let mut tx = db.begin(TransactionOptions::default()).unwrap();
        let store = tx.find_store("store");
        let store = store.unwrap_or_else(|| tx.create_store("store", 1, b"").unwrap());
        let value = vec![number; 70_000];
        tx.put(store.id, &[number], b"", &value, true).unwrap();
        tx.commit().unwrap();
    }
    db.close().unwrap();
    for at_once in [1, 1 << 20] {
        let failures = (1..).take_while(|call| fails_at(&disk, *call, at_once));
        let failures = failures.count();
        assert!(failures >= 6, "only {failures} calls could fail");
    }
}

/// Reads all commits, about `at_once` bytes in a call, while one call of the disk fails; false when it came to none.
fn fails_at(disk: &SimDisk, call: u64, at_once: usize) -> bool {
    let db = open(disk, 64 << 20);
    let mut feed = db.changes(0).unwrap();
    let failing = disk.call_count() + call;
    disk.add_fault(Fault {
        call: failing,
        kind: FaultKind::Io,
        forever: false,
    });
    let mut commits = Vec::new();
    let mut failed = false;
    loop {
        match feed.next(at_once, &|_| Wanted::What) {
            Ok(more) if more.is_empty() => break,
            Ok(more) => commits.extend(more),
            Err(error) => {
                assert!(!failed, "one call fails: {error}");
                failed = true;
            }
        }
    }
    let reached = disk.call_count() >= failing;
    disk.clear_faults();
    check_order(&commits, 0);
    assert_eq!(commits.len() as u64, db.last_seq(), "call {call}");
    db.close().unwrap();
    reached
}

/// Who follows closely has commits from memory, and the log he does not read may go. When he falls behind what is kept, he
/// reads the log from where he is.
pub fn who_falls_behind_reads_the_log_from_where_he_is() {
    const CLOSELY: u64 = 20;
    let db = open(&SimDisk::new(12), 0);
    let put = |number: u64| {
        let mut tx = db.begin(TransactionOptions::default()).unwrap();
        let store = tx.find_store("store");
        let store = store.unwrap_or_else(|| tx.create_store("store", 1, b"").unwrap());
        let key = number.to_be_bytes();
        tx.put(store.id, &key, b"", &[1; 30_000], true).unwrap();
        tx.commit().unwrap();
    };
    let mut feed = db.changes(0).unwrap();
    for number in 0..CLOSELY {
        put(number);
        let commits = feed.next_resident(1 << 20, &|_| Wanted::What).unwrap();
        check_order(&commits, number);
        assert_eq!(commits.len(), 1);
        db.checkpoint().unwrap();
    }
    (CLOSELY..100).for_each(put);
    let commits = all(&mut feed);
    check_order(&commits, CLOSELY);
    assert_eq!(feed.seq(), db.last_seq());
}
