//! A group of transactions in which the disk fails while one of them is applied.

use std::sync::{Arc, Mutex};

use sopasync_core::disk::{Fault, FaultKind, SimDisk, SplitMix64};
use sopasync_core::{CommitInfo, Database, Done, Error, Isolation, Options, Transaction};

use super::check::read_all;
use super::state::State;
use super::{begin, open, reader, simulated};

const STORE: &str = "rows";
const KEYS: usize = 400;
const TRANSACTIONS: usize = 8;

/// What became of a life.
#[derive(Default, Clone, Copy)]
pub struct Tally {
    /// Calls of the disk before the group, and up to its end.
    pub calls: (u64, u64),
    /// Transactions of the group that were refused while others of it were committed.
    pub refused_beside_others: usize,
    /// Transactions whose outcome is said to be unknown.
    pub unknown: usize,
}

fn options() -> Options {
    simulated(512, 8 << 10) // sixteen pages: nearly every transaction has to read
}

fn key(number: usize) -> Vec<u8> {
    format!("{number:06}").into_bytes()
}

/// What each transaction of the group was told.
type Told = Arc<Mutex<Vec<(usize, Result<CommitInfo, Error>)>>>;

/// A store whose pages are on the disk, and not in memory.
fn prepared(disk: &SimDisk) -> (Database, u64, State) {
    let db = open(disk, &options()).expect("a new database");
    let mut state = State::default();
    let mut tx = begin(&db, Isolation::Serializable);
    let store = tx.create_store(STORE, 0, b"").expect("a store").id;
    state.stores.insert(STORE.to_owned(), (0, Arc::default()));
    for number in 0..KEYS {
        let value = vec![1; 40];
        tx.put(store, &key(number), b"", &value, true)
            .expect("a put");
        state.put(STORE, &key(number), b"", &value);
    }
    tx.commit().expect("a commit");
    db.checkpoint().expect("a checkpoint");
    (db, store, state)
}

/// Puts and deletions all over the store, on a database and on the model.
fn write(tx: &mut Transaction, store: u64, state: &mut State, random: &mut SplitMix64) {
    for _ in 0..6 {
        let key = key(random.below(KEYS + 100));
        if random.chance(1, 4) {
            tx.delete(store, &key).expect("a deletion");
            state.contents_mut(STORE).remove(&key);
        } else {
            let value = vec![random.below(256) as u8; 1 + random.below(90)];
            tx.put(store, &key, b"", &value, true).expect("a put");
            state.put(STORE, &key, b"", &value);
        }
    }
}

/// Commits a group during which `fault` strikes, and compares what is there with what was told.
pub fn group_life(seed: u64, fault: Option<Fault>) -> Tally {
    let disk = SimDisk::new(seed);
    let (db, store, before) = prepared(&disk);
    fault.into_iter().for_each(|fault| disk.add_fault(fault));
    let first_call = disk.call_count();
    let outcomes = Told::default();
    let mut batch: Vec<(Transaction, Done)> = Vec::new();
    for number in 0..TRANSACTIONS {
        let mut tx = begin(&db, Isolation::NoCheck);
        let mut random = SplitMix64::new(seed * 100 + number as u64);
        write(&mut tx, store, &mut before.clone(), &mut random);
        let told = Arc::clone(&outcomes);
        let done = move |result| told.lock().unwrap().push((number, result));
        batch.push((tx, Box::new(done)));
    }
    for answer in Transaction::submit_all(batch) {
        answer.expect("it is handed over");
    }
    let last_call = disk.call_count();
    let outcomes = std::mem::take(&mut *outcomes.lock().unwrap());
    assert_eq!(outcomes.len(), TRANSACTIONS, "everybody is told");

    let mut state = before.clone();
    let mut committed = 0;
    for number in 0..TRANSACTIONS {
        let told = outcomes.iter().find(|(told, _)| *told == number);
        if told.expect("told once").1.is_ok() {
            let mut random = SplitMix64::new(seed * 100 + number as u64);
            let mut unused = begin(&db, Isolation::NoCheck);
            write(&mut unused, store, &mut state, &mut random);
            committed += 1;
        }
    }
    let unknown = |result: &Result<_, _>| matches!(result, Err(Error::OutcomeUnknown { .. }));
    let unknown = outcomes
        .iter()
        .filter(|(_, result)| unknown(result))
        .count();
    let refused = TRANSACTIONS - committed - unknown;
    let there = |db: &Database| {
        let seen = read_all(&mut reader(db)).expect("the disk works again");
        // Who was not told what became of him may be there, but nobody was told something else.
        if unknown == 0 || committed > 0 {
            let difference = seen.difference(&state);
            assert!(difference.is_none(), "after {fault:?}: {difference:?}");
        }
    };
    if fault.is_none_or(|fault| !fault.forever) && unknown == 0 {
        there(&db);
    }
    drop(db);
    let db = open(&disk.next_process(), &options()).expect("the disk works again");
    there(&db);
    Tally {
        calls: (first_call, last_call),
        refused_beside_others: if committed > 0 { refused } else { 0 },
        unknown,
    }
}

/// Every call to the disk during a group fails, once or from then on.
pub fn groups_are_whole() -> Tally {
    let mut total = Tally::default();
    for seed in 1..4 {
        let (first, last) = group_life(seed, None).calls;
        for call in first + 1..=last {
            for forever in [false, true] {
                let kind = FaultKind::Io;
                let tally = group_life(
                    seed,
                    Some(Fault {
                        call,
                        kind,
                        forever,
                    }),
                );
                total.refused_beside_others += tally.refused_beside_others;
                total.unknown += tally.unknown;
            }
        }
    }
    total
}
