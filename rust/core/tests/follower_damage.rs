//! Damage met through a database that is only read: told from a page that its owner has put to another use.

mod check_support;

use check_support::*;
use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::{Database, Error};

fn follow(disk: &SimDisk) -> Database {
    try_open(disk, follower_options()).expect("the follower opens")
}

#[test]
fn damage_is_told_from_a_page_that_the_owner_has_reused() {
    let (disk, _) = closed_database(11, 8);
    let sound = disk.content("pages").unwrap();
    let mut damaged = 0;
    for page in 16_384 / PAGE_BYTES..sound.len() / PAGE_BYTES {
        let at = page * PAGE_BYTES;
        let number = u64::from_le_bytes(sound[at + 8..at + 16].try_into().unwrap());
        if number != page as u64 {
            continue; // not a node
        }
        let mut bytes = sound.clone();
        bytes[at + 100] ^= 1;
        disk.replace_content("pages", &bytes);
        let follower = follow(&disk);
        match content_of(&mut begin(&follower)) {
            Ok(_) => {} // a page of an earlier time
            Err(Error::Corruption { .. }) => damaged += 1,
            Err(error) => panic!("page {page}: {error}"),
        }
    }
    assert!(damaged > 3, "only {damaged} pages were missed");
}

/// Puts a large value, which lies in the page file before any checkpoint, and says where.
fn put_large(owner: &Database, disk: &SimDisk, byte: u8) -> usize {
    let mut tx = begin(owner);
    let store = match tx.find_store("large") {
        Some(info) => info.id,
        None => tx.create_store("large", 1, b"").unwrap().id,
    };
    tx.put(store, b"value", b"", &vec![byte; 70_000], true)
        .unwrap();
    tx.commit().unwrap();
    let pages = disk.content("pages").unwrap();
    let found = pages
        .windows(PAGE_BYTES)
        .position(|page| page.iter().all(|b| *b == byte));
    found.expect("the value is in the file")
}

#[test]
fn damage_of_what_only_the_log_names_is_told_when_nobody_writes() {
    let (disk, _) = closed_database(14, 4);
    let owner = open(&disk);
    let follower = follow(&disk);
    let at = put_large(&owner, &disk, 0xab);
    follower.refresh().unwrap();
    let mut bytes = disk.content("pages").unwrap();
    bytes[at + 100] ^= 1;
    disk.replace_content("pages", &bytes);
    for follower in [follower, follow(&disk)] {
        match content_of(&mut begin(&follower)) {
            Err(Error::Corruption { file, offset, .. }) => {
                assert_eq!(file, "pages");
                assert!(offset as usize <= at, "{offset} for damage at {at}");
            }
            other => panic!("damage was not told: {other:?}"),
        }
    }
}

#[test]
fn what_only_the_log_names_may_be_used_again_by_later_commits() {
    let (disk, _) = closed_database(15, 4);
    let owner = open(&disk);
    put_large(&owner, &disk, 0xab);
    let follower = follow(&disk);
    let mut before = begin(&follower);
    let (mut expired, mut used_again) = (false, false);
    for byte in 1..20 {
        let at = put_large(&owner, &disk, byte);
        used_again |= disk.content("pages").unwrap()[at] != 0xab;
        match content_of(&mut before) {
            Ok(model) => {
                let value = &model["large"][b"value".as_slice()].1;
                assert_eq!(*value, vec![0xab; 70_000], "a snapshot stays as it is");
            }
            Err(Error::SnapshotExpired) => expired = true,
            Err(error) => panic!("nothing is damaged: {error}"),
        }
    }
    assert!(used_again && expired, "no page was used again");
    follower.refresh().unwrap();
    content(&follower);
}

#[test]
fn a_damaged_tree_that_only_the_log_names_is_told_when_a_follower_opens() {
    let (disk, mut model) = closed_database(16, 4);
    let owner = open(&disk);
    let sound = disk.content("pages").unwrap();
    load(&owner, &mut model, &mut SplitMix64::new(16));
    let loaded = disk.content("pages").unwrap();
    // A commit to the loaded store makes whoever follows the log read its pages.
    let mut tx = begin(&owner);
    let name = model.keys().find(|name| name.starts_with("loaded-"));
    let store = tx.find_store(name.unwrap()).unwrap().id;
    tx.put(store, b"another", b"", b"", true).unwrap();
    tx.commit().unwrap();
    let mut bytes = disk.content("pages").unwrap();
    for page in 16_384 / PAGE_BYTES..loaded.len() / PAGE_BYTES {
        let range = page * PAGE_BYTES..(page + 1) * PAGE_BYTES;
        if sound.get(range.clone()) != Some(&loaded[range.clone()]) {
            bytes[range.start + 100] ^= 1;
        }
    }
    disk.replace_content("pages", &bytes);
    match try_open(&disk, follower_options()).map(drop) {
        Err(Error::Corruption { file, .. }) => assert_eq!(file, "pages"),
        other => panic!("damage was not told: {other:?}"),
    }
}
