//! `Database::check` verifies what no checksum shows: nodes that were changed and sealed again.

mod check_support;

use check_support::damage::*;
use check_support::pages::PageFile;
use check_support::*;
use sopasync_core::disk::SimDisk;
use sopasync_core::{Database, Fault};

/// A leaf in use that has a parent.
fn leaf_in_use(disk: &SimDisk, db: &Database, file: &PageFile) -> usize {
    let leaves = file
        .nodes()
        .into_iter()
        .filter(|page| file.is_leaf(*page) && file.count(*page) > 2);
    let mut in_use = leaves.filter(|page| {
        let report = check_with(disk, db, &file.clone().flip(page * PAGE_BYTES));
        let whole = |fault: &Fault| fault.keys.as_ref().is_some_and(|keys| keys.upper.is_none());
        !report.is_sound() && !report.faults.iter().any(whole)
    });
    in_use.next().expect("a leaf below another node")
}

/// Its keys stay within it: only the parent knows better.
fn raise_upper_fence(bytes: &mut [u8]) {
    let [length, start] =
        [44, 46].map(|at| usize::from(bytes[at]) | usize::from(bytes[at + 1]) << 8);
    bytes[start + length - 1] += 1;
}

#[test]
fn structure_is_verified_where_checksums_are_right() {
    let (disk, db, _) = settled(11);
    let file = PageFile::of(&disk);
    let leaf = leaf_in_use(&disk, &db, &file);
    let stamp = file.stamp(leaf);
    let slots = 64 + file.count(leaf) * 4;
    type Change = Box<dyn Fn(&mut [u8])>;
    let cases: Vec<(&str, Change)> = vec![
        (
            "another version",
            Box::new(move |b| b[16..24].copy_from_slice(&(stamp + 1).to_le_bytes())),
        ),
        ("belongs to store number", Box::new(|b| b[56] ^= 0x40)),
        ("is at level", Box::new(|b| b[49] = 3)),
        ("unknown node format", Box::new(|b| b[51] = 9)),
        ("unknown node kind", Box::new(|b| b[48] = 7)),
        ("its garbage", Box::new(|b| b[32] ^= 1)),
        (
            "is not above the one before it",
            Box::new(move |b| {
                for byte in 0..6 {
                    b.swap(slots + byte, slots + 6 + byte);
                }
                for byte in 0..4 {
                    b.swap(64 + byte, 64 + 4 + byte);
                }
            }),
        ),
        ("has a head that is not its key's", Box::new(|b| b[64] ^= 1)),
        (
            "lies outside the heap",
            Box::new(move |b| b[slots..slots + 2].copy_from_slice(&[1, 0])),
        ),
        ("separators of its parent", Box::new(raise_upper_fence)),
    ];
    for (expected, change) in cases {
        let report = check_with(&disk, &db, &file.clone().edit(leaf, change));
        let text = sentences(&report);
        let expected = expected.replace("another version", "a write was lost");
        assert!(text.contains(&expected), "{expected}: {text:?}");
    }
}

#[test]
fn counts_and_references_of_inner_nodes_are_verified() {
    let (disk, db, _) = settled(12);
    let file = PageFile::of(&disk);
    let inner = file
        .nodes()
        .into_iter()
        .filter(|page| !file.is_leaf(*page) && file.count(*page) > 2)
        .find(|page| !check_with(&disk, &db, &file.clone().flip(page * PAGE_BYTES)).is_sound())
        .expect("an inner node in use");
    let start = inner * PAGE_BYTES;
    let [first, second] = [0, 1].map(|index| {
        let payload = file.payload(inner, index);
        payload.start - start..payload.end - start
    });
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("counts", {
            let mut reference = file.bytes[start..][first.clone()].to_vec();
            reference[16] ^= 1;
            reference
        }),
        ("is referred to twice", file.bytes[start..][second].to_vec()),
        ("of a file of", {
            let mut reference = file.bytes[start..][first.clone()].to_vec();
            reference[4] = 1;
            reference
        }),
    ];
    for (expected, reference) in cases {
        let damaged = file.clone().edit(inner, |bytes| {
            bytes[first.clone()].copy_from_slice(&reference)
        });
        let text = sentences(&check_with(&disk, &db, &damaged));
        assert!(text.contains(expected), "{expected}: {text:?}");
    }
}

#[test]
fn pages_that_nothing_refers_to_are_reported_as_leaked() {
    let disk = SimDisk::new(13);
    let db = open(&disk);
    let mut tx = begin(&db);
    let store = tx.create_store("one", 1, b"").unwrap().id;
    tx.put(store, b"key", b"", &vec![1; 1500], true).unwrap();
    tx.commit().unwrap();
    db.checkpoint().unwrap();
    let file = PageFile::of(&disk);
    let leaf = file
        .nodes()
        .into_iter()
        .rev()
        .find(|page| file.count(*page) == 1)
        .unwrap();
    let flags = file.payload(leaf, 0).start - leaf * PAGE_BYTES;
    // The reference becomes a plain value of 32 bytes: nobody names the run any more.
    let damaged = file.clone().edit(leaf, |bytes| bytes[flags] = 0);
    let report = check_with(&disk, &db, &damaged);
    assert_eq!(report.leaked_pages, 3, "{}", sentences(&report));
    assert_eq!(report.faults.len(), 1);
    assert!(
        report.faults[0].sentence.contains("3 pages"),
        "{}",
        sentences(&report)
    );
    assert_sound(&db);
}
