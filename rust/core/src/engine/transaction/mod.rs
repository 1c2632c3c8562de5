//! A transaction: one snapshot to read, writes kept aside until it commits.

mod claim;
mod end;
mod links;
mod pending;
mod position;
mod read;
mod stores;
mod ticket;
mod write;

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::core::Engine;
use super::options::{Isolation, TransactionOptions};
use super::part::Part;
use crate::error::{Error, Result};
use crate::page::LargeRef;
use crate::txn::Snapshot;

pub use links::{Link, Links};
pub use pending::Pending;
pub(in crate::engine) use pending::PendingWork;
pub use read::{Access, Entry, KeptValue};
pub use ticket::CommitTicket;
pub use write::Savepoint;

use write::Change;

/// See the module. Dropping it rolls it back; nothing waits for that.
pub struct Transaction {
    pub(in crate::engine) engine: Arc<Engine>,
    snapshot: Arc<Snapshot>,
    options: TransactionOptions,
    parts: Vec<Part>,
    index: FxHashMap<u64, usize>,
    names: Vec<(String, Option<u64>)>,
    catalogue: bool,
    extents: Vec<LargeRef>,
    journal: Option<Vec<Change>>,
    write_bytes: usize,
}

impl Transaction {
    pub(super) fn new(engine: Arc<Engine>, options: TransactionOptions) -> Self {
        let snapshot = engine.published.load_full();
        Self {
            engine,
            snapshot,
            options,
            parts: Vec::new(),
            index: FxHashMap::default(),
            names: Vec::new(),
            catalogue: false,
            extents: Vec::new(),
            journal: None,
            write_bytes: 0,
        }
    }

    /// Commit number of the snapshot it reads.
    pub fn seq(&self) -> u64 {
        self.snapshot.seq
    }

    /// Is it one of a process that follows the owner of the database?
    pub(crate) fn is_following(&self) -> bool {
        self.engine.options.read_only
    }

    /// Has anything been written?
    pub fn has_writes(&self) -> bool {
        self.parts
            .iter()
            .any(|part| part.created || part.removed || !part.writes.is_empty())
            || self.has_pending()
    }

    /// Bytes of keys and values written, roughly.
    pub fn write_bytes(&self) -> usize {
        self.write_bytes
    }

    /// How many keys and ranges it remembers having read.
    pub fn reads(&self) -> usize {
        self.parts.iter().map(|part| part.reads.len()).sum()
    }

    fn tracks(&self, access: Access) -> bool {
        access.track && !self.options.read_only && self.options.isolation == Isolation::Serializable
    }

    fn ensure_writable(&self) -> Result<()> {
        if self.options.read_only {
            return Err(Error::ReadOnly {
                what: "the transaction",
            });
        }
        if self.engine.options.read_only {
            return Err(Error::ReadOnly {
                what: "the database",
            });
        }
        self.engine.ensure_open()
    }

    #[inline]
    fn part(&mut self, id: u64) -> Result<usize> {
        if let Some(&place) = self.index.get(&id) {
            if self.parts[place].removed {
                return Err(Error::StoreNotFound {
                    store: self.parts[place].info.name.clone(),
                });
            }
            return Ok(place);
        }
        let Some(store) = self.snapshot.stores.get(id) else {
            return Err(Error::StoreNotFound {
                store: format!("number {id}"),
            });
        };
        let place = self.parts.len();
        self.parts
            .push(Part::new(Arc::clone(&store.info), store.root, false));
        self.index.insert(id, place);
        Ok(place)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.engine
            .release_extents(&std::mem::take(&mut self.extents));
    }
}
