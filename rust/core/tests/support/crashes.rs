//! Crash images of the lives that follow from a seed.

use sopasync_core::disk::{Fault, FaultKind, SimDisk, SplitMix64};
use sopasync_core::{Durability, Isolation, Options};

use super::check::assert_sound;
use super::history::History;
use super::life::{Plan, Tally, explore};
use super::session::Shape;
use super::{WAIT, begin, open, reader, simulated};

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

/// Lives, crashes at every second change, lives on, and crashes again.
pub fn crash(seed: u64) -> Tally {
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

/// Given a checkpoint that failed after the pages of a removed store were freed, and extents that took
/// them: a crash loses nothing, and the database opens.
pub fn extents_on_pages_of_a_removed_store(disk: &SimDisk) {
    let options = simulated(512, 1 << 20);
    let db = open(disk, &options).expect("a new database");
    let put = |store: &str, value: u8| {
        let mut tx = begin(&db, Isolation::Serializable);
        let id = match tx.find_store(store) {
            Some(info) => info.id,
            None => tx.create_store(store, 0, b"").expect("a store").id,
        };
        tx.put(id, &[value], b"", &vec![value; 100_000], true)
            .expect("a put");
        tx.commit().expect("a commit");
    };
    put("kept", 1);
    put("removed", 2);
    let mut tx = begin(&db, Isolation::Serializable);
    let id = tx.find_store("removed").expect("it is there").id;
    tx.remove_store(id).expect("a removal");
    tx.commit().expect("a commit");
    // The first write of the checkpoint finds no space.
    disk.add_fault(Fault {
        call: disk.call_count() + 1,
        kind: FaultKind::NoSpace,
        forever: false,
    });
    db.checkpoint().expect_err("the disk is full");
    let before = db.statistics().file_pages;
    put("kept", 3);
    assert_eq!(
        db.statistics().file_pages,
        before,
        "the pages of the removed store are used again"
    );
    disk.kill();
    drop(db);
    let db = open(&disk.next_process(), &options).expect("the database opens");
    let mut tx = reader(&db);
    let id = tx.find_store("kept").expect("it is there").id;
    for value in [1, 3] {
        let entry = tx
            .get(id, &[value], WAIT)
            .expect("a read")
            .expect("it is there");
        assert!(entry.value == vec![value; 100_000]);
    }
    assert!(tx.find_store("removed").is_none());
    assert_sound(&db, "after the crash");
}
