//! Every deliberate bug that only an interleaving of threads shows is noticed by a scenario that passes without it.
#![cfg(feature = "mutants")]

mod interleaving_support;
mod support;

use interleaving_support::*;
use sopasync_core::mutants::{MUTANTS, set_mutant};

/// Runs under each scheduler, for each of so many seeds.
const RUNS: usize = 200;
const SEEDS: u64 = 5;

/// The scenario that shows each of them.
const SHOWN_BY: &[(&str, fn())] = &[
    ("threads-show-before-sync", what_shows_is_durable),
    ("threads-install-unlocked", snapshots_stay_as_they_are),
    (
        "threads-forget-who-waits",
        everybody_is_told_when_the_disk_fails,
    ),
    ("threads-look-then-take", every_commit_has_one_outcome),
    (
        "threads-checkpoint-of-two-moments",
        snapshots_stay_as_they_are,
    ),
    ("threads-detach-forgets-pins", pinned_values_stay),
    ("threads-keep-late", who_follows_closely_reads_no_file),
    ("threads-keep-for-nobody", who_follows_closely_reads_no_file),
];

#[test]
fn each_deliberate_bug_of_threads_is_noticed() {
    let own = MUTANTS
        .iter()
        .filter(|(name, _)| name.starts_with("threads-"));
    let mut survivors = Vec::new();
    for (name, promise) in own {
        let shown_by = SHOWN_BY.iter().find(|(shown, _)| shown == name);
        let (_, scenario) = shown_by.expect("a scenario for each");
        explore(*scenario, 0, RUNS);
        set_mutant(Some(name));
        let seed = (0..SEEDS)
            .find(|seed| std::panic::catch_unwind(|| explore(*scenario, *seed, RUNS)).is_err());
        set_mutant(None);
        match seed {
            Some(seed) => eprintln!("{name}: noticed with seed {seed}"),
            None => survivors.push(format!("{name} ({promise})")),
        }
    }
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
}
