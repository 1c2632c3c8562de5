//! The anomalies of Hermitage (Kleppmann), each with its exact outcome at both isolation levels: within one store,
//! across two, with few entries and with trees of many pages.
//!
//! The names are Adya's: G0 dirty write, G1a aborted read, G1b intermediate read, G1c circular information flow,
//! OTV observed transaction vanishes, PMP predicate-many-preceders, P4 lost update, G-single read skew,
//! G2 anti-dependency cycle.

mod support;

use sopasync_core::disk::SimDisk;
use sopasync_core::{
    Access, CommitInfo, Database, Error, Isolation, MergeOp, Options, Result, ScanRange,
    Transaction,
};
use std::ops::Bound;
use support::number::{decode_int, encode_int};
use support::{WAIT, begin, open, simulated};

use Isolation::{Serializable, Snapshot};

/// A database with key 1 -> 10 and key 2 -> 20, in one store or in two.
struct Bench {
    db: Database,
    level: Isolation,
    stores: Vec<u64>,
}

struct Client {
    tx: Transaction,
    stores: Vec<u64>,
}

fn name(key: i64) -> Vec<u8> {
    format!("{key:06}").into_bytes()
}

impl Client {
    fn store(&self, key: i64) -> u64 {
        self.stores[key as usize % self.stores.len()]
    }

    fn get(&mut self, key: i64) -> Option<i64> {
        let store = self.store(key);
        let entry = self.tx.get(store, &name(key), WAIT).unwrap();
        entry.map(|entry| decode_int(&entry.value))
    }

    fn contains(&mut self, key: i64) -> bool {
        let store = self.store(key);
        self.tx.contains(store, &name(key), WAIT).unwrap()
    }

    fn put(&mut self, key: i64, value: i64) {
        let store = self.store(key);
        self.tx
            .put(store, &name(key), b"", &encode_int(value), true)
            .unwrap();
    }

    fn delete(&mut self, key: i64) {
        let store = self.store(key);
        self.tx.delete(store, &name(key)).unwrap();
    }

    /// Everything below key 100 whose value satisfies `wanted`, ascending by key.
    fn select(&mut self, wanted: impl Fn(i64) -> bool) -> Vec<(i64, i64)> {
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

    fn commit(self) -> Result<CommitInfo> {
        self.tx.commit()
    }

    fn succeeds(self) {
        self.commit().expect("this one commits");
    }

    fn conflicts(self) {
        let result = self.commit();
        assert!(matches!(result, Err(Error::Conflict { .. })), "{result:?}");
    }
}

impl Bench {
    fn client(&self) -> Client {
        Client {
            tx: begin(&self.db, self.level),
            stores: self.stores.clone(),
        }
    }

    fn clients<const N: usize>(&self) -> [Client; N] {
        std::array::from_fn(|_| self.client())
    }

    /// Commits at this level only: at the other one it must conflict.
    fn only_at(&self, level: Isolation, client: Client) -> bool {
        if self.level == level {
            client.succeeds();
        } else {
            client.conflicts();
        }
        self.level == level
    }

    fn now(&self) -> Vec<(i64, i64)> {
        self.client().select(|_| true)
    }
}

fn everywhere(test: impl Fn(&Bench)) {
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

#[test]
fn g0_writes_of_two_transactions_never_mix() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        t1.put(1, 11);
        t2.put(1, 12);
        t1.put(2, 21);
        t1.succeeds();
        t2.put(2, 22);
        // Blind writes have a serial order; under snapshot isolation the first to commit wins.
        let both = bench.only_at(Serializable, t2);
        let expected = if both {
            [(1, 12), (2, 22)]
        } else {
            [(1, 11), (2, 21)]
        };
        assert_eq!(bench.now(), expected);
    });
}

#[test]
fn g1a_what_is_rolled_back_is_never_read() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        t1.put(1, 101);
        assert_eq!(t2.get(1), Some(10));
        t1.tx.rollback();
        assert_eq!(t2.get(1), Some(10));
        t2.put(2, 22);
        t2.succeeds();
        assert_eq!(bench.now(), [(1, 10), (2, 22)]);
    });
}

#[test]
fn g1b_intermediate_values_are_never_read() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        t1.put(1, 101);
        assert_eq!(t2.get(1), Some(10));
        t1.put(1, 11);
        t1.succeeds();
        assert_eq!(t2.get(1), Some(10));
        t2.succeeds();
    });
}

