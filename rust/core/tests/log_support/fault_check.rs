//! When the Nth call to the disk fails, once or for ever, nothing acknowledged is lost: neither for the next
//! process on the same machine, nor after a power failure then, nor when that process goes on and the power fails later.

use sopasync_core::disk::{CrashOptions, Fault, FaultKind, SimDisk};
use sopasync_core::log::FileLog;
use sopasync_core::{Error, Result};

use super::{Read, Verdict, append, expect_reads, open, payload};

const SEGMENT_BYTES: u64 = 8192;
const GROUPS: u64 = 24;

/// What was acknowledged, and what may be there.
#[derive(Default)]
struct Outcome {
    acknowledged: u64,
    appended: u64,
    errors: Vec<Error>,
}

/// Runs the workload with every fault at call `call`. Returns false when the workload makes fewer calls.
pub fn fault_check(call: u64, kind: FaultKind, forever: bool) -> std::result::Result<bool, String> {
    let disk = SimDisk::new(call);
    disk.add_fault(Fault {
        call,
        kind,
        forever,
    });
    let outcome = run(&disk);
    if disk.call_count() < call {
        return Ok(false);
    }
    let verdict = check(&disk, &outcome, call);
    verdict.map_err(|reason| {
        format!(
            "call {call} fails ({kind:?}, forever {forever}) with {:?}: {reason}",
            outcome.errors
        )
    })?;
    Ok(true)
}

/// The same when the call fails while a log is opened that a crash has torn.
pub fn recovery_fault_check(
    call: u64,
    kind: FaultKind,
    forever: bool,
) -> std::result::Result<bool, String> {
    let disk = SimDisk::new(call);
    let mut outcome = run(&disk);
    let (mut log, _) = open(&disk, SEGMENT_BYTES, None).map_err(|error| error.to_string())?;
    // Three groups that no one syncs, of which a crash leaves this and that.
    for _ in 0..3 {
        outcome.appended += 1;
        let seq = outcome.appended;
        append(&mut log, seq, 0, size(seq)).map_err(|error| error.to_string())?;
    }
    let options = CrashOptions {
        seed: 7,
        from: disk.trace_len(),
        combinations_max: 0,
        images_per_point: 16,
        ..CrashOptions::default()
    };
    let mut reached = false;
    for image in disk.crash_images(options) {
        image.disk.add_fault(Fault {
            call,
            kind,
            forever,
        });
        let result = open(&image.disk, SEGMENT_BYTES, None).map(|(_, found)| found);
        reached |= image.disk.call_count() >= call;
        let verdict = match result {
            Ok(found) => expect_reads(&found, &appended(&outcome)[..found.len()]),
            Err(Error::Corruption { .. }) => Err("taken for damage".to_owned()),
            Err(_) => Ok(()),
        };
        verdict
            .and_then(|()| check(&image.disk, &outcome, call))
            .map_err(|reason| format!("call {call} of recovery, {kind:?}, {image}: {reason}"))?;
    }
    Ok(reached)
}

/// Appends groups with a sync after every second, and tries on after errors, as no careful writer would.
fn run(disk: &SimDisk) -> Outcome {
    let mut outcome = Outcome::default();
    let mut log = match open(disk, SEGMENT_BYTES, None) {
        Ok((log, _)) => log,
        Err(error) => {
            outcome.errors.push(error);
            return outcome;
        }
    };
    for seq in 1..=GROUPS {
        outcome.appended = seq;
        if let Err(error) = step(&mut log, seq, &mut outcome.acknowledged) {
            outcome.errors.push(error);
            // The log must not take any of this.
            let retried = log.sync().map(|()| seq - 1);
            if let Ok(last) = retried {
                outcome.acknowledged = last;
            }
            let retried = append(&mut log, seq, 0, size(seq)).and_then(|_| log.sync());
            if retried.is_ok() {
                outcome.acknowledged = seq;
            }
        }
    }
    outcome
}

fn step(log: &mut FileLog, seq: u64, acknowledged: &mut u64) -> Result<()> {
    append(log, seq, 0, size(seq))?;
    if seq.is_multiple_of(2) {
        log.sync()?;
        *acknowledged = seq;
    }
    if seq.is_multiple_of(5) {
        log.prepare_next()?;
    }
    Ok(())
}

/// Frames of whole sectors, so that what lies behind a new group is never overwritten by chance.
fn size(seq: u64) -> usize {
    [512, 1024, 512][seq as usize % 3] - 48
}

fn check(disk: &SimDisk, outcome: &Outcome, seed: u64) -> Verdict {
    // The next process finds all that was written, durable or not.
    let next = disk.next_process();
    let found = expect(&next, outcome.acknowledged, &appended(outcome))?;
    go_on_and_lose_power(&next, found, seed)?;
    // Or the power fails at once.
    let options = CrashOptions {
        seed,
        from: disk.trace_len(),
        combinations_max: 4,
        images_per_point: 6,
        ..CrashOptions::default()
    };
    for image in disk.crash_images(options) {
        expect(&image.disk, outcome.acknowledged, &appended(outcome))
            .map_err(|reason| format!("{image}: {reason}"))?;
    }
    Ok(())
}

fn appended(outcome: &Outcome) -> Vec<Read> {
    let seqs = 1..=outcome.appended;
    seqs.map(|seq| (seq, payload(seq, 0, size(seq)))).collect()
}

/// Opens the log: a prefix of `possible` with all that was acknowledged.
fn expect(
    disk: &SimDisk,
    acknowledged: u64,
    possible: &[Read],
) -> std::result::Result<Vec<Read>, String> {
    let (_, found) =
        open(disk, SEGMENT_BYTES, None).map_err(|error| format!("opening: {error}"))?;
    if (found.len() as u64) < acknowledged {
        return Err(format!(
            "{acknowledged} groups were acknowledged, {} are read",
            found.len()
        ));
    }
    expect_reads(&found, &possible[..found.len().min(possible.len())])?;
    Ok(found)
}

/// What the next process read is committed: it and what follows must survive everything from then on.
fn go_on_and_lose_power(disk: &SimDisk, mut reads: Vec<Read>, seed: u64) -> Verdict {
    let fail = |error: Error| format!("the next process: {error}");
    let (mut log, _) = open(disk, SEGMENT_BYTES, None).map_err(fail)?;
    for _ in 0..2 {
        let seq = reads.len() as u64 + 1;
        // Of the same length as a group that was lost, behind which another may lie.
        append(&mut log, seq, 1, size(seq)).map_err(fail)?;
        reads.push((seq, payload(seq, 1, size(seq))));
        log.sync().map_err(fail)?;
        let options = CrashOptions {
            seed,
            from: disk.trace_len(),
            combinations_max: 4,
            images_per_point: 4,
            ..CrashOptions::default()
        };
        for image in disk.crash_images(options) {
            let found = expect(&image.disk, seq, &reads)
                .map_err(|reason| format!("the next process, {image}: {reason}"))?;
            expect_reads(&found, &reads)?;
        }
    }
    Ok(())
}
