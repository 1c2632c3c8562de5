//! `Database::check` finds each kind of damage, says where, and goes on.

mod check_support;

use check_support::damage::*;
use check_support::pages::{PageFile, RESERVED_PAGES};
use check_support::*;
use sopasync_core::disk::{Disk, SimDisk, SplitMix64};

#[test]
fn a_flipped_byte_is_found_in_every_page_in_use_though_it_is_cached() {
    let (disk, db, model) = settled(1);
    let file = PageFile::of(&disk);
    let sound = check(&db);
    let mut found = 0;
    for page in RESERVED_PAGES..file.page_count() {
        let report = check_with(&disk, &db, &file.clone().flip(page * PAGE_BYTES));
        if report.is_sound() {
            assert_eq!(report, sound, "page {page} is free");
            continue;
        }
        found += 1;
        assert_eq!(report.faults.len(), 1, "{}", sentences(&report));
        assert!(
            names_page(&report.faults[0], page),
            "{}",
            sentences(&report)
        );
        assert_eq!(report.leaked_pages, 0, "what lies below is not called lost");
        assert_eq!(report.pages + report.unverified_pages, sound.pages);
    }
    let catalogue_pages = found - sound.pages as usize;
    assert!(
        (1..20).contains(&catalogue_pages),
        "{found} of {}",
        sound.pages
    );
    assert_eq!(content(&db), model, "nothing was changed");
    assert_sound(&db);
}

#[test]
fn every_byte_of_a_node_counts() {
    let (disk, db, _) = settled(2);
    let file = PageFile::of(&disk);
    let sound = file
        .nodes()
        .into_iter()
        .find(|page| !check_with(&disk, &db, &file.clone().flip(page * PAGE_BYTES)).is_sound());
    let page = sound.expect("a node in use");
    for byte in 0..PAGE_BYTES {
        let report = check_with(&disk, &db, &file.clone().flip(page * PAGE_BYTES + byte));
        assert!(!report.is_sound(), "byte {byte}");
    }
}

#[test]
fn a_fault_names_the_store_and_the_keys_and_the_rest_is_still_verified() {
    let disk = SimDisk::new(3);
    let db = open(&disk);
    let mut tx = begin(&db);
    for name in ["first", "second"] {
        let store = tx.create_store(name, 1, b"").unwrap().id;
        for number in 0..400 {
            let key = format!("{number:05}");
            tx.put(store, key.as_bytes(), b"", b"some value", true)
                .unwrap();
        }
    }
    tx.commit().unwrap();
    db.checkpoint().unwrap();
    let file = PageFile::of(&disk);
    let leaves: Vec<usize> = file
        .nodes()
        .into_iter()
        .filter(|page| file.is_leaf(*page))
        .collect();
    let mut damaged = file.clone();
    let (first, second) = (leaves[leaves.len() / 4], leaves[leaves.len() * 3 / 4]);
    for page in [first, second] {
        damaged = damaged.flip(page * PAGE_BYTES + 300);
    }
    let report = check_with(&disk, &db, &damaged);
    assert_eq!(
        report.faults.len(),
        2,
        "both, not only the first: {}",
        sentences(&report)
    );
    let lost: usize = [first, second].map(|page| file.count(page)).iter().sum();
    assert_eq!(report.entries as usize, 800 - lost, "and every other leaf");
    for fault in &report.faults {
        let keys = fault.keys.as_ref().unwrap();
        let upper = keys.upper.as_ref().unwrap();
        assert!(keys.lower < *upper);
        let store = fault.store.as_deref().unwrap();
        assert!(["first", "second"].contains(&store));
        assert!(
            fault
                .sentence
                .contains(&format!("entries of store '{store}' cannot be read"))
        );
        assert!(fault.sentence.contains(&keys.to_string()), "{fault}");
    }
    assert_eq!(report.unverified_pages, 0, "a leaf has nothing below it");
}

#[test]
fn swapped_pages_are_told_from_torn_ones() {
    let (disk, db, _) = settled(4);
    let file = PageFile::of(&disk);
    let in_use: Vec<usize> = file
        .nodes()
        .into_iter()
        .filter(|page| !check_with(&disk, &db, &file.clone().flip(page * PAGE_BYTES)).is_sound())
        .take(2)
        .collect();
    let mut swapped = file.clone();
    let [a, b] = [in_use[0], in_use[1]].map(|page| page * PAGE_BYTES);
    swapped.bytes[a..a + PAGE_BYTES].copy_from_slice(&file.bytes[b..b + PAGE_BYTES]);
    swapped.bytes[b..b + PAGE_BYTES].copy_from_slice(&file.bytes[a..a + PAGE_BYTES]);
    let report = check_with(&disk, &db, &swapped);
    assert!(
        sentences(&report).contains("a write went to the wrong place"),
        "{}",
        sentences(&report)
    );
}

#[test]
fn a_page_of_an_earlier_time_is_a_lost_write() {
    let (disk, db, mut model) = settled(5);
    let mut random = SplitMix64::new(5);
    let mut lost = 0;
    for _ in 0..6 {
        let before = PageFile::of(&disk);
        for _ in 0..3 {
            work(&db, &mut model, &mut random);
            db.checkpoint().unwrap();
        }
        let after = PageFile::of(&disk);
        let pages = before.nodes().into_iter().filter(|page| {
            *page < after.page_count()
                && after.is_node(*page)
                && before.stamp(*page) != after.stamp(*page)
        });
        for page in pages {
            let mut stale = after.clone();
            let range = page * PAGE_BYTES..(page + 1) * PAGE_BYTES;
            stale.bytes[range.clone()].copy_from_slice(&before.bytes[range]);
            let report = check_with(&disk, &db, &stale);
            if sentences(&report).contains("a write was lost") {
                lost += 1;
                assert!(names_page(&report.faults[0], page));
            }
        }
    }
    assert!(lost > 10, "{lost} stale pages were found");
    assert_sound(&db);
}

