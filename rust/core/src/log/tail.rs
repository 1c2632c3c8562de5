//! Where the log ends: tells a tail torn by a crash from damage.
//!
//! At the first frame that cannot be read, later frames bear witness. Each carries `synced`, up to where the log
//! was durable when it was written. If one says that the unreadable place was durable, it is damaged, for a
//! crash cannot tear what was synced. If none does, the crash came before the sync and nothing behind the
//! place was acknowledged.
//!
//! At most two segments hold unsynced frames at any time (`FileLog` sees to it), so a frame two
//! segments on is a witness by being there.

use super::frame::{ALIGNMENT, FRAME_HEADER_BYTES, FrameHeader, mark};
use super::segment::{HEADER_BYTES, Segment, path_of};
use super::window::Window;
use crate::disk::Disk;
use crate::mutants::mutant;
use crate::{Error, Result};

const STEP_BYTES: u64 = 1 << 20;

/// A frame behind the place where reading stopped.
#[derive(Clone, Copy)]
struct Witness {
    /// Up to where it says the log was durable.
    synced: u64,
    /// Where it is.
    at: u64,
}

/// Judges the place `end` where reading of `segment` stopped: an error if it is damaged. `later` are the numbers of
/// all later segments.
pub(super) fn judge(disk: &dyn Disk, segment: &Segment, end: u64, later: &[u64]) -> Result<()> {
    if let Some(Witness { synced, at }) = look_behind(disk, segment, end)?
        && synced > end
    {
        return Err(damage(disk, segment, end, &segment.name, at));
    }
    let mut before = segment.clone();
    for (steps, number) in later.iter().enumerate() {
        let next = Segment::open(disk, *number, segment.header.database_id, false)?;
        if next.header.previous_salt != before.header.salt || mutant("log-ignore-later-segments") {
            break; // left over from before an earlier recovery
        }
        if let Some(Witness { synced, at }) = look_behind(disk, &next, HEADER_BYTES)?
            && (steps > 0 || synced >= HEADER_BYTES)
        {
            return Err(damage(disk, segment, end, &next.name, at));
        }
        before = next;
    }
    Ok(())
}

fn damage(disk: &dyn Disk, segment: &Segment, end: u64, witness: &str, at: u64) -> Error {
    let reason = format!(
        "there is no readable group here, and a later one (byte {at} of {witness}) shows that it was durable"
    );
    Error::corruption(path_of(disk, &segment.name), end, reason)
}

/// Looks at every aligned place of `segment` from `from` on for headers of frames, and returns the one that says
/// the most.
fn look_behind(disk: &dyn Disk, segment: &Segment, from: u64) -> Result<Option<Witness>> {
    let mut best: Option<Witness> = None;
    let mut window = Window::new(STEP_BYTES as usize);
    let salt = segment.header.salt;
    let mark = mark(salt).to_le_bytes();
    let mut offset = from;
    loop {
        let bytes = window
            .slice(segment, offset, STEP_BYTES)
            .map_err(|error| Error::io(path_of(disk, &segment.name), "read", &error))?;
        for (index, word) in bytes.chunks_exact(ALIGNMENT as usize).enumerate() {
            if word[..4] != mark {
                continue;
            }
            // A header across two steps is seen in the next one, which begins before it.
            let within = index * ALIGNMENT as usize;
            let at = offset + within as u64;
            let Some(header) = FrameHeader::decode(&bytes[within..], salt, at) else {
                continue;
            };
            let synced = believed(header.synced);
            if best.is_none_or(|witness| synced > witness.synced) {
                best = Some(Witness { synced, at });
            }
        }
        if (bytes.len() as u64) < STEP_BYTES {
            return Ok(best);
        }
        offset += STEP_BYTES - FRAME_HEADER_BYTES;
    }
}

fn believed(synced: u64) -> u64 {
    if mutant("log-trust-all-later-frames") {
        u64::MAX
    } else if mutant("log-ignore-later-frames") {
        0
    } else {
        synced
    }
}
