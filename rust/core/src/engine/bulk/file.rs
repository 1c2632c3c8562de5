//! The page file and the folder as a load uses them: only while this process owns them.

use std::sync::Arc;

use crate::disk::File;
use crate::engine::core::Engine;
use crate::error::{Error, Result};
use crate::tree::PageFile;

/// See the module.
#[derive(Clone)]
pub(super) struct Owned(pub(super) Arc<Engine>);

impl Owned {
    /// Runs `work` while nobody can give the database up (K3).
    pub(super) fn while_owned<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let owner = self.0.owner.lock();
        if owner.is_none() {
            return Err(Error::Closed {
                what: "the database",
            });
        }
        work()
    }

    /// Makes an empty file.
    pub(super) fn make(&self, name: &str) -> Result<Arc<dyn File>> {
        self.while_owned(|| {
            self.0
                .disk
                .open(name, true)
                .and_then(|file| file.set_len(0).map(|()| file))
                .map_err(|error| Error::io(name, "make", &error))
        })
    }

    /// Removes a file. A failure is left to the next opening.
    pub(super) fn remove(&self, name: &str) {
        let _ = self.while_owned(|| {
            self.0
                .disk
                .remove(name)
                .map_err(|error| Error::io(name, "remove", &error))
        });
    }
}

impl PageFile for Owned {
    fn page_bytes(&self) -> usize {
        self.0.pager.page_bytes()
    }

    fn allocate(&self, span: u64) -> u64 {
        self.0.pager.allocate(span)
    }

    fn release(&self, id: u64, span: u64) {
        self.0.pager.release(id, span);
    }

    fn write(&self, id: u64, bytes: &[u8]) -> Result<()> {
        self.while_owned(|| self.0.pager.write_run(id, bytes))
    }
}
