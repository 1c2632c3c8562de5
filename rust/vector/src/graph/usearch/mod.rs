//! Files of the usearch library, and graphs made by it.
//!
//! ```text
//! file     the bytes of a `.usearch` file, as its version 2 writes them
//! export   our own graph with its vectors as such a file, which the library opens and searches
//! import   keys and vectors of such a file, whoever wrote it
//! native   a graph built and walked by the library itself (feature `usearch`, which needs a C++ compiler)
//! ```
//!
//! Files are written and read without the library, so that they can be exchanged wherever this runs.

mod export;
mod file;
mod import;
#[cfg(feature = "usearch")]
pub mod native;

pub use export::export;
pub use import::{Import, ImportError};
