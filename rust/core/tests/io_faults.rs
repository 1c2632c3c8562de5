//! Given that the Nth call to the disk fails, for every N, once or from then on, in each of four ways: every
//! operation succeeds or returns an error, no answer is wrong, and nothing acknowledged is lost, neither by
//! opening again nor by a crash after that.

mod support;

use sopasync_core::disk::{Fault, FaultKind};
use support::faults::life;
use support::scale;

#[test]
fn the_life_itself_does_not_fail() {
    for seed in 0..20 * scale() as u64 {
        life(seed, None);
    }
}

#[test]
fn any_call_may_fail() {
    let mut points = 0;
    let wanted = std::env::var("SOPASYNC_TEST_FAULT").ok();
    for seed in 0..3 * scale() as u64 {
        let calls = life(seed, None);
        for kind in FaultKind::ALL {
            for forever in [false, true] {
                for call in 1..=calls {
                    let fault = Fault {
                        call,
                        kind,
                        forever,
                    };
                    let name = format!("{seed} {kind:?} {forever} {call}");
                    if wanted.as_ref().is_some_and(|wanted| *wanted != name) {
                        continue;
                    }
                    points += 1;
                    if let Err(reason) = std::panic::catch_unwind(|| life(seed, Some(fault))) {
                        eprintln!("failed with SOPASYNC_TEST_FAULT=\"{name}\"");
                        std::panic::resume_unwind(reason);
                    }
                }
            }
        }
    }
    eprintln!("{points} points of failure");
}
