//! `.usearch` files: vectors of a store written with a graph, and read back. Blocking.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sopasync_core::vector::VectorOptions;
use sopasync_vector::graph::hnsw::{self, Hnsw};
use sopasync_vector::graph::usearch::{Import, export};
use sopasync_vector::graph::{Heap, Options, Work};

use crate::error::{from_core, invalid_argument};

/// Writes vectors, one after the other in `rows`, with a graph built of them, as a file of the usearch library.
#[pyfunction]
pub fn write_usearch(
    py: Python<'_>,
    path: PathBuf,
    options: &[u8],
    keys: Vec<u64>,
    rows: &[u8],
) -> PyResult<()> {
    let options = VectorOptions::parse(options).map_err(|error| from_core(py, &error))?;
    let written = py.detach(|| write(&path, &options, &keys, rows));
    written.map_err(|error| invalid_argument(py, &format!("{}: {error}", path.display())))
}

fn write(
    path: &PathBuf,
    options: &VectorOptions,
    keys: &[u64],
    rows: &[u8],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let space = &options.space;
    let mut prepared = Vec::with_capacity(keys.len() * space.prepared_bytes());
    for row in rows.chunks_exact(space.row_bytes()) {
        space.prepare(row, &mut prepared);
    }
    let build = Options {
        links: options.links,
        ef_construction: options.ef_construction,
        ..Options::default()
    };
    let work = Work {
        threads: 1,
        stop: &AtomicBool::new(false),
        progress: &|_, _| {},
        room: &Heap,
    };
    let graph = hnsw::build(space, &prepared, &build, &work)?;
    let graph = Hnsw::open(&graph, space, &prepared).map_err(|error| format!("{error:?}"))?;
    let row = |slot: u32| &rows[slot as usize * space.row_bytes()..][..space.row_bytes()];
    let mut out = BufWriter::new(File::create(path)?);
    export(&mut out, &graph, keys, row)?;
    out.flush()?;
    Ok(())
}

/// What `read_usearch` gives: metric, element, dimension, keys, vectors one after the other.
type Read<'py> = (String, String, usize, Vec<u64>, Bound<'py, PyBytes>);

/// Reads a file of the usearch library.
#[pyfunction]
pub fn read_usearch(py: Python<'_>, path: PathBuf) -> PyResult<Read<'_>> {
    let read = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let file = std::fs::read(&path)?;
        let import = Import::open(&file).map_err(|error| error.to_string())?;
        let space = *import.space();
        let mut keys = Vec::with_capacity(import.count());
        let mut rows = Vec::with_capacity(import.count() * space.row_bytes());
        for (key, row) in import.iter() {
            keys.push(key);
            rows.extend_from_slice(&row);
        }
        Ok((space, keys, rows))
    };
    let (space, keys, rows) = py
        .detach(read)
        .map_err(|error| invalid_argument(py, &format!("{}: {error}", path.display())))?;
    Ok((
        space.metric().to_string(),
        space.element().to_string(),
        space.dimension(),
        keys,
        PyBytes::new(py, &rows),
    ))
}
