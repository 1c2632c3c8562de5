//! The exact nearest rows, by measuring every row that is kept.
//!
//! ```text
//! keep    which rows take part
//! single  one query
//! batch   many queries, for which the rows are read from memory once
//! ```
//!
//! Rows are prepared, lie one after the other, and are known by their places, from 0. Results do not depend on
//! how the work is divided: a kernel gives the same bits in all its forms (K1), and [`TopK`](crate::TopK) does not
//! look at the order in which hits come (T1).

mod batch;
mod keep;
mod single;
#[cfg(test)]
mod tests;

pub use batch::scan_batch;
pub(crate) use keep::kept;
pub use keep::{All, Among, Each, Keep, Words};
pub(crate) use single::{Places, Sink, measure_ids, measure_part, take};
pub use single::{scan, scan_ids, scan_part};
