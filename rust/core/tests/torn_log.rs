//! A log cut or damaged at every byte: a prefix, or a refusal, never a wrong value.

mod log_support;

use log_support::damage_check::{
    SEGMENT_BYTES, Sample, damage_check, open_with, sample, segment_name,
};
use log_support::{DATABASE, append, expect_reads, open, payload};
use sopasync_core::Error;
use sopasync_core::log::LogPosition;

#[test]
fn a_flipped_bit_ends_the_log_in_its_last_group_and_is_refused_before() {
    // Two segments, sizes around the alignment.
    let sample = sample(&[40, 0, 7, 600, 33, 2900, 8, 300, 1, 64]);
    assert_eq!(sample.head.segment, 2);
    damage_check(&sample, true).unwrap();
}

#[test]
fn a_log_cut_at_any_byte_of_its_last_segment_ends_before_the_cut_or_is_refused() {
    let sample = sample(&[40, 600, 7, 33, 0, 900]);
    let name = segment_name(1);
    let bytes = sample.disk.content(&name).unwrap();
    for cut in 0..bytes.len() {
        let result = open_with(&sample, &name, &bytes[..cut]);
        if cut < 72 {
            assert!(matches!(result, Err(Error::Corruption { .. })), "cut {cut}");
            continue;
        }
        let whole = groups_before(&sample, 1, cut as u64);
        expect_reads(&result.unwrap(), &sample.reads[..whole])
            .unwrap_or_else(|reason| panic!("cut {cut}: {reason}"));
    }
}

#[test]
fn an_earlier_segment_that_was_cut_is_refused() {
    let sample = sample(&[1500, 1500, 900, 30, 30]);
    assert_eq!(sample.head.segment, 2);
    let name = segment_name(1);
    let bytes = sample.disk.content(&name).unwrap();
    // Behind the switch frame nothing is missing.
    let end = sample.positions[1].offset + 48 + 1504 + 64;
    for cut in (0..end as usize).step_by(7) {
        let result = open_with(&sample, &name, &bytes[..cut]);
        assert!(matches!(result, Err(Error::Corruption { .. })), "cut {cut}");
    }
    let found = open_with(&sample, &name, &bytes[..end as usize]).unwrap();
    expect_reads(&found, &sample.reads).unwrap();
}

#[test]
fn zeros_over_the_end_of_the_log_are_a_prefix_and_in_the_middle_a_refusal() {
    let sample = sample(&[40, 600, 7, 33, 0, 900]);
    let name = segment_name(1);
    let bytes = sample.disk.content(&name).unwrap();
    for from in 4096..sample.head.offset as usize {
        let mut zeroed = bytes.clone();
        zeroed[from..sample.head.offset as usize].fill(0);
        let whole = groups_before(&sample, 1, from as u64);
        let found = open_with(&sample, &name, &zeroed).unwrap();
        // A payload that ends in zeros may survive; a group is then whole.
        assert!(found.len() >= whole);
        expect_reads(&found, &sample.reads[..found.len()]).unwrap();
    }
    let mut zeroed = bytes.clone();
    zeroed[sample.positions[2].offset as usize..sample.positions[3].offset as usize].fill(0);
    let error = open_with(&sample, &name, &zeroed).unwrap_err();
    let at = sample.positions[2].offset;
    assert!(
        matches!(&error, Error::Corruption { file, offset, .. } if file.ends_with(&name) && *offset == at),
        "{error}"
    );
}

#[test]
fn a_damaged_header_of_a_segment_is_refused() {
    let sample = sample(&[3000, 3000]);
    for number in 1..=2 {
        let name = segment_name(number);
        let bytes = sample.disk.content(&name).unwrap();
        for bit in 0..72 * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let result = open_with(&sample, &name, &damaged);
            assert!(matches!(result, Err(Error::Corruption { .. })), "bit {bit}");
        }
    }
}

#[test]
fn a_missing_segment_is_refused() {
    let sample = sample(&[3000, 3000, 3000]);
    assert_eq!(sample.head.segment, 3);
    for number in 2..=3 {
        let disk = sample.disk.duplicate(1);
        sopasync_core::disk::Disk::remove(&disk, &segment_name(number)).unwrap();
        assert!(
            open(&disk, SEGMENT_BYTES, None).is_err(),
            "segment {number}"
        );
    }
    let from = LogPosition {
        segment: 9,
        offset: 4096,
    };
    let error = open(&sample.disk, SEGMENT_BYTES, Some(from)).err().unwrap();
    assert!(matches!(error, Error::Corruption { .. }), "{error}");
}

