//! Vectors: how near they are, and which are nearest.
//!
//! ```text
//! space    what the vectors of a store are: metric, element, dimension; what is refused; the prepared form
//! kernel   distances of prepared rows, with the widest instructions the machine has
//! top      the k nearest seen so far
//! scan     the exact nearest of all rows, or of those a caller keeps
//! code     rows in fewer bits, for scans that read less
//! graph    approximate search over the rows of a sealed segment
//! segment  files of sealed rows with what searches them
//! ```
//!
//! A *row* is a vector's elements as bytes, little-endian, at any alignment. A *prepared* row is what kernels
//! read: see [`Space::prepare`]. The *distance* of this crate is the internal one, smaller is nearer; what users
//! see is made from it by [`Space::shown`].

pub mod code;
mod error;
pub mod graph;
pub mod half;
pub mod kernel;
#[doc(hidden)] // for tests and benchmarks
pub mod random;
pub mod scan;
pub mod segment;
mod space;
mod top;

pub use code::{Coded, Coder, Coding, scan_coded};
pub use error::Error;
pub use kernel::{Kernel, Level};
pub use scan::{scan, scan_batch};
pub use space::{DIMENSION_MAX, Element, Metric, Shown, Space};
pub use top::{Hit, TopK};
