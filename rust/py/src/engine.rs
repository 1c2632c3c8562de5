//! `Engine`: a handle on an open database.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use sopasync_core::{
    BulkOptions, BulkTarget, Database, Duplicates, Isolation, Options, Statistics,
    TransactionOptions,
};

use crate::bulk::BulkLoader;
use crate::care::{backup_dict, check_dict, copy_to, with_progress};
use crate::completions::{Completions, Outcome};
use crate::error::{closed, exception, from_core, invalid_argument};
use crate::feed::ChangeFeed;
use crate::fork::{Guarded, Stamp};
use crate::key::KeyCodec;
use crate::registry::{self, Slot};
use crate::transaction::Transaction;
use crate::value::{Form, ValueForm};

/// One database of this process, shared by every handle of the same canonical path.
#[pyclass(frozen, module = "sopasync._core")]
pub struct Engine {
    database: Guarded<Database>,
    slot: Guarded<Arc<Slot>>,
    closed: AtomicBool,
    #[pyo3(get)]
    read_only: bool,
    #[pyo3(get)]
    path: String,
    stamp: Stamp,
}

impl Engine {
    fn database(&self, py: Python<'_>) -> PyResult<&Database> {
        self.stamp.check(py)?;
        if self.closed.load(Ordering::Acquire) {
            return Err(closed(py, "the database"));
        }
        Ok(self.database.get())
    }

    /// Runs something that may take long, with other Python threads running.
    fn blocking<R: Send>(
        &self,
        py: Python<'_>,
        run: impl FnOnce(&Database) -> sopasync_core::Result<R> + Send,
    ) -> PyResult<R> {
        let database = self.database(py)?;
        py.detach(|| run(database))
            .map_err(|error| from_core(py, &error))
    }
}

