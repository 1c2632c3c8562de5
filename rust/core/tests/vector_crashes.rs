//! Vector stores after crashes at every step of sealing, building, merging and purging, and with a disk that fails at any
//! call: what is recovered answers like measuring everything, and goes on from there.

mod support;
mod vector_support;

use std::sync::Mutex;

use sopasync_core::disk::{CrashOptions, Fault, FaultKind, SimDisk, SplitMix64};
use sopasync_core::{Error, Isolation};
use sopasync_vector::{Element, Metric};
use support::{begin, for_seeds, open, reader};
use vector_support::life::{Versions, commit, live, look_after_crash, settings};
use vector_support::{create, find, look, maintain_early, options};

#[test]
fn after_every_crash_queries_answer_like_measuring_everything() {
    let count = Mutex::new(0);
    for_seeds(3, |seed| {
        let (disk, versions) = live(seed);
        let images = CrashOptions {
            seed,
            images_per_point: 2,
            combinations_max: 2,
            ..CrashOptions::default()
        };
        for image in disk.crash_images(images) {
            look_after_crash(&image.disk, &versions, seed);
            *count.lock().unwrap() += 1;
        }
    });
    eprintln!("{} images", count.lock().unwrap());
    assert!(*count.lock().unwrap() > 100);
}

/// A life that ends at the first error; what is there afterwards is what was acknowledged, or one commit more.
fn life_with_fault(seed: u64, fault: Option<Fault>) -> u64 {
    let mut random = SplitMix64::new(seed);
    let disk = SimDisk::new(seed);
    let db = open(&disk, &settings()).unwrap();
    maintain_early(&db);
    let store = create(&db, "vectors", &options(Metric::L2, Element::F32, 2));
    let mut versions = Versions::default();
    versions.settle(&db);
    let before = disk.call_count();
    if let Some(fault) = fault {
        disk.add_fault(Fault {
            call: fault.call + before,
            ..fault
        });
    }
    for _ in 0..8 {
        commit_or_end(&db, &store, &mut versions, &mut random);
        for _ in 0..3 {
            // A failing step is told, and tried again by the next.
            let _ = db.maintain_step();
            versions.settle(&db);
        }
        if db.statistics().poisoned.is_some() {
            break;
        }
        match db.checkpoint() {
            Ok(()) | Err(Error::Io { .. } | Error::Poisoned { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let calls = disk.call_count() - before;
    disk.clear_faults();
    let seq = db.last_seq();
    look(
        &mut reader(&db),
        &store,
        versions.at(seq),
        &mut random,
        "after a fault",
    );
    drop(db);
    let disk = disk.next_process();
    let db = open(&disk, &settings()).unwrap();
    maintain_early(&db);
    let store = find(&db, "vectors");
    let seq = db.last_seq() as usize;
    if let Some(state) = versions.0.get(seq) {
        look(
            &mut reader(&db),
            &store,
            state,
            &mut random,
            "reopened after a fault",
        );
        db.settle(store.id()).unwrap();
        look(
            &mut reader(&db),
            &store,
            state,
            &mut random,
            "settled after a fault",
        );
    }
    calls
}

fn commit_or_end(
    db: &sopasync_core::Database,
    store: &sopasync_core::vector::VectorStore,
    versions: &mut Versions,
    random: &mut SplitMix64,
) {
    if db.statistics().poisoned.is_some() {
        return;
    }
    let mut tx = begin(db, Isolation::Serializable);
    let mut state = versions.0.last().expect("a version").as_ref().clone();
    for _ in 0..4 {
        vector_support::change(&mut tx, store, &mut state, random);
    }
    let before = db.last_seq();
    // Refused, or of unknown outcome: then nothing more is committed in this life.
    if tx.commit().is_ok() && db.last_seq() > before {
        versions.0.push(std::sync::Arc::new(state));
    }
}

#[test]
fn a_disk_that_fails_at_any_call_spoils_nothing() {
    for kind in [FaultKind::NoSpace, FaultKind::SyncDrops] {
        let calls = life_with_fault(1, None);
        assert!(calls > 60, "{calls} calls");
        for call in 1..=calls {
            life_with_fault(
                1,
                Some(Fault {
                    call,
                    kind,
                    forever: false,
                }),
            );
        }
    }
}

#[test]
fn commits_count_what_they_change() {
    let db = open(&SimDisk::new(3), &settings()).unwrap();
    let store = create(&db, "vectors", &options(Metric::L2, Element::F32, 2));
    let mut versions = Versions::default();
    versions.settle(&db);
    let mut random = SplitMix64::new(3);
    for _ in 0..5 {
        commit(&db, &store, &mut versions, &mut random);
    }
    assert_eq!(versions.0.len() as u64, db.last_seq() + 1);
}