#[test]
fn a_segment_of_a_newer_format_is_refused_by_its_number() {
    let sample = sample(&[10]);
    let name = segment_name(1);
    let mut bytes = sample.disk.content(&name).unwrap();
    bytes[8..12].copy_from_slice(&2u32.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..68]);
    bytes[68..72].copy_from_slice(&crc.to_le_bytes());
    let error = open_with(&sample, &name, &bytes).unwrap_err();
    let expected = matches!(
        error,
        Error::UnsupportedFormat {
            found: 2,
            supported: 1,
            ..
        }
    );
    assert!(expected, "{error}");
}

#[test]
fn a_segment_of_another_database_is_refused() {
    let sample = sample(&[10]);
    let mut options = log_support::options(SEGMENT_BYTES);
    options.database_id = DATABASE + 1;
    let disk = std::sync::Arc::new(sample.disk.clone());
    let result = sopasync_core::log::FileLog::open(disk, options, None, &mut |_| Ok(()));
    assert!(matches!(result, Err(Error::Corruption { .. })));
}

#[test]
fn damage_to_the_last_group_of_a_closed_log_is_refused() {
    let sample = sample(&[100, 100]);
    let (mut log, _) = open(&sample.disk, SEGMENT_BYTES, None).unwrap();
    append(&mut log, 3, 0, 100).unwrap();
    let last = log.head().offset - 100;
    log.close().unwrap();
    let name = segment_name(1);
    let mut bytes = sample.disk.content(&name).unwrap();
    assert_eq!(open_with(&sample, &name, &bytes).unwrap().len(), 3);
    bytes[last as usize] ^= 1;
    let result = open_with(&sample, &name, &bytes);
    assert!(matches!(result, Err(Error::Corruption { .. })));
}

#[test]
fn a_lost_group_is_not_completed_by_the_sectors_of_a_new_one() {
    const SECTOR: usize = 512;
    let name = segment_name(1);
    let disk = sopasync_core::disk::SimDisk::new(3);
    let (mut log, _) = open(&disk, SEGMENT_BYTES, None).unwrap();
    append(&mut log, 1, 0, 200).unwrap();
    log.sync().unwrap();
    let mut torn = disk.content(&name).unwrap();
    // Groups 2 and 3 are never synced. The header of group 3 begins 16 bytes before the end of a sector,
    // and of both only the sectors from there on land.
    append(&mut log, 2, 0, 200).unwrap();
    assert_eq!(
        append(&mut log, 3, 0, 200).unwrap().offset as usize,
        4096 + SECTOR - 16
    );
    let second = 4096 + SECTOR;
    torn[second..].copy_from_slice(&disk.content(&name).unwrap()[second..]);
    disk.replace_content(&name, &torn);

    let (mut log, found) = open(&disk, SEGMENT_BYTES, None).unwrap();
    assert_eq!(found.len(), 1);
    append(&mut log, 2, 1, 200).unwrap();
    log.sync().unwrap();
    let mut torn = disk.content(&name).unwrap();
    // Of another group 3 only the first 16 bytes land: the same as those of the lost one.
    append(&mut log, 3, 1, 200).unwrap();
    torn[4096..second].copy_from_slice(&disk.content(&name).unwrap()[4096..second]);
    disk.replace_content(&name, &torn);

    let (_, found) = open(&disk, SEGMENT_BYTES, None).unwrap();
    let expected = [(1, payload(1, 0, 200)), (2, payload(2, 1, 200))];
    expect_reads(&found, &expected).unwrap();
}

/// How many groups lie wholly before byte `end` of a segment of a sample with one segment.
fn groups_before(sample: &Sample, segment: u64, end: u64) -> usize {
    let ends = sample.positions.iter().skip(1).chain([&sample.head]);
    let end = LogPosition {
        segment,
        offset: end,
    };
    ends.filter(|position| **position <= end).count()
}