#[test]
fn g1c_information_does_not_flow_in_circles() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        t1.put(1, 11);
        t2.put(2, 22);
        assert_eq!(t1.get(2), Some(20));
        assert_eq!(t2.get(1), Some(10));
        t1.succeeds();
        let both = bench.only_at(Snapshot, t2);
        assert_eq!(bench.now(), [(1, 11), (2, if both { 22 } else { 20 })]);
    });
}

#[test]
fn otv_an_observed_transaction_does_not_vanish() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        t1.put(1, 11);
        t1.put(2, 19);
        t2.put(1, 12);
        t1.succeeds();
        let mut t3 = bench.client();
        assert_eq!(t3.get(1), Some(11));
        t2.put(2, 18);
        assert_eq!(t3.get(2), Some(19));
        bench.only_at(Serializable, t2);
        assert_eq!((t3.get(2), t3.get(1)), (Some(19), Some(11)));
        t3.succeeds();
    });
}

#[test]
fn pmp_a_predicate_reads_one_snapshot() {
    everywhere(|bench| {
        for writes in [false, true] {
            let [mut t1, mut t2] = bench.clients();
            assert_eq!(t1.select(|value| value == 30), []);
            t2.put(3, 30);
            t2.succeeds();
            assert_eq!(t1.select(|value| value % 3 == 0), []);
            if writes {
                t1.put(50, 1);
                bench.only_at(Snapshot, t1);
            } else {
                t1.succeeds();
            }
            let mut tidy = bench.client();
            tidy.delete(3);
            tidy.delete(50);
            tidy.succeeds();
        }
    });
}

#[test]
fn pmp_a_predicate_that_writes_conflicts() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        for (key, value) in t1.select(|_| true) {
            t1.put(key, value + 10);
        }
        assert_eq!(t2.select(|value| value == 20), [(2, 20)]);
        t2.delete(2);
        t1.succeeds();
        t2.conflicts();
        assert_eq!(bench.now(), [(1, 20), (2, 30)]);
    });
}

#[test]
fn p4_no_update_is_lost() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        assert_eq!((t1.get(1), t2.get(1)), (Some(10), Some(10)));
        t1.put(1, 11);
        t2.put(1, 11 + 100);
        t1.succeeds();
        t2.conflicts();
        assert_eq!(bench.now(), [(1, 11), (2, 20)]);
    });
}

#[test]
fn g_single_there_is_no_read_skew() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        assert_eq!(t1.get(1), Some(10));
        assert_eq!((t2.get(1), t2.get(2)), (Some(10), Some(20)));
        t2.put(1, 12);
        t2.put(2, 18);
        t2.succeeds();
        assert_eq!(t1.get(2), Some(20));
        t1.succeeds();
    });
}

#[test]
fn g_single_with_predicates_reads_one_snapshot() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        assert_eq!(t1.select(|value| value % 5 == 0), [(1, 10), (2, 20)]);
        for (key, _) in t2.select(|value| value == 10) {
            t2.put(key, 12);
        }
        t2.succeeds();
        assert_eq!(t1.select(|value| value % 3 == 0), []);
        t1.succeeds();
    });
}

#[test]
fn g_single_a_write_after_skew_conflicts() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        assert_eq!(t1.get(1), Some(10));
        t2.put(1, 12);
        t2.put(2, 18);
        t2.succeeds();
        for (key, _) in t1.select(|value| value == 20) {
            t1.delete(key);
        }
        t1.conflicts();
        assert_eq!(bench.now(), [(1, 12), (2, 18)]);
    });
}

#[test]
fn g2_item_write_skew_is_refused_when_serializable() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        for client in [&mut t1, &mut t2] {
            assert_eq!((client.get(1), client.get(2)), (Some(10), Some(20)));
        }
        t1.put(1, 11);
        t2.put(2, 21);
        t1.succeeds();
        let both = bench.only_at(Snapshot, t2);
        assert_eq!(bench.now(), [(1, 11), (2, if both { 21 } else { 20 })]);
    });
}

#[test]
fn g2_phantoms_are_refused_when_serializable() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        assert_eq!(t1.select(|value| value % 3 == 0), []);
        assert_eq!(t2.select(|value| value % 3 == 0), []);
        t1.put(3, 30);
        t2.put(4, 42);
        t1.succeeds();
        bench.only_at(Snapshot, t2);
    });
}

#[test]
fn g2_with_a_read_only_observer_is_refused_when_serializable() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        assert_eq!(t1.select(|_| true), [(1, 10), (2, 20)]);
        t2.put(2, 25);
        t2.succeeds();
        let mut t3 = bench.client();
        assert_eq!(t3.select(|_| true), [(1, 10), (2, 25)]);
        t3.succeeds();
        t1.put(1, 0);
        bench.only_at(Snapshot, t1);
    });
}

