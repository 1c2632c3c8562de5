//! The anomalies of Hermitage (Kleppmann), each with its exact outcome at both isolation levels: within one store,
//! across two, with few entries and with trees of many pages.
//!
//! The names are Adya's: G0 dirty write, G1a aborted read, G1b intermediate read, G1c circular information flow,
//! OTV observed transaction vanishes, PMP predicate-many-preceders, P4 lost update, G-single read skew,
//! G2 anti-dependency cycle.

mod support;

use Isolation::{Serializable, Snapshot};
use sopasync_core::Isolation;
use support::bench::everywhere;

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
