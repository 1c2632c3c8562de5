//! What committers are told, and what is true then.

use std::sync::{Arc, Mutex};

use shuttle::sync::mpsc::{Sender, channel};
use shuttle::thread;
use sopasync_core::disk::{Fault, FaultKind, SimDisk};
use sopasync_core::{CommitInfo, Database, Done, Error};

use super::{begin, below, durable_now, is_there, open, options, reopen, with_store};

type Told = (u8, Result<CommitInfo, Error>);

fn put(db: &Database, store: u64, key: u8) -> sopasync_core::Transaction {
    let mut tx = begin(db);
    tx.put(store, &[key], b"", &[key; 60], true).expect("a put");
    tx
}

fn tell(hear: &Sender<Told>, key: u8) -> Done {
    let hear = hear.clone();
    Box::new(move |result| hear.send((key, result)).expect("somebody listens"))
}

/// A commit that shows, or was acknowledged, is in every crash image of that moment.
pub fn what_shows_is_durable() {
    let disk = SimDisk::new(1);
    let (db, store) = with_store(&disk);
    let seen: Arc<Mutex<Vec<(u64, SimDisk)>>> = Arc::default();
    let note = {
        let (disk, seen) = (disk.clone(), Arc::clone(&seen));
        move |seq| {
            let image = durable_now(&disk);
            seen.lock().expect("no panic").push((seq, image));
        }
    };
    let (hear, told) = channel();
    let mut threads = Vec::new();
    for key in 0..2 {
        let (db, note) = (db.clone(), note.clone());
        threads.push(thread::spawn(move || {
            let info = put(&db, store, key).commit().expect("keys of its own");
            note(info.seq);
        }));
    }
    {
        let db = db.clone();
        threads.push(thread::spawn(move || {
            put(&db, store, 9)
                .submit(tell(&hear, 9))
                .expect("it is handed over");
        }));
    }
    {
        let (db, note) = (db.clone(), note.clone());
        threads.push(thread::spawn(move || {
            for _ in 0..3 {
                note(db.last_seq());
            }
        }));
    }
    {
        let db = db.clone();
        threads.push(thread::spawn(move || {
            db.checkpoint().expect("a checkpoint");
        }));
    }
    let (_, result) = told.recv().expect("it is told");
    note(result.expect("keys of its own").seq);
    for thread in threads {
        thread.join().expect("no panic");
    }
    note(db.last_seq());
    db.close().expect("it closes");
    for (seq, image) in seen.lock().expect("no panic").drain(..) {
        let found = reopen(&image).last_seq();
        assert!(found >= seq, "commit {seq} was seen, {found} is durable");
    }
}

/// Commits are handed over, withdrawn, and cut short by closing: each is told once what became of it, and that is true.
pub fn every_commit_has_one_outcome() {
    let disk = SimDisk::new(2);
    let (db, store) = with_store(&disk);
    let (hear, told) = channel();
    let withdrawn: Arc<Mutex<Vec<(u8, bool)>>> = Arc::default();
    let mut threads = Vec::new();
    for key in 0..3 {
        let (db, hear, withdrawn) = (db.clone(), hear.clone(), Arc::clone(&withdrawn));
        threads.push(thread::spawn(move || {
            let mut tx = begin_if_open(&db)?;
            tx.put(store, &[key], b"", &[key; 60], true).ok()?;
            let ticket = tx.submit(tell(&hear, key)).ok()?;
            let taken_back = key > 0 && ticket.withdraw();
            withdrawn.lock().expect("no panic").push((key, taken_back));
            Some(())
        }));
    }
    let closing = {
        let db = db.clone();
        thread::spawn(move || db.close().expect("it closes"))
    };
    let handed_over = threads
        .into_iter()
        .filter_map(|thread| thread.join().expect("no panic"))
        .count();
    closing.join().expect("no panic");
    drop(hear);
    let outcomes: Vec<Told> = told.iter().collect();
    assert_eq!(outcomes.len(), handed_over, "everybody is told, and once");
    drop(db);
    let db = reopen(&disk);
    for (key, taken_back) in withdrawn.lock().expect("no panic").iter() {
        let mut outcomes = outcomes.iter().filter(|(of, _)| of == key);
        let (_, outcome) = outcomes.next().expect("an outcome");
        assert!(outcomes.next().is_none(), "one outcome");
        assert_eq!(
            is_there(&db, store, &[*key]),
            outcome.is_ok(),
            "{outcome:?}"
        );
        assert_eq!(
            *taken_back,
            matches!(outcome, Err(Error::Withdrawn)),
            "{outcome:?}"
        );
    }
}

fn begin_if_open(db: &Database) -> Option<sopasync_core::Transaction> {
    db.begin(sopasync_core::TransactionOptions::default()).ok()
}

/// A call to the disk fails while commits and a checkpoint are under way. Everybody is told, and what was told is true of what
/// the next process finds, and of what a crash leaves.
pub fn everybody_is_told_when_the_disk_fails() {
    let disk = SimDisk::new(3);
    let (db, store) = with_store(&disk);
    disk.add_fault(Fault {
        call: disk.call_count() + 1 + below(30),
        kind: [FaultKind::Io, FaultKind::SyncDrops][below(2) as usize],
        forever: below(2) == 0,
    });
    let (hear, told) = channel();
    let mut threads = Vec::new();
    for key in 0..2 {
        let (db, hear) = (db.clone(), hear.clone());
        threads.push(thread::spawn(move || {
            let result = put(&db, store, key).commit();
            hear.send((key, result)).expect("somebody listens");
        }));
    }
    for key in 2..4 {
        let (db, hear) = (db.clone(), hear.clone());
        threads.push(thread::spawn(move || {
            put(&db, store, key)
                .submit(tell(&hear, key))
                .expect("it is handed over");
        }));
    }
    {
        let db = db.clone();
        threads.push(thread::spawn(move || {
            let _ = db.checkpoint();
        }));
    }
    drop(hear);
    // Ends when everybody was told: a commit that nobody answers for is a deadlock here.
    let outcomes: Vec<Told> = told.iter().collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(outcomes.len(), 4, "everybody is told, and once");
    let crashed = durable_now(&disk);
    let _ = db.close();
    drop(db);
    for left in [crashed, disk.next_process()] {
        let db = open(&left, options()).expect("it opens again");
        for (key, outcome) in &outcomes {
            let there = is_there(&db, store, &[*key]);
            match outcome {
                Ok(_) => assert!(there, "{key} was acknowledged"),
                Err(Error::OutcomeUnknown { .. }) => {}
                Err(error) => assert!(!there, "{key} was refused: {error}"),
            }
        }
        db.close().expect("it closes");
    }
}
