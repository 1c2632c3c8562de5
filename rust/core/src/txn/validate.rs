//! Optimistic validation: is everything a transaction saw still so at the tip?
//!
//! Serializable transactions claim what they read: entries, absent keys, ranges, counts. Snapshot
//! isolation claims only that the keys it writes are as they were (first committer wins). Both
//! are answered by comparing the snapshot's tree with the tip's (`tree::diff`), which is exact.
//! The read phase, validation and write phase are those of Kung and Robinson, "On Optimistic
//! Methods for Concurrency Control" (1981), with validation and application in one critical section.

use crossbeam_epoch::Guard;

use super::read_set::ReadSet;
use super::snapshot::Snapshot;
use super::stores::Store;
use super::tip::Tip;
use crate::error::{Error, Result};
use crate::mutants::mutant;
use crate::page::ChildRef;
use crate::pager::Pager;
use crate::tree::{Reader, get, same_at, same_between};

/// What must still hold for one store.
pub(crate) struct StoreClaims {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// The transaction made it: at its snapshot there was no such store.
    pub(crate) created: bool,
    /// The transaction removes it.
    pub(crate) removed: bool,
    pub(crate) reads: ReadSet,
    /// Keys that must be unchanged because they are written.
    pub(crate) written: Vec<Box<[u8]>>,
    /// The transaction writes to it, makes or removes it, so its indexes must be those that were known.
    pub(crate) changed: bool,
    /// Of a store the transaction makes: catalogue names and options of the indexes it makes for it.
    pub(crate) indexes_made: Vec<(String, Vec<u8>)>,
}

/// Everything that must still hold.
#[derive(Default)]
pub(crate) struct Claims {
    pub(crate) stores: Vec<StoreClaims>,
    /// Names looked up, and what was found.
    pub(crate) names: Vec<(String, Option<u64>)>,
    /// The list of stores was looked at.
    pub(crate) catalogue: bool,
    /// Stores, by number and name, for which indexes are made.
    pub(crate) indexed: Vec<(u64, String)>,
}

impl Claims {
    /// How many keys and ranges there are.
    pub(crate) fn len(&self) -> usize {
        let stores = self.stores.iter();
        stores
            .map(|claims| claims.reads.len() + claims.written.len())
            .sum()
    }

    /// Was anything read that must hold? Without validation only what was claimed whatever the isolation.
    pub(crate) fn any_read(&self) -> bool {
        self.stores.iter().any(|claims| !claims.reads.is_empty())
    }

    /// Errs with `Conflict` when something changed since `snapshot`.
    pub(crate) fn validate(
        &self,
        snapshot: &Snapshot,
        tip: &Tip,
        pager: &Pager,
        guard: &Guard,
    ) -> Result<()> {
        if self.catalogue && snapshot.stores.version() != tip.stores.version() {
            return Err(conflict(
                "",
                None,
                "stores were created or removed meanwhile",
            ));
        }
        for (name, found) in &self.names {
            if tip.stores.by_name(name).map(|store| store.info.id) != *found {
                return Err(conflict(
                    name,
                    None,
                    "the store was created or removed meanwhile",
                ));
            }
        }
        for (id, name) in &self.indexed {
            if tip.stores.get(*id).is_none() {
                return Err(conflict(name, None, "the store was removed meanwhile"));
            }
        }
        for claims in &self.stores {
            let now = self.now(claims, tip)?;
            if claims.changed && snapshot.stores.version() != tip.stores.version() {
                claims.validate_indexes(snapshot, now, tip)?;
            }
            claims
                .validate(snapshot, now, tip, pager, guard)
                .map_err(|error| named(error, now))?;
        }
        Ok(())
    }

