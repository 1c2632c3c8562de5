//! A small index to test maintenance with: stamped texts are folded into derived files, one for each run of commits.

use std::ops::Bound;
use std::sync::Arc;

use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::{
    Database, Isolation, MANIFEST_FAMILY, Maintainer, Result, ScanRange, Stamp, Step, StoreInfo,
    manifest_key,
};

use super::{WAIT, begin, open, reader, simulated};

pub const KIND: u8 = 9;

/// Adds a text under the number of its commit.
pub fn add(db: &Database, store: u64, text: &str) {
    let mut tx = begin(db, Isolation::Serializable);
    let mut key = vec![b' '];
    key.extend_from_slice(&[0xff; 8]);
    tx.put_stamped(store, &key, b"", text.as_bytes(), Stamp::key(1), true)
        .expect("a stamped entry");
    tx.commit().expect("a commit");
}

/// Takes up to four texts at a time out of the store and into a file; the row names its content.
pub struct Folder;

impl Maintainer for Folder {
    fn step(&self, db: &Database, store: &StoreInfo) -> Result<Step> {
        let mut tx = begin(db, Isolation::Serializable);
        let manifests = [MANIFEST_FAMILY];
        let texts = ScanRange {
            high: Bound::Excluded(&manifests),
            limit: 4,
            ..ScanRange::default()
        };
        let mut rows = Vec::new();
        tx.scan(store.id, &texts, WAIT, &mut |key, _, value| {
            rows.push((key.to_vec(), value.expect("a value").to_vec()));
        })?;
        if rows.is_empty() {
            return Ok(Step::Idle);
        }
        let last = rows[rows.len() - 1].0[1..].try_into().expect("eight bytes");
        let number = u64::from_be_bytes(last);
        let mut file = db.write_derived(store.id, number)?;
        let mut content = Vec::new();
        for (key, value) in &rows {
            tx.delete(store.id, key)?;
            content.extend_from_slice(value);
            content.push(b'\n');
        }
        file.append(&content)?;
        file.finish()?;
        tx.put(store.id, &manifest_key(number), b"", &content, true)?;
        tx.commit()?;
        Ok(Step::Again)
    }
}

/// Compares every derived file with its row; how many texts they hold.
pub fn check_files(db: &Database, store: u64) -> usize {
    let (low, high) = ([MANIFEST_FAMILY], [MANIFEST_FAMILY + 1]);
    let rows = ScanRange {
        low: Bound::Included(&low),
        high: Bound::Excluded(&high),
        ..ScanRange::default()
    };
    let mut texts = 0;
    reader(db)
        .scan(store, &rows, WAIT, &mut |key, _, value| {
            let number = u64::from_be_bytes(key[1..].try_into().expect("eight bytes"));
            let file = db.open_derived(store, number).expect("a readable file");
            let file = file.unwrap_or_else(|| panic!("file {number} is missing"));
            assert_eq!(Some(file.bytes()), value, "file {number}");
            texts += file.bytes().iter().filter(|byte| **byte == b'\n').count();
        })
        .expect("a scan");
    texts
}

/// Commits and maintenance by turns, on a disk whose trace begins behind the first commits; the disk and the store.
pub fn fold_life(seed: u64) -> (SimDisk, u64) {
    let mut random = SplitMix64::new(seed);
    let disk = SimDisk::new(seed);
    let db = open(&disk, &simulated(1024, 1 << 20)).expect("a new database");
    db.maintain_kind(KIND, Arc::new(Folder));
    let mut tx = begin(&db, Isolation::Serializable);
    let store = tx.create_store("events", KIND, b"").expect("a store").id;
    tx.commit().expect("a commit");
    for number in 0..4 {
        add(&db, store, &number.to_string());
    }
    db.settle(store).expect("maintenance");
    disk.restart_trace();
    for _ in 0..14 {
        add(&db, store, &"text ".repeat(random.below(300)));
        if random.chance(1, 3) {
            db.maintain_step().expect("maintenance");
        }
        if random.chance(1, 6) {
            db.checkpoint().expect("a checkpoint");
        }
    }
    (disk, store)
}

/// The shortest check that files are whole when their rows are there.
pub fn files_survive_crashes() {
    for seed in 0..4 {
        let (disk, store) = fold_life(seed);
        for image in disk.crash_images(Default::default()) {
            let db = open(&image.disk, &simulated(1024, 1 << 20)).expect("a recovery");
            check_files(&db, store);
        }
    }
}
