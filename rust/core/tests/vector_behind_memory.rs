//! Memory while vectors are searched of which maintenance has seen none.
#![cfg(target_os = "linux")]

mod support;
mod vector_support;

use sopasync_vector::{Element, Metric};
use vector_support::memory::{DIMENSION, searches_behind_stay_within};
use vector_support::options;

#[test]
fn memory_stays_within_the_cache_and_64_mib_however_far_behind_the_index_is() {
    searches_behind_stay_within(&options(Metric::L2, Element::F32, DIMENSION));
}