/// Write skew in which each transaction looks for the absence of what the other one writes.
fn skew_by(look: impl Fn(&mut Client, i64)) {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        look(&mut t1, 3);
        look(&mut t2, 4);
        t1.put(4, 1);
        t2.put(3, 1);
        t1.succeeds();
        let both = bench.only_at(Snapshot, t2);
        assert_eq!(bench.now().len(), if both { 4 } else { 3 });
    });
}

#[test]
fn write_skew_through_contains_alone_is_refused() {
    skew_by(|client, key| assert!(!client.contains(key)));
}

#[test]
fn write_skew_through_the_absence_of_a_key_is_refused() {
    skew_by(|client, key| assert_eq!(client.get(key), None));
}

#[test]
fn write_skew_through_an_empty_range_is_refused() {
    skew_by(|client, key| {
        let (low, high) = (name(key), name(key + 1));
        let range = ScanRange {
            low: Bound::Included(&low),
            high: Bound::Excluded(&high),
            keys_only: true,
            reverse: key == 4,
            ..ScanRange::default()
        };
        let store = client.store(key);
        let last = client.tx.scan(store, &range, WAIT, &mut |_, _, _| {
            panic!("nothing is there")
        });
        assert_eq!(last.unwrap(), None);
    });
}

#[test]
fn write_skew_through_counts_is_refused() {
    skew_by(|client, key| {
        let store = client.store(key);
        client.tx.count(store, WAIT).unwrap();
    });
}

#[test]
fn write_skew_through_skipping_is_refused() {
    skew_by(|client, key| {
        let high = name(100);
        let range = ScanRange {
            high: Bound::Excluded(&high),
            ..ScanRange::default()
        };
        let store = client.store(key);
        assert_eq!(client.tx.skip(store, &range, 7, WAIT).unwrap(), None);
    });
}

#[test]
fn write_skew_through_the_absence_of_a_store_is_refused() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        assert!(t1.tx.find_store("flag").is_none());
        t1.put(1, 11);
        assert_eq!(t2.get(1), Some(10));
        t2.tx.create_store("flag", 0, b"").unwrap();
        t2.succeeds();
        bench.only_at(Snapshot, t1);
        let [mut t1, mut t2] = bench.clients();
        assert_eq!(t1.tx.stores().len(), bench.stores.len() + 1);
        t1.put(2, 21);
        let flag = t2.tx.find_store("flag").unwrap().id;
        t2.tx.remove_store(flag).unwrap();
        t2.succeeds();
        bench.only_at(Snapshot, t1);
    });
}

#[test]
fn a_scan_that_stopped_early_conflicts_with_what_it_saw_and_nothing_else() {
    everywhere(|bench| {
        let store = bench.stores[0];
        let mut fill = bench.client();
        for key in [30, 40, 50] {
            fill.tx
                .put(store, &name(key), b"", &encode_int(0), true)
                .unwrap();
        }
        fill.succeeds();
        // Two of the three entries: 30 and 40, or 50 and 40.
        for (reverse, outside, inside) in [
            (false, [29, 41, 50, 60], [30, 35, 40]),
            (true, [29, 30, 39, 60], [40, 45, 50]),
        ] {
            for (key, seen) in outside
                .map(|k| (k, false))
                .into_iter()
                .chain(inside.map(|k| (k, true)))
            {
                let [mut t1, mut t2] = bench.clients();
                let (low, high) = (name(30), name(60));
                let range = ScanRange {
                    low: Bound::Included(&low),
                    high: Bound::Excluded(&high),
                    reverse,
                    limit: 2,
                    ..ScanRange::default()
                };
                let mut count = 0;
                t1.tx
                    .scan(store, &range, WAIT, &mut |_, _, _| count += 1)
                    .unwrap();
                assert_eq!(count, 2);
                t1.put(70, key);
                t2.tx
                    .put(store, &name(key), b"", &encode_int(77), true)
                    .unwrap();
                t2.succeeds();
                if seen {
                    bench.only_at(Snapshot, t1);
                } else {
                    t1.succeeds();
                }
                let mut tidy = bench.client();
                for key in outside.into_iter().chain(inside) {
                    tidy.tx.delete(store, &name(key)).unwrap();
                }
                for key in [30, 40, 50] {
                    tidy.tx
                        .put(store, &name(key), b"", &encode_int(0), true)
                        .unwrap();
                }
                tidy.succeeds();
            }
        }
    });
}

