//! Databases written by released formats stay readable, with exact contents; unknown formats are refused.
//!
//! `golden/format-1-closed` was closed in good order; the owner of `golden/format-1-crashed` died with commits
//! of every kind in its log only. Both are made by `write_golden_files` below, which is run once for a format,
//! and whose files are never written again:
//!
//! ```text
//! SOPASYNC_WRITE_GOLDEN=format-1 cargo test -p sopasync-core --test golden -- --ignored
//! ```

mod check_support;
mod follower_support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use check_support::*;
use follower_support::ReadOnlyDisk;
use sopasync_core::disk::{Disk, RealDisk, SimDisk};
use sopasync_core::{BulkOptions, BulkTarget, Database, Error, MergeOp, Options};
use xxhash_rust::xxh3::xxh3_64;

const NAMES: [&str; 2] = ["format-1-closed", "format-1-crashed"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// The golden files, on a disk of their own.
fn golden(name: &str) -> SimDisk {
    let disk = SimDisk::new(1);
    for entry in std::fs::read_dir(folder(name)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        disk.open(file, true).unwrap();
        disk.replace_content(file, &std::fs::read(&path).unwrap());
    }
    disk.sync_folder().unwrap();
    disk
}

fn numbered(number: usize) -> Vec<u8> {
    format!("key-{number:04}").into_bytes()
}

/// Bytes that follow from a number, and do not repeat early.
fn pattern(seed: usize, length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (seed * 31 + at * 7 + at / 251) as u8)
        .collect()
}

/// What both databases hold at their checkpoint.
fn at_checkpoint() -> Model {
    let mut model = Model::new();
    let people = model.entry("people".to_owned()).or_default();
    for number in 0..130 {
        people.insert(
            numbered(number),
            (pattern(number, number % 9), pattern(number, number % 40)),
        );
    }
    let texts = model.entry("texts, большие".to_owned()).or_default();
    for number in 0..4 {
        texts.insert(
            numbered(number),
            (Vec::new(), pattern(number, 600 + 400 * number)),
        );
    }
    texts.insert(pattern(5, 700), (b"long key".to_vec(), b"value".to_vec()));
    model.entry("empty".to_owned()).or_default();
    model
}

/// What the crashed one holds after the commits that are in its log only.
fn after_crash() -> Model {
    let mut model = at_checkpoint();
    model.remove("empty");
    let people = model.get_mut("people").unwrap();
    for number in (0..130).step_by(3) {
        people.remove(&numbered(number));
    }
    people.get_mut(&numbered(1)).unwrap().0 = b"other".to_vec();
    people.insert(b"counter".to_vec(), (Vec::new(), vec![42]));
    people.insert(b"words".to_vec(), (Vec::new(), b"\xc4\x04abcd".to_vec()));
    let films = model.entry("films".to_owned()).or_default();
    films.insert(b"film".to_vec(), (b"meta".to_vec(), pattern(7, 65_600)));
    let loaded = model.entry("loaded".to_owned()).or_default();
    for number in 0..80 {
        loaded.insert(numbered(number), (Vec::new(), pattern(number, 20)));
    }
    model
}

fn expected(name: &str) -> Model {
    if name.ends_with("closed") {
        at_checkpoint()
    } else {
        after_crash()
    }
}

fn fill(db: &Database) {
    for (name, entries) in at_checkpoint() {
        let mut tx = begin(db);
        let store = tx.create_store(&name, 3, b"options").unwrap().id;
        for (key, (meta, value)) in entries {
            tx.put(store, &key, &meta, &value, true).unwrap();
        }
        tx.commit().unwrap();
    }
}

