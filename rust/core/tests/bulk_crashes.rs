//! Given a crash at any write or sync of a life with bulk loads, and whatever of the unsynced sectors landed: either
//! the whole load is there or nothing of it, nothing acknowledged is lost, and what is freed later is used again
//! without harm, also after a second crash.

mod bulk_support;

use bulk_support::{Effort, crash_check};

#[test]
fn every_crash_leaves_all_of_a_load_or_nothing() {
    let effort = Effort {
        stride: 1,
        images_per_point: 6,
        again_one_of: 3,
    };
    let count: usize = (0..6)
        .map(|seed| crash_check(seed, effort).unwrap_or_else(|reason| panic!("{reason}")))
        .sum();
    assert!(count > 1000, "only {count} images");
}
