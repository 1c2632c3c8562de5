//! Loading many entries into a new or empty store at once.
//!
//! Nothing of a load can be seen, and nothing of it is in the log, until `finish` commits one
//! record that gives the store its whole tree. Entries may come in any order: ascending ones go
//! straight into pages (`tree::bulk`); others are collected, sorted, spilled to temporary files
//! when they exceed the memory given (`sort`, `spill`), and merged (`merge`).
//!
//! Invariants
//! K1  The tree's pages are durable before the record that names them is in the log.
//! K2  A load that does not commit gives every page back, and its files are removed: by the load,
//!     or, after a crash, by the next opening (`remove_leftovers`; pages that no checkpoint and
//!     no log record reach are free anyway).
//! K3  No page and no file is written after the database was given up to another owner.
//! K4  Until a durable checkpoint holds the loaded tree, no page of it is reused, not even a dead
//!     one: replay may have to read it (`Checkpoints::loads`).

mod commit;
mod file;
mod loader;
mod merge;
mod sort;
mod spill;

pub use loader::{BulkLoader, BulkOptions, BulkTarget, Duplicates};
pub(super) use spill::remove_leftovers;
