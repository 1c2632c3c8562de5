//! Every deliberate bug of bulk loads is noticed by a check that passes without it: the check can fail.
#![cfg(feature = "mutants")]

mod bulk_support;

use bulk_support::{Effort, Verdict, crash_check};
use sopasync_core::mutants::{MUTANTS, set_mutant};

fn crashes() -> Verdict {
    let effort = Effort {
        stride: 5,
        images_per_point: 6,
        again_one_of: 2,
    };
    (0..3).try_for_each(|seed| crash_check(seed, effort).map(|_| ()))
}

// One test, because a mutant is on for the whole process.
#[test]
fn each_deliberate_bug_of_bulk_loads_is_noticed() {
    set_mutant(None);
    crashes().unwrap_or_else(|reason| panic!("without a mutant: {reason}"));
    let mut survivors = Vec::new();
    for (mutant, promise) in MUTANTS.iter().filter(|(name, _)| name.starts_with("bulk-")) {
        set_mutant(Some(mutant));
        // A bug may also show as a failed assertion of the engine.
        match std::panic::catch_unwind(crashes) {
            Ok(Ok(())) => survivors.push(format!("{mutant} ({promise})")),
            Ok(Err(reason)) => eprintln!("{mutant}: noticed by {reason}"),
            Err(_) => eprintln!("{mutant}: an assertion failed"),
        }
    }
    set_mutant(None);
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
}
