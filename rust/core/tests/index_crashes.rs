//! Indexes and relations over random transactions of every isolation, and after crashes at every step: they always say what
//! their stores say.

mod index_support;
mod support;

use index_support::{
    PEOPLE, add_relation_beside_a_writer, build_beside_writers, by_city, live, look_after_crash,
    new_database, on_delete, remove_targets_of_a_relation_that_is_built, round, store,
};
use sopasync_core::disk::{CrashOptions, SimDisk, SplitMix64};
use sopasync_core::{Error, Isolation};
use support::{begin, for_seeds};

#[test]
fn indexes_say_what_their_stores_say_whoever_commits() {
    for_seeds(100, |seed| {
        let mut random = SplitMix64::new(seed);
        let db = new_database(&SimDisk::new(seed), on_delete(seed));
        for _ in 0..40 {
            round(&db, &mut random, on_delete(seed));
        }
    });
}

#[test]
fn what_a_newer_version_keeps_beside_stores_is_not_left_to_fall_behind() {
    let mut newer = by_city().encode();
    newer[0] = 2;
    for (kind, options) in [(32, newer), (33, Vec::new())] {
        let db = new_database(&SimDisk::new(1), on_delete(1));
        let mut tx = begin(&db, Isolation::Serializable);
        tx.create_store("\0newer", kind, &options).expect("made");
        tx.commit().expect("a commit");
        let mut tx = begin(&db, Isolation::Serializable);
        let people = store(&tx, PEOPLE);
        let refused = tx.links(people);
        assert!(
            matches!(refused, Err(Error::UnsupportedFormat { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_relation_is_not_added_past_a_writer() {
    add_relation_beside_a_writer();
}

#[test]
fn a_relation_that_is_built_is_never_complete_without_what_items_refer_to() {
    remove_targets_of_a_relation_that_is_built();
}

#[test]
fn indexes_are_built_beside_writers() {
    for_seeds(20, build_beside_writers);
}

#[test]
fn indexes_say_what_their_stores_say_after_every_crash() {
    let count = std::sync::Mutex::new(0);
    for_seeds(4, |seed| {
        let disk = live(seed);
        let images = CrashOptions {
            seed,
            images_per_point: 2,
            combinations_max: 2,
            ..CrashOptions::default()
        };
        for image in disk.crash_images(images) {
            look_after_crash(&image.disk, seed);
            *count.lock().unwrap() += 1;
        }
    });
    eprintln!("{} images", count.lock().unwrap());
    assert!(*count.lock().unwrap() > 100);
}