#[test]
fn writers_of_different_keys_never_conflict() {
    everywhere(|bench| {
        let clients: [Client; 20] = bench.clients();
        for (index, mut client) in clients.into_iter().enumerate() {
            let key = 20 + index as i64;
            assert_eq!(client.get(key), None);
            client.put(key, 1);
            client.succeeds();
        }
        let clients: [Client; 20] = bench.clients();
        for (index, mut client) in clients.into_iter().enumerate().rev() {
            client.delete(20 + index as i64);
            client.succeeds();
        }
        assert_eq!(bench.now(), [(1, 10), (2, 20)]);
    });
}

#[test]
fn commutative_operations_never_conflict_and_none_is_lost() {
    everywhere(|bench| {
        let clients: [Client; 10] = bench.clients();
        for mut client in clients {
            let store = client.store(1);
            client
                .tx
                .merge(store, &name(1), MergeOp::Add, &encode_int(5))
                .unwrap();
            client
                .tx
                .merge(store, &name(9), MergeOp::Max, &encode_int(7))
                .unwrap();
            client.succeeds();
        }
        let mut client = bench.client();
        assert_eq!((client.get(1), client.get(9)), (Some(60), Some(7)));
    });
}

#[test]
fn a_read_that_is_not_tracked_does_not_conflict() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        let access = Access {
            may_wait: true,
            track: false,
        };
        let store = t1.store(1);
        t1.tx.get(store, &name(1), access).unwrap();
        t1.tx.contains(store, &name(3), access).unwrap();
        t1.tx.count(store, access).unwrap();
        t1.tx
            .scan(store, &ScanRange::default(), access, &mut |_, _, _| ())
            .unwrap();
        t1.tx.skip(store, &ScanRange::default(), 1, access).unwrap();
        t1.put(50, 1);
        t2.put(1, 12);
        t2.put(3, 1);
        t2.succeeds();
        t1.succeeds();
    });
}

#[test]
fn without_checks_the_last_commit_wins() {
    everywhere(|bench| {
        let unchecked = || Client {
            tx: begin(&bench.db, Isolation::NoCheck),
            stores: bench.stores.clone(),
        };
        let (mut t1, mut t2) = (unchecked(), unchecked());
        assert_eq!((t1.get(1), t2.get(1)), (Some(10), Some(10)));
        t1.put(1, 11);
        t2.put(1, 12);
        t2.succeeds();
        t1.succeeds();
        assert_eq!(bench.now(), [(1, 11), (2, 20)]);
    });
}

#[test]
fn a_store_made_by_two_transactions_at_once_is_one_store() {
    everywhere(|bench| {
        let [mut t1, mut t2, mut t3] = bench.clients();
        let one = t1.tx.create_store("both", 3, b"same").unwrap().id;
        let two = t2.tx.create_store("both", 3, b"same").unwrap().id;
        t3.tx.create_store("both", 3, b"other").unwrap();
        t1.tx.put(one, b"from-one", b"", b"1", true).unwrap();
        t2.tx.put(two, b"from-two", b"", b"2", true).unwrap();
        t1.succeeds();
        t2.succeeds();
        assert!(matches!(t3.commit(), Err(Error::StoreExists { .. })));
        let mut client = bench.client();
        let id = client.tx.find_store("both").unwrap().id;
        assert_eq!(client.tx.count(id, WAIT).unwrap(), 2);
    });
}

#[test]
fn a_store_made_again_after_its_removal_is_read_as_empty_and_commits() {
    everywhere(|bench| {
        let mut client = bench.client();
        let old = client.store(1);
        assert_eq!(client.get(1), Some(10));
        client.tx.remove_store(old).unwrap();
        let new = client
            .tx
            .create_store("store-0", 0, b"")
            .unwrap_or_else(|_| {
                // Key 1 lies in store-1 when there are two.
                client.tx.create_store("store-1", 0, b"").unwrap()
            });
        assert_eq!(client.tx.count(new.id, WAIT).unwrap(), 0);
        assert!(client.tx.get(new.id, &name(1), WAIT).unwrap().is_none());
        client.tx.put(new.id, b"k", b"", b"v", true).unwrap();
        client.succeeds();
        let mut client = bench.client();
        assert!(client.tx.count(old, WAIT).is_err());
        assert_eq!(client.tx.count(new.id, WAIT).unwrap(), 1);
    });
}

#[test]
fn a_write_to_a_store_that_is_removed_meanwhile_conflicts() {
    everywhere(|bench| {
        let [mut t1, mut t2] = bench.clients();
        t1.put(1, 11);
        let store = t2.store(1);
        t2.tx.remove_store(store).unwrap();
        t2.succeeds();
        t1.conflicts();
    });
}