/// A commit of every kind.
fn go_on(db: &Database) {
    let mut tx = begin(db);
    let empty = tx.find_store("empty").unwrap().id;
    tx.remove_store(empty).unwrap();
    tx.commit().unwrap();

    let mut tx = begin(db);
    let people = tx.find_store("people").unwrap().id;
    for number in (0..130).step_by(3) {
        tx.delete(people, &numbered(number)).unwrap();
    }
    tx.put_meta(people, &numbered(1), b"other").unwrap();
    tx.commit().unwrap();

    for part in [[20, 0], [22, 1]] {
        let mut tx = begin(db);
        tx.merge(people, b"counter", MergeOp::Add, &part[..1])
            .unwrap();
        let text: &[u8] = if part[1] == 0 {
            b"\xc4\x02ab"
        } else {
            b"\xc4\x02cd"
        };
        tx.merge(people, b"words", MergeOp::Append, text).unwrap();
        tx.commit().unwrap();
    }

    let mut tx = begin(db);
    let films = tx.create_store("films", 4, b"").unwrap().id;
    tx.put(films, b"film", b"meta", &pattern(7, 65_600), true)
        .unwrap();
    tx.commit().unwrap();

    let target = BulkTarget::New {
        name: "loaded",
        kind: 5,
        options: b"",
    };
    let mut load = db.bulk_load(target, BulkOptions::default()).unwrap();
    for number in 0..80 {
        load.add(&numbered(number), b"", &pattern(number, 20))
            .unwrap();
    }
    load.finish().unwrap();
}

fn save(disk: &SimDisk, name: &str) {
    let folder = folder(name);
    assert!(
        !folder.exists(),
        "golden files are written once: {}",
        folder.display()
    );
    std::fs::create_dir_all(&folder).unwrap();
    for file in disk.list().unwrap() {
        if file != "lock" && !file.starts_with("spare") {
            std::fs::write(folder.join(&file), disk.content(&file).unwrap()).unwrap();
        }
    }
}

#[test]
#[ignore = "writes the golden files of a new format"]
fn write_golden_files() {
    let format =
        std::env::var("SOPASYNC_WRITE_GOLDEN").expect("SOPASYNC_WRITE_GOLDEN names the format");
    let disk = SimDisk::new(1);
    let small = Options {
        segment_bytes: 8 << 10,
        ..options()
    };
    let db = try_open(&disk, small.clone()).unwrap();
    fill(&db);
    db.close().unwrap();
    assert_eq!(content(&open(&disk.duplicate(2))), at_checkpoint());
    save(&disk, &format!("{format}-closed"));

    let db = try_open(&disk, small).unwrap();
    go_on(&db);
    assert_eq!(content(&db), after_crash());
    save(&disk, &format!("{format}-crashed"));
}

#[test]
fn every_released_format_opens_with_exact_contents() {
    for name in NAMES {
        let disk = golden(name);
        let db = open(&disk);
        assert_eq!(content(&db), expected(name), "{name}");
        assert_sound(&db);
        let stores = begin(&db).stores();
        for store in &stores {
            let kind = match store.name.as_str() {
                "films" => 4,
                "loaded" => 5,
                _ => 3,
            };
            assert_eq!(store.kind, kind);
            assert_eq!(
                store.options.as_slice(),
                if kind == 3 { &b"options"[..] } else { b"" }
            );
        }
        assert_eq!(db.last_seq(), if name.ends_with("closed") { 3 } else { 9 });
    }
}

#[test]
fn a_released_format_can_be_read_without_being_changed() {
    for name in NAMES {
        let files = || -> Vec<(PathBuf, Vec<u8>)> {
            let entries = std::fs::read_dir(folder(name)).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            paths
                .map(|path| (path.clone(), std::fs::read(path).unwrap()))
                .collect()
        };
        let before = files();
        let disk = RealDisk::open(folder(name), false).unwrap();
        let disk = ReadOnlyDisk::new(Arc::new(disk));
        let db = Database::open(Arc::new(disk.clone()), follower_options()).unwrap();
        assert_eq!(content(&db), expected(name), "{name}");
        assert_sound(&db);
        db.close().unwrap();
        assert_eq!(disk.attempts(), 0);
        assert_eq!(files(), before);
    }
}