    /// The store that `claims` are about, as the tip has it.
    fn now<'t>(&self, claims: &StoreClaims, tip: &'t Tip) -> Result<Option<&'t Store>> {
        if claims.created {
            // Not the one of that name that this transaction removes first.
            let removed = |id| {
                self.stores
                    .iter()
                    .any(|store| store.removed && store.id == id)
            };
            let found = tip.stores.by_name(&claims.name);
            return Ok(found.filter(|store| !removed(store.info.id)));
        }
        match tip.stores.get(claims.id) {
            Some(store) => Ok(Some(store)),
            None => Err(conflict(
                &claims.name,
                None,
                "the store was removed meanwhile",
            )),
        }
    }
}

impl StoreClaims {
    /// Whoever changes entries has written those of every index there is, and asked every index that refers to them.
    fn validate_indexes(&self, snapshot: &Snapshot, now: Option<&Store>, tip: &Tip) -> Result<()> {
        let Some(now) = now else { return Ok(()) };
        if mutant("index-skip-schema-validation") {
            return Ok(());
        }
        let name = &now.info.name;
        let own = tip.stores.indexes_of(name);
        let same = if self.created {
            let made = |id: &u64| {
                let index = tip.stores.get(*id).map(|store| &store.info);
                index.is_some_and(|index| {
                    let mut made = self.indexes_made.iter();
                    made.any(|(name, options)| *name == index.name && *options == index.options)
                })
            };
            own.len() == self.indexes_made.len() && own.iter().all(made)
        } else {
            own == snapshot.stores.indexes_of(name)
                && tip.stores.referrers_of(name) == snapshot.stores.referrers_of(name)
        };
        if same {
            return Ok(());
        }
        Err(conflict(
            name,
            None,
            "an index of the store was made or dropped meanwhile",
        ))
    }

    fn validate(
        &self,
        snapshot: &Snapshot,
        now: Option<&Store>,
        tip: &Tip,
        pager: &Pager,
        guard: &Guard,
    ) -> Result<()> {
        let old = snapshot.stores.get(self.id).and_then(|store| store.root);
        let new = now.and_then(|store| store.root);
        if old.map(|root| root.page) == new.map(|root| root.page) {
            return Ok(());
        }
        let count = |root: Option<ChildRef>| root.map_or(0, |root| root.count);
        if self.reads.count && count(old) != count(new) && !mutant("skip-count-validation") {
            return Err(conflict(
                &self.name,
                None,
                "the number of entries changed meanwhile",
            ));
        }
        let reader = Reader {
            pager,
            guard,
            wait: true,
        };
        let (before, after) = ((&reader, old), (&tip.reader(pager, guard), new));
        for key in self.reads.points.iter() {
            let absent = || Ok(get(&reader, old, key)?.is_none());
            if mutant("skip-point-validation") || (mutant("skip-absent-validation") && absent()?) {
                continue;
            }
            if !same_at(before, after, key)? {
                return Err(conflict(
                    &self.name,
                    Some(key),
                    "a key it read was written meanwhile",
                ));
            }
        }
        for key in &self.written {
            if !mutant("skip-write-validation") && !same_at(before, after, key)? {
                return Err(conflict(
                    &self.name,
                    Some(key),
                    "a key it writes was written meanwhile",
                ));
            }
        }
        for (low, high) in &self.reads.ranges {
            if mutant("skip-range-validation") {
                break;
            }
            if !same_between(before, after, low, high.as_deref())? {
                return Err(conflict(
                    &self.name,
                    Some(low),
                    "a range it read was written meanwhile",
                ));
            }
        }
        Ok(())
    }
}

/// A conflict in an index is one of the store it belongs to.
fn named(error: Error, store: Option<&Store>) -> Error {
    let index = store.and_then(|store| store.index.as_ref());
    match (error, index) {
        (Error::Conflict { .. }, Some(index)) => conflict(
            &index.store,
            None,
            if index.unique {
                "an entry of a unique index that it read or wrote was written meanwhile"
            } else {
                "a part of an index that it read was written meanwhile"
            },
        ),
        (error, _) => error,
    }
}

fn conflict(store: &str, key: Option<&[u8]>, reason: &'static str) -> Error {
    let keys = key.map(<[u8]>::to_vec).into_iter().collect();
    Error::Conflict {
        store: store.to_owned(),
        keys,
        reason,
    }
}
