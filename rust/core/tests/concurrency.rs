//! Given many threads on one database: nothing acknowledged is lost, disjoint keys never conflict, nothing hangs while
//! small pages split and merge, and every commit that is handed over has exactly one outcome, whatever
//! is withdrawn, dropped or closed meanwhile.

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sopasync_core::disk::{Disk, RealDisk, SimDisk, SplitMix64};
use sopasync_core::{Database, Error, Isolation, MergeOp, Options, ScanRange, Transaction};
use support::number::{decode_int, encode_int};
use support::{WAIT, begin, open, reader, scale, simulated};

const PATIENCE: Duration = Duration::from_secs(120);

fn threaded() -> Options {
    Options {
        background: true,
        checkpoint_log_bytes: 128 << 10,
        ..simulated(512, 256 << 10)
    }
}

/// Runs `work`, and ends the test program when it does not come to an end: a hang must not look like patience.
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, finished) = channel();
    let worker = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match finished.recv_timeout(PATIENCE) {
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
            eprintln!("it hangs");
            std::process::abort();
        }
        _ => worker
            .join()
            .unwrap_or_else(|reason| std::panic::resume_unwind(reason)),
    }
}

fn store(db: &Database, name: &str) -> u64 {
    reader(db).find_store(name).expect("the store is there").id
}

fn keys(db: &Database, name: &str) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    let mut tx = reader(db);
    let id = tx.find_store(name).expect("the store is there").id;
    tx.scan(id, &ScanRange::default(), WAIT, &mut |key, _, _| {
        found.insert(key.to_vec());
    })
    .unwrap();
    assert_eq!(tx.count(id, WAIT).unwrap(), found.len() as u64);
    found
}

/// Threads that insert, each its own keys; the store is made by all of them at once.
fn inserts(
    threads: usize,
    each: usize,
    isolation: Isolation,
    key: fn(usize, usize, &mut SplitMix64) -> Vec<u8>,
) {
    let disk = SimDisk::new(threads as u64);
    let db = open(&disk, &threaded()).unwrap();
    let acknowledged = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (db, acknowledged) = (&db, &acknowledged);
            scope.spawn(move || {
                let mut random = SplitMix64::new(thread as u64);
                for number in 0..each {
                    let mut tx = begin(db, isolation);
                    // Made when it is not there yet: no store has to be made ahead.
                    let id = match tx.create_store("items", 0, b"") {
                        Ok(info) => info.id,
                        Err(Error::StoreExists { .. }) => store(db, "items"),
                        Err(error) => panic!("{error}"),
                    };
                    let key = key(thread, number, &mut random);
                    assert!(
                        !tx.contains(id, &key, WAIT).unwrap(),
                        "each key is inserted once"
                    );
                    tx.put(id, &key, b"", &[number as u8; 100], true).unwrap();
                    tx.commit()
                        .unwrap_or_else(|error| panic!("keys of different threads: {error}"));
                    acknowledged.lock().unwrap().insert(key);
                }
            });
        }
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    assert_eq!(acknowledged.len(), threads * each);
    assert_eq!(keys(&db, "items"), acknowledged);
    drop(db);
    let db = open(&disk, &threaded()).unwrap();
    assert_eq!(keys(&db, "items"), acknowledged, "after reopening");
}

#[test]
fn a_hot_tail_loses_nothing_and_never_conflicts() {
    in_time(|| {
        for threads in [1, 2, 3, 5, 8] {
            inserts(
                threads,
                300 * scale(),
                Isolation::Serializable,
                |thread, number, _| format!("{number:08}-{thread}").into_bytes(),
            );
        }
    });
}

#[test]
fn random_keys_lose_nothing_and_never_conflict() {
    in_time(|| {
        for threads in [2, 4, 8] {
            for isolation in [Isolation::Serializable, Isolation::Snapshot] {
                inserts(
                    threads,
                    200 * scale(),
                    isolation,
                    |thread, number, random| {
                        format!("{:016x}-{thread}-{number}", random.next_u64()).into_bytes()
                    },
                );
            }
        }
    });
}

