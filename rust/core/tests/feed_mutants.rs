//! Every deliberate bug of the change feed is noticed by a check that passes without it: the checks can fail.
#![cfg(feature = "mutants")]

mod feed_support;
mod support;

use feed_support::{
    a_commit_comes_again_after_an_error, a_group_comes_as_its_commits,
    applied_changes_give_the_database, changes_not_kept_are_refused,
    who_falls_behind_reads_the_log_from_where_he_is,
};
use sopasync_core::mutants::{MUTANTS, set_mutant};

fn battery() {
    a_group_comes_as_its_commits();
    a_commit_comes_again_after_an_error();
    applied_changes_give_the_database(0, 60);
    changes_not_kept_are_refused();
    who_falls_behind_reads_the_log_from_where_he_is();
}

// One test, because a mutant is on for the whole process.
#[test]
fn each_deliberate_bug_of_the_feed_is_noticed() {
    set_mutant(None);
    battery();
    let mut survivors = Vec::new();
    let ours = MUTANTS.iter().filter(|(name, _)| name.starts_with("feed-"));
    for (mutant, promise) in ours {
        set_mutant(Some(mutant));
        if std::panic::catch_unwind(battery).is_ok() {
            survivors.push(format!("{mutant} ({promise})"));
        }
    }
    set_mutant(None);
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
}
