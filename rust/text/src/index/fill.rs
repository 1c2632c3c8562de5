//! The names and words of documents that get slots in the merged index, and of those whose deletion was merged: written part by part.
//!
//! Invariants
//! 1. What is written for slots that the manifest does not count yet is looked at by nobody, and written again when a fold begins anew.
//! 2. Of a document that came and went within one fold, nothing is written but its place.

use rustc_hash::FxHashSet;

use super::dead::Dead;
use super::failure::{Failure, Result};
use super::forward::{self, Known};
use super::maintain::Shape;
use super::merge::Placed;
use super::names::{self, Names};
use super::rows::RowsMut;
use crate::mutants::mutant;

/// Slots between two looks at how much was done, where it does not follow from how many words their documents have: whole parts of names.
const UNIT: u32 = 1024;

/// Writes what these deltas know of the slots from `from` to the end of a part of words, or of the last delta; where that is, and bytes written.
pub(crate) fn fill(
    rows: &dyn RowsMut,
    shape: Shape,
    deltas: &[Placed],
    gone: &FxHashSet<u32>,
    from: u32,
) -> Result<(u32, usize)> {
    let last = deltas.last().map_or(Ok(from), Placed::end)?;
    let (end, mut work) = match shape.keeps_words {
        false => (last.min((from / UNIT + 1).saturating_mul(UNIT)), 0),
        true => forward::append(rows, (from, last), shape.fields, |slot| {
            match gone.contains(&slot) {
                true => Ok(Known::default()),
                false => known(deltas, slot),
            }
        })?,
    };
    let mut slot = from;
    while slot < end {
        let (number, inside) = (slot / names::PART, slot % names::PART);
        let mut part = names::read_part(rows, number, inside)?;
        let stop = end.min((number + 1) * names::PART);
        for slot in slot..stop {
            part.push(match gone.contains(&slot) {
                true => b"",
                false => name(deltas, slot)?,
            });
        }
        work += names::write_part(rows, number, &part)?;
        slot = stop;
    }
    Ok((end, work))
}

/// The number of the delta a slot is in, and its place there.
fn of(deltas: &[Placed], slot: u32) -> Result<(usize, u32)> {
    let at = deltas.partition_point(|placed| placed.base <= slot);
    let at = at.checked_sub(1);
    let at = at.ok_or(Failure::Malformed("a slot is of no document"))?;
    Ok((at, slot - deltas[at].base))
}

fn name(deltas: &[Placed], slot: u32) -> Result<&[u8]> {
    let (at, place) = of(deltas, slot)?;
    let name = deltas[at].delta.names.get(place as usize);
    name.ok_or(Failure::Malformed("a document has no name"))
}

fn known(deltas: &[Placed], slot: u32) -> Result<Known<'_>> {
    let (at, place) = of(deltas, slot)?;
    let mut known = deltas[at].delta.known(place)?;
    for word in &mut known.words {
        word.0 |= (at as u64) << 32;
    }
    if mutant("text-lose-words") {
        known.words.pop();
    }
    Ok(known)
}

/// Takes the dead out of the unit that begins at `from`, of `slots` in all; where it ends, and bytes written.
pub(crate) fn strip(
    rows: &dyn RowsMut,
    shape: Shape,
    dead: &Dead,
    from: u32,
    slots: u32,
) -> Result<(u32, usize)> {
    let (end, mut work) = match shape.keeps_words {
        false => (slots.min(from.saturating_add(UNIT)), 0),
        true => forward::strip(rows, from, shape.fields, |slot| dead.contains(slot))?,
    };
    if end > slots {
        return Err(Failure::Malformed("there are words of no document"));
    }
    // A unit may end within a part of names: this is stripped by the unit that it ends in.
    let whole = |slot: u32| slot - slot % names::PART;
    let last = if end == slots { slots } else { whole(end) };
    for first in (whole(from)..last).step_by(names::PART as usize) {
        let stop = slots.min(first + names::PART);
        if !(first..stop).any(|slot| dead.contains(slot)) {
            continue;
        }
        let old = names::read_part(rows, first / names::PART, stop - first)?;
        let mut part = Names::default();
        for (name, slot) in (first..stop).enumerate() {
            let name = old.get(name).unwrap_or_default();
            part.push(if dead.contains(slot) { b"" } else { name });
        }
        if part != old {
            work += names::write_part(rows, first / names::PART, &part)?;
        }
    }
    Ok((end, work))
}
