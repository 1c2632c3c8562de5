//! The Python extension `sopasync._core`: the engine, key codecs and value codecs as Python sees them.
//!
//! No thread of the engine touches Python: results wait in `Completions` until the loop's thread drains them.

mod bulk;
mod care;
mod classes;
mod completions;
mod engine;
mod error;
mod feed;
mod filter;
mod fork;
mod index;
mod item_id;
mod kept;
mod key;
mod last_piece;
mod memory;
mod miss;
mod participant;
mod registry;
mod state;
mod text;
mod transaction;
mod value;
mod vector;
mod wake;

use pyo3::prelude::*;
use sopasync_core::MergeOp;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("MISS", miss::miss(module.py())?)?;
    for (name, op) in [
        ("ADD", MergeOp::Add),
        ("MAX", MergeOp::Max),
        ("MIN", MergeOp::Min),
        ("APPEND", MergeOp::Append),
    ] {
        module.add(name, op.code())?;
    }
    module.add_class::<engine::Engine>()?;
    module.add_class::<bulk::BulkLoader>()?;
    module.add_class::<feed::ChangeFeed>()?;
    module.add_class::<completions::Completions>()?;
    module.add_class::<transaction::Transaction>()?;
    module.add_class::<transaction::StoreInfo>()?;
    module.add_class::<participant::Participant>()?;
    module.add_class::<participant::KeyBatch>()?;
    module.add_class::<vector::VectorParticipant>()?;
    module.add_class::<index::IndexParticipant>()?;
    module.add_class::<index::JoinParticipant>()?;
    module.add_class::<index::Places>()?;
    module.add_class::<kept::KeptValue>()?;
    module.add_class::<kept::BegunRead>()?;
    module.add_class::<vector::Hit>()?;
    module.add_class::<vector::Hits>()?;
    module.add_class::<key::KeyCodec>()?;
    module.add_class::<memory::MappedBytes>()?;
    module.add_class::<miss::Miss>()?;
    module.add_class::<text::SearchParticipant>()?;
    module.add_class::<text::SearchSchema>()?;
    module.add_function(wrap_pyfunction!(text::search_language, module)?)?;
    module.add_class::<value::ValueForm>()?;
    module.add_function(wrap_pyfunction!(index::create_index, module)?)?;
    module.add_function(wrap_pyfunction!(index::drop_index, module)?)?;
    module.add_function(wrap_pyfunction!(index::has_made, module)?)?;
    module.add_function(wrap_pyfunction!(index::list_indexes, module)?)?;
    module.add_function(wrap_pyfunction!(index::open_index, module)?)?;
    module.add_function(wrap_pyfunction!(index::open_join, module)?)?;
    module.add_function(wrap_pyfunction!(key::prefix_end, module)?)?;
    module.add_function(wrap_pyfunction!(filter::payload_matches, module)?)?;
    module.add_function(wrap_pyfunction!(vector::read_usearch, module)?)?;
    module.add_function(wrap_pyfunction!(vector::write_usearch, module)?)?;
    module.add_function(wrap_pyfunction!(value::encode_value, module)?)?;
    module.add_function(wrap_pyfunction!(value::decode_value, module)?)?;
    module.add_function(wrap_pyfunction!(engine::_shutdown_all, module)?)?;
    fork::register(module)
}
