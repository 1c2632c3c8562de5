//! The log on a real file system: what was appended and synced comes back, across segments and reopening.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sopasync_core::disk::{Disk, RealDisk};
use sopasync_core::log::{
    CommitLog, FileLog, Group, LogOptions, LogPosition, LogReader, MemoryLog,
};
use sopasync_core::{Error, Result};

const DATABASE: u128 = 0x1234_5678_9abc_def0;

fn options(segment_bytes: u64) -> LogOptions {
    LogOptions {
        kept_bytes: 0,
        segment_bytes,
        database_id: DATABASE,
    }
}

fn folder() -> (tempfile::TempDir, Arc<dyn Disk>) {
    let folder = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(folder.path().join("new/database"), true).unwrap();
    (folder, Arc::new(disk))
}

/// A payload anyone can compute from the commit number.
fn payload(seq: u64, bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|index| (seq as usize * 31 + index) as u8)
        .collect()
}

fn append(log: &mut dyn CommitLog, seq: u64, bytes: usize) -> Result<LogPosition> {
    let payload = payload(seq, bytes);
    let (left, right) = payload.split_at(bytes / 3);
    log.append(
        seq - 1,
        &Group {
            first_seq: seq,
            count: 1,
            stamp: seq << 8,
            payload: &[left, right],
        },
    )
}

/// Opens the log and returns it with every (commit number, payload) read.
fn reopen(
    disk: &Arc<dyn Disk>,
    segment_bytes: u64,
    from: Option<LogPosition>,
) -> (FileLog, Vec<(u64, Vec<u8>)>) {
    let mut found = Vec::new();
    let log = FileLog::open(disk.clone(), options(segment_bytes), from, &mut |frame| {
        assert_eq!(frame.stamp, frame.first_seq << 8);
        found.push((frame.first_seq, frame.payload.to_vec()));
        Ok(())
    });
    (log.unwrap(), found)
}

#[test]
fn groups_come_back_in_order_across_segments_and_sizes() {
    let (_folder, disk) = folder();
    let sizes = [0, 1, 7, 8, 9, 100, 4000, 20_000, 3, 60_000, 1, 3_000_000, 5];
    let (mut log, found) = reopen(&disk, 16 << 10, None);
    assert!(found.is_empty());
    for (index, bytes) in sizes.iter().enumerate() {
        append(&mut log, index as u64 + 1, *bytes).unwrap();
        if index % 3 == 0 {
            log.sync().unwrap();
        }
        if index % 4 == 0 {
            log.prepare_next().unwrap();
        }
    }
    log.sync().unwrap();
    let head = log.head();
    drop(log);
    for _ in 0..2 {
        let (log, found) = reopen(&disk, 16 << 10, None);
        assert_eq!(log.head(), head);
        assert_eq!(log.last_seq(), Some(sizes.len() as u64));
        let expected: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(index, bytes)| (index as u64 + 1, payload(index as u64 + 1, *bytes)))
            .collect();
        assert!(found == expected);
    }
}

#[test]
fn the_log_goes_on_from_a_checkpoint_and_recycles_what_is_before() {
    let (_folder, disk) = folder();
    let (mut log, _) = reopen(&disk, 16 << 10, None);
    let mut checkpoint = log.head();
    let mut names_max = 0;
    for seq in 1..=500 {
        append(&mut log, seq, 1000).unwrap();
        log.sync().unwrap();
        if seq % 40 == 0 {
            checkpoint = log.head();
            log.truncate_before(checkpoint).unwrap();
            assert_eq!(log.size_bytes(), 0);
        }
        log.prepare_next().unwrap();
        names_max = names_max.max(disk.list().unwrap().len());
    }
    // 40 groups of 1 kB take three segments; one more is active, one ready, two spare.
    assert!(names_max <= 8, "{names_max} files");
    // Two switch frames of 64 bytes lie between the groups.
    assert_eq!(log.size_bytes(), 20 * 1048 + 128);
    drop(log);
    let (mut log, found) = reopen(&disk, 16 << 10, Some(checkpoint));
    assert_eq!(found.first().unwrap().0, 481);
    assert_eq!(found.last().unwrap().0, 500);
    // Two switch frames of 64 bytes lie between the groups.
    assert_eq!(log.size_bytes(), 20 * 1048 + 128);
    append(&mut log, 501, 10).unwrap();
    let mut count = 0;
    let end = log.read(checkpoint, &mut |_| {
        count += 1;
        Ok(())
    });
    assert_eq!((end.unwrap(), count), (log.head(), 21));
}

#[test]
fn an_append_that_does_not_follow_the_last_commit_changes_nothing() {
    let (_folder, disk) = folder();
    let file_log: Box<dyn CommitLog> = Box::new(reopen(&disk, 16 << 10, None).0);
    for mut log in [file_log, Box::new(MemoryLog::new())] {
        append(&mut *log, 1, 10).unwrap();
        let head = log.head();
        let group = |first_seq, count| Group {
            first_seq,
            count,
            stamp: 0,
            payload: &[],
        };
        for (expected_head, group) in [(0, group(1, 1)), (1, group(3, 1)), (1, group(2, 0))] {
            let error = log.append(expected_head, &group).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
            assert_eq!(log.head(), head);
        }
        append(&mut *log, 2, 10).unwrap();
        log.sync().unwrap();
        let mut found = Vec::new();
        let start = LogPosition {
            segment: head.segment,
            offset: if head.segment == 0 { 0 } else { 4096 },
        };
        log.read(start, &mut |frame| {
            found.push((frame.first_seq, frame.payload.to_vec()));
            Ok(())
        })
        .unwrap();
        assert!(found == [(1, payload(1, 10)), (2, payload(2, 10))]);
    }
}

