//! A simulated disk, for tests: it can be cut off at any moment, and failed at any call.
//!
//! It keeps, for each file, what is durable and what was written since the last sync, and the same for the
//! folder. From the trace of all changes it builds *crash images*: disks as a crash may have left them.
//! Everything follows from a seed; there is no clock, no thread and no randomness of the system in it.
//!
//! Always compiled, so that the tests of every crate can use it; the engine itself never does.
//!
//! ```
//! use std::sync::Arc;
//! use sopasync_core::disk::{CrashOptions, Disk, SimDisk};
//!
//! let disk = SimDisk::new(7);
//! let file = disk.open("pages", true).unwrap();
//! file.write_at(b"hello", 0).unwrap();
//! file.sync().unwrap();
//! disk.sync_folder().unwrap();
//! let acknowledged = disk.trace_len();
//! for image in disk.crash_images(CrashOptions::default()) {
//!     if image.point >= acknowledged {
//!         let mut bytes = [0; 5];
//!         image.disk.open("pages", false).unwrap().read_at(&mut bytes, 0).unwrap();
//!         assert_eq!(&bytes, b"hello");
//!     }
//! }
//! ```

mod bytes;
mod choice;
mod crash;
mod fault;
mod random;
mod sim_disk;
mod volume;

pub use crash::{CrashImage, CrashImages, CrashOptions};
pub use fault::{Fault, FaultKind};
pub use random::SplitMix64;
pub use sim_disk::SimDisk;