#[test]
fn on_a_real_disk_nothing_acknowledged_is_lost() {
    in_time(|| {
        let folder = tempfile::tempdir().unwrap();
        let disk = || Arc::new(RealDisk::open(folder.path(), true).unwrap()) as Arc<dyn Disk>;
        let db = Database::open(disk(), threaded()).unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        let id = tx.create_store("items", 0, b"").unwrap().id;
        tx.commit().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let db = &db;
                scope.spawn(move || {
                    for number in 0..100 {
                        let mut tx = begin(db, Isolation::Serializable);
                        let size = if number % 25 == 0 { 70_000 } else { 200 };
                        let key = format!("{number}-{thread}");
                        tx.put(id, key.as_bytes(), b"", &vec![thread as u8; size], true)
                            .unwrap();
                        tx.commit().unwrap();
                    }
                });
            }
        });
        drop(db);
        let db = Database::open(disk(), threaded()).unwrap();
        assert_eq!(keys(&db, "items").len(), 800);
    });
}

#[test]
fn transfers_keep_the_sum_while_auditors_look() {
    in_time(|| {
        const ACCOUNTS: usize = 20;
        let db = open(&SimDisk::new(1), &threaded()).unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        let stores = ["left", "right"].map(|name| tx.create_store(name, 0, b"").unwrap().id);
        for account in 0..ACCOUNTS {
            for store in stores {
                tx.put(store, &[account as u8], b"", &encode_int(100), true)
                    .unwrap();
            }
        }
        tx.commit().unwrap();
        let (moved, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let get = |tx: &mut Transaction, store: u64, account: u8| {
            decode_int(&tx.get(store, &[account], WAIT).unwrap().unwrap().value)
        };
        std::thread::scope(|scope| {
            for thread in 0..6 {
                let (db, moved, refused, get) = (&db, &moved, &refused, &get);
                scope.spawn(move || {
                    let mut random = SplitMix64::new(thread);
                    while moved.load(Ordering::Relaxed) < 1500 * scale() {
                        let mut tx = begin(db, Isolation::Serializable);
                        let (from, to) =
                            (random.below(ACCOUNTS) as u8, random.below(ACCOUNTS) as u8);
                        let a = get(&mut tx, stores[0], from);
                        let b = get(&mut tx, stores[1], to);
                        tx.put(stores[0], &[from], b"", &encode_int(a - 7), true)
                            .unwrap();
                        tx.put(stores[1], &[to], b"", &encode_int(b + 7), true)
                            .unwrap();
                        match tx.commit() {
                            Ok(_) => moved.fetch_add(1, Ordering::Relaxed),
                            Err(Error::Conflict { .. }) => refused.fetch_add(1, Ordering::Relaxed),
                            Err(error) => panic!("{error}"),
                        };
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    while moved.load(Ordering::Relaxed) < 1500 * scale() {
                        let mut tx = reader(&db);
                        let mut sum = 0;
                        for store in stores {
                            tx.scan(store, &ScanRange::default(), WAIT, &mut |_, _, value| {
                                sum += decode_int(value.unwrap());
                            })
                            .unwrap();
                        }
                        assert_eq!(sum, 200 * ACCOUNTS as i64, "money came or went");
                    }
                });
            }
        });
    });
}

#[test]
fn counters_of_all_threads_add_up() {
    in_time(|| {
        let db = open(&SimDisk::new(1), &threaded()).unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        let id = tx.create_store("counters", 0, b"").unwrap().id;
        tx.commit().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let mut tx = begin(&db, Isolation::Serializable);
                        tx.merge(id, b"hits", MergeOp::Add, &encode_int(1)).unwrap();
                        tx.commit().unwrap();
                    }
                });
            }
        });
        let entry = reader(&db).get(id, b"hits", WAIT).unwrap().unwrap();
        assert_eq!(decode_int(&entry.value), 1600);
    });
}

