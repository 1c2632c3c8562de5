//! `ChangeFeed`: what committed transactions changed, as Python sees it.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use sopasync_core::{
    ChangeFeed as CoreFeed, ChangeKind, CommitChanges, Error, StoreInfo as CoreStoreInfo, Wanted,
};

use crate::error::{exception, from_core};
use crate::fork::{Guarded, Stamp};
use crate::transaction::StoreInfo;

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
    feed: Guarded<Mutex<CoreFeed>>,
    stamp: Stamp,
}

impl ChangeFeed {
    pub fn new(feed: CoreFeed) -> Self {
        Self {
            feed: Guarded::new(Mutex::new(feed)),
            stamp: Stamp::now(),
        }
    }

    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, CoreFeed>> {
        self.stamp.check(py)?;
        self.feed.get().try_lock().ok_or_else(|| {
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
        let mut feed = self.lock(py)?;
        let feed: &mut CoreFeed = &mut feed;
        let commits = py
            .detach(|| feed.next(size, &|store| wanted(stores.as_deref(), store)))
            .map_err(|error| from_core(py, &error))?;
        commit_objects(py, commits)
    }

    #[pyo3(signature = (size, stores=None))]
    fn next_resident<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        stores: Option<Vec<String>>,
    ) -> PyResult<Option<Bound<'py, PyList>>> {
        let mut feed = self.lock(py)?;
        match feed.next_resident(size, &|store| wanted(stores.as_deref(), store)) {
            Ok(commits) => commit_objects(py, commits).map(Some),
            Err(Error::WouldBlock) => Ok(None),
            Err(error) => Err(from_core(py, &error)),
        }
    }
}

fn wanted(stores: Option<&[String]>, store: &CoreStoreInfo) -> Wanted {
    match stores {
        Some(names) if !names.contains(&store.name) => Wanted::Nothing,
        _ if store.kind == BTREE_KIND => Wanted::What,
        _ => Wanted::That,
    }
}

fn commit_objects(py: Python<'_>, commits: Vec<CommitChanges>) -> PyResult<Bound<'_, PyList>> {
    let mut known = HashMap::new();
    let commits: PyResult<Vec<_>> = commits
        .into_iter()
        .map(|commit| commit_object(py, commit, &mut known))
        .collect();
    PyList::new(py, commits?)
}

/// (commit number, list of changes)
fn commit_object<'py>(
    py: Python<'py>,
    commit: CommitChanges,
    known: &mut HashMap<u64, Py<StoreInfo>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let mut changes = Vec::with_capacity(commit.changes.len());
    for change in commit.changes {
        let store = match known.get(&change.store.id) {
            Some(store) => store.clone_ref(py),
            None => {
                let store = Py::new(py, StoreInfo::of(py, (*change.store).clone()))?;
                known.insert(change.store.id, store.clone_ref(py));
                store
            }
        };
        let bytes = |data: &[u8]| Some(PyBytes::new(py, data));
        // What happened, the operation, key, ride-along part, value or operand.
        let parts = match &change.kind {
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
        let (kind, operation, key, meta, value) = parts;
        changes.push((store, kind, operation, key, meta, value).into_pyobject(py)?);
    }
    (commit.seq, PyList::new(py, changes)?).into_pyobject(py)
}