#[test]
fn a_database_of_a_released_format_goes_on() {
    for name in NAMES {
        let disk = golden(name);
        let mut model = expected(name);
        let mut random = sopasync_core::disk::SplitMix64::new(1);
        for _ in 0..3 {
            let db = open(&disk);
            for _ in 0..5 {
                work(&db, &mut model, &mut random);
            }
            db.close().unwrap();
        }
        let db = open(&disk);
        assert_eq!(content(&db), model);
        assert_sound(&db);
    }
}

/// Changes every copy of the root, checksum included.
fn change_roots(disk: &SimDisk, change: impl Fn(&mut [u8])) {
    let mut bytes = disk.content("pages").unwrap();
    for copy in 0..4 {
        let root = &mut bytes[copy * 4096..copy * 4096 + 120];
        change(root);
        let checksum = xxh3_64(&root[..112]);
        root[112..120].copy_from_slice(&checksum.to_le_bytes());
    }
    disk.replace_content("pages", &bytes);
}

#[test]
fn a_root_that_makes_no_sense_is_damage() {
    // Base pages of no length, of three bytes, and a catalogue that is longer than any file.
    for (place, wrong) in [
        (20..24, 0u64),
        (20..24, 3),
        (96..104, 1 << 60),
        (88..96, u64::MAX),
    ] {
        let disk = golden("format-1-closed");
        change_roots(&disk, |root| {
            let length = place.len();
            root[place.clone()].copy_from_slice(&wrong.to_le_bytes()[..length]);
        });
        for options in [options(), follower_options()] {
            let error = try_open(&disk, options).map(|_| ()).unwrap_err();
            assert!(matches!(error, Error::Corruption { .. }), "{error}");
        }
    }
}

#[test]
fn a_database_opened_as_often_as_stamps_allow_is_refused_and_still_read() {
    let disk = golden("format-1-closed");
    change_roots(&disk, |root| {
        root[40..48].copy_from_slice(&((1u64 << 24) - 1).to_le_bytes());
    });
    let before = disk.content("pages");
    let error = try_open(&disk, options()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("16777215 times"), "{error}");
    assert!(disk.content("pages") == before, "nothing was changed");
    let follower = try_open(&disk, follower_options()).unwrap();
    assert!(!content(&follower).is_empty());
}

#[test]
fn an_unknown_format_of_the_page_file_is_refused() {
    let disk = golden("format-1-closed");
    change_roots(&disk, |root| {
        root[16..20].copy_from_slice(&2u32.to_le_bytes());
    });
    let before = disk.content("pages");
    for options in [options(), follower_options()] {
        let error = try_open(&disk, options).map(|_| ()).unwrap_err();
        assert!(
            matches!(
                error,
                Error::UnsupportedFormat {
                    found: 2,
                    supported: 1,
                    ..
                }
            ),
            "{error}"
        );
        assert!(
            error.to_string().contains("Use a newer sopasync"),
            "{error}"
        );
    }
    assert_eq!(disk.content("pages"), before, "and left as it is");
}

#[test]
fn an_unknown_format_of_the_log_is_refused() {
    let disk = golden("format-1-crashed");
    let logs = disk
        .list()
        .unwrap()
        .into_iter()
        .filter(|name| name.starts_with("log-"));
    for name in logs {
        let mut bytes = disk.content(&name).unwrap();
        bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..68]);
        bytes[68..72].copy_from_slice(&crc.to_le_bytes());
        disk.replace_content(&name, &bytes);
    }
    for options in [options(), follower_options()] {
        let error = try_open(&disk, options).map(|_| ()).unwrap_err();
        assert!(
            matches!(
                error,
                Error::UnsupportedFormat {
                    found: 2,
                    supported: 1,
                    ..
                }
            ),
            "{error}"
        );
    }
}
