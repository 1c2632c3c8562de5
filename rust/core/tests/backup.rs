//! `Database::backup`: a copy that equals one snapshot, whatever goes on, or no copy at all.

mod check_support;

use std::ops::ControlFlow;
use std::sync::Arc;

use check_support::*;
use sopasync_core::disk::{CrashOptions, Disk, Fault, FaultKind, RealDisk, SimDisk, SplitMix64};
use sopasync_core::{Database, Error, Options};

#[test]
fn a_copy_equals_its_snapshot_opens_by_itself_and_goes_on() {
    for seed in 0..8 {
        let mut random = SplitMix64::new(seed);
        let disk = SimDisk::new(seed);
        let mut db = open(&disk);
        let mut model = Model::new();
        for round in 0..30 {
            work(&db, &mut model, &mut random);
            match random.below(8) {
                0 => db.checkpoint().unwrap(),
                2 => load(&db, &mut model, &mut random),
                1 => {
                    db.close().unwrap();
                    db = open(&disk);
                }
                _ => {}
            }
            if round % 10 != 9 {
                continue;
            }
            let (target, report) = backup(&db, seed + 100).unwrap();
            let entries: usize = model.values().map(|entries| entries.len()).sum();
            assert_eq!(report.entries, entries as u64);
            assert_eq!(report.stores, model.len() as u64);
            assert_eq!(report.seq, db.last_seq());
            assert_eq!(report.bytes, report.pages * PAGE_BYTES as u64);

            // Before anybody opened it for writing it has no log, and can be read all the same.
            let reader = try_open(&target, follower_options()).unwrap();
            assert_eq!(content(&reader), model, "seed {seed}, read-only");
            assert_sound(&reader);
            drop(reader);

            let copy = open(&target);
            assert_eq!(copy.last_seq(), report.seq);
            assert_eq!(content(&copy), model, "seed {seed}");
            let checked = assert_sound(&copy);
            assert_eq!(checked.pages, report.pages, "nothing else is in the copy");
            let mut later = model.clone();
            for _ in 0..10 {
                work(&copy, &mut later, &mut random);
            }
            copy.close().unwrap();
            let copy = open(&target);
            assert_eq!(content(&copy), later, "the copy goes on by itself");
            assert_sound(&copy);
            assert_eq!(content(&db), model, "and the original knows nothing of it");
        }
    }
}

#[test]
fn a_reader_of_the_copy_sees_what_its_first_owner_commits() {
    let (disk, mut model) = closed_database(3, 10);
    let (target, _) = backup(&open(&disk), 4).unwrap();
    let reader = try_open(&target, follower_options()).unwrap();
    assert_eq!(content(&reader), model);
    let owner = open(&target);
    let mut random = SplitMix64::new(5);
    for _ in 0..3 {
        work(&owner, &mut model, &mut random);
        reader.refresh().unwrap();
        assert_eq!(content(&reader), model);
    }
}

