//! Our own graph as a `.usearch` file.
//!
//! Nothing is built again: the levels and links are the same. Rows that are equal to others, which our graph keeps aside, are
//! linked as a tree behind the row that stands for them.

use std::io::{self, Write};

use super::file::{GRAPH_BYTES, HEAD_BYTES, MAGIC, VERSION, metric_code, scalar, scalar_code};
use crate::graph::hnsw::Hnsw;

/// Write a graph with the vectors it is over. Each slot has a key and a row, as the user gave it.
///
/// The library reads a query for int8 vectors as it is only when it is given as int8 too; bits are packed from the lowest bit of a byte.
///
/// # Panics
/// When there are not as many keys as rows, or a row does not have the bytes of its space.
pub fn export<'r>(
    mut out: impl Write,
    graph: &Hnsw<'_>,
    keys: &[u64],
    row: impl Fn(u32) -> &'r [u8],
) -> io::Result<()> {
    let space = graph.space();
    let links = graph.lists();
    assert_eq!(keys.len(), links.count(), "a key for each row");
    out.write_all(&(keys.len() as u32).to_le_bytes())?;
    out.write_all(&(space.row_bytes() as u32).to_le_bytes())?;
    for slot in 0..keys.len() as u32 {
        let row = row(slot);
        assert_eq!(row.len(), space.row_bytes(), "a row of another space");
        out.write_all(row)?;
    }

    let mut head = Vec::with_capacity(HEAD_BYTES);
    head.extend_from_slice(MAGIC);
    VERSION
        .iter()
        .for_each(|part| head.extend_from_slice(&part.to_le_bytes()));
    head.extend([
        metric_code(space.metric()),
        scalar_code(space.element()),
        scalar::U64,
        scalar::U32,
    ]);
    for number in [keys.len(), 0, space.dimension()] {
        head.extend_from_slice(&(number as u64).to_le_bytes());
    }
    head.resize(HEAD_BYTES, 0);
    out.write_all(&head)?;

    let mut about = Vec::with_capacity(GRAPH_BYTES);
    let (upper, base) = links.widths();
    for number in [
        keys.len(),
        upper,
        base,
        links.levels(),
        links.entry() as usize,
    ] {
        about.extend_from_slice(&(number as u64).to_le_bytes());
    }
    out.write_all(&about)?;
    for slot in 0..keys.len() as u32 {
        out.write_all(&(links.level_of(slot) as i16).to_le_bytes())?;
    }
    let mut node = Vec::new();
    let mut list = Vec::new();
    for (slot, key) in (0..).zip(keys) {
        let top = links.level_of(slot);
        node.clear();
        node.extend_from_slice(&key.to_le_bytes());
        node.extend_from_slice(&(top as i16).to_le_bytes());
        for level in 0..=top {
            links.of(slot, level, &mut list);
            let width = if level == 0 { base } else { upper };
            node.extend_from_slice(&(list.len() as u32).to_le_bytes());
            list.resize(width, 0);
            list.iter()
                .for_each(|link| node.extend_from_slice(&link.to_le_bytes()));
        }
        out.write_all(&node)?;
    }
    out.flush()
}
