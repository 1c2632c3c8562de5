//! A reader in another process follows the log while it is written, switched, recycled, closed and recovered:
//! it reads exactly the groups there are, in order, until the log has gone on without it, and then it says so.

mod log_support;

use std::sync::Arc;

use log_support::{DATABASE, Read, append, open, payload};
use sopasync_core::Error;
use sopasync_core::disk::{Disk, File, SimDisk, SplitMix64};
use sopasync_core::log::{LogPosition, LogReader};

const SEGMENT_BYTES: u64 = 8192;

fn follow(disk: &SimDisk, from: Option<LogPosition>) -> LogReader {
    LogReader::open(Arc::new(disk.clone()), DATABASE, from).unwrap()
}

/// Reads what there is; true when the reader was overtaken.
fn catch_up(reader: &mut LogReader, seen: &mut Vec<Read>) -> bool {
    loop {
        match reader.next_group() {
            Ok(Some(frame)) => seen.push((frame.first_seq, frame.payload.to_vec())),
            Ok(None) => return false,
            Err(Error::LogRecycled) => return true,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_follower_reads_every_group_or_says_that_it_was_overtaken() {
    let mut overtaken = 0;
    let mut kept_up = 0;
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let mut random = SplitMix64::new(seed);
        let (mut log, _) = open(&disk, SEGMENT_BYTES, None).unwrap();
        let mut written: Vec<Read> = Vec::new();
        let mut checkpoint = log.head();
        // One that looks each time, one often, one rarely.
        let mut readers = [1, 3, 60].map(|one_of| (one_of, follow(&disk, None), Vec::new(), false));
        for _ in 0..400 {
            match random.below(16) {
                0..10 => {
                    let seq = written.len() as u64 + 1;
                    let bytes = [0, 200, 900, 9000][random.below(100) * 4 / 110];
                    append(&mut log, seq, 0, bytes).unwrap();
                    written.push((seq, payload(seq, 0, bytes)));
                }
                10 => log.sync().unwrap(),
                11 | 12 => {
                    log.sync().unwrap();
                    checkpoint = log.head();
                    log.truncate_before(checkpoint).unwrap();
                }
                13 | 14 => log.prepare_next().unwrap(),
                _ => {
                    if random.chance(1, 2) {
                        log.close().unwrap();
                    }
                    log = open(&disk, SEGMENT_BYTES, Some(checkpoint)).unwrap().0;
                }
            }
            for (one_of, reader, seen, lost) in &mut readers {
                if !*lost && random.chance(1, *one_of) {
                    *lost = catch_up(reader, seen);
                    assert!(*seen == written[..seen.len()], "seed {seed}");
                    assert!(
                        *lost || seen.len() == written.len(),
                        "seed {seed}: it missed some"
                    );
                }
            }
        }
        assert!(
            !readers[0].3,
            "seed {seed}: one that looks each time is never overtaken"
        );
        for (_, _, _, lost) in &readers[1..] {
            overtaken += usize::from(*lost);
            kept_up += usize::from(!*lost);
        }
    }
    assert!(overtaken > 5 && kept_up > 5, "{overtaken} and {kept_up}");
}

#[test]
fn a_follower_stops_at_a_group_that_is_not_whole_and_goes_on_when_it_is() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, SEGMENT_BYTES, None).unwrap();
    let name = "log-0000000000000001";
    let before = disk.content(name).unwrap();
    append(&mut log, 1, 0, 900).unwrap();
    let after = disk.content(name).unwrap();
    let end = log.head().offset as usize;
    let file: Arc<dyn File> = disk.open(name, false).unwrap();
    let mut reader = follow(&disk, None);
    for cut in 4096..end {
        let mut partly = after.clone();
        partly[cut..].copy_from_slice(&before[cut..]);
        file.write_at(&partly, 0).unwrap();
        let whole = partly == after;
        let found = reader.next_group().unwrap().map(|frame| frame.first_seq);
        assert_eq!(found, whole.then_some(1), "cut {cut}");
        if whole {
            break;
        }
    }
}

#[test]
fn a_follower_needs_its_segment_and_its_database() {
    let disk = SimDisk::new(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    assert!(LogReader::open(shared.clone(), DATABASE, None).is_err());
    let (mut log, _) = open(&disk, SEGMENT_BYTES, None).unwrap();
    append(&mut log, 1, 0, 10).unwrap();
    let gone = LogPosition {
        segment: 7,
        offset: 4096,
    };
    let error = LogReader::open(shared.clone(), DATABASE, Some(gone)).err();
    assert!(matches!(error, Some(Error::LogRecycled)));
    let error = LogReader::open(shared, DATABASE + 1, None).err();
    assert!(matches!(error, Some(Error::Corruption { .. })));
}
