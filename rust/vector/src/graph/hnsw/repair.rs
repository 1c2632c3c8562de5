//! Rows that no way leads to.
//!
//! Lists that were chosen anew may have dropped the last link to a row. After the build every row is reachable from the
//! entry on the lowest level, or as many as the links have room for.

use super::build::Builder;
use super::layer::Towards;
use crate::graph::nearest::{distance, place};
use crate::graph::scratch;

/// Candidates looked at for a row that links to a lost one.
const ROOM: usize = 64;

/// Give a link to every row that cannot be reached. Gives how many there were, and how many are left.
pub(super) fn reconnect(builder: &mut Builder<'_>) -> (usize, usize) {
    let Some(&entry) = builder.order.first() else {
        return (0, 0);
    };
    let mut reached = vec![false; builder.base.links.len() / builder.base.width];
    let mut reached_count = spread(builder, entry, &mut reached);
    let lost = builder.order.len() - reached_count;
    if lost == 0 {
        return (0, 0);
    }
    let mut slots = builder.order.clone();
    slots.sort_unstable();
    for slot in slots {
        if reached[slot as usize] {
            continue;
        }
        if let Some((from, along)) = neighbour_with_room(builder, entry, slot) {
            builder.base.append(from, slot, along);
            reached_count += spread(builder, slot, &mut reached);
        }
    }
    (lost, builder.order.len() - reached_count)
}

/// Mark everything that can be reached from a row. Gives how many were marked.
fn spread(builder: &Builder<'_>, from: u32, reached: &mut [bool]) -> usize {
    let mut count = 1;
    let mut open = vec![from];
    reached[from as usize] = true;
    while let Some(slot) = open.pop() {
        for &link in builder.base.of(slot) {
            if !reached[link as usize] {
                reached[link as usize] = true;
                count += 1;
                open.push(link);
            }
        }
    }
    count
}

/// A row near `slot` that can be reached from the entry and whose list is not full.
fn neighbour_with_room(builder: &Builder<'_>, entry: u32, slot: u32) -> Option<(u32, f32)> {
    let mut scratch = scratch::borrow();
    let scratch = &mut *scratch;
    let layer = builder.layer(0);
    let towards = Towards {
        query: builder.rows.row(slot),
        rows: builder.rows,
    };
    let mut room = ROOM;
    loop {
        scratch.entries.clear();
        scratch.entries.push(entry);
        towards.level(&layer, room, usize::MAX, scratch);
        let found = scratch.nearest.keys();
        let with_room = found
            .iter()
            .find(|&&key| builder.base.of(place(key)).len() < builder.base.width);
        if let Some(&key) = with_room {
            return Some((place(key), distance(key)));
        }
        if found.len() < room {
            return None;
        }
        room *= 4;
    }
}
