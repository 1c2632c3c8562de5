//! The log against a vector, for any order of operations; and what they cost in syncs.

mod log_support;

use log_support::{Read, append, expect_reads, open, options, payload};
use proptest::prelude::*;
use sopasync_core::disk::SimDisk;
use sopasync_core::log::{CommitLog, FileLog, LogPosition};

const SEGMENT_BYTES: u64 = 8192;

#[derive(Debug, Clone)]
enum Operation {
    Append(usize),
    Sync,
    Truncate,
    Prepare,
    Reopen { closed: bool },
    Read,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => prop_oneof![0..64usize, 0..1000usize, 0..10_000usize].prop_map(Operation::Append),
        2 => Just(Operation::Sync),
        1 => Just(Operation::Truncate),
        1 => Just(Operation::Prepare),
        1 => any::<bool>().prop_map(|closed| Operation::Reopen { closed }),
        1 => Just(Operation::Read),
    ]
}

proptest! {
    #[test]
    fn it_holds_what_was_appended_since_the_last_truncation(
        operations in prop::collection::vec(operation(), 1..60)
    ) {
        let disk = SimDisk::new(1);
        let (mut log, _) = open(&disk, SEGMENT_BYTES, None).unwrap();
        let mut from = log.head();
        let mut last = 0;
        let mut held: Vec<Read> = Vec::new();
        for operation in operations {
            match operation {
                Operation::Append(bytes) => {
                    last += 1;
                    let position = append(&mut log, last, 0, bytes).unwrap();
                    prop_assert!(position < log.head());
                    held.push((last, payload(last, 0, bytes)));
                }
                Operation::Sync => log.sync().unwrap(),
                Operation::Truncate => {
                    log.sync().unwrap();
                    from = log.head();
                    log.truncate_before(from).unwrap();
                    held.clear();
                    prop_assert_eq!(log.size_bytes(), 0);
                }
                Operation::Prepare => {
                    log.prepare_next().unwrap();
                    prop_assert!(log.pool().is_ready());
                }
                Operation::Reopen { closed } => {
                    let (head, size) = (log.head(), log.size_bytes());
                    if closed {
                        log.close().unwrap();
                    }
                    let (reopened, found) = open(&disk, SEGMENT_BYTES, Some(from)).unwrap();
                    expect_reads(&found, &held).map_err(TestCaseError::fail)?;
                    log = reopened;
                    prop_assert_eq!((log.head(), log.size_bytes()), (head, size));
                }
                Operation::Read => {
                    let mut found = Vec::new();
                    let end = log.read(from, &mut |frame| {
                        found.push((frame.first_seq, frame.payload.to_vec()));
                        Ok(())
                    });
                    prop_assert_eq!(end.unwrap(), log.head());
                    expect_reads(&found, &held).map_err(TestCaseError::fail)?;
                }
            }
        }
    }

    #[test]
    fn a_position_comes_back_from_its_bytes_and_orders_as_the_log(
        one in any::<(u64, u64)>(), other in any::<(u64, u64)>()
    ) {
        let position = |(segment, offset)| LogPosition { segment, offset };
        let (left, right) = (position(one), position(other));
        prop_assert_eq!(LogPosition::from_bytes(left.to_bytes()), left);
        prop_assert_eq!(left.cmp(&right), one.cmp(&other));
    }
}

#[test]
fn a_group_costs_one_sync_and_a_switch_of_segments_one_more() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, SEGMENT_BYTES, None).unwrap();
    for seq in 1..=50 {
        log.prepare_next().unwrap();
        let (syncs, segment) = (disk.sync_count(), log.head().segment);
        append(&mut log, seq, 0, 700).unwrap();
        log.sync().unwrap();
        let switched = log.head().segment - segment;
        assert_eq!(disk.sync_count() - syncs, 1 + switched, "group {seq}");
        log.sync().unwrap();
        assert_eq!(disk.sync_count() - syncs, 1 + switched, "nothing to sync");
    }
}

#[test]
fn segments_begin_small_and_grow() {
    let disk = SimDisk::new(1);
    let shared = std::sync::Arc::new(disk.clone());
    let full = 4 << 20;
    let mut log = FileLog::open(shared, options(full), None, &mut |_| Ok(())).unwrap();
    let mut lengths = Vec::new();
    for seq in 1..=120 {
        append(&mut log, seq, 0, 100_000).unwrap();
        let name = format!("log-{:016x}", log.head().segment);
        let length = disk.content(&name).unwrap().len();
        if lengths.last() != Some(&length) {
            lengths.push(length);
        }
    }
    assert_eq!(lengths, [256 << 10, 1 << 20, full as usize]);
}

#[test]
fn a_segment_too_small_to_be_one_is_refused() {
    for segment_bytes in [0, 4096, 8191, 10_000] {
        let disk = std::sync::Arc::new(SimDisk::new(1));
        let log = FileLog::open(disk, options(segment_bytes), None, &mut |_| Ok(()));
        assert!(matches!(log, Err(sopasync_core::Error::Invalid { .. })));
    }
}