#[test]
fn a_copy_made_while_writers_run_is_the_state_at_one_commit() {
    let source = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(source.path(), true).unwrap());
    let options = Options {
        page_bytes: PAGE_BYTES,
        cache_bytes: 256 << 10,
        checkpoint_log_bytes: 128 << 10,
        ..Options::default()
    };
    let db = Database::open(disk, options.clone()).unwrap();
    let mut tx = begin(&db);
    let store = tx.create_store("accounts", 1, b"").unwrap().id;
    for account in 0..500u64 {
        let key = account.to_be_bytes();
        tx.put(store, &key, b"", &100u64.to_le_bytes(), true)
            .unwrap();
    }
    tx.commit().unwrap();

    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (db, stop) = (&db, &stop);
            scope.spawn(move || transfer_until(db, store, thread, stop));
        }
        for round in 0..6 {
            let folder = tempfile::tempdir().unwrap();
            let target = Arc::new(RealDisk::open(folder.path(), true).unwrap());
            let seq_before = db.last_seq();
            let report = db
                .backup(target.clone(), &mut |_, _| ControlFlow::Continue(()))
                .unwrap();
            assert!(report.seq >= seq_before);
            let copy = Database::open(target, options.clone()).unwrap();
            let model = content(&copy);
            let money: u64 = model["accounts"]
                .values()
                .map(|(_, value)| number(value))
                .sum();
            assert_eq!(money, 500 * 100, "round {round}");
            // Each transfer counts in one more entry: the copy holds exactly the commits it names.
            let transfers: u64 = model.get("transfers").map_or(0, |counts| {
                counts.values().map(|(_, value)| number(value)).sum()
            });
            assert_eq!(transfers + 1, report.seq, "round {round}");
            assert_sound(&copy);
            assert!(
                check(&db).is_sound(),
                "the original is, too, while it is in use"
            );
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

fn number(value: &[u8]) -> u64 {
    u64::from_le_bytes(value.try_into().unwrap())
}

fn transfer_until(db: &Database, store: u64, thread: u64, stop: &std::sync::atomic::AtomicBool) {
    let mut random = SplitMix64::new(thread);
    let wait = sopasync_core::Access::default();
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let mut tx = begin(db);
        let counts = match tx.find_store("transfers") {
            Some(store) => store.id,
            None => tx.create_store("transfers", 1, b"").unwrap().id,
        };
        let from = (random.below(500) as u64).to_be_bytes();
        let to = (random.below(500) as u64).to_be_bytes();
        if from == to {
            continue;
        }
        let mut add = |store: u64, key: &[u8], amount: i64| {
            let before = tx.get(store, key, wait).unwrap();
            let after = before.map_or(0, |entry| number(&entry.value) as i64) + amount;
            let value = (after as u64).to_le_bytes();
            tx.put(store, key, b"", &value, true).unwrap();
            after
        };
        if add(store, &from, -1) < 0 {
            continue;
        }
        add(store, &to, 1);
        add(counts, &thread.to_be_bytes(), 1);
        match tx.commit() {
            Ok(_) | Err(Error::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn an_interrupted_backup_is_no_database() {
    let (disk, model) = closed_database(11, 12);
    let db = open(&disk);
    let (finished, _) = backup(&db, 1).unwrap();
    let mut complete = 0;
    let mut none = 0;
    for image in finished.crash_images(CrashOptions::default()) {
        let options = Options {
            create: false,
            ..options()
        };
        match try_open(&image.disk, options) {
            Ok(copy) => {
                complete += 1;
                assert_eq!(content(&copy), model);
                assert_sound(&copy);
            }
            Err(Error::Invalid { reason }) => {
                none += 1;
                assert!(reason.contains("there is no database"), "{reason}");
                // What is left does not keep the next backup from that folder.
                let target: Arc<dyn Disk> = Arc::new(image.disk.clone());
                db.backup(target, &mut |_, _| ControlFlow::Continue(()))
                    .unwrap();
                assert_eq!(content(&open(&image.disk)), model);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(complete > 0 && none > 10, "{complete} complete, {none} not");
}

#[test]
fn a_backup_that_fails_leaves_no_database() {
    let (disk, model) = closed_database(12, 12);
    let db = open(&disk);
    let (whole, _) = backup(&db, 1).unwrap();
    for kind in FaultKind::ALL {
        for call in 1..=whole.call_count() {
            let target = SimDisk::new(call);
            target.add_fault(Fault {
                call,
                kind,
                forever: false,
            });
            let to: Arc<dyn Disk> = Arc::new(target.clone());
            let result = db.backup(to, &mut |_, _| ControlFlow::Continue(()));
            assert!(result.is_err(), "call {call} failed and nobody said so");
            target.clear_faults();
            if target.content("pages").is_some() {
                // Only the sync of the folder comes after the copy has its name: then it is whole.
                assert_eq!(content(&open(&target)), model);
            }
        }
    }
}

#[test]
fn a_stopped_backup_leaves_no_database() {
    let (disk, _) = closed_database(13, 12);
    let db = open(&disk);
    let target = SimDisk::new(1);
    let to: Arc<dyn Disk> = Arc::new(target.clone());
    let mut calls = 0;
    let result = db.backup(to, &mut |_, _| {
        calls += 1;
        if calls == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(result, Err(Error::Invalid { .. })), "{result:?}");
    assert_eq!(target.content("pages"), None);
    assert_eq!(target.content("pages-new"), None);
}

#[test]
fn a_damaged_database_has_no_backup() {
    let (disk, _) = closed_database(14, 20);
    let sound = disk.content("pages").unwrap();
    let mut refused = 0;
    for page in 32..sound.len() / PAGE_BYTES {
        let mut bytes = sound.clone();
        bytes[page * PAGE_BYTES + 100] ^= 4;
        let copy = disk.duplicate(page as u64);
        copy.replace_content("pages", &bytes);
        let Ok(db) = try_open(&copy, options()) else {
            continue; // the catalogue
        };
        match backup(&db, 1) {
            Ok((target, _)) => assert_eq!(
                content(&open(&target)),
                content(&open(&disk.duplicate(0))),
                "page {page} is free"
            ),
            Err(Error::Corruption { file, offset, .. }) => {
                refused += 1;
                assert_eq!(file, "pages");
                assert!(offset <= (page * PAGE_BYTES) as u64);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 100, "{refused} pages are in use");
}

#[test]
fn a_folder_that_is_used_is_refused_and_left_as_it_is() {
    let (disk, _) = closed_database(15, 5);
    let db = open(&disk);
    let (target, _) = backup(&db, 1).unwrap();
    let before = target.content("pages");
    let to: Arc<dyn Disk> = Arc::new(target.clone());
    let error = db
        .backup(to, &mut |_, _| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(
        error.to_string().contains("holds a database already"),
        "{error}"
    );
    assert_eq!(target.content("pages"), before);

    let other = SimDisk::new(2);
    other.open("letter.txt", true).unwrap();
    let to: Arc<dyn Disk> = Arc::new(other.clone());
    let error = db
        .backup(to, &mut |_, _| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(error.to_string().contains("'letter.txt'"), "{error}");
    assert_eq!(other.list().unwrap(), ["letter.txt"]);

    let itself: Arc<dyn Disk> = Arc::new(disk.clone());
    let result = db.backup(itself, &mut |_, _| ControlFlow::Continue(()));
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("holds a database already")
    );
}

#[test]
fn a_copy_has_an_identity_of_its_own() {
    let (disk, _) = closed_database(16, 3);
    let db = open(&disk);
    let (first, _) = backup(&db, 1).unwrap();
    let (second, _) = backup(&db, 2).unwrap();
    let id = |disk: &SimDisk| disk.content("pages").unwrap()[24..40].to_vec();
    assert_ne!(id(&first), id(&disk));
    assert_ne!(id(&first), id(&second));
}
