//! Where bytes become durable: the traits every stored byte goes through, the real disk, a simulated one.
//!
//! Nothing else in the engine opens, writes or syncs a file, so that the simulated disk sees,
//! tears and fails everything that matters.

mod interface;
mod mapping;
mod real;
#[cfg(target_os = "linux")]
mod region;
mod sim;

pub use interface::{Disk, File, LockGuard};
pub use mapping::{Mapping, Scratch};
pub use real::RealDisk;
pub use sim::{CrashImage, CrashImages, CrashOptions, Fault, FaultKind, SimDisk, SplitMix64};
