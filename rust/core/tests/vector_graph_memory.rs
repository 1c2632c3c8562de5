//! Memory while vectors pour in, and their graphs are built.
#![cfg(target_os = "linux")]

mod support;
mod vector_support;

use sopasync_vector::{Element, Metric};
use vector_support::memory::{DIMENSION, stays_within};
use vector_support::options;

#[test]
fn memory_stays_within_the_cache_and_64_mib_while_graphs_are_built() {
    stays_within("with graphs", &options(Metric::L2, Element::F32, DIMENSION));
}
