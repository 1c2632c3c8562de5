//! `ChangeFeed`: what committed transactions changed, as Python sees it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use sopasync_core::{
    ChangeFeed as CoreFeed, ChangeKind, CommitChanges, Error, StoreInfo as CoreStoreInfo, Wanted,
};

use crate::error::{exception, from_core};
use crate::fork::{Guarded, Stamp};
use crate::key::{Codec, KeyCodec};
use crate::transaction::StoreInfo;
use crate::value::{Form, ValueForm};

const CREATED: u8 = 0;
const REMOVED: u8 = 1;
const LOADED: u8 = 2;
const PUT: u8 = 3;
const DELETED: u8 = 4;
const META: u8 = 5;
const MERGED: u8 = 6;
const CHANGED: u8 = 7;

/// The kind of stores whose entries are told, as `sopasync._kinds` numbers them.
const BTREE_KIND: u8 = 1;

/// Reads the changes of a database in the order of its commits.
#[pyclass(frozen, module = "sopasync._core")]
pub struct ChangeFeed {
    inner: Guarded<Mutex<Inner>>,
    /// The class of changes that are made here.
    class: Py<PyAny>,
    stamp: Stamp,
}

struct Inner {
    feed: CoreFeed,
    stores: Stores,
}

/// What is known of stores, by their ids.
#[derive(Default)]
struct Stores {
    told: HashMap<u64, Py<StoreInfo>>,
    readings: HashMap<u64, Reading>,
}

/// How puts of a store are made into changes.
struct Reading {
    name: Py<PyString>,
    codec: Arc<Codec>,
    form: Arc<Form>,
}

impl ChangeFeed {
    pub fn new(feed: CoreFeed, class: Py<PyAny>) -> Self {
        Self {
            inner: Guarded::new(Mutex::new(Inner {
                feed,
                stores: Stores::default(),
            })),
            class,
            stamp: Stamp::now(),
        }
    }

    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Inner>> {
        self.stamp.check(py)?;
        self.inner.get().try_lock().ok_or_else(|| {
            let message = "another call of this change feed is still running. Wait for it before the next one";
            exception(py, "TransactionStateError", message, &[])
        })
    }
}

#[pymethods]
impl ChangeFeed {
    #[pyo3(signature = (size, stores=None))]
    fn next<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        stores: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut inner = self.lock(py)?;
        let Inner {
            feed,
            stores: known,
        } = &mut *inner;
        let commits = py
            .detach(|| feed.next(size, &|store| wanted(stores.as_deref(), store)))
            .map_err(|error| from_core(py, &error))?;
        self.commit_objects(py, commits, known)
    }

    #[pyo3(signature = (size, stores=None))]
    fn next_resident<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        stores: Option<Vec<String>>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let mut inner = self.lock(py)?;
        let Inner {
            feed,
            stores: known,
        } = &mut *inner;
        match feed.next_resident(size, &|store| wanted(stores.as_deref(), store)) {
            Ok(commits) => self.commit_objects(py, commits, known).map(Some),
            Err(Error::WouldBlock) => Ok(None),
            Err(error) => Err(from_core(py, &error)),
        }
    }

    /// Has puts of a store made into changes from now on: its keys and values are read so.
    fn make_puts(
        &self,
        py: Python<'_>,
        store_id: u64,
        name: Py<PyString>,
        codec: &Bound<'_, KeyCodec>,
        form: &Bound<'_, ValueForm>,
    ) -> PyResult<()> {
        let reading = Reading {
            name,
            codec: Arc::clone(&codec.get().codec),
            form: Arc::clone(&form.get().form),
        };
        self.lock(py)?.stores.readings.insert(store_id, reading);
        Ok(())
    }
}

fn wanted(stores: Option<&[String]>, store: &CoreStoreInfo) -> Wanted {
    match stores {
        Some(names) if !names.contains(&store.name) => Wanted::Nothing,
        _ if store.kind == BTREE_KIND => Wanted::What,
        _ => Wanted::That,
    }
}

impl ChangeFeed {
    fn commit_objects<'py>(
        &self,
        py: Python<'py>,
        commits: Vec<CommitChanges>,
        known: &mut Stores,
    ) -> PyResult<Bound<'py, PyList>> {
        let commits: PyResult<Vec<_>> = commits
            .into_iter()
            .map(|commit| self.commit_object(py, commit, known))
            .collect();
        PyList::new(py, commits?)
    }

    /// (commit number, list of changes, whether all of them are made)
    fn commit_object<'py>(
        &self,
        py: Python<'py>,
        commit: CommitChanges,
        known: &mut Stores,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let mut changes = Vec::with_capacity(commit.changes.len());
        let mut all_made = true;
        for change in commit.changes {
            let reading = known.readings.get(&change.store.id);
            let made = reading.and_then(|reading| self.made(py, commit.seq, &change.kind, reading));
            if let Some(made) = made {
                changes.push(made);
                continue;
            }
            all_made = false;
            let store = match known.told.entry(change.store.id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    unknown.insert(Py::new(py, StoreInfo::of(py, (*change.store).clone()))?)
                }
            };
            changes.push(raw_change(py, store, &change.kind)?.into_any());
        }
        (commit.seq, PyList::new(py, changes)?, all_made).into_pyobject(py)
    }

    /// A put as `sopasync.Change`; what cannot be read is left to who takes it, when he does.
    fn made<'py>(
        &self,
        py: Python<'py>,
        seq: u64,
        kind: &ChangeKind,
        reading: &Reading,
    ) -> Option<Bound<'py, PyAny>> {
        let ChangeKind::Put {
            key,
            meta,
            value: Some(value),
        } = kind
        else {
            return None;
        };
        let key = reading.codec.read(py, key, meta).ok()?;
        let value = reading.form.object(py, value).ok()?;
        let kind = intern!(py, "put");
        let class = self.class.bind(py);
        class.call1((seq, &reading.name, kind, key, value)).ok()
    }
}

/// The store, what happened, the operation, key, ride-along part, value or operand.
fn raw_change<'py>(
    py: Python<'py>,
    store: &Py<StoreInfo>,
    kind: &ChangeKind,
) -> PyResult<Bound<'py, PyTuple>> {
    let bytes = |data: &[u8]| Some(PyBytes::new(py, data));
    let (what, operation, key, meta, value) = match kind {
        ChangeKind::Created => (CREATED, 0, None, None, None),
        ChangeKind::Removed => (REMOVED, 0, None, None, None),
        ChangeKind::Loaded => (LOADED, 0, None, None, None),
        ChangeKind::Changed => (CHANGED, 0, None, None, None),
        ChangeKind::Put { key, meta, value } => (
            PUT,
            0,
            bytes(key),
            bytes(meta),
            value.as_deref().and_then(bytes),
        ),
        ChangeKind::Deleted { key } => (DELETED, 0, bytes(key), None, None),
        ChangeKind::MetaChanged { key, meta } => (META, 0, bytes(key), bytes(meta), None),
        ChangeKind::Merged {
            key,
            operation,
            operand,
        } => (MERGED, operation.code(), bytes(key), None, bytes(operand)),
    };
    (store, what, operation, key, meta, value).into_pyobject(py)
}
