//! The log under crashes at every moment, and under failing calls.

mod log_support;

use log_support::crash_check::{Effort, crash_check};
use log_support::fault_check::{fault_check, recovery_fault_check};
use sopasync_core::disk::FaultKind;

/// More seeds by `SOPASYNC_SEEDS`, others by `SOPASYNC_SEED`.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let read = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = read("SOPASYNC_SEED").unwrap_or(0);
    first..first + read("SOPASYNC_SEEDS").unwrap_or(usual)
}

#[test]
fn after_any_crash_the_log_is_a_prefix_with_everything_acknowledged() {
    let effort = Effort {
        steps: 60,
        images_per_point: 8,
        again_one_of: 50,
    };
    let mut images = 0;
    for seed in seeds(6) {
        images += crash_check(seed, effort).unwrap_or_else(|reason| panic!("{reason}"));
    }
    assert!(images > 4000, "only {images} images");
}

#[test]
fn whichever_call_fails_nothing_acknowledged_is_lost() {
    for forever in [false, true] {
        for kind in FaultKind::ALL {
            let mut call = 1;
            while fault_check(call, kind, forever).unwrap_or_else(|reason| panic!("{reason}")) {
                call += 1;
            }
            assert!(call > 50, "the workload makes only {call} calls");
        }
    }
}

#[test]
fn whichever_call_of_a_recovery_fails_the_next_one_finds_everything() {
    for forever in [false, true] {
        for kind in FaultKind::ALL {
            let mut call = 1;
            while recovery_fault_check(call, kind, forever)
                .unwrap_or_else(|reason| panic!("{reason}"))
            {
                call += 1;
            }
            assert!(call > 15, "opening makes only {call} calls");
        }
    }
}
