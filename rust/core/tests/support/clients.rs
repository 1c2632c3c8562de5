//! Concurrent clients whose history the checker judges: lists, registers, ranges, on one database.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::{
    CommitInfo, Database, Error, Isolation, MergeOp, Options, ScanRange, Transaction,
    TransactionOptions,
};

use super::elle::{Act, Outcome, Txn};
use super::number::{decode_bytes, encode_bytes};
use super::{WAIT, begin, open, simulated};

/// What the clients do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub seed: u64,
    pub isolation: Isolation,
    pub clients: usize,
    /// Transactions of each client.
    pub each: usize,
    pub keys: usize,
    /// Commit through the committer's queue instead of on the client's thread.
    pub submit: bool,
}

struct Shared {
    db: Database,
    load: Load,
    acknowledged: AtomicU64,
    unique: AtomicU64,
    history: Mutex<Vec<Txn>>,
}

/// Runs the clients against a new database; their history, and what is there in the end.
pub fn run(load: Load) -> (Vec<Txn>, Outcome) {
    let options = Options {
        background: true,
        checkpoint_log_bytes: 64 << 10,
        ..simulated(512, 256 << 10)
    };
    let db = open(&SimDisk::new(load.seed), &options).expect("a new database");
    let mut tx = begin(&db, load.isolation);
    tx.create_store("lists", 0, b"").expect("a store");
    tx.create_store("registers", 0, b"").expect("a store");
    let first = tx.commit().expect("a commit");
    let shared = Arc::new(Shared {
        db: db.clone(),
        load,
        acknowledged: AtomicU64::new(first.seq),
        unique: AtomicU64::new(1),
        history: Mutex::default(),
    });
    std::thread::scope(|scope| {
        for client in 0..load.clients {
            let shared = Arc::clone(&shared);
            scope.spawn(move || {
                let mut random = SplitMix64::new(load.seed << 8 | client as u64);
                for _ in 0..load.each {
                    transaction(&shared, &mut random);
                }
            });
        }
    });
    let mut tx = begin(&db, Isolation::Serializable);
    let mut outcome = Outcome::default();
    let store = tx.find_store("lists").expect("it is there").id;
    for key in 0..load.keys {
        let values = list(&mut tx, store, key);
        outcome.lists.insert(key, values);
    }
    let store = tx.find_store("registers").expect("it is there").id;
    for key in 0..load.keys {
        outcome.registers.insert(key, register(&mut tx, store, key));
    }
    let history = std::mem::take(&mut *shared.history.lock().expect("no client panicked"));
    (history, outcome)
}

fn name(key: usize) -> Vec<u8> {
    format!("{key:04}").into_bytes()
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    let each = decode_bytes(bytes).chunks_exact(4);
    each.map(|four| u64::from(u32::from_be_bytes(four.try_into().expect("four bytes"))))
        .collect()
}

fn list(tx: &mut Transaction, store: u64, key: usize) -> Vec<u64> {
    let entry = tx.get(store, &name(key), WAIT).expect("a read");
    entry.map_or_else(Vec::new, |entry| numbers(&entry.value))
}

fn register(tx: &mut Transaction, store: u64, key: usize) -> u64 {
    let entry = tx.get(store, &name(key), WAIT).expect("a read");
    entry.map_or(0, |entry| {
        u64::from_be_bytes(entry.value[..].try_into().expect("eight bytes"))
    })
}

fn transaction(shared: &Shared, random: &mut SplitMix64) {
    let load = shared.load;
    let known = shared.acknowledged.load(Ordering::SeqCst);
    let mut tx = shared
        .db
        .begin(TransactionOptions {
            isolation: load.isolation,
            read_only: random.chance(1, 8),
        })
        .expect("the database is open");
    let snapshot = tx.seq();
    let stores = ["lists", "registers"].map(|name| tx.find_store(name).expect("it is there").id);
    let mut acts = Vec::new();
    for _ in 0..1 + random.below(4) {
        act(shared, &mut tx, stores, random, &mut acts);
        if random.chance(1, 3) {
            std::thread::yield_now();
        }
    }
    let result = if load.submit { submit(tx) } else { tx.commit() };
    let seq = match result {
        Ok(info) => {
            shared.acknowledged.fetch_max(info.seq, Ordering::SeqCst);
            Some(info.seq)
        }
        Err(Error::Conflict { .. }) => None,
        Err(error) => panic!("commit: {error}"),
    };
    let txn = Txn {
        snapshot,
        seq,
        known,
        acts,
    };
    shared.history.lock().expect("no client panicked").push(txn);
}

