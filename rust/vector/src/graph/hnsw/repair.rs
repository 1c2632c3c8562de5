//! Rows that no way leads to.
//!
//! Lists that were chosen anew may have dropped the last link to a row. After the build every row is reachable from the
//! entry on the lowest level, or as many as the links have room for.

use super::build::Builder;
use super::layer::Towards;
use crate::graph::nearest::place;
use crate::graph::scratch;

/// Candidates looked at for a row that links to a lost one.
const ROOM: usize = 64;

/// Give a link to every row of the graph that cannot be reached, of `places` rows in all. `open` is room for one number of
/// each. Gives how many there were, and how many are left.
pub(super) fn reconnect(
    builder: &mut Builder<'_>,
    places: usize,
    open: &mut [u32],
) -> (usize, usize) {
    let Some(&entry) = builder.order.first() else {
        return (0, 0);
    };
    // Rows in no list are not looked for.
    let mut reached = Bits(vec![u64::MAX; places.div_ceil(64)]);
    builder.order.iter().for_each(|&slot| reached.remove(slot));
    let mut reached_count = spread(builder, entry, &mut reached, open);
    let lost = builder.order.len() - reached_count;
    if lost == 0 {
        return (0, 0);
    }
    for slot in 0..places as u32 {
        if reached.contains(slot) {
            continue;
        }
        if let Some(from) = neighbour_with_room(builder, entry, slot) {
            builder.base.append(from, slot);
            reached_count += spread(builder, slot, &mut reached, open);
        }
    }
    (lost, builder.order.len() - reached_count)
}

/// A bit of each row.
struct Bits(Vec<u64>);

impl Bits {
    fn contains(&self, slot: u32) -> bool {
        self.0[slot as usize / 64] >> (slot % 64) & 1 == 1
    }

    fn insert(&mut self, slot: u32) {
        self.0[slot as usize / 64] |= 1 << (slot % 64);
    }

    fn remove(&mut self, slot: u32) {
        self.0[slot as usize / 64] &= !(1 << (slot % 64));
    }
}

/// Mark everything that can be reached from a row. Gives how many were marked.
fn spread(builder: &Builder<'_>, from: u32, reached: &mut Bits, open: &mut [u32]) -> usize {
    reached.insert(from);
    open[0] = from;
    let (mut count, mut left) = (1, 1);
    while left > 0 {
        left -= 1;
        for &link in builder.base.of(open[left]) {
            if !reached.contains(link) {
                reached.insert(link);
                count += 1;
                open[left] = link;
                left += 1;
            }
        }
    }
    count
}

/// A row near `slot` that can be reached from the entry and whose list is not full.
fn neighbour_with_room(builder: &Builder<'_>, entry: u32, slot: u32) -> Option<u32> {
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
            return Some(place(key));
        }
        if found.len() < room {
            return None;
        }
        room *= 4;
    }
}