/// Commits that are handed over and withdrawn at random moments, from several threads.
#[test]
fn each_submitted_commit_has_one_outcome_and_withdrawn_ones_leave_nothing() {
    in_time(|| {
        let disk = SimDisk::new(3);
        let db = open(&disk, &threaded()).unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        tx.create_store("items", 0, b"").unwrap();
        tx.commit().unwrap();
        let id = store(&db, "items");
        let there = Mutex::new(BTreeSet::new());
        let withdrawn = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..6u64 {
                let (db, there, withdrawn) = (&db, &there, &withdrawn);
                scope.spawn(move || {
                    let mut random = SplitMix64::new(thread);
                    for number in 0..150 * scale() {
                        let key = format!("{number}-{thread}").into_bytes();
                        let mut tx = begin(db, Isolation::Serializable);
                        let size = if random.chance(1, 20) { 70_000 } else { 50 };
                        tx.put(id, &key, b"", &vec![1; size], true).unwrap();
                        let (tell, told) = channel();
                        let ticket = tx
                            .submit(Box::new(move |result| tell.send(result).unwrap()))
                            .unwrap();
                        if random.chance(1, 3) {
                            std::thread::yield_now();
                        }
                        let back = random.chance(1, 2) && ticket.withdraw();
                        match (told.recv().expect("every commit has an outcome"), back) {
                            (Ok(_), false) => {
                                there.lock().unwrap().insert(key);
                            }
                            (Err(Error::Withdrawn), true) => {
                                withdrawn.fetch_add(1, Ordering::Relaxed);
                            }
                            (outcome, back) => panic!("withdrawn {back}, but {outcome:?}"),
                        }
                        assert!(told.recv().is_err(), "an outcome was told twice");
                        assert!(!ticket.withdraw(), "withdrawn after its outcome");
                    }
                });
            }
        });
        let there = there.into_inner().unwrap();
        assert!(withdrawn.load(Ordering::Relaxed) > 0 && !there.is_empty());
        assert_eq!(keys(&db, "items"), there);
        drop(db);
        assert_eq!(keys(&open(&disk, &threaded()).unwrap(), "items"), there);
    });
}

#[test]
fn closing_while_commits_are_on_their_way_loses_none_and_answers_all() {
    in_time(|| {
        for round in 0..20 * scale() as u64 {
            let disk = SimDisk::new(round);
            let db = open(&disk, &threaded()).unwrap();
            let mut tx = begin(&db, Isolation::Serializable);
            let id = tx.create_store("items", 0, b"").unwrap().id;
            tx.commit().unwrap();
            let acknowledged = Mutex::new(BTreeSet::new());
            let begun = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (db, acknowledged, begun) = (&db, &acknowledged, &begun);
                    scope.spawn(move || {
                        for number in 0.. {
                            begun.fetch_add(1, Ordering::Relaxed);
                            let Ok(mut tx) = db.begin(Default::default()) else {
                                break;
                            };
                            let key = format!("{number}-{thread}").into_bytes();
                            let put = tx.put(id, &key, b"", b"v", true);
                            let result = put.and_then(|()| {
                                if thread % 2 == 0 {
                                    tx.commit()
                                } else {
                                    support::clients::submit(tx)
                                }
                            });
                            match result {
                                Ok(_) => acknowledged.lock().unwrap().insert(key),
                                Err(Error::Closed { .. }) => break,
                                Err(error) => panic!("a commit while it closes: {error}"),
                            };
                        }
                    });
                }
                while begun.load(Ordering::Relaxed) < 20 + round * 7 {
                    std::thread::yield_now();
                }
                db.close().unwrap();
                db.close().unwrap();
            });
            assert!(matches!(
                db.begin(Default::default()),
                Err(Error::Closed { .. })
            ));
            let db = open(&disk, &threaded()).unwrap();
            assert_eq!(keys(&db, "items"), acknowledged.into_inner().unwrap());
        }
    });
}