/// Through the committer, waiting for the outcome.
pub fn submit(tx: Transaction) -> Result<CommitInfo, Error> {
    let (tell, told) = std::sync::mpsc::channel();
    tx.submit(Box::new(move |result| {
        tell.send(result).expect("somebody waits")
    }))?;
    told.recv().expect("an outcome is told")
}

fn act(
    shared: &Shared,
    tx: &mut Transaction,
    [lists, registers]: [u64; 2],
    random: &mut SplitMix64,
    acts: &mut Vec<Act>,
) {
    let key = random.below(shared.load.keys);
    let unique = || shared.unique.fetch_add(1, Ordering::Relaxed);
    let writable = |result: Result<(), Error>| match result {
        Ok(()) => true,
        Err(Error::ReadOnly { .. }) => false,
        Err(error) => panic!("a write: {error}"),
    };
    match random.below(10) {
        0 | 1 => acts.push(Act::ReadList {
            key,
            values: list(tx, lists, key),
        }),
        2 => acts.push(Act::ReadRegister {
            key,
            value: register(tx, registers, key),
        }),
        3 | 4 => {
            // Read, append, write back.
            let value = unique();
            let before = list(tx, lists, key);
            acts.push(Act::ReadList {
                key,
                values: before.clone(),
            });
            let bytes: Vec<u8> = before
                .iter()
                .chain([&value])
                .flat_map(|v| (*v as u32).to_be_bytes())
                .collect();
            if writable(tx.put(lists, &name(key), b"", &encode_bytes(&bytes), true)) {
                acts.push(Act::Append { key, value });
            }
        }
        5 | 6 => {
            let value = unique();
            if writable(tx.put(registers, &name(key), b"", &value.to_be_bytes(), true)) {
                acts.push(Act::Write { key, value });
            }
        }
        7 => {
            let value = unique();
            let operand = encode_bytes(&(value as u32).to_be_bytes());
            // Appended at commit, without reading.
            if writable(tx.merge(lists, &name(key), MergeOp::Append, &operand)) {
                acts.push(Act::Append { key, value });
            }
        }
        _ => range(shared, tx, [lists, registers], random, acts),
    }
}

fn range(
    shared: &Shared,
    tx: &mut Transaction,
    [lists, registers]: [u64; 2],
    random: &mut SplitMix64,
    acts: &mut Vec<Act>,
) {
    let first = random.below(shared.load.keys);
    let last = (first + random.below(8)).min(shared.load.keys - 1);
    let of_lists = random.chance(1, 2);
    let (low, high) = (name(first), name(last));
    let range = ScanRange {
        low: Bound::Included(&low),
        high: Bound::Included(&high),
        reverse: random.chance(1, 2),
        ..ScanRange::default()
    };
    let mut found: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let store = if of_lists { lists } else { registers };
    tx.scan(store, &range, WAIT, &mut |key, _, value| {
        found.insert(key.to_vec(), value.expect("values were asked for").to_vec());
    })
    .expect("a scan");
    for key in first..=last {
        let value = found.get(&name(key));
        acts.push(if of_lists {
            Act::ReadList {
                key,
                values: value.map_or_else(Vec::new, |value| numbers(value)),
            }
        } else {
            let value = value.map_or(0, |value| {
                u64::from_be_bytes(value[..].try_into().expect("eight bytes"))
            });
            Act::ReadRegister { key, value }
        });
    }
}
