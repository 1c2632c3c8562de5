//! The bytes of a `.usearch` file.
//!
//! ```text
//! rows u32 · bytes of a vector u32 · the vectors, slot by slot
//! head, 64 bytes:    "usearch" · version 3 x u16 · metric u8 · scalar u8 · key u8 · slot u8 · present u64 · deleted u64 · dimensions u64
//!                    · several of a key u8 · zeros
//! graph, 40 bytes:   size u64 · connectivity u64 · connectivity of the lowest level u64 · highest level u64 · entry slot u64
//! the level of each node, i16
//! each node:         key u64 · level i16 · for each level from the lowest:  number of links u32 · room for as many as its connectivity, u32
//! ```
//!
//! Numbers are little-endian. A deleted node keeps its place and has the key [`FREE_KEY`].

use crate::space::{Element, Metric};

pub(super) const MAGIC: &[u8; 7] = b"usearch";
pub(super) const VERSION: [u16; 3] = [2, 26, 0];
pub(super) const HEAD_BYTES: usize = 64;
pub(super) const GRAPH_BYTES: usize = 40;
pub(super) const NODE_BYTES: usize = 10;
pub(super) const FREE_KEY: u64 = u64::MAX;

/// Kinds of numbers, as the library counts them.
pub(super) mod scalar {
    pub(crate) const B1: u8 = 1;
    pub(crate) const BF16: u8 = 4;
    pub(crate) const F64: u8 = 10;
    pub(crate) const F32: u8 = 11;
    pub(crate) const F16: u8 = 12;
    pub(crate) const U64: u8 = 14;
    pub(crate) const U32: u8 = 15;
    pub(crate) const I8: u8 = 23;
}

pub(super) fn metric_code(metric: Metric) -> u8 {
    match metric {
        Metric::Cosine => b'c',
        Metric::InnerProduct => b'i',
        Metric::L2 => b'e',
        Metric::Hamming => b'b',
    }
}

pub(super) fn metric_of(code: u8) -> Option<Metric> {
    let all = [
        Metric::Cosine,
        Metric::InnerProduct,
        Metric::L2,
        Metric::Hamming,
    ];
    all.into_iter().find(|&metric| metric_code(metric) == code)
}

pub(super) fn scalar_code(element: Element) -> u8 {
    match element {
        Element::F32 => scalar::F32,
        Element::F16 => scalar::F16,
        Element::I8 => scalar::I8,
        Element::Bits => scalar::B1,
    }
}
