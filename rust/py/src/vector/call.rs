//! What a vector store can be asked: run inline, or later on a thread that may wait.
//!
//! C1 a call that ends in `WouldBlock` has changed nothing, so it can be run again from its beginning.

use std::borrow::Cow;
use std::sync::Arc;

use sopasync_core::vector::{KnownFilter, VectorQuery, VectorStore};
use sopasync_core::{Access, Result, Transaction};

use super::found::Found;
use super::hit::Unpacking;
use crate::participant::Batch;

/// A call; payloads are borrowed from Python inline.
pub enum Call<'a> {
    Upsert {
        key: Vec<u8>,
        elements: Vec<u8>,
        payload: Cow<'a, [u8]>,
    },
    UpsertMany {
        keys: Batch,
        vectors: Vec<u8>,
        payloads: Vec<Cow<'a, [u8]>>,
    },
    Delete {
        key: Vec<u8>,
    },
    DeleteMany {
        keys: Batch,
    },
    Get {
        key: Vec<u8>,
    },
    GetMany {
        keys: Batch,
    },
    Contains {
        key: Vec<u8>,
    },
    Count,
    Scan {
        after: Option<Vec<u8>>,
        limit: usize,
        entries: bool,
    },
    Query(Box<Search>),
}

/// What to look for; one vector or many.
pub struct Search {
    pub vectors: Vec<u8>,
    pub many: bool,
    pub k: usize,
    pub within: Option<f32>,
    pub filter: Option<Arc<KnownFilter>>,
    pub ef: Option<usize>,
    pub exact: bool,
    pub payloads: bool,
    /// Only vectors of these keys.
    pub among: Option<Batch>,
    pub unpacking: Arc<Unpacking>,
}

impl Call<'_> {
    /// Runs it; may be run again after `WouldBlock` (C1).
    pub fn run(&self, tx: &mut Transaction, store: &VectorStore, access: Access) -> Result<Found> {
        let may_wait = access.may_wait;
        Ok(match self {
            Self::Upsert {
                key,
                elements,
                payload,
            } => Found::Truth(store.upsert(tx, key, elements, payload, may_wait)?),
            Self::UpsertMany {
                keys,
                vectors,
                payloads,
            } => {
                let keys: Vec<&[u8]> = keys.iter().map(|(key, _)| key).collect();
                Found::Count(store.upsert_many(tx, &keys, vectors, payloads, may_wait)?)
            }
            Self::Delete { key } => Found::Truth(store.delete(tx, key, may_wait)?),
            Self::DeleteMany { keys } => Found::Count(delete_many(tx, store, keys, may_wait)?),
            Self::Get { key } => Found::Entry(store.get(tx, key, access)?),
            Self::GetMany { keys } => Found::Entries(
                keys.iter()
                    .map(|(key, _)| store.get(tx, key, access))
                    .collect::<Result<_>>()?,
            ),
            Self::Contains { key } => Found::Truth(store.contains(tx, key, access)?),
            Self::Count => Found::Count(store.count(tx, access)?),
            Self::Scan {
                after,
                limit,
                entries,
            } => scan(tx, store, after.as_deref(), *limit, *entries, access)?,
            Self::Query(search) => search.run(tx, store, access)?,
        })
    }

    /// The same with bytes of its own.
    pub fn into_owned(self) -> Call<'static> {
        let own = |payload: Cow<'_, [u8]>| Cow::Owned(payload.into_owned());
        match self {
            Self::Upsert {
                key,
                elements,
                payload,
            } => Call::Upsert {
                key,
                elements,
                payload: own(payload),
            },
            Self::UpsertMany {
                keys,
                vectors,
                payloads,
            } => Call::UpsertMany {
                keys,
                vectors,
                payloads: payloads.into_iter().map(own).collect(),
            },
            Self::Delete { key } => Call::Delete { key },
            Self::DeleteMany { keys } => Call::DeleteMany { keys },
            Self::Get { key } => Call::Get { key },
            Self::GetMany { keys } => Call::GetMany { keys },
            Self::Contains { key } => Call::Contains { key },
            Self::Count => Call::Count,
            Self::Scan {
                after,
                limit,
                entries,
            } => Call::Scan {
                after,
                limit,
                entries,
            },
            Self::Query(search) => Call::Query(search),
        }
    }
}

impl Search {
    fn run(&self, tx: &mut Transaction, store: &VectorStore, access: Access) -> Result<Found> {
        let query = VectorQuery {
            within: self.within,
            known_filter: self.filter.as_deref(),
            ef: self.ef,
            exact: self.exact,
            payloads: self.payloads,
            ..VectorQuery::new(&self.vectors, self.k)
        };
        let hits = match &self.among {
            None => store.find(tx, &query, access)?,
            Some(keys) => {
                let keys = (0..keys.len()).map(|index| keys.get(index).0);
                store.find_among(tx, &query, keys, access)?
            }
        };
        Ok(Found::Hits {
            hits: Arc::new(hits),
            many: self.many,
            unpacking: Arc::clone(&self.unpacking),
        })
    }
}

/// Deletes those that are there; how many were.
fn delete_many(
    tx: &mut Transaction,
    store: &VectorStore,
    keys: &Batch,
    may_wait: bool,
) -> Result<u64> {
    let savepoint = tx.savepoint();
    let mut deleted = 0;
    for (key, _) in keys.iter() {
        match store.delete(tx, key, may_wait) {
            Ok(was_there) => deleted += u64::from(was_there),
            Err(error) => {
                tx.rollback_to(savepoint)?;
                return Err(error);
            }
        }
    }
    Ok(deleted)
}

fn scan(
    tx: &mut Transaction,
    store: &VectorStore,
    after: Option<&[u8]>,
    limit: usize,
    entries: bool,
    access: Access,
) -> Result<Found> {
    let (keys, next) = store.keys(tx, after, limit, access)?;
    let rows = keys
        .into_iter()
        .map(|key| {
            let entry = if entries {
                store.get(tx, &key, access)?
            } else {
                None
            };
            Ok((key, entry))
        })
        .collect::<Result<_>>()?;
    Ok(Found::Page(rows, next))
}
