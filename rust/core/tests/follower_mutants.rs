//! Every deliberate bug of followers is noticed by a check that passes without it.
#![cfg(feature = "mutants")]

mod check_support;
mod follower_again;
mod follower_support;
mod support;

use follower_again::*;
use sopasync_core::mutants::{MUTANTS, set_mutant};

fn checks() {
    a_failure_within_a_group_leaves_no_trace();
    opening_goes_on_while_the_end_of_the_log_is_replaced();
}

#[test]
fn each_deliberate_bug_of_followers_is_noticed() {
    checks();
    let own = MUTANTS
        .iter()
        .filter(|(name, _)| name.starts_with("follow-"));
    for (name, promise) in own {
        set_mutant(Some(name));
        let noticed = std::panic::catch_unwind(checks).is_err();
        set_mutant(None);
        assert!(noticed, "nobody noticed {name} ({promise})");
    }
}
