//! After a crash at any moment, with any part of the unsynced bytes lost, the log reads a prefix of what was
//! appended, with everything that was acknowledged; and what is appended then is read too, and nothing else.

use sopasync_core::disk::{CrashImage, CrashOptions, SimDisk, SplitMix64};
use sopasync_core::log::LogPosition;

use super::{Read, Verdict, append, expect_reads, open, payload};

const SEGMENT_BYTES: u64 = 8192;

/// What a workload did, and when (in changes of the disk).
#[derive(Default)]
struct History {
    /// Every group appended, and the point when its append began.
    appended: Vec<(usize, Read)>,
    /// (point, last commit acknowledged).
    acknowledged: Vec<(usize, u64)>,
    /// (point, position, last commit before it).
    checkpoints: Vec<(usize, LogPosition, u64)>,
}

/// How much a check looks at.
#[derive(Clone, Copy)]
pub struct Effort {
    pub steps: usize,
    pub images_per_point: usize,
    /// One of so many images is also crashed during its recovery.
    pub again_one_of: usize,
}

/// Runs one random workload and checks its crash images; returns how many there were.
pub fn crash_check(seed: u64, effort: Effort) -> Result<usize, String> {
    let disk = SimDisk::new(seed);
    let history = run(&disk, seed, effort.steps)?;
    let mut random = SplitMix64::new(seed ^ 0xc0ffee);
    let mut count = 0;
    let options = CrashOptions {
        seed,
        combinations_max: effort.images_per_point,
        images_per_point: effort.images_per_point,
        ..CrashOptions::default()
    };
    for image in disk.crash_images(options) {
        count += 1;
        let again = random.chance(1, effort.again_one_of);
        let verdict = check_image(&image, &history, again, &mut count);
        verdict.map_err(|reason| format!("seed {seed}, {image}: {reason}"))?;
    }
    Ok(count)
}

/// Appends, syncs, checkpoints, prepares and reopens at random.
fn run(disk: &SimDisk, seed: u64, steps: usize) -> Result<History, String> {
    let mut random = SplitMix64::new(seed);
    let mut history = History::default();
    let fail = |error: sopasync_core::Error| format!("seed {seed}, workload: {error}");
    let (mut log, _) = open(disk, SEGMENT_BYTES, None).map_err(fail)?;
    history.checkpoints.push((disk.trace_len(), log.head(), 0));
    let mut last = 0;
    for _ in 0..steps {
        match random.below(20) {
            0..10 => {
                last += 1;
                let bytes = pick_size(&mut random);
                let read = (last, payload(last, 0, bytes));
                history.appended.push((disk.trace_len(), read));
                append(&mut log, last, 0, bytes).map_err(fail)?;
            }
            10..15 => {
                log.sync().map_err(fail)?;
                history.acknowledged.push((disk.trace_len(), last));
            }
            15 | 16 => {
                log.sync().map_err(fail)?;
                history.acknowledged.push((disk.trace_len(), last));
                let point = disk.trace_len();
                history.checkpoints.push((point, log.head(), last));
                log.truncate_before(log.head()).map_err(fail)?;
            }
            17 | 18 => log.prepare_next().map_err(fail)?,
            _ => {
                if random.chance(1, 2) {
                    log.close().map_err(fail)?;
                    history.acknowledged.push((disk.trace_len(), last));
                }
                let (_, from, before) = *history.checkpoints.last().expect("there is a first");
                let (reopened, found) = open(disk, SEGMENT_BYTES, Some(from)).map_err(fail)?;
                log = reopened;
                expect_reads(&found, &expected(&history, usize::MAX, before, last))?;
                // Opening makes durable what it reads.
                history.acknowledged.push((disk.trace_len(), last));
            }
        }
    }
    Ok(history)
}

fn pick_size(random: &mut SplitMix64) -> usize {
    match random.below(8) {
        0 => 0,
        1..4 => random.below(200),
        4..6 => 200, // equal sizes let stale groups fit behind new ones
        6 => random.below(2000),
        _ => random.below(12_000), // larger than a segment now and then
    }
}

