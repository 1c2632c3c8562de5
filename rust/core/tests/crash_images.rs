//! Given a crash at any write or sync of a life, whatever of the unsynced sectors landed: the database opens, and
//! holds the state after some prefix of the commits that includes every acknowledged one. So it does
//! after a crash during that recovery, and after a crash of the life that goes on from there.

mod support;

use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::{Durability, Options};
use support::history::History;
use support::life::{Plan, Tally, explore};
use support::session::Shape;
use support::{for_seeds, simulated};

fn plan(seed: u64, random: &mut SplitMix64) -> Plan {
    let page_bytes = [512, 1024, 512, 2048][random.below(4)];
    let options = Options {
        segment_bytes: [8 << 10, 32 << 10, 256 << 10][random.below(3)],
        durability: if seed % 6 == 5 {
            Durability::Relaxed
        } else {
            Durability::Full
        },
        ..simulated(
            page_bytes,
            [16 << 10, 64 << 10, 1 << 20][random.below(3)].max(16 * page_bytes),
        )
    };
    Plan {
        options,
        shape: Shape {
            keys: [40, 120, 300][random.below(3)],
            ..Shape::default()
        },
        steps: 40,
        operations: 12,
        images_per_point: 5,
        stride: 2,
        again_one_of: 60,
        depth: 2,
    }
}

fn crash(seed: u64) -> Tally {
    let mut random = SplitMix64::new(seed);
    let plan = plan(seed, &mut random);
    let mut tally = Tally::default();
    let disk = SimDisk::new(seed);
    explore(
        &disk,
        &History::default(),
        &plan,
        &mut random,
        0,
        &mut tally,
    );
    tally
}

#[test]
fn every_crash_leaves_a_prefix_with_all_that_was_acknowledged() {
    let total = std::sync::Mutex::new(Tally::default());
    for_seeds(20, |seed| {
        let tally = crash(seed);
        total.lock().unwrap().add(tally);
    });
    eprintln!("{:?}", total.lock().unwrap());
}
