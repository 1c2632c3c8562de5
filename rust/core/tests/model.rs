//! Given random transactions, whatever the page size and however small the cache: every read, scan, skip and
//! count shows what plain ordered maps of versions say, and so do old snapshots and reopened databases.

mod support;

use std::sync::Mutex;

use sopasync_core::Options;
use sopasync_core::disk::{SimDisk, SplitMix64};
use support::history::History;
use support::life::{Plan, Tally, live};
use support::session::Shape;
use support::{for_seeds, pick, simulated};

fn plan(random: &mut SplitMix64) -> Plan {
    let page_bytes = 512 << random.below(7);
    let cache_bytes = match random.below(4) {
        0 => 64 << 20,
        1 => 1 << 20,
        _ => 16 * page_bytes,
    };
    Plan {
        options: Options {
            segment_bytes: 8192 << random.below(7),
            ..simulated(page_bytes, cache_bytes.max(64 << 10))
        },
        shape: Shape {
            keys: [30, 400, 3000][random.below(3)],
            stores: 1 + random.below(4),
            sizes: [[60, 1, 0], [30, 6, 1], [5, 5, 2]][pick(random, &[4, 2, 1])],
            long_keys: [0, 40, 7][pick(random, &[3, 3, 1])],
            reads: 3 + random.below(5),
        },
        steps: 150,
        operations: 60,
        images_per_point: 0,
        stride: 1,
        again_one_of: 1,
        depth: 0,
    }
}

#[test]
fn every_answer_is_that_of_plain_maps() {
    let total = Mutex::new(Tally::default());
    for_seeds(24, |seed| {
        let mut random = SplitMix64::new(seed ^ 0x6d6f_6465);
        let plan = plan(&mut random);
        let (mut history, mut tally) = (History::default(), Tally::default());
        let mut disk = SimDisk::new(seed);
        for _ in 0..3 {
            live(&disk, &mut history, &plan, &mut random, &mut tally);
            // The process ends, the machine stays up.
            disk = disk.next_process();
            history = history.cut(history.last_seq());
        }
        total.lock().unwrap().add(tally);
    });
    let total = *total.lock().unwrap();
    eprintln!("{total:?}");
    if std::env::var("SOPASYNC_TEST_SEED").is_err() {
        assert!(
            total.evictions > 1000 && total.page_reads > 1000,
            "the cache was never too small: {total:?}"
        );
    }
}
