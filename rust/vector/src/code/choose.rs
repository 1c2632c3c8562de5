//! Which coding suits the rows: what a few of them, asked as queries, find among the others.

use super::coder::{Coder, Coding};
use super::scan::{Coded, scan_coded};
use crate::scan::{All, scan};
use crate::{Kernel, Space, TopK};

/// The share of the ten nearest that codes must find to be chosen.
pub const RECALL_MIN: f32 = 0.98;

/// Rows that are asked.
const QUERIES: usize = 16;
const NEAREST: usize = 10;

/// The first of the codings that finds enough of the nearest in a sample of prepared rows, with the share it finds; none
/// when no coding does. The last one is taken whatever it finds, if `any`.
#[must_use]
pub fn choose(
    space: &Space,
    codings: &[Coding],
    any: bool,
    sample: &[u8],
    seed: u64,
) -> Option<(Coder, f32)> {
    let count = codings.len();
    codings.iter().enumerate().find_map(|(at, coding)| {
        let coder = Coder::of(space, *coding, seed, sample).ok()?;
        let recall = recall(&coder, sample);
        (recall >= RECALL_MIN || (any && at + 1 == count)).then_some((coder, recall))
    })
}

/// The share of the nearest that a scan of codes finds, over some of the rows.
fn recall(coder: &Coder, rows: &[u8]) -> f32 {
    let kernel = Kernel::of(&coder.space);
    let count = rows.len() / kernel.row_bytes();
    let mut codes = Vec::new();
    coder.push(&mut codes, 0, rows);
    let coded = Coded {
        kernel: &kernel,
        coder,
        codes: &codes,
        rows,
    };
    let (mut found, mut wanted) = (0, 0);
    for query in rows
        .chunks_exact(kernel.row_bytes())
        .step_by(count.div_ceil(QUERIES).max(1))
    {
        let (mut exact, mut near) = (TopK::new(NEAREST), TopK::new(NEAREST));
        scan(&kernel, query, rows, &All, &mut exact);
        scan_coded(
            &coded,
            query,
            &All,
            coder.candidates(NEAREST, count),
            &mut near,
        );
        let exact = exact.into_sorted();
        wanted += exact.len();
        // Equal distances are equally good.
        let worst = exact.last().map_or(f32::NEG_INFINITY, |hit| hit.distance);
        found += near
            .into_sorted()
            .iter()
            .filter(|hit| hit.distance <= worst)
            .count();
    }
    if wanted == 0 {
        1.0
    } else {
        found as f32 / wanted as f32
    }
}
