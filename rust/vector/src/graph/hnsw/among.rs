//! The nearest of chosen rows without walking: every one of them is measured by its code, the best of them by themselves.
//!
//! For filters that leave few rows a walk looks at many for nothing, and measuring whole rows reads four times the bytes.

use super::Hnsw;
use super::search::candidates;
use crate::graph::rows::Rows;
use crate::graph::scratch;
use crate::kernel::Kernel;
use crate::scan::{Among, scan, scan_ids};
use crate::top::{Hit, TopK};

impl Hnsw<'_> {
    /// See [`Graph::among`](crate::graph::Graph::among).
    pub(super) fn scan_codes(&self, query: &[u8], among: &Among<'_>, k: usize) -> Option<Vec<Hit>> {
        let codes = self.view.codes.as_ref()?;
        let mut scratch = scratch::borrow();
        let scratch = &mut *scratch;
        let space = self.rows.kernel().space();
        let error = codes.encode(space, query, &mut scratch.distances, &mut scratch.code);
        if !codes.stands_for(error) {
            return None; // steps::S2
        }
        let kernel = Kernel::of(&codes.space);
        let mut near = TopK::new(candidates(k));
        match among {
            Among::Slots(slots) => {
                scan_ids(&kernel, &scratch.code, codes.rows, slots, &mut near);
            }
            Among::Kept(keep) => scan(&kernel, &scratch.code, codes.rows, keep, &mut near),
        }
        scratch.slots.clear();
        scratch
            .slots
            .extend(near.into_sorted().iter().map(|hit| hit.slot));
        Some(nearest_of(
            &self.rows,
            query,
            &scratch.slots,
            k,
            &mut scratch.distances,
        ))
    }
}

fn nearest_of(
    rows: &Rows<'_>,
    query: &[u8],
    slots: &[u32],
    k: usize,
    distances: &mut Vec<f32>,
) -> Vec<Hit> {
    rows.gather(query, slots, distances);
    let mut best = TopK::new(k);
    for (&slot, &distance) in slots.iter().zip(&*distances) {
        best.push(distance, slot);
    }
    best.into_sorted()
}