#[test]
fn a_database_dropped_under_open_transactions_is_closed_and_they_say_so() {
    in_time(|| {
        let disk = SimDisk::new(1);
        let db = open(&disk, &threaded()).unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        let id = tx.create_store("items", 0, b"").unwrap().id;
        tx.put(id, b"k", b"", b"v", true).unwrap();
        tx.commit().unwrap();
        let mut open_one = begin(&db, Isolation::Serializable);
        open_one
            .put(id, b"lost", b"", &vec![1; 100_000], true)
            .unwrap();
        let mut waiting = reader(&db);
        drop(db);
        assert!(matches!(
            open_one.get(id, b"k", WAIT),
            Err(Error::Closed { .. })
        ));
        assert!(matches!(
            open_one.put(id, b"k", b"", b"w", true),
            Err(Error::Closed { .. })
        ));
        assert!(matches!(open_one.commit(), Err(Error::Closed { .. })));
        assert!(matches!(waiting.count(id, WAIT), Err(Error::Closed { .. })));
        // The lock was given back although a transaction is still there.
        let again = open(&disk, &threaded()).unwrap();
        assert_eq!(keys(&again, "items"), [b"k".to_vec()].into());
        drop(waiting);
    });
}

#[test]
fn the_last_handle_may_go_inside_an_outcome() {
    in_time(|| {
        let disk = SimDisk::new(1);
        let db = open(&disk, &threaded()).unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        let id = tx.create_store("items", 0, b"").unwrap().id;
        tx.put(id, b"k", b"", b"v", true).unwrap();
        let (tell, told) = channel();
        let own = Mutex::new(Some(db.clone()));
        drop(db);
        tx.submit(Box::new(move |result| {
            drop(own.lock().unwrap().take());
            tell.send(result).unwrap();
        }))
        .unwrap();
        told.recv().unwrap().unwrap();
        let started = Instant::now();
        let again = loop {
            match open(&disk, &threaded()) {
                Ok(db) => break db,
                Err(Error::Locked { .. }) if started.elapsed() < PATIENCE => {
                    std::thread::yield_now()
                }
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(keys(&again, "items").len(), 1);
    });
}

#[test]
fn readers_of_old_snapshots_see_them_whole_while_everything_is_rewritten() {
    in_time(|| {
        let db = open(&SimDisk::new(1), &threaded()).unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        let id = tx.create_store("items", 0, b"").unwrap().id;
        for key in 0..400u32 {
            tx.put(id, &key.to_be_bytes(), b"", &0u64.to_be_bytes(), true)
                .unwrap();
        }
        tx.commit().unwrap();
        let stop = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=60 * scale() as u64 {
                    let mut tx = begin(&db, Isolation::Serializable);
                    for key in 0..400u32 {
                        // The keys change from round to round, so that pages split and merge.
                        if (key as u64 + round).is_multiple_of(3) {
                            tx.put(
                                id,
                                &[&key.to_be_bytes()[..], b"+"].concat(),
                                b"",
                                &[7; 60],
                                true,
                            )
                            .unwrap();
                        } else {
                            tx.delete(id, &[&key.to_be_bytes()[..], b"+"].concat())
                                .unwrap();
                        }
                        tx.put(id, &key.to_be_bytes(), b"", &round.to_be_bytes(), true)
                            .unwrap();
                    }
                    tx.commit().unwrap();
                    if round % 10 == 0 {
                        db.checkpoint().unwrap();
                    }
                }
                stop.store(1, Ordering::Release);
            });
            for reverse in [false, true, false] {
                let (db, stop) = (&db, &stop);
                scope.spawn(move || {
                    while stop.load(Ordering::Acquire) == 0 {
                        let mut tx = reader(db);
                        for _ in 0..3 {
                            let mut rounds = BTreeSet::new();
                            let mut count = 0;
                            let range = ScanRange {
                                reverse,
                                ..ScanRange::default()
                            };
                            tx.scan(id, &range, WAIT, &mut |key, _, value| {
                                if key.len() == 4 {
                                    count += 1;
                                    rounds.insert(value.unwrap().to_vec());
                                }
                            })
                            .unwrap();
                            assert_eq!((count, rounds.len()), (400, 1), "a mixture of commits");
                        }
                    }
                });
            }
        });
    });
}