/// The groups after commit `before` up to `last` whose append began before `point`.
fn expected(history: &History, point: usize, before: u64, last: u64) -> Vec<Read> {
    let wanted = |read: &Read| read.0 > before && read.0 <= last;
    let groups = history.appended.iter();
    groups
        .filter(|(begun, read)| *begun < point && wanted(read))
        .map(|(_, read)| read.clone())
        .collect()
}

fn check_image(image: &CrashImage, history: &History, again: bool, count: &mut usize) -> Verdict {
    let acknowledged = history
        .acknowledged
        .iter()
        .rev()
        .find(|(point, _)| *point <= image.point)
        .map_or(0, |(_, last)| *last);
    let checkpoint = history
        .checkpoints
        .iter()
        .rev()
        .find(|(point, ..)| *point <= image.point);
    let (from, before) = checkpoint.map_or((None, 0), |(_, from, last)| (Some(*from), *last));
    let possible = expected(history, image.point, before, u64::MAX);
    let last = recover_and_go_on(&image.disk, from, before, acknowledged, &possible)?;
    if !again {
        return Ok(());
    }
    // Crash during that recovery and during what came after it.
    let options = CrashOptions {
        seed: image.point as u64,
        combinations_max: 4,
        images_per_point: 4,
        ..CrashOptions::default()
    };
    let first_life: Vec<Read> = possible.iter().filter(|r| r.0 <= last).cloned().collect();
    for second in image.disk.crash_images(options) {
        *count += 1;
        // The second life went on with these, after commit `last`.
        let mut both = first_life.clone();
        both.extend(second_life(last));
        let verdict = match recover(&second.disk, from, before, acknowledged, &possible) {
            Ok(_) => Ok(()),
            Err(_) => recover(&second.disk, from, before, acknowledged, &both).map(|_| ()),
        };
        verdict.map_err(|reason| format!("then {second}: {reason}"))?;
    }
    Ok(())
}

/// What is appended after a recovery that ended with commit `last`.
fn second_life(last: u64) -> Vec<Read> {
    let sizes = [200, 200, 3000, 200];
    let seqs = last + 1..;
    seqs.zip(sizes)
        .map(|(seq, bytes)| (seq, payload(seq, 1, bytes)))
        .collect()
}

/// Opens the log and checks what it reads; returns it and what was read.
fn recover(
    disk: &SimDisk,
    from: Option<LogPosition>,
    before: u64,
    acknowledged: u64,
    possible: &[Read],
) -> Result<(sopasync_core::log::FileLog, Vec<Read>), String> {
    let (log, found) =
        open(disk, SEGMENT_BYTES, from).map_err(|error| format!("opening: {error}"))?;
    let last = found.last().map_or(before, |read| read.0);
    if last < acknowledged {
        return Err(format!(
            "commit {acknowledged} was acknowledged, and the log ends with {last}"
        ));
    }
    if found.len() > possible.len() {
        return Err(format!("read commit {last}, which was never appended"));
    }
    expect_reads(&found, &possible[..found.len()])?;
    Ok((log, found))
}

/// Recovers, appends one group at a time, and each time reads everything back. Returns the last commit recovered.
fn recover_and_go_on(
    disk: &SimDisk,
    from: Option<LogPosition>,
    before: u64,
    acknowledged: u64,
    possible: &[Read],
) -> Result<u64, String> {
    let fail = |error: sopasync_core::Error| format!("going on: {error}");
    let (mut log, mut all) = recover(disk, from, before, acknowledged, possible)?;
    let last = all.last().map_or(before, |read| read.0);
    for read in second_life(last) {
        append(&mut log, read.0, 1, read.1.len()).map_err(fail)?;
        log.sync().map_err(fail)?;
        all.push(read);
        // A process that starts now, and a reader without a judgement of its own.
        let copy = disk.duplicate(all.len() as u64);
        let (_, found) = open(&copy, SEGMENT_BYTES, from).map_err(fail)?;
        expect_reads(&found, &all).map_err(|reason| format!("going on: {reason}"))?;
    }
    Ok(last)
}
