//! Given a good database whose files were changed behind its back (bytes, stretches, pages exchanged or doubled, files
//! cut or emptied): opening and reading it gives errors or right answers, and comes to an end.
//!
//! Damage to the last groups of the log cannot be told from a crash that cut them off: then, and only then, the
//! right answers are those of an earlier commit.

mod support;

use sopasync_core::disk::SplitMix64;
use support::damage::{damage, good, look};
use support::for_seeds;

#[test]
fn damaged_files_give_errors_or_right_answers() {
    let counts = std::sync::Mutex::new((0, 0));
    for_seeds(40, |seed| {
        let sample = good(seed);
        assert!(look(&sample.files, &sample.versions, seed, "undamaged"));
        let mut random = SplitMix64::new(seed ^ 0xbad);
        for round in 0..60 {
            let mut damaged = sample.files.clone();
            let mut place = format!("round {round}");
            for _ in 0..1 + random.below(3) {
                place = format!(
                    "{place}, {}",
                    damage(&mut damaged, &sample.stale_pages, &mut random)
                );
            }
            let opened = look(&damaged, &sample.versions, seed, &place);
            let mut counts = counts.lock().unwrap();
            counts.0 += 1;
            counts.1 += usize::from(opened);
        }
    });
    let (looked, opened) = *counts.lock().unwrap();
    eprintln!("{looked} damaged databases, {opened} of them opened");
}
