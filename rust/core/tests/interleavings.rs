//! Given threads of the engine that interleave in any way, what is promised holds. Which way follows from a seed, so that what
//! was found once is found again.

mod interleaving_support;
mod support;

use interleaving_support::*;
use support::for_seeds;

/// Runs of a scenario under each scheduler, for each of so many seeds; `make interleavings` looks at many more.
const RUNS: usize = 20;
const SEEDS: usize = 6;

fn look(scenario: fn()) {
    for_seeds(SEEDS, |seed| explore(scenario, seed, RUNS));
}

#[test]
fn a_commit_that_shows_is_durable() {
    look(what_shows_is_durable);
}

#[test]
fn a_commit_has_one_outcome_and_it_is_true() {
    look(every_commit_has_one_outcome);
}

#[test]
fn everybody_is_told_the_truth_when_the_disk_fails() {
    look(everybody_is_told_when_the_disk_fails);
}

#[test]
fn a_snapshot_stays_as_it_is() {
    look(snapshots_stay_as_they_are);
}

#[test]
fn a_value_whose_place_is_kept_stays() {
    look(pinned_values_stay);
}

#[test]
fn a_follower_sees_whole_commits() {
    look(followers_see_whole_commits);
}

#[test]
fn who_follows_commits_closely_has_them_from_memory() {
    look(who_follows_closely_reads_no_file);
}