#[pymethods]
impl Engine {
    #[staticmethod]
    #[pyo3(signature = (
        path, *, cache_bytes=256 << 20, page_bytes=8192, durability="full", read_only=false, create=true,
        checkpoint_log_bytes=64 << 20, checkpoint_interval_s=60.0, changes_kept_bytes=0
    ))]
    #[expect(clippy::too_many_arguments, reason = "named in Python")]
    fn open(
        py: Python<'_>,
        path: PathBuf,
        cache_bytes: usize,
        page_bytes: usize,
        durability: &str,
        read_only: bool,
        create: bool,
        checkpoint_log_bytes: u64,
        checkpoint_interval_s: f64,
        changes_kept_bytes: u64,
    ) -> PyResult<Self> {
        let raise = |error: sopasync_core::Error| from_core(py, &error);
        let Ok(checkpoint_interval) = Duration::try_from_secs_f64(checkpoint_interval_s) else {
            let message = format!(
                "checkpoint_interval_s is {checkpoint_interval_s}; it is a number of seconds"
            );
            return Err(invalid_argument(py, &message));
        };
        let options = Options {
            cache_bytes,
            page_bytes,
            durability: registry::durability(durability).map_err(raise)?,
            read_only,
            create,
            checkpoint_log_bytes,
            checkpoint_interval,
            changes_kept_bytes,
            ..Options::default()
        };
        let (slot, database) = py
            .detach(|| registry::open(&path, options))
            .map_err(raise)?;
        Ok(Self {
            path: slot.path().to_string_lossy().into_owned(),
            database: Guarded::new(database),
            slot: Guarded::new(slot),
            closed: AtomicBool::new(false),
            read_only,
            stamp: Stamp::now(),
        })
    }

    #[getter]
    fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    #[getter]
    fn last_seq(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.database(py)?.last_seq())
    }

    fn begin(&self, py: Python<'_>, isolation: u8, read_only: bool) -> PyResult<Transaction> {
        let isolation = match isolation {
            0 => Isolation::NoCheck,
            1 => Isolation::Snapshot,
            2 => Isolation::Serializable,
            _ => {
                let message = format!(
                    "isolation is {isolation}; it is 0 (none), 1 (snapshot) or 2 (serializable)"
                );
                return Err(invalid_argument(py, &message));
            }
        };
        if self.read_only && !read_only {
            let message = "the database was opened read-only. Begin a read-only transaction, or open it for writing";
            return Err(exception(py, "ReadOnlyError", message, &[]));
        }
        let database = self.database(py)?;
        let tx = database
            .begin(TransactionOptions {
                isolation,
                read_only,
            })
            .map_err(|error| from_core(py, &error))?;
        Ok(Transaction::new(database, tx))
    }

    fn changes(&self, py: Python<'_>, after: u64, change: Py<PyAny>) -> PyResult<ChangeFeed> {
        let feed = self.blocking(py, |database| database.changes(after))?;
        Ok(ChangeFeed::new(feed, change))
    }

    fn when_published(
        &self,
        py: Python<'_>,
        after: u64,
        completions: &Bound<'_, Completions>,
        token: u64,
    ) -> PyResult<()> {
        let sender = completions.get().sender();
        let tell = move |newest| sender.send(token, Outcome::Committed(newest));
        self.database(py)?.when_published(after, Box::new(tell));
        Ok(())
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        statistics_dict(py, &self.database(py)?.statistics())
    }

    fn refresh(&self, py: Python<'_>) -> PyResult<u64> {
        self.blocking(py, |database| database.refresh())
    }

    fn checkpoint(&self, py: Python<'_>) -> PyResult<()> {
        self.blocking(py, |database| database.checkpoint())
    }

    fn begin_checkpoint(
        &self,
        py: Python<'_>,
        completions: &Bound<'_, Completions>,
        token: u64,
    ) -> PyResult<()> {
        let sender = completions.get().sender();
        let tell = move |result| sender.send(token, Outcome::from(result));
        self.database(py)?
            .begin_checkpoint(Box::new(tell))
            .map_err(|error| from_core(py, &error))
    }

    #[pyo3(signature = (
        codec, form=None, *, store_id=None, name="", kind=0, options=None, memory_bytes=48 << 20,
        refuse_duplicates=false
    ))]
    #[expect(clippy::too_many_arguments, reason = "named in Python")]
    fn bulk_load(
        &self,
        py: Python<'_>,
        codec: &Bound<'_, KeyCodec>,
        form: Option<&Bound<'_, ValueForm>>,
        store_id: Option<u64>,
        name: &str,
        kind: u8,
        options: Option<&[u8]>,
        memory_bytes: usize,
        refuse_duplicates: bool,
    ) -> PyResult<BulkLoader> {
        let target = match store_id {
            Some(id) => BulkTarget::Store(id),
            None => BulkTarget::New {
                name,
                kind,
                options: options.unwrap_or_default(),
            },
        };
        let duplicates = if refuse_duplicates {
            Duplicates::Refuse
        } else {
            Duplicates::LastWins
        };
        let bulk_options = BulkOptions {
            memory_bytes,
            duplicates,
            ..BulkOptions::default()
        };
        let loader = self.blocking(py, |database| database.bulk_load(target, bulk_options))?;
        let form = form.map_or_else(Form::packed, |form| Arc::clone(&form.get().form));
        Ok(BulkLoader::new(
            loader,
            Arc::clone(&codec.get().codec),
            form,
        ))
    }

    fn settle(&self, py: Python<'_>, store_id: u64) -> PyResult<()> {
        self.blocking(py, |database| database.settle(store_id))
    }

    #[pyo3(signature = (progress=None))]
    fn check<'py>(
        &self,
        py: Python<'py>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let database = self.database(py)?;
        let report = with_progress(py, progress, |progress| database.check(progress))?;
        check_dict(py, &report)
    }

    #[pyo3(signature = (path, progress=None))]
    fn backup<'py>(
        &self,
        py: Python<'py>,
        path: PathBuf,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let database = self.database(py)?;
        let report = with_progress(py, progress, |progress| copy_to(database, &path, progress))?;
        backup_dict(py, &report)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.stamp.check(py)?;
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let slot = self.slot.get();
        py.detach(|| slot.release())
            .map_err(|error| from_core(py, &error))
    }

    fn __repr__(&self) -> String {
        let state = if self.closed() { "closed" } else { "open" };
        format!("<Engine {state} {}>", self.path)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !self.stamp.is_here() || self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        // The garbage collector may run on an event loop's thread, and closing waits for files.
        let slot = Arc::clone(self.slot.get());
        let closing = std::thread::Builder::new().name("sopasync-close".to_owned());
        // Without a thread the engine stays open until the process ends; what was acknowledged is in the log.
        let _ = closing.spawn(move || slot.release());
    }
}

fn statistics_dict<'py>(py: Python<'py>, statistics: &Statistics) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    macro_rules! copy {
        ($($name:ident),* $(,)?) => { $(dict.set_item(stringify!($name), statistics.$name)?;)* };
    }
    copy!(
        last_seq,
        commits,
        groups,
        group_max,
        conflicts,
        log_bytes,
        log_size,
        checkpoints,
        checkpoint_bytes,
        checkpoint_seq,
        throttled,
        background_errors,
        cache_bytes,
        resident_bytes,
        dirty_bytes,
        page_reads,
        evictions,
        page_bytes,
        file_pages,
        free_pages,
        waiting_pages,
        oldest_snapshot_age,
        stores,
    );
    dict.set_item(
        "last_background_error",
        statistics.last_background_error.as_deref().unwrap_or(""),
    )?;
    dict.set_item("poisoned", statistics.poisoned.as_deref().unwrap_or(""))?;
    Ok(dict)
}

/// Closes every engine of this process, for interpreter exit.
#[pyfunction]
pub fn _shutdown_all(py: Python<'_>) -> PyResult<()> {
    py.detach(registry::shut_all)
        .map_err(|error| from_core(py, &error))
}
