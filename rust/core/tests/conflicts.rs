//! What conflicts and what does not: write skew through every way of looking, scans that stopped early, disjoint keys,
//! operations that commute, reads and transactions that ask for no check, stores made twice.

mod support;

use std::ops::Bound;

use Isolation::Snapshot;
use sopasync_core::{Access, Error, Isolation, MergeOp, ScanRange};
use support::bench::{Client, everywhere, name};
use support::number::encode_int;
use support::{WAIT, begin};

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
