//! Every deliberate bug of the log is noticed by a check that passes without it: the checks can fail.
#![cfg(feature = "mutants")]

mod log_support;

use log_support::Verdict;
use log_support::crash_check::{Effort, crash_check};
use log_support::damage_check::{damage_check, sample};
use log_support::fault_check::{fault_check, recovery_fault_check};
use sopasync_core::disk::FaultKind;
use sopasync_core::mutants::{MUTANTS, set_mutant};

type Check = fn() -> Verdict;

const EFFORT: Effort = Effort {
    steps: 60,
    images_per_point: 8,
    again_one_of: 50,
};

fn crashes() -> Verdict {
    (0..12).try_for_each(|seed| crash_check(seed, EFFORT).map(|_| ()))
}

fn faults() -> Verdict {
    for kind in FaultKind::ALL {
        let mut call = 1;
        while fault_check(call, kind, false)? {
            call += 1;
        }
        call = 1;
        while recovery_fault_check(call, kind, false)? {
            call += 1;
        }
    }
    Ok(())
}

fn damage() -> Verdict {
    // Segment 1 ends with its second group, so that only segment 2 bears witness for that.
    damage_check(&sample(&[1900, 1900, 100, 100]), false)
}

// One test, because a mutant is on for the whole process.
#[test]
fn each_deliberate_bug_of_the_log_is_noticed() {
    let checks: [(&str, Check); 3] = [("damage", damage), ("crashes", crashes), ("faults", faults)];
    set_mutant(None);
    for (name, check) in checks {
        check().unwrap_or_else(|reason| panic!("{name} without a mutant: {reason}"));
    }
    let mut survivors = Vec::new();
    for (mutant, promise) in MUTANTS.iter().filter(|(name, _)| name.starts_with("log-")) {
        set_mutant(Some(mutant));
        let noticed = checks.iter().find_map(|(name, check)| {
            // A bug may also show as a failed assertion of the engine.
            match std::panic::catch_unwind(check) {
                Ok(verdict) => verdict.err().map(|reason| format!("{name}: {reason}")),
                Err(_) => Some(format!("{name}: an assertion failed")),
            }
        });
        match noticed {
            Some(reason) => eprintln!("{mutant}: noticed by {reason}"),
            None => survivors.push(format!("{mutant} ({promise})")),
        }
    }
    set_mutant(None);
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
}
