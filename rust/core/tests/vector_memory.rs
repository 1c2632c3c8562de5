//! Memory while vectors pour in that are searched one by one.
#![cfg(target_os = "linux")]

mod support;
mod vector_support;

use sopasync_core::vector::{CodeKind, IndexKind, VectorOptions};
use sopasync_vector::{Element, Metric};
use vector_support::memory::{DIMENSION, stays_within};
use vector_support::options;

#[test]
fn memory_stays_within_the_cache_and_64_mib_however_many_vectors_come() {
    let options = VectorOptions {
        index: IndexKind::Exact,
        codes: CodeKind::None,
        ..options(Metric::L2, Element::F32, DIMENSION)
    };
    stays_within("without graphs", &options);
}
