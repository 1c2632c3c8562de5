//! Every deliberate bug of indexes and relations is noticed by a check that passes without it: the checks can fail.
#![cfg(feature = "mutants")]

mod index_support;
mod support;

use index_support::{
    add_relation_beside_a_writer, build_beside_writers, new_database, on_delete, round,
};
use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::mutants::{MUTANTS, set_mutant};

fn battery() {
    add_relation_beside_a_writer();
    for seed in 0..20 {
        build_beside_writers(seed);
    }
    for seed in 0..60 {
        let mut random = SplitMix64::new(seed);
        let db = new_database(&SimDisk::new(seed), on_delete(seed));
        for _ in 0..40 {
            round(&db, &mut random, on_delete(seed));
        }
    }
}

// One test, because a mutant is on for the whole process.
#[test]
fn each_deliberate_bug_of_indexes_is_noticed() {
    set_mutant(None);
    battery();
    let mut survivors = Vec::new();
    let ours = MUTANTS
        .iter()
        .filter(|(name, _)| name.starts_with("index-") || name.starts_with("relation-"));
    for (mutant, promise) in ours {
        set_mutant(Some(mutant));
        if std::panic::catch_unwind(battery).is_ok() {
            survivors.push(format!("{mutant} ({promise})"));
        }
    }
    set_mutant(None);
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
}
