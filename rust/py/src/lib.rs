//! The Python extension `sopasync._core`: the engine, key codecs and value codecs as Python sees them.
//!
//! No thread of the engine touches Python: results wait in `Completions` until the loop's thread drains them.

mod classes;
mod error;
mod key;
mod value;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<key::KeyCodec>()?;
    module.add_function(wrap_pyfunction!(key::prefix_end, module)?)?;
    module.add_function(wrap_pyfunction!(value::encode_value, module)?)?;
    module.add_function(wrap_pyfunction!(value::decode_value, module)?)?;
    Ok(())
}
