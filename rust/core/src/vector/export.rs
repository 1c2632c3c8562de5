//! The vectors of a snapshot as a `.usearch` file, which the usearch library opens and searches.

use std::io::Write;
use std::sync::atomic::AtomicBool;

use sopasync_vector::graph::hnsw::{Hnsw, build};
use sopasync_vector::graph::usearch::export;
use sopasync_vector::graph::{Codes, Heap, Options, Work};

use super::VectorStore;
use super::exact::Rows;
use super::seal::failed;
use crate::engine::Transaction;
use crate::error::{Error, Result};

impl VectorStore {
    /// Writes the committed vectors of the transaction's snapshot as a `.usearch` file with a graph; how many there are.
    /// Such a file has whole numbers as keys: `number_of` gives that of an encoded key. Blocks, and builds the graph in
    /// memory; `stop` ends that early.
    pub fn export_usearch(
        &self,
        tx: &mut Transaction,
        out: impl Write,
        number_of: &dyn Fn(&[u8]) -> Option<u64>,
        stop: &AtomicBool,
    ) -> Result<u64> {
        let rows = Rows::read_all(tx, self.id, self.index.space())?;
        let numbered = |key: &Vec<u8>| {
            number_of(key).ok_or_else(|| {
                Error::invalid(
                    "a .usearch file has whole numbers from 0 as keys, and a key of this store is none",
                )
            })
        };
        let keys = rows
            .keys
            .iter()
            .map(numbered)
            .collect::<Result<Vec<u64>>>()?;
        let options = Options {
            links: self.index.options.links,
            ef_construction: self.index.options.ef_construction,
            codes: Codes::Never,
            ..Options::default()
        };
        let work = Work {
            threads: 1,
            stop,
            progress: &|_, _| (),
            room: &Heap,
        };
        let space = self.index.space();
        let prepared = rows.part().rows;
        let refused = |error: &dyn std::fmt::Display| Error::invalid(error.to_string());
        let graph = build(space, prepared, &options, &work).map_err(|error| refused(&error))?;
        let graph = Hnsw::open(&graph, space, prepared).map_err(|error| refused(&error))?;
        let bytes = space.row_bytes();
        let row = |slot: u32| {
            let at = slot as usize * bytes;
            &rows.elements[at..at + bytes]
        };
        export(out, &graph, &keys, row).map_err(failed)?;
        Ok(keys.len() as u64)
    }
}
