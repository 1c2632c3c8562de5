//! Damage to any byte of a log: in the last group the log ends before it, anywhere else opening is refused.
//! A wrong value is never read.

use sopasync_core::Error;
use sopasync_core::disk::SimDisk;
use sopasync_core::log::LogPosition;

use super::{Read, Verdict, append, expect_reads, open, payload};

pub const SEGMENT_BYTES: u64 = 8192;

/// A synced log on a disk, with what is in it.
pub struct Sample {
    pub disk: SimDisk,
    pub reads: Vec<Read>,
    /// Where each group begins.
    pub positions: Vec<LogPosition>,
    pub head: LogPosition,
}

/// A log of groups of these sizes, each synced.
pub fn sample(sizes: &[usize]) -> Sample {
    let disk = SimDisk::new(3);
    let (mut log, _) = open(&disk, SEGMENT_BYTES, None).unwrap();
    let mut sample = Sample {
        disk,
        reads: Vec::new(),
        positions: Vec::new(),
        head: log.head(),
    };
    for (seq, bytes) in (1..).zip(sizes) {
        let position = append(&mut log, seq, 0, *bytes).unwrap();
        log.sync().unwrap();
        sample.positions.push(position);
        sample.reads.push((seq, payload(seq, 0, *bytes)));
    }
    sample.head = log.head();
    sample
}

pub fn segment_name(number: u64) -> String {
    format!("log-{number:016x}")
}

/// Opens a copy of the sample in which `name` holds `bytes`.
pub fn open_with(sample: &Sample, name: &str, bytes: &[u8]) -> Result<Vec<Read>, Error> {
    let disk = sample.disk.duplicate(1);
    disk.replace_content(name, bytes);
    open(&disk, SEGMENT_BYTES, None).map(|(_, found)| found)
}

/// Flips every bit (or one per byte) of all frames and checks what opening makes of it.
pub fn damage_check(sample: &Sample, every_bit: bool) -> Verdict {
    let last = *sample.positions.last().expect("the sample has groups");
    for number in 1..=sample.head.segment {
        let name = segment_name(number);
        let bytes = sample.disk.content(&name).expect("the segment exists");
        let end = if number == sample.head.segment {
            sample.head.offset
        } else {
            frames_end(sample, number)
        };
        for at in 4096..end {
            let bits = if every_bit { 0..8 } else { at % 8..at % 8 + 1 };
            for bit in bits {
                let mut damaged = bytes.clone();
                damaged[at as usize] ^= 1 << bit;
                let place = LogPosition {
                    segment: number,
                    offset: at,
                };
                let result = open_with(sample, &name, &damaged);
                judge(sample, place, last, result)
                    .map_err(|reason| format!("bit {bit} of byte {at} of {name}: {reason}"))?;
            }
        }
    }
    Ok(())
}

fn judge(
    sample: &Sample,
    place: LogPosition,
    last: LogPosition,
    result: Result<Vec<Read>, Error>,
) -> Verdict {
    if place >= last {
        let found = result.map_err(|error| format!("the last group: {error}"))?;
        return expect_reads(&found, &sample.reads[..sample.reads.len() - 1]);
    }
    match result {
        Err(Error::Corruption { offset, .. }) if offset <= place.offset => Ok(()),
        Err(error) => Err(format!("refused for another reason: {error}")),
        Ok(found) => Err(format!(
            "a damaged group in the middle is taken for the end: {} groups of {} are read",
            found.len(),
            sample.reads.len()
        )),
    }
}

/// End of the frames of a segment the log has gone on from: a switch frame of 64 bytes after its last group.
fn frames_end(sample: &Sample, number: u64) -> u64 {
    let in_segment = |index: &usize| sample.positions[*index].segment == number;
    let last = (0..sample.positions.len()).rev().find(in_segment);
    last.map_or(4096, |index| {
        let payload_bytes = sample.reads[index].1.len() as u64;
        sample.positions[index].offset + 48 + payload_bytes.next_multiple_of(8)
    }) + 64
}
