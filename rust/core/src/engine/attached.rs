//! What is kept in memory beside a store and can be built again: the in-memory part of indexes.

use std::any::{Any, TypeId};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::database::Database;
use super::transaction::Transaction;
use crate::sync::Mutex;

type Value = Arc<dyn Any + Send + Sync>;

/// One value of each type for each store.
#[derive(Default)]
pub(super) struct Attached {
    values: Mutex<FxHashMap<(u64, TypeId), Value>>,
}

impl Attached {
    fn get<T: Any + Send + Sync>(&self, store: u64, make: impl FnOnce() -> T) -> Arc<T> {
        let mut values = self.values.lock();
        let value = values
            .entry((store, TypeId::of::<T>()))
            .or_insert_with(|| Arc::new(make()));
        let value = Arc::clone(value).downcast();
        value.unwrap_or_else(|_| unreachable!("kept under its type"))
    }

    /// Lets go of what belongs to other stores. Whoever holds it may go on using it.
    pub(super) fn retain(&self, keep: impl Fn(u64) -> bool) {
        self.values.lock().retain(|(store, _), _| keep(*store));
    }
}

impl Database {
    /// What is attached to a store, made when there is nothing yet. `make` runs under a lock: it should only make
    /// something empty. It is dropped with the store.
    pub fn attached<T: Any + Send + Sync>(&self, store: u64, make: impl FnOnce() -> T) -> Arc<T> {
        self.engine().attached.get(store, make)
    }
}

impl Transaction {
    /// The same as `Database::attached`.
    pub fn attached<T: Any + Send + Sync>(&self, store: u64, make: impl FnOnce() -> T) -> Arc<T> {
        self.engine.attached.get(store, make)
    }
}
