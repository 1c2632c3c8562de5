//! Where bytes become durable: the traits every stored byte goes through, and the real disk.
//!
//! Nothing else in the engine opens, writes or syncs a file, so that the simulated disk sees,
//! tears and fails everything that matters.

mod interface;
mod real;

pub use interface::{Disk, File, LockGuard};
pub use real::RealDisk;
