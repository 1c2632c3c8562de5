//! Every deliberate bug of vector stores is noticed by a check that passes without it: the checks can fail.
#![cfg(feature = "mutants")]

mod support;
mod vector_support;

use sopasync_core::disk::CrashOptions;
use sopasync_core::mutants::{MUTANTS, set_mutant};
use vector_support::life::{
    followers_notice_what_was_purged, live, look_after_crash, old_snapshots_never_change,
    what_waits_is_read_in_pieces,
};

fn battery() {
    for seed in 0..4 {
        old_snapshots_never_change(seed);
        followers_notice_what_was_purged(seed);
    }
    what_waits_is_read_in_pieces(0);
    let (disk, versions) = live(0);
    let images = CrashOptions {
        stride: 5,
        images_per_point: 1,
        combinations_max: 1,
        ..CrashOptions::default()
    };
    for image in disk.crash_images(images) {
        look_after_crash(&image.disk, &versions, 0);
    }
}

// One test, because a mutant is on for the whole process.
#[test]
fn each_deliberate_bug_of_vector_stores_is_noticed() {
    set_mutant(None);
    battery();
    let mut survivors = Vec::new();
    for (mutant, promise) in MUTANTS
        .iter()
        .filter(|(name, _)| name.starts_with("vector-"))
    {
        set_mutant(Some(mutant));
        if std::panic::catch_unwind(battery).is_ok() {
            survivors.push(format!("{mutant} ({promise})"));
        }
    }
    set_mutant(None);
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
}
