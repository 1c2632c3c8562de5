//! `Database::check`: finds every kind of damage, and none where there is none.

mod check_support;

use check_support::*;
use sopasync_core::disk::{SimDisk, SplitMix64};

#[test]
fn a_database_is_sound_after_any_work() {
    for seed in 0..12 {
        let mut random = SplitMix64::new(seed);
        let disk = SimDisk::new(seed);
        let mut db = open(&disk);
        let mut model = Model::new();
        for round in 0..60 {
            work(&db, &mut model, &mut random);
            match random.below(12) {
                0 => db.checkpoint().unwrap(),
                1 => {
                    db.close().unwrap();
                    db = open(&disk);
                }
                _ => {}
            }
            if round % 6 == 0 {
                let report = assert_sound(&db);
                let entries: usize = model.values().map(|entries| entries.len()).sum();
                assert_eq!(report.entries, entries as u64, "seed {seed}");
                assert_eq!(report.stores, model.len() as u64);
                assert_eq!(
                    report.in_flight_pages, 0,
                    "nothing is under way: seed {seed}"
                );
                assert_eq!(report.seq, db.last_seq());
            }
        }
        assert_eq!(content(&db), model, "seed {seed}");
    }
}
