//! Graphs against brute force: what they find, in data of every shape, with every test, damaged and stopped.

mod data;
mod filter;
mod find;
mod merge;
mod nearest;
mod same;
mod usearch;
