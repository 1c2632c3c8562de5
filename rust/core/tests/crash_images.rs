//! Given a crash at any write or sync of a life, whatever of the unsynced sectors landed: the database opens, and
//! holds the state after some prefix of the commits that includes every acknowledged one. So it does
//! after a crash during that recovery, and after a crash of the life that goes on from there.

mod support;

use sopasync_core::disk::SimDisk;
use support::crashes::{crash, extents_on_pages_of_a_removed_store};
use support::for_seeds;
use support::life::Tally;

#[test]
fn every_crash_leaves_a_prefix_with_all_that_was_acknowledged() {
    let total = std::sync::Mutex::new(Tally::default());
    for_seeds(20, |seed| {
        let tally = crash(seed);
        total.lock().unwrap().add(tally);
    });
    eprintln!("{:?}", total.lock().unwrap());
}

#[test]
fn extents_may_take_the_pages_of_a_removed_store() {
    extents_on_pages_of_a_removed_store(&SimDisk::new(1));
}
