//! The logical redo log: groups of transactions, appended, made durable by one sync, read back in order.
//!
//! What a group holds is opaque here. `docs/format.md` has the bytes.

mod commit_log;
mod file_log;
mod frame;
mod memory_log;
mod pool;
mod reader;
mod recovery;
mod segment;
mod tail;
mod window;

pub use commit_log::{CommitLog, Group, GroupFrame, LogPosition};
pub use file_log::{FileLog, LogOptions};
pub use memory_log::MemoryLog;
pub use pool::SegmentPool;
pub use reader::LogReader;
