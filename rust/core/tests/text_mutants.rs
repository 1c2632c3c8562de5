//! Every deliberate bug of text stores is noticed by a check that passes without it: the checks can fail.
#![cfg(feature = "mutants")]

mod support;
mod text_support;

use sopasync_core::mutants::{MUTANTS, set_mutant};
use text_support::life::{promises, random_life};

fn battery() {
    promises();
    (0..6).for_each(random_life);
}

// One test, because a mutant is on for the whole process.
#[test]
fn each_deliberate_bug_of_text_stores_is_noticed() {
    set_mutant(None);
    battery();
    let mut survivors = Vec::new();
    for (mutant, promise) in MUTANTS.iter().filter(|(name, _)| name.starts_with("text-")) {
        set_mutant(Some(mutant));
        if std::panic::catch_unwind(battery).is_ok() {
            survivors.push(format!("{mutant} ({promise})"));
        }
    }
    set_mutant(None);
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
}
