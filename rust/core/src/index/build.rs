//! Building an index of a store that was there before: by ordinary transactions, each of which takes in a piece of the store
//! and notes how far it came (row 01), so that a crash loses no more than the piece.
//!
//! B1  A piece is claimed as a range: when somebody writes into it meanwhile, the piece is done again, from a new snapshot.
//! B2  What an item of a piece refers to is there, and claimed (X5), or the index has failed. So what was removed while its
//!     referrers were not known yet is found missing, and a complete index knows none that is.

use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::entry::Entries;
use super::state::{self, PROGRESS_ROW, Progress, STATE_ROW, State};
use super::write::check_target;
use crate::engine::{
    Access, Database, Isolation, Link, Maintainer, ScanRange, Step, Transaction, TransactionOptions,
};
use crate::error::{Error, Result};
use crate::mutants::mutant;
use crate::txn::{IndexDefinition, StoreInfo};

/// Items of a piece; half as many after every conflict, twice as many after every success.
const ITEMS_MAX: usize = 2048;
const ITEMS_MIN: usize = 16;
/// Bytes of items in a piece, about.
const BYTES_MAX: usize = 4 << 20;

/// Builds indexes.
#[derive(Debug, Default)]
pub struct IndexBuilder;

/// How many items the next piece has.
struct Pace(AtomicUsize);

impl Maintainer for IndexBuilder {
    fn step(&self, db: &Database, store: &StoreInfo) -> Result<Step> {
        let pace = db.attached(store.id, || Pace(AtomicUsize::new(ITEMS_MAX)));
        let items = pace.0.load(Ordering::Relaxed);
        let step = piece(db, store, items);
        let next = match &step {
            Err(Error::Conflict { .. }) => (items / 2).max(ITEMS_MIN),
            _ => (items * 2).min(ITEMS_MAX),
        };
        pace.0.store(next, Ordering::Relaxed);
        step
    }
}

fn piece(db: &Database, store: &StoreInfo, items: usize) -> Result<Step> {
    let mut tx = db.begin(TransactionOptions {
        isolation: Isolation::Serializable,
        read_only: false,
    })?;
    let access = Access::default();
    let State::Building { .. } = state::state(&mut tx, store.id, access)? else {
        return Ok(Step::Idle);
    };
    let Some(definition) = IndexDefinition::decode(&store.options) else {
        return Ok(Step::Idle);
    };
    let Some(owner) = tx.known_store(&definition.store) else {
        return Ok(Step::Idle);
    };
    let link = Link {
        id: store.id,
        definition: definition.into(),
    };
    let mut progress = state::progress(&mut tx, store.id, access)?;
    let outcome = take_in(&mut tx, owner.id, &link, &mut progress, items)?;
    match outcome {
        Outcome::More => tx.put(link.id, &PROGRESS_ROW, &[], &progress.encode(), true)?,
        Outcome::Done => {
            tx.delete(link.id, &STATE_ROW)?;
            tx.delete(link.id, &PROGRESS_ROW)?;
        }
        Outcome::Failed { key, reason } => state::set_failed(&mut tx, link.id, &key, &reason)?,
    }
    tx.commit()?;
    Ok(Step::Again)
}

enum Outcome {
    More,
    Done,
    Failed { key: Vec<u8>, reason: String },
}

/// An item's key and its row in the index, or why it cannot have one.
type Found = (Vec<u8>, Result<Option<(Vec<u8>, Vec<u8>)>>);

fn take_in(
    tx: &mut Transaction,
    owner: u64,
    link: &Link,
    progress: &mut Progress,
    items: usize,
) -> Result<Outcome> {
    let mut entries = Entries::default();
    let mut found: Vec<Found> = Vec::new();
    let range = ScanRange {
        low: progress
            .after
            .as_deref()
            .map_or(Bound::Unbounded, Bound::Excluded),
        limit: items,
        limit_bytes: BYTES_MAX,
        ..ScanRange::default()
    };
    let access = Access {
        track: !mutant("index-build-skip-claim"),
        ..Access::default()
    };
    let next = tx.scan(owner, &range, access, &mut |key, meta, value| {
        let row = entries.row(&link.definition, key, meta, value.unwrap_or_default());
        found.push((key.to_vec(), row));
    })?;
    progress.done += found.len() as u64;
    for (key, row) in found {
        let (entry, content) = match row {
            Ok(Some(row)) => row,
            Ok(None) => continue,
            Err(error @ Error::NotIndexable { .. }) => {
                let reason = error.to_string();
                return Ok(Outcome::Failed { key, reason });
            }
            Err(error) => return Err(error),
        };
        match check_target(tx, owner, link, &entry, &key, Access::default()) {
            Err(error @ Error::NoTarget(_)) => {
                let reason = error.to_string();
                return Ok(Outcome::Failed { key, reason });
            }
            result => result?,
        }
        if link.definition.unique {
            let held_by = tx.get(link.id, &entry, Access::default())?;
            if let Some(other) = held_by.filter(|other| other.value != key) {
                let reason = Error::NotUnique {
                    index: link.definition.name.clone(),
                    key: key.clone(),
                    held_by: other.value.clone(),
                };
                return Ok(Outcome::Failed {
                    key,
                    reason: reason.to_string(),
                });
            }
        }
        tx.put(link.id, &entry, &[], &content, true)?;
    }
    progress.after.clone_from(&next);
    Ok(if next.is_some() {
        Outcome::More
    } else {
        Outcome::Done
    })
}