#[test]
fn a_log_in_memory_forgets_what_was_not_synced() {
    let mut log = MemoryLog::new();
    let mut other = log.clone();
    append(&mut log, 1, 10).unwrap();
    log.sync().unwrap();
    append(&mut log, 2, 10).unwrap();
    log.crash();
    assert_eq!(log.head().offset, 1);
    // Another writer wins; the first one's view of the head is stale.
    append(&mut other, 2, 20).unwrap();
    assert!(append(&mut log, 2, 10).is_err());
    log.truncate_before(log.head()).unwrap();
    assert_eq!(log.size_bytes(), 0);
    let start = LogPosition {
        segment: 0,
        offset: 0,
    };
    let error = log.read(start, &mut |_| Ok(())).unwrap_err();
    assert!(matches!(error, Error::LogRecycled));
}

#[test]
fn a_closed_log_opens_at_its_end_and_takes_nothing_before_that() {
    let (_folder, disk) = folder();
    let (mut log, _) = reopen(&disk, 16 << 10, None);
    append(&mut log, 1, 10).unwrap();
    log.close().unwrap();
    assert!(matches!(
        append(&mut log, 2, 10),
        Err(Error::Poisoned { .. })
    ));
    let head = log.head();
    drop(log);
    let (mut log, found) = reopen(&disk, 16 << 10, None);
    assert_eq!((log.head(), found.len()), (head, 1));
    append(&mut log, 2, 10).unwrap();
    log.sync().unwrap();
    drop(log);
    assert_eq!(reopen(&disk, 16 << 10, None).1.len(), 2);
}

#[test]
fn a_reader_sees_groups_as_they_are_written_and_reports_being_overtaken() {
    let (_folder, disk) = folder();
    let (mut log, _) = reopen(&disk, 16 << 10, None);
    let mut reader = LogReader::open(disk.clone(), DATABASE, None).unwrap();
    for seq in 1..=100 {
        assert!(reader.next_group().unwrap().is_none());
        append(&mut log, seq, 700).unwrap();
        let frame = reader.next_group().unwrap().unwrap();
        assert_eq!(
            (frame.first_seq, frame.payload),
            (seq, &payload(seq, 700)[..])
        );
    }
    // From here on it lags behind.
    for seq in 101..=200 {
        append(&mut log, seq, 700).unwrap();
        log.truncate_before(log.head()).unwrap();
        log.prepare_next().unwrap();
    }
    let error = loop {
        match reader.next_group() {
            Ok(Some(frame)) => assert!(frame.payload == payload(frame.first_seq, 700)),
            Ok(None) => panic!("the reader takes a recycled segment for the end of the log"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::LogRecycled), "{error}");
}

#[test]
fn segments_are_prepared_on_another_thread_while_groups_are_appended() {
    let (_folder, disk) = folder();
    let (mut log, _) = reopen(&disk, 8 << 10, None);
    let pool = log.pool();
    let done = AtomicBool::new(false);
    let mut checkpoint = (log.head(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                pool.maintain().unwrap();
            }
        });
        for seq in 1..=2000 {
            append(&mut log, seq, 700).unwrap();
            if seq % 50 == 0 {
                log.sync().unwrap();
                checkpoint = (log.head(), seq);
                log.truncate_before(log.head()).unwrap();
            }
        }
        for seq in 2001..=2020 {
            append(&mut log, seq, 700).unwrap();
        }
        log.sync().unwrap();
        done.store(true, Ordering::Relaxed);
    });
    drop(log);
    let (_, found) = reopen(&disk, 8 << 10, Some(checkpoint.0));
    let expected: Vec<_> = (checkpoint.1 + 1..=2020)
        .map(|seq| (seq, payload(seq, 700)))
        .collect();
    assert!(found == expected);
}

#[test]
fn only_one_owner_gets_the_lock() {
    let (_folder, disk) = folder();
    let guard = disk.try_lock("lock").unwrap().unwrap();
    assert!(disk.try_lock("lock").unwrap().is_none());
    drop(guard);
    assert!(disk.try_lock("lock").unwrap().is_some());
}

#[test]
fn a_positioned_read_is_exact_and_allocation_keeps_content() {
    let (_folder, disk) = folder();
    let file = disk.open("pages", true).unwrap();
    file.write_at(b"abc", 5).unwrap();
    file.allocate(0, 100).unwrap();
    assert_eq!(file.len().unwrap(), 100);
    let mut bytes = [1; 9];
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"\0\0\0\0\0abc\0");
    let error = file.read_at(&mut bytes, 95).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    file.set_len(6).unwrap();
    file.set_len(8).unwrap();
    file.read_at(&mut bytes[..8], 0).unwrap();
    assert_eq!(&bytes[..8], b"\0\0\0\0\0a\0\0");
    assert_ne!(disk.random_u64(), disk.random_u64());
}
