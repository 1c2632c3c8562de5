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

/// What lies behind the place where reading stopped.
#[derive(Debug, Default)]
struct Behind {
    /// End of the last frame, readable or at least with a readable header; 0 when there is none.
    frames_end: u64,
    /// The largest `synced` of a frame, and where that frame is.
    witness: Option<(u64, u64)>,
}

/// Judges the place `end` where reading of `segment` stopped; `later` are the numbers of all later segments.
/// Returns the end of unacknowledged frames behind it (`end` itself when there are none), or the damage.
pub(super) fn judge(disk: &dyn Disk, segment: &Segment, end: u64, later: &[u64]) -> Result<u64> {
    let behind = look_behind(disk, segment, end)?;
    if let Some((synced, at)) = behind.witness
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
        let found = look_behind(disk, &next, HEADER_BYTES)?;
        if let Some((synced, at)) = found.witness
            && (steps > 0 || synced >= HEADER_BYTES)
        {
            return Err(damage(disk, segment, end, &next.name, at));
        }
        before = next;
    }
    Ok(behind.frames_end.max(end))
}

fn damage(disk: &dyn Disk, segment: &Segment, end: u64, witness: &str, at: u64) -> Error {
    let reason = format!(
        "there is no readable group here, and a later one (byte {at} of {witness}) shows that it was durable"
    );
    Error::corruption(path_of(disk, &segment.name), end, reason)
}

/// Looks at every aligned place of `segment` from `from` on for headers of frames.
fn look_behind(disk: &dyn Disk, segment: &Segment, from: u64) -> Result<Behind> {
    let mut behind = Behind::default();
    let mut window = Window::new(STEP_BYTES as usize);
    let mark = mark(segment.header.salt).to_le_bytes();
    let mut offset = from;
    loop {
        let bytes = window
            .slice(segment, offset, STEP_BYTES)
            .map_err(|error| Error::io(path_of(disk, &segment.name), "read", &error))?;
        let count = bytes.len() as u64;
        for (index, word) in bytes.chunks_exact(ALIGNMENT as usize).enumerate() {
            let at = index * ALIGNMENT as usize;
            // A header across two steps is seen in the next one, which begins before it.
            if word[..4] == mark
                && let Some(header) =
                    FrameHeader::decode(&bytes[at..], segment.header.salt, offset + at as u64)
            {
                behind.note(&header, offset + at as u64);
            }
        }
        if count < STEP_BYTES {
            return Ok(behind);
        }
        offset += STEP_BYTES - FRAME_HEADER_BYTES;
    }
}

impl Behind {
    fn note(&mut self, header: &FrameHeader, at: u64) {
        self.frames_end = self.frames_end.max(at + header.frame_bytes());
        let synced = if mutant("log-trust-all-later-frames") {
            u64::MAX
        } else if mutant("log-ignore-later-frames") {
            0
        } else {
            header.synced
        };
        if self.witness.is_none_or(|(most, _)| synced > most) {
            self.witness = Some((synced, at));
        }
    }
}
