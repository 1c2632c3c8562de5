//! Segment files: what is written is read, damage is found, other formats are refused, released files stay readable.

#[path = "../graph/data.rs"]
#[allow(dead_code, reason = "the tests of graphs use all of it")]
mod data;

mod damage;
mod golden;
mod whole;
