//! Maintenance of stores in the background, and the files it derives: done when a store changes and only then, never in
//! the way of closing, tried again after failures; files whole whenever a row names them, and gone with their rows.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sopasync_core::disk::{CrashOptions, SimDisk};
use sopasync_core::{
    Database, Error, Isolation, Maintainer, Options, Result, Stamp, Step, StoreInfo, manifest_key,
};
use support::derived::{Folder, KIND, add, check_files, fold_life};
use support::{WAIT, begin, for_seeds, open, reader, simulated};

fn options() -> Options {
    simulated(1024, 1 << 20)
}

fn create(db: &Database, name: &str) -> StoreInfo {
    let mut tx = begin(db, Isolation::Serializable);
    let store = tx.create_store(name, KIND, b"").unwrap();
    tx.commit().unwrap();
    store
}

fn until(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Counts its steps and says what it is told to.
struct Script {
    steps: AtomicUsize,
    say: fn(usize, &Database) -> Result<Step>,
}

impl Script {
    fn new(say: fn(usize, &Database) -> Result<Step>) -> Arc<Self> {
        Arc::new(Self {
            steps: AtomicUsize::new(0),
            say,
        })
    }

    fn steps(&self) -> usize {
        self.steps.load(Ordering::SeqCst)
    }
}

impl Maintainer for Script {
    fn step(&self, db: &Database, _: &StoreInfo) -> Result<Step> {
        (self.say)(self.steps.fetch_add(1, Ordering::SeqCst), db)
    }
}

#[test]
fn a_store_is_maintained_when_it_changed_and_only_then() {
    let db = open(&SimDisk::new(1), &options()).unwrap();
    let script = Script::new(|step, _| Ok(if step == 1 { Step::Again } else { Step::Idle }));
    db.maintain_kind(KIND, Arc::clone(&script) as Arc<dyn Maintainer>);
    assert!(!db.maintain_step().unwrap());
    let store = create(&db, "events");
    let mut tx = begin(&db, Isolation::Serializable);
    tx.create_store("other", 1, b"").unwrap();
    tx.commit().unwrap();
    assert!(db.maintain_step().unwrap());
    assert!(!db.maintain_step().unwrap(), "idle");
    add(&db, store.id, "a");
    assert!(db.maintain_step().unwrap(), "changed");
    assert!(db.maintain_step().unwrap(), "there was more");
    assert!(!db.maintain_step().unwrap());
    assert_eq!((script.steps(), db.statistics().maintenance_steps), (3, 3));
}

#[test]
fn a_store_that_waits_for_snapshots_gets_a_step_when_the_oldest_goes() {
    let db = open(&SimDisk::new(1), &options()).unwrap();
    let script = Script::new(|_, _| Ok(Step::Waiting));
    db.maintain_kind(KIND, Arc::clone(&script) as Arc<dyn Maintainer>);
    let store = create(&db, "events");
    let old = reader(&db);
    add(&db, store.id, "a");
    db.checkpoint().unwrap();
    while db.maintain_step().unwrap() {}
    let steps = script.steps();
    assert!(!db.maintain_step().unwrap());
    drop(old);
    assert!(db.maintain_step().unwrap());
    assert_eq!(script.steps(), steps + 1);
    assert!(!db.maintain_step().unwrap());
}

#[test]
fn stores_take_turns() {
    let db = open(&SimDisk::new(1), &options()).unwrap();
    let (first, second) = (create(&db, "first"), create(&db, "second"));
    static SERVED: std::sync::Mutex<Vec<u64>> = std::sync::Mutex::new(Vec::new());
    struct Note;
    impl Maintainer for Note {
        fn step(&self, _: &Database, store: &StoreInfo) -> Result<Step> {
            SERVED.lock().unwrap().push(store.id);
            Ok(Step::Again)
        }
    }
    db.maintain_kind(KIND, Arc::new(Note));
    for _ in 0..4 {
        db.maintain_step().unwrap();
    }
    let (first, second) = (first.id, second.id);
    assert_eq!(*SERVED.lock().unwrap(), [first, second, first, second]);
}

#[test]
fn the_thread_goes_on_after_failures_and_panics() {
    let threads = Options {
        background: true,
        ..options()
    };
    let db = open(&SimDisk::new(1), &threads).unwrap();
    let script = Script::new(|step, _| match step {
        0 => Err(Error::invalid("not today")),
        1 => panic!("this panic is part of the test"),
        _ => Ok(Step::Idle),
    });
    db.maintain_kind(KIND, Arc::clone(&script) as Arc<dyn Maintainer>);
    let store = create(&db, "events");
    until("three steps", || script.steps() >= 3);
    assert_eq!(db.statistics().maintenance_errors, 2);
    let message = db.statistics().last_maintenance_error.unwrap();
    assert!(message.contains("panicked"), "{message}");
    let steps = script.steps();
    add(&db, store.id, "a");
    until("another step", || script.steps() > steps);
    db.close().unwrap();
}

#[test]
fn closing_ends_a_long_step_and_the_last_handle_ends_the_thread() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    let threads = Options {
        background: true,
        ..options()
    };
    let disk = SimDisk::new(1);
    for explicit in [true, false] {
        STARTED.store(false, Ordering::SeqCst);
        let db = open(&disk, &threads).unwrap();
        let script = Script::new(|_, db| {
            STARTED.store(true, Ordering::SeqCst);
            while !db.is_closing() {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(Step::Again)
        });
        db.maintain_kind(KIND, script);
        if explicit {
            create(&db, "events");
        }
        until("a step", || STARTED.load(Ordering::SeqCst));
        if explicit {
            db.close().unwrap();
            assert!(matches!(db.maintain_step(), Err(Error::Closed { .. })));
        }
        drop(db);
        // The lock is free again: nobody holds the database.
    }
    open(&disk, &threads).unwrap();
}

#[test]
fn followers_maintain_nothing() {
    let disk = SimDisk::new(1);
    let db = open(&disk, &options()).unwrap();
    let store = create(&db, "events");
    let follow = Options {
        read_only: true,
        ..options()
    };
    let follower = open(&disk, &follow).unwrap();
    let script = Script::new(|_, _| Ok(Step::Again));
    follower.maintain_kind(KIND, Arc::clone(&script) as Arc<dyn Maintainer>);
    assert!(!follower.maintain_step().unwrap());
    let error = follower.settle(store.id);
    assert!(matches!(error, Err(Error::ReadOnly { .. })));
    assert_eq!(script.steps(), 0);
}

#[test]
fn settling_goes_on_until_nothing_is_left() {
    let db = open(&SimDisk::new(1), &options()).unwrap();
    db.maintain_kind(KIND, Arc::new(Folder));
    let store = create(&db, "events");
    for number in 0..20 {
        add(&db, store.id, &number.to_string());
    }
    db.settle(store.id).unwrap();
    assert_eq!(check_files(&db, store.id), 20);
    assert!(matches!(db.settle(999), Err(Error::StoreNotFound { .. })));
}

#[test]
fn a_derived_file_is_whole_in_every_crash_that_shows_its_row() {
    for_seeds(6, |seed| {
        let (disk, store) = fold_life(seed);
        let images = CrashOptions {
            seed,
            images_per_point: 2,
            ..CrashOptions::default()
        };
        let (mut count, mut folded) = (0, 0);
        for image in disk.crash_images(images) {
            let db = open(&image.disk, &options()).unwrap();
            folded += check_files(&db, store);
            db.maintain_kind(KIND, Arc::new(Folder));
            db.settle(store).unwrap();
            let rows = reader(&db).count(store, WAIT).unwrap();
            assert!(rows > 0);
            check_files(&db, store);
            count += 1;
        }
        assert!(count > 20 && folded > 20, "{count} images, {folded} rows");
    });
}

#[test]
fn what_no_row_names_is_removed_by_the_next_opening() {
    let disk = SimDisk::new(1);
    let db = open(&disk, &options()).unwrap();
    let store = create(&db, "events");
    let gone = create(&db, "gone");
    let write = |store: u64, number: u64| {
        let mut file = db.write_derived(store, number).unwrap();
        file.append(&[number as u8; 3000]).unwrap();
        file.finish().unwrap()
    };
    assert_eq!(write(store.id, 1), 3000);
    write(store.id, 2);
    write(gone.id, 1);
    let mut unfinished = db.write_derived(store.id, 3).unwrap();
    unfinished.append(b"some").unwrap();
    drop(unfinished);
    let mut tx = begin(&db, Isolation::Serializable);
    tx.put(store.id, &manifest_key(1), b"", b"", true).unwrap();
    tx.put(gone.id, &manifest_key(1), b"", b"", true).unwrap();
    tx.commit().unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    tx.remove_store(gone.id).unwrap();
    tx.commit().unwrap();
    let files = |disk: &SimDisk| {
        let names = sopasync_core::disk::Disk::list(disk).unwrap();
        let mut names: Vec<String> = names
            .into_iter()
            .filter(|n| n.starts_with("derived"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(files(&disk).len(), 4);
    db.maintain_kind(KIND, Script::new(|_, _| Ok(Step::Idle)));
    db.maintain_step().unwrap();
    assert_eq!(files(&disk).len(), 3, "the removed store's file is gone");
    let disk = disk.next_process();
    let db = open(&disk, &options()).unwrap();
    assert_eq!(
        files(&disk),
        [format!("derived-{:016x}-{:016x}", store.id, 1)]
    );
    let file = db.open_derived(store.id, 1).unwrap().unwrap();
    assert_eq!(file.bytes(), [1; 3000]);
    assert_eq!(file.bytes().as_ptr().addr() % 64, 0);
    assert!(db.open_derived(store.id, 2).unwrap().is_none());
    db.remove_derived(store.id, 1).unwrap();
    db.remove_derived(store.id, 1).unwrap();
    assert_eq!(file.bytes(), [1; 3000], "a mapping outlives its file");
}

#[test]
fn what_is_attached_goes_with_its_store() {
    let db = open(&SimDisk::new(1), &options()).unwrap();
    db.maintain_kind(KIND, Script::new(|_, _| Ok(Step::Idle)));
    let (kept, gone) = (create(&db, "kept"), create(&db, "gone"));
    let attach = |store: &StoreInfo, number: usize| db.attached(store.id, || number);
    assert_eq!((*attach(&kept, 1), *attach(&gone, 2)), (1, 2));
    assert_eq!(*reader(&db).attached(kept.id, || 3usize), 1);
    assert_eq!(*db.attached(kept.id, || "text"), "text", "one of each type");
    let mut tx = begin(&db, Isolation::Serializable);
    tx.remove_store(gone.id).unwrap();
    tx.commit().unwrap();
    while db.maintain_step().unwrap() {}
    assert_eq!((*attach(&kept, 4), *attach(&gone, 5)), (1, 5));
}

#[test]
fn files_are_mapped_on_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk = sopasync_core::disk::RealDisk::open(folder.path(), true).unwrap();
    let db = Database::open(Arc::new(disk), options()).unwrap();
    let store = create(&db, "events");
    for length in [0, 1, 70_000, 9 << 20] {
        let mut file = db.write_derived(store.id, 1).unwrap();
        let bytes: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
        file.append(&bytes).unwrap();
        assert_eq!(file.finish().unwrap(), length as u64);
        let file = db.open_derived(store.id, 1).unwrap().unwrap();
        assert!(file.bytes() == bytes.as_slice());
        assert_eq!(file.bytes().as_ptr().addr() % 64, 0);
        db.remove_derived(store.id, 1).unwrap();
        assert!(file.bytes() == bytes.as_slice(), "still readable");
    }
    let mut tx = begin(&db, Isolation::Serializable);
    let ff = [0xff; 8];
    tx.put_stamped(store.id, &ff, b"", b"", Stamp::key(0), true)
        .unwrap();
    tx.commit().unwrap();
    db.close().unwrap();
}
