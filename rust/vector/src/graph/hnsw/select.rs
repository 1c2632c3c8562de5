//! Which of the near rows become links.
//!
//! A candidate is taken unless one already taken is nearer to it than the row itself: then the way over that one is as good,
//! and the link is kept for another direction (the heuristic of Malkov and Yashunin, "Efficient and robust approximate nearest
//! neighbor search using hierarchical navigable small world graphs", 2016, algorithm 4).

use super::layer::Growing;
use crate::graph::nearest::{distance, place};
use crate::graph::rows::Rows;

/// Append at most `room` of `candidates` (keys, nearest first) to `chosen`.
pub(super) fn select(
    layer: Growing<'_>,
    rows: Rows<'_>,
    candidates: &[u64],
    room: usize,
    chosen: &mut Vec<u64>,
) {
    let first = chosen.len();
    for &candidate in candidates {
        if chosen.len() - first == room {
            break;
        }
        let to_row = distance(candidate);
        let slot = layer.slot(place(candidate));
        let own_way = chosen[first..].iter().all(|&other| {
            let between = rows.between(slot, layer.slot(place(other)));
            // Rows that no distance tells apart must not fill all links of each other.
            between >= to_row && !(between == 0.0 && to_row == 0.0)
        });
        if own_way {
            chosen.push(candidate & !1);
        }
    }
}
