//! Damaged files of a database, and what may come of reading them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sopasync_core::disk::{Disk, SimDisk, SplitMix64};
use sopasync_core::{Isolation, Options, ScanRange};

use super::check::read_all;
use super::session::{Session, Shape};
use super::state::State;
use super::{WAIT, open, reader, simulated};

fn options() -> Options {
    Options {
        segment_bytes: 16 << 10,
        ..simulated(512, 64 << 10)
    }
}

pub type Files = BTreeMap<String, Vec<u8>>;

/// A database as it is, and the page file as it was at an earlier checkpoint.
pub struct Sample {
    pub files: Files,
    pub stale_pages: Vec<u8>,
    pub versions: Vec<State>,
}

/// A database of several commits, partly in pages and partly in the log, as files; and its versions.
pub fn good(seed: u64) -> Sample {
    let disk = SimDisk::new(seed);
    let mut random = SplitMix64::new(seed);
    let db = open(&disk, &options()).unwrap();
    let mut versions = vec![State::default()];
    let checkpoint_at = random.below(30);
    let mut stale_pages = Vec::new();
    for step in 0..30 {
        let shape = Shape {
            keys: 80,
            ..Shape::default()
        };
        let mut session = Session::new(&db, Isolation::Serializable, &versions, shape);
        for _ in 0..10 {
            session.step(&mut random).unwrap();
        }
        let view = session.view.clone();
        if session.commit().unwrap().seq as usize == versions.len() {
            versions.push(view);
        }
        if step == checkpoint_at / 2 || step == checkpoint_at {
            db.checkpoint().unwrap();
        }
        if step == checkpoint_at / 2 {
            stale_pages = disk.content("pages").unwrap();
        }
    }
    if random.chance(1, 3) {
        db.close().unwrap();
    }
    let names = disk.list().unwrap();
    let files = names.into_iter().map(|name| {
        let content = disk.content(&name).unwrap();
        (name, content)
    });
    Sample {
        files: files.collect(),
        stale_pages,
        versions,
    }
}

/// Changes one file; in words.
pub fn damage(files: &mut Files, stale: &[u8], random: &mut SplitMix64) -> String {
    let names: Vec<String> = files
        .keys()
        .filter(|name| !files[*name].is_empty())
        .cloned()
        .collect();
    // The page file more often: it has more kinds of content.
    let name = match random.below(3) {
        0 => names[random.below(names.len())].clone(),
        _ => "pages".to_owned(),
    };
    let bytes = files.get_mut(&name).unwrap();
    let length = bytes.len();
    let page = 512;
    // Where something is, more often than not.
    let mut at = random.below(length);
    for _ in 0..20 {
        if bytes[at] != 0 {
            break;
        }
        at = random.below(length);
    }
    let what = match random.below(10) {
        0 | 1 => {
            bytes[at] ^= 1 << random.below(8);
            format!("bit flipped at {at}")
        }
        2 => {
            let end = (at + 1 + random.below(64)).min(length);
            bytes[at..end]
                .iter_mut()
                .for_each(|byte| *byte = random.next_u64() as u8);
            format!("noise in {at}..{end}")
        }
        3 => {
            let start = at / page * page;
            let end = (start + page * (1 + random.below(4))).min(length);
            bytes[start..end].fill(0);
            format!("zeros in {start}..{end}")
        }
        4 if length >= 2 * page => {
            let other = random.below(length / page) * page;
            let start = (at / page * page).min(length - page);
            let copy = bytes[other..other + page].to_vec();
            bytes[start..start + page].copy_from_slice(&copy);
            format!("page at {other} copied to {start}")
        }
        5 if length >= 2 * page => {
            let other = random.below(length / page) * page;
            let start = (at / page * page).min(length - page);
            for offset in 0..page {
                bytes.swap(start + offset, other + offset);
            }
            format!("pages at {start} and {other} exchanged")
        }
        6 | 7 if name == "pages" => {
            // Writes that were lost: pages as they were before, each whole and right in itself.
            for start in (16_384..stale.len().min(length)).step_by(page) {
                let end = (start + page).min(stale.len()).min(length);
                if random.chance(1, 8) {
                    bytes[start..end].copy_from_slice(&stale[start..end]);
                }
            }
            "pages as they were before".to_owned()
        }
        8 => {
            bytes.truncate(at);
            format!("cut to {at}")
        }
        _ => {
            // One root slot as a whole, in both copies.
            let slot = random.below(2) * 4096;
            if name == "pages" && length >= 16_384 {
                bytes[slot..slot + 512].fill(0xee);
                bytes[slot + 8192..slot + 8192 + 512].fill(0xee);
            }
            format!("root slot at {slot} overwritten")
        }
    };
    format!("{name}: {what}")
}

fn disk_of(files: &Files, seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    for (name, bytes) in files {
        disk.open(name, true).unwrap();
        disk.replace_content(name, bytes);
    }
    disk
}

/// Opened, or refused.
pub fn look(files: &Files, versions: &[State], seed: u64, place: &str) -> bool {
    let disk = disk_of(files, seed);
    let db = match open(
        &disk,
        &Options {
            create: false,
            ..options()
        },
    ) {
        Ok(db) => db,
        Err(_) => return false,
    };
    let seq = db.last_seq() as usize;
    assert!(seq < versions.len(), "{place}: commit {seq} was never made");
    assert!(
        seq + 1 == versions.len() || place.contains("log-"),
        "{place}: back to commit {seq}"
    );
    let expected = &versions[seq];
    // A check may find it or not, but it comes to an end.
    let _ = db.check(&mut |_, _| ControlFlow::Continue(()));
    let mut tx = reader(&db);
    for info in tx.stores() {
        let contents = expected
            .stores
            .get(&info.name)
            .map(|(_, contents)| contents);
        let right = |key: &[u8], value: &[u8]| {
            let item = contents.and_then(|contents| contents.get(key));
            item.is_some_and(|item| item.value[..] == *value)
        };
        let mut wrong = 0;
        for reverse in [false, true] {
            let mut count = 0;
            let range = ScanRange {
                reverse,
                ..ScanRange::default()
            };
            let result = tx.scan(info.id, &range, WAIT, &mut |key, _, value| {
                count += 1;
                wrong += usize::from(!right(key, value.unwrap()));
            });
            assert_eq!(wrong, 0, "{place}: wrong entries in a scan");
            if result.is_ok() {
                assert_eq!(
                    Some(count),
                    contents.map(|contents| contents.len()),
                    "{place}: a scan without error"
                );
            }
        }
        for (key, item) in contents.into_iter().flat_map(|contents| contents.iter()) {
            if let Ok(entry) = tx.get(info.id, key, WAIT) {
                let entry =
                    entry.unwrap_or_else(|| panic!("{place}: a key is gone without an error"));
                assert!(
                    entry.value[..] == item.value[..] && entry.meta[..] == item.meta[..],
                    "{place}: a wrong value"
                );
            }
        }
    }
    if let Ok(state) = read_all(&mut tx) {
        assert_eq!(
            state.difference(expected),
            None,
            "{place}: everything read without an error"
        );
    }
    drop(tx);
    // It goes on, or says that it cannot.
    let mut tx = db.begin(Default::default()).unwrap();
    if let Some(info) = tx.stores().first() {
        let _ = tx.put(info.id, b"new", b"", b"value", true);
        let _ = tx.commit();
    }
    let _ = db.checkpoint();
    let _ = db.close();
    true
}
