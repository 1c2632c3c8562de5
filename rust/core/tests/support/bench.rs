//! What the anomalies are played on: two accounts in one store or in two, and clients of one isolation level.

use std::ops::Bound;

use sopasync_core::disk::SimDisk;
use sopasync_core::{
    CommitInfo, Database, Error, Isolation, Options, Result, ScanRange, Transaction,
};

use super::number::{decode_int, encode_int};
use super::{WAIT, begin, open, simulated};
use Isolation::{Serializable, Snapshot};

/// A database with key 1 -> 10 and key 2 -> 20, in one store or in two.
pub struct Bench {
    pub db: Database,
    pub level: Isolation,
    pub stores: Vec<u64>,
}

pub struct Client {
    pub tx: Transaction,
    pub stores: Vec<u64>,
}

pub fn name(key: i64) -> Vec<u8> {
    format!("{key:06}").into_bytes()
}

impl Client {
    pub fn store(&self, key: i64) -> u64 {
        self.stores[key as usize % self.stores.len()]
    }

    pub fn get(&mut self, key: i64) -> Option<i64> {
        let store = self.store(key);
        let entry = self.tx.get(store, &name(key), WAIT).unwrap();
        entry.map(|entry| decode_int(&entry.value))
    }

    pub fn contains(&mut self, key: i64) -> bool {
        let store = self.store(key);
        self.tx.contains(store, &name(key), WAIT).unwrap()
    }

    pub fn put(&mut self, key: i64, value: i64) {
        let store = self.store(key);
        self.tx
            .put(store, &name(key), b"", &encode_int(value), true)
            .unwrap();
    }

    pub fn delete(&mut self, key: i64) {
        let store = self.store(key);
        self.tx.delete(store, &name(key)).unwrap();
    }

    /// Everything below key 100 whose value satisfies `wanted`, ascending by key.
    pub fn select(&mut self, wanted: impl Fn(i64) -> bool) -> Vec<(i64, i64)> {
        let mut found = Vec::new();
        for store in self.stores.clone() {
            let high = name(100);
            let range = ScanRange {
                high: Bound::Excluded(&high),
                ..ScanRange::default()
            };
            let mut take = |key: &[u8], _: &[u8], value: Option<&[u8]>| {
                let key = std::str::from_utf8(key).unwrap().parse().unwrap();
                found.push((key, decode_int(value.unwrap())));
            };
            self.tx.scan(store, &range, WAIT, &mut take).unwrap();
        }
        found.retain(|(_, value)| wanted(*value));
        found.sort_unstable();
        found
    }

    pub fn commit(self) -> Result<CommitInfo> {
        self.tx.commit()
    }

    pub fn succeeds(self) {
        self.commit().expect("this one commits");
    }

    pub fn conflicts(self) {
        let result = self.commit();
        assert!(matches!(result, Err(Error::Conflict { .. })), "{result:?}");
    }
}

impl Bench {
    pub fn client(&self) -> Client {
        Client {
            tx: begin(&self.db, self.level),
            stores: self.stores.clone(),
        }
    }

    pub fn clients<const N: usize>(&self) -> [Client; N] {
        std::array::from_fn(|_| self.client())
    }

    /// Commits at this level only: at the other one it must conflict.
    pub fn only_at(&self, level: Isolation, client: Client) -> bool {
        if self.level == level {
            client.succeeds();
        } else {
            client.conflicts();
        }
        self.level == level
    }

    pub fn now(&self) -> Vec<(i64, i64)> {
        self.client().select(|_| true)
    }
}

pub fn everywhere(test: impl Fn(&Bench)) {
    for level in [Serializable, Snapshot] {
        for stores in [1, 2] {
            for fillers in [0, 400] {
                for settled in [false, true] {
                    let options = Options {
                        background: true,
                        ..simulated(512, 1 << 20)
                    };
                    let db = open(&SimDisk::new(1), &options).unwrap();
                    let mut tx = begin(&db, level);
                    let ids = (0..stores)
                        .map(|n| tx.create_store(&format!("store-{n}"), 0, b"").unwrap().id);
                    let ids: Vec<u64> = ids.collect();
                    let mut client = Client {
                        tx,
                        stores: ids.clone(),
                    };
                    client.put(1, 10);
                    client.put(2, 20);
                    (0..fillers).for_each(|n| client.put(1000 + n, n));
                    client.succeeds();
                    if settled {
                        db.checkpoint().unwrap();
                    }
                    test(&Bench {
                        db,
                        level,
                        stores: ids,
                    });
                }
            }
        }
    }
}
