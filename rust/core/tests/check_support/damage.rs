//! Damage done to an open database, and what a check says of it.

use sopasync_core::disk::SimDisk;
use sopasync_core::{CheckReport, Database, Fault, Options};

use super::pages::PageFile;
use super::*;

/// A database whose pages are all written, and cached.
pub fn settled(seed: u64) -> (SimDisk, Database, Model) {
    let (disk, model) = closed_database(seed, 30);
    let options = Options {
        cache_bytes: 64 << 20,
        ..options()
    };
    let db = try_open(&disk, options).unwrap();
    assert_eq!(content(&db), model, "and everything is in the cache");
    assert_sound(&db);
    (disk, db, model)
}

/// Puts other bytes under the open database, checks, and puts the right ones back.
pub fn check_with(disk: &SimDisk, db: &Database, damaged: &PageFile) -> CheckReport {
    let sound = PageFile::of(disk);
    damaged.put(disk);
    let report = check(db);
    sound.put(disk);
    report
}

pub fn sentences(report: &CheckReport) -> String {
    let lines: Vec<String> = report.faults.iter().map(Fault::to_string).collect();
    lines.join("\n")
}

/// Is the damaged page within what the fault names? Runs have several base pages.
pub fn names_page(fault: &Fault, page: usize) -> bool {
    let first = fault.offset as usize / PAGE_BYTES;
    fault.file == "pages" && (first..first + 128).contains(&page)
}
