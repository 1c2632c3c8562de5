//! What is kept in memory beside a text store.

use std::sync::Arc;

use parking_lot::Mutex;
use sopasync_text::index::{Cache, Failure, Policy};

use super::rules::{RULES, Rules, RulesRow};
use super::store::aside;
use crate::engine::Transaction;
use crate::error::{Error, Result};
use crate::txn::StoreInfo;

/// The kind of text stores in the catalogue.
pub const TEXT_KIND: u8 = 3;

/// Rules kept: the newest, and those of older snapshots.
const RULES_MAX: usize = 3;
/// Generations of which views are kept: the one that answers and the one that is made.
const CACHES_MAX: usize = 2;

/// See the module. What it says follows from the store's options, which never change, and from its rows.
pub(super) struct Index {
    /// Options the store was made with.
    pub(super) options: Vec<u8>,
    /// The last used first.
    rules: Mutex<Vec<Arc<Rules>>>,
    /// By generation, the newest first.
    caches: Mutex<Vec<(u64, Arc<Cache>)>>,
    /// Set by tests that want more to happen with less.
    pub(super) policy: Mutex<Policy>,
}

impl Index {
    pub(super) fn open(tx: &Transaction, info: &StoreInfo) -> Result<Arc<Self>> {
        if info.kind != TEXT_KIND {
            return Err(Error::invalid(format!(
                "store '{}' is no text store",
                info.name
            )));
        }
        let slot = tx.attached(info.id, || Mutex::new(None::<Arc<Self>>));
        let mut slot = slot.lock();
        if let Some(index) = &*slot {
            return Ok(Arc::clone(index));
        }
        let cache = Arc::<Cache>::default();
        let first = Rules::new(&RulesRow::default(), &info.options, Arc::clone(&cache));
        let first =
            first.map_err(|error| Error::invalid(format!("store '{}': {error}", info.name)))?;
        let index = Arc::new(Self {
            options: info.options.clone(),
            rules: Mutex::new(vec![Arc::new(first)]),
            caches: Mutex::new(vec![(0, cache)]),
            policy: Mutex::default(),
        });
        *slot = Some(Arc::clone(&index));
        Ok(index)
    }

    /// The rules at a transaction's snapshot.
    pub(super) fn rules(
        &self,
        tx: &mut Transaction,
        store: u64,
        may_wait: bool,
    ) -> Result<Arc<Rules>> {
        let found = tx.visit(store, &RULES, aside(may_wait), |_, row| {
            self.known(row).ok_or_else(|| row.to_vec())
        })?;
        let row = match found {
            Some(Ok(rules)) => return Ok(rules),
            Some(Err(row)) => row,
            None => Vec::new(),
        };
        if let Some(rules) = self.known(&row) {
            return Ok(rules);
        }
        let read = match row.is_empty() {
            true => RulesRow::default(),
            false => RulesRow::decode(&row)?,
        };
        let rules = Rules::new(&read, self.options_of(&read), self.cache(read.generation))?;
        let rules = Arc::new(Rules { row, ..rules });
        let mut known = self.rules.lock();
        known.insert(0, Arc::clone(&rules));
        known.truncate(RULES_MAX);
        Ok(rules)
    }

    fn known(&self, row: &[u8]) -> Option<Arc<Rules>> {
        let mut known = self.rules.lock();
        let at = known.iter().position(|rules| rules.row == row)?;
        known[..=at].rotate_right(1);
        Some(Arc::clone(&known[0]))
    }

    /// What is kept of a generation's index; also of the next one, while it is made.
    pub(super) fn cache(&self, generation: u64) -> Arc<Cache> {
        let mut caches = self.caches.lock();
        if let Some((_, cache)) = caches.iter().find(|cache| cache.0 == generation) {
            return Arc::clone(cache);
        }
        let cache = Arc::<Cache>::default();
        caches.insert(0, (generation, Arc::clone(&cache)));
        caches.truncate(CACHES_MAX);
        cache
    }

    /// Forgets what is kept of a generation: another one may have its number.
    pub(super) fn forget(&self, generation: u64) {
        self.caches.lock().retain(|cache| cache.0 != generation);
    }

    /// The options that are in force.
    pub(super) fn options_of<'o>(&'o self, row: &'o RulesRow) -> &'o [u8] {
        if row.current.is_empty() {
            &self.options
        } else {
            &row.current
        }
    }
}

/// The engine's error for a failure of the index; `kept` is that of the rows.
pub(super) fn failed(failure: &Failure, kept: Option<Error>) -> Error {
    match (failure, kept) {
        (Failure::Rows, Some(error)) => error,
        (Failure::Costly, _) => Error::WouldBlock,
        (Failure::Full, _) => Error::invalid(failure.to_string()),
        _ => malformed(&failure.to_string()),
    }
}

pub(super) fn malformed(reason: &str) -> Error {
    Error::corruption("a text store", 0, reason)
}
