//! The simulated disk keeps the promises of a disk, and breaks only what a crash or a fault may break.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use sopasync_core::disk::{
    CrashOptions, Disk, Fault, FaultKind, File, RealDisk, SimDisk, SplitMix64,
};

fn read_all(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

/// Every combination, whatever the number.
const ALL: CrashOptions = CrashOptions {
    seed: 0,
    from: 0,
    to: usize::MAX,
    stride: 1,
    combinations_max: 4096,
    images_per_point: 0,
};

/// The contents of `name` over all crash images at the end of the trace; None for no such file.
fn crash_contents(disk: &SimDisk, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    let options = CrashOptions {
        from: disk.trace_len(),
        ..ALL
    };
    disk.crash_images(options)
        .map(|image| image.disk.content(name))
        .collect()
}

#[test]
fn without_crashes_it_does_what_a_real_folder_does() {
    let folder = tempfile::tempdir().unwrap();
    let real = RealDisk::open(folder.path(), false).unwrap();
    let sim = SimDisk::new(1);
    let disks: [&dyn Disk; 2] = [&real, &sim];
    let mut random = SplitMix64::new(4);
    for step in 0..3000 {
        let name = ["a", "b", "c"][random.below(3)];
        let other = ["a", "b", "c"][random.below(3)];
        let (what, offset) = (random.below(12), random.below(3000) as u64);
        let (count, create) = (1 + random.below(2000), random.chance(1, 2));
        let answers = disks.map(|disk| {
            let answer = match what {
                0 => disk.rename(name, other).map(|()| Vec::new()),
                1 => disk.remove(name).map(|()| Vec::new()),
                2 => disk.sync_folder().map(|()| Vec::new()),
                3 => disk.list().map(|mut names| {
                    names.sort();
                    names.join(",").into_bytes()
                }),
                _ => disk.open(name, create).and_then(|file| {
                    match what {
                        4 => file.set_len(offset)?,
                        5 => file.allocate(offset, count as u64)?,
                        6 => file.sync()?,
                        7 => {
                            let mut bytes = vec![0; count];
                            file.read_at(&mut bytes, offset)?;
                        }
                        _ => file.write_at(&vec![step as u8; count], offset)?,
                    }
                    Ok(read_all(&*file))
                }),
            };
            answer.map_err(|error| error.kind())
        });
        assert!(
            answers[0] == answers[1],
            "step {step}: {what} {name} {other}"
        );
    }
}

#[test]
fn unsynced_sectors_land_in_every_combination_and_synced_ones_always() {
    let disk = SimDisk::new(1);
    let file = disk.open("f", true).unwrap();
    disk.sync_folder().unwrap();
    file.write_at(&[1; 1536], 0).unwrap();
    file.sync().unwrap();
    file.write_at(&[2; 1024], 256).unwrap(); // touches three sectors
    file.write_at(&[3; 100], 0).unwrap(); // the first once more
    let found = crash_contents(&disk, "f");
    // The first sector has three versions, the others two each.
    assert_eq!(found.len(), 3 * 2 * 2);
    for content in found {
        let content = content.expect("the name is durable");
        assert!([1, 3].contains(&content[0]) && content.len() == 1536);
        let first = (content[0], content[256]);
        assert!([(1, 1), (1, 2), (3, 2)].contains(&first), "{first:?}");
        assert!(content[512..1024].iter().all(|byte| *byte == content[512]));
        assert!(content[1280..].iter().all(|byte| *byte == 1));
    }
    file.sync().unwrap();
    assert_eq!(crash_contents(&disk, "f").len(), 1);
}

#[test]
fn a_new_length_may_be_lost_or_land_without_its_bytes() {
    let disk = SimDisk::new(1);
    let file = disk.open("f", true).unwrap();
    disk.sync_folder().unwrap();
    file.write_at(&[7; 10], 0).unwrap();
    let found = crash_contents(&disk, "f");
    let expected = [vec![], vec![0; 10], vec![7; 10]].map(Some);
    assert!(found == BTreeSet::from(expected), "{found:?}");
    file.sync().unwrap();
    file.set_len(4).unwrap();
    file.set_len(6).unwrap();
    for content in crash_contents(&disk, "f") {
        let content = content.unwrap();
        let (kept, rest) = content.split_at(4);
        assert_eq!(kept, [7; 4]);
        assert!(rest.iter().all(|byte| *byte == 0) || rest.iter().all(|byte| *byte == 7));
    }
}

#[test]
fn changes_of_the_folder_are_lost_one_by_one_until_it_is_synced() {
    let disk = SimDisk::new(1);
    let file = disk.open("old", true).unwrap();
    file.write_at(b"x", 0).unwrap();
    file.sync().unwrap();
    assert!(crash_contents(&disk, "old") == BTreeSet::from([None, Some(b"x".to_vec())]));
    disk.sync_folder().unwrap();
    disk.rename("old", "new").unwrap();
    disk.open("other", true).unwrap();
    disk.remove("other").unwrap();
    let options = CrashOptions {
        from: disk.trace_len(),
        ..ALL
    };
    let mut found = BTreeSet::new();
    for image in disk.crash_images(options) {
        let mut names = image.disk.list().unwrap();
        names.sort();
        found.insert(names.join(" "));
    }
    // A removal never lands without the creation before it.
    let expected = ["new", "new other", "old", "old other"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(expected));
    disk.sync_folder().unwrap();
    assert!(crash_contents(&disk, "new") == BTreeSet::from([Some(b"x".to_vec())]));
}

#[test]
fn images_exist_for_every_point_and_are_the_same_for_the_same_seed() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        let file = disk.open("f", true).unwrap();
        for index in 0..20u64 {
            file.write_at(&disk.random_u64().to_le_bytes().repeat(300), index * 1000)
                .unwrap();
        }
        file.sync().unwrap();
        disk
    };
    let (first, second) = (run(5), run(5));
    assert_ne!(first.content("f"), run(6).content("f"));
    let options = CrashOptions {
        combinations_max: 1,
        images_per_point: 20,
        ..CrashOptions::default()
    };
    let mut points = BTreeSet::new();
    let mut contents = BTreeSet::new();
    for (left, right) in first
        .crash_images(options)
        .zip(second.crash_images(options))
    {
        assert_eq!((left.point, left.index), (right.point, right.index));
        assert!(left.disk.content("f") == right.disk.content("f"), "{left}");
        points.insert(left.point);
        contents.insert(left.disk.content("f"));
    }
    assert!(points.into_iter().eq(0..=first.trace_len()));
    assert!(contents.len() > 100, "only {} different", contents.len());
}