#[test]
fn a_damaged_root_copy_is_found_and_the_database_opens_without_it() {
    for copy in 0..4 {
        let (disk, db, model) = settled(6);
        let file = PageFile::of(&disk).flip(copy * 4096 + 50);
        let report = check_with(&disk, &db, &file);
        assert_eq!(report.faults.len(), 1, "{}", sentences(&report));
        assert_eq!(report.faults[0].offset, copy as u64 * 4096);
        assert!(report.faults[0].sentence.contains("root copy"));
        db.close().unwrap();
        PageFile::of(&disk).flip(copy * 4096 + 50).put(&disk);
        let db = open(&disk);
        assert_eq!(content(&db), model, "the other copy serves");
    }
}

#[test]
fn a_damaged_large_value_is_found_with_its_key() {
    let disk = SimDisk::new(7);
    let db = open(&disk);
    let mut tx = begin(&db);
    let store = tx.create_store("films", 1, b"").unwrap().id;
    for (key, length) in [("short", 100), ("middle", 5_000), ("long", 200_000)] {
        tx.put(store, key.as_bytes(), b"", &vec![9; length], true)
            .unwrap();
    }
    tx.commit().unwrap();
    db.checkpoint().unwrap();
    assert_eq!(assert_sound(&db).large_values, 2);
    let file = PageFile::of(&disk);
    for (key, length) in [("middle", 5_000), ("long", 200_000)] {
        // A run of nines as long as the value: only it has so many of them.
        let start = (RESERVED_PAGES..file.page_count())
            .map(|page| page * PAGE_BYTES)
            .find(|at| {
                let end = (at + length).min(file.bytes.len());
                let full = file.bytes[*at..end].iter().all(|byte| *byte == 9);
                full && end - at == length && file.bytes.get(end) != Some(&9)
            })
            .unwrap();
        for byte in [start, start + length / 2, start + length - 1] {
            let report = check_with(&disk, &db, &file.clone().flip(byte));
            assert_eq!(report.faults.len(), 1, "{}", sentences(&report));
            let fault = &report.faults[0];
            assert_eq!(fault.keys.as_ref().unwrap().lower, key.as_bytes());
            assert_eq!(fault.store.as_deref(), Some("films"));
            assert!(
                fault
                    .sentence
                    .contains(&format!("the value of key \"{key}\"")),
                "{fault}"
            );
            assert_eq!(report.entries, 3, "the entries themselves are there");
        }
    }
}

#[test]
fn a_file_cut_short_is_reported_page_by_page() {
    let (disk, db, _) = settled(8);
    let sound = check(&db);
    let mut file = PageFile::of(&disk);
    file.bytes.truncate(file.bytes.len() / 2);
    let report = check_with(&disk, &db, &file);
    assert!(sentences(&report).contains("the file ends before this page does"));
    assert!(report.faults.iter().all(|fault| fault.file == "pages"));
    assert!(report.pages < sound.pages);
}

#[test]
fn damage_to_the_log_is_found_while_the_database_is_open() {
    let (disk, db, mut model) = settled(9);
    let mut random = SplitMix64::new(9);
    for _ in 0..5 {
        work(&db, &mut model, &mut random);
    }
    let report = assert_sound(&db);
    assert_eq!(report.log_groups, 5);
    let logs = disk
        .list()
        .unwrap()
        .into_iter()
        .filter(|name| name.starts_with("log-"));
    let name = logs.max().unwrap();
    let name = name.as_str();
    let sound = disk.content(name).unwrap();
    let groups: Vec<usize> = (4096..sound.len() - 4)
        .step_by(8)
        .filter(|at| disk_has_frame(&sound, *at))
        .collect();
    let last = *groups.last().unwrap();
    let mut bytes = sound.clone();
    bytes[last + 60] ^= 1;
    disk.replace_content(name, &bytes);
    let report = check(&db);
    disk.replace_content(name, &sound);
    assert_eq!(report.faults.len(), 1, "{}", sentences(&report));
    let fault = &report.faults[0];
    assert_eq!((fault.file.as_str(), fault.offset), (name, last as u64));
    assert!(fault.sentence.contains("write a checkpoint"), "{fault}");
    assert_sound(&db);

    // The advice helps.
    disk.replace_content(name, &bytes);
    db.checkpoint().unwrap();
    assert_sound(&db);
}

/// A group of transactions begins here: its mark is salted, its kind is 1 and its numbers are small.
fn disk_has_frame(bytes: &[u8], at: usize) -> bool {
    let salt = u32::from_le_bytes(bytes[24..28].try_into().unwrap());
    let mark = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let kind = bytes.get(at + 36..at + 40);
    mark == salt ^ u32::from_le_bytes(*b"GRUP") && kind == Some(&[1, 0, 0, 0])
}

#[test]
fn a_page_that_only_the_checkpoint_needs_is_verified_too() {
    let (disk, db, mut model) = settled(10);
    let file = PageFile::of(&disk);
    let mut random = SplitMix64::new(10);
    for _ in 0..10 {
        work(&db, &mut model, &mut random);
    }
    let report = assert_sound(&db);
    assert!(report.checkpoint_pages > 0);
    let mut found = 0;
    for page in file.nodes() {
        let report = check_with(&disk, &db, &PageFile::of(&disk).flip(page * PAGE_BYTES));
        if sentences(&report).contains("at the last checkpoint") {
            found += 1;
        }
    }
    assert!(found > 0, "pages that were changed since");
    assert_eq!(content(&db), model);
}
