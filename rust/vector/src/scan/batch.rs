//! Many queries against many rows, for which every row is read from memory once.

use super::keep::{Keep, each_bit, kept};
use super::single::take;
use crate::{Kernel, TopK};

/// Bytes of rows that are measured against all queries before the next ones are read: a part of the second cache.
const ROWS_BYTES: usize = 128 << 10;

/// Bytes of queries that are measured together: a part of the first cache.
const QUERIES_BYTES: usize = 16 << 10;

/// Collect the nearest of the kept rows for every query.
///
/// # Panics
/// When `queries` or `rows` are not whole prepared rows, or `tops` has not one element for every query.
pub fn scan_batch(
    kernel: &Kernel,
    queries: &[u8],
    rows: &[u8],
    keep: &impl Keep,
    tops: &mut [TopK],
) {
    let bytes = kernel.row_bytes();
    assert!(
        rows.len().is_multiple_of(bytes),
        "the rows are not whole ones of {bytes} bytes"
    );
    assert!(
        queries.len() == tops.len() * bytes,
        "a query of {bytes} bytes for every result"
    );
    let count = rows.len() / bytes;
    let block = (ROWS_BYTES / bytes).next_multiple_of(64).min(1024);
    let together = (QUERIES_BYTES / bytes).max(4);
    let mut distances = vec![0.0; block * together.min(tops.len())];
    let (mut copies, mut slots) = (Vec::new(), Vec::new());
    for first in (0..count).step_by(block) {
        let end = count.min(first + block);
        slots.clear();
        for index in first / 64..end.div_ceil(64) {
            each_bit(kept(keep, index, count), |bit| {
                slots.push((index * 64 + bit) as u32)
            });
        }
        let rows = if slots.len() == end - first {
            &rows[first * bytes..end * bytes]
        } else {
            // What is kept is brought together; that costs less than one more query.
            copies.clear();
            for &slot in &slots {
                copies.extend_from_slice(&rows[slot as usize * bytes..(slot as usize + 1) * bytes]);
            }
            &copies
        };
        if slots.is_empty() {
            continue;
        }
        for (queries, tops) in queries
            .chunks(together * bytes)
            .zip(tops.chunks_mut(together))
        {
            let distances = &mut distances[..slots.len() * tops.len()];
            kernel.batch(queries, rows, distances);
            for (distances, top) in distances.chunks_exact(slots.len()).zip(tops) {
                take(distances, top, |at| Some(slots[at]));
            }
        }
    }
}