#[test]
fn a_fault_hits_the_call_it_names_once_or_from_then_on() {
    for forever in [false, true] {
        let disk = SimDisk::new(1);
        let file = disk.open("f", true).unwrap();
        disk.add_fault(Fault {
            call: disk.call_count() + 2,
            kind: FaultKind::NoSpace,
            forever,
        });
        file.write_at(b"one", 0).unwrap();
        let error = file.write_at(b"two", 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(file.write_at(b"six", 0).is_err(), forever);
        disk.clear_faults();
        let expected = if forever { b"one" } else { b"six" };
        assert_eq!(read_all(&*file), expected);
    }
}

#[test]
fn a_short_write_leaves_its_first_half() {
    let disk = SimDisk::new(1);
    let file = disk.open("f", true).unwrap();
    let call = disk.call_count() + 1;
    disk.add_fault(Fault {
        call,
        kind: FaultKind::ShortWrite,
        forever: false,
    });
    assert!(file.write_at(b"abcdef", 0).is_err());
    assert_eq!(read_all(&*file), b"abc");
}

#[test]
fn what_a_failed_sync_dropped_is_readable_and_never_durable() {
    let disk = SimDisk::new(1);
    let file = disk.open("f", true).unwrap();
    disk.sync_folder().unwrap();
    file.write_at(&[1; 1024], 0).unwrap();
    file.sync().unwrap();
    file.write_at(&[2; 512], 0).unwrap();
    disk.add_fault(Fault {
        call: disk.call_count() + 1,
        kind: FaultKind::SyncDrops,
        forever: false,
    });
    assert!(file.sync().is_err());
    assert_eq!(read_all(&*file)[0], 2);
    // The page cache takes the page for clean, so another sync writes nothing.
    file.write_at(&[3; 512], 512).unwrap();
    file.sync().unwrap();
    let expected = [[1; 512], [3; 512]].concat();
    assert!(crash_contents(&disk, "f") == BTreeSet::from([Some(expected)]));
    // The next process sees what was written, and no lock or fault of the one before.
    let next = disk.next_process();
    assert_eq!(next.content("f").unwrap()[0], 2);
    assert!(file.sync().is_err() && disk.list().is_err());
}

#[test]
fn a_lock_has_one_owner_and_a_read_only_file_takes_no_write() {
    let disk = SimDisk::new(1);
    let guard = disk.try_lock("lock").unwrap().unwrap();
    assert!(disk.clone().try_lock("lock").unwrap().is_none());
    assert!(disk.next_process().try_lock("lock").unwrap().is_some());
    drop(guard);
    let disk = SimDisk::new(1);
    drop(disk.try_lock("lock").unwrap());
    assert!(disk.try_lock("lock").unwrap().is_some());
    let file = disk.open_read_only("lock").unwrap();
    assert!(file.write_at(b"x", 0).is_err() && file.set_len(3).is_err());
    let absent = disk.open("absent", false).err().unwrap();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
}
