//! Every deliberate bug of the index is noticed by the test of its life, which passes without it.
#![cfg(feature = "mutants")]

#[path = "index_life.rs"]
mod index_life;

use std::process::{Command, Stdio};

use sopasync_text::mutants::MUTANTS;

/// In a process of its own, which may end in a panic.
fn passes(mutant: &str) -> bool {
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "index_life::searches_equal_brute_force_whatever_maintenance_does",
        ])
        .env("SOPASYNC_MUTANT", mutant)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.expect("this program runs").success()
}

#[test]
fn each_deliberate_bug_of_the_index_is_noticed() {
    assert!(passes(""), "without a mutant");
    let survivors: Vec<&str> = MUTANTS
        .iter()
        .map(|mutant| mutant.0)
        .filter(|name| passes(name))
        .collect();
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
}
