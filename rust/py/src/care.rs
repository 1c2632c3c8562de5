//! Looking after a database from Python: progress, and reports as dicts.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use sopasync_core::disk::RealDisk;
use sopasync_core::{BackupReport, CheckReport, Database, Error, Progress};

use crate::error::from_core;

/// Python is told of progress no more often than this: each time takes the GIL.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Runs something long with other Python threads running; tells `callback` (done, total) now and then, and stops when that raises.
pub fn with_progress<R: Send>(
    py: Python<'_>,
    callback: Option<Py<PyAny>>,
    run: impl FnOnce(&mut Progress<'_>) -> sopasync_core::Result<R> + Send,
) -> PyResult<R> {
    let mut raised: Option<PyErr> = None;
    let result = py.detach(|| {
        let mut told: Option<Instant> = None;
        run(&mut |done, total| {
            let is_due = done == total || told.is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL);
            let Some(callback) = callback.as_ref().filter(|_| is_due) else {
                return ControlFlow::Continue(());
            };
            told = Some(Instant::now());
            match Python::attach(|py| callback.call1(py, (done, total)).map(drop)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    raised = Some(error);
                    ControlFlow::Break(())
                }
            }
        })
    });
    match raised {
        Some(error) => Err(error),
        None => result.map_err(|error| from_core(py, &error)),
    }
}

/// What a check found: "problems", sentences with file and offset, and how much was verified.
pub fn check_dict<'py>(py: Python<'py>, report: &CheckReport) -> PyResult<Bound<'py, PyDict>> {
    let mut problems: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
    if report.faults_not_listed > 0 {
        problems.push(format!(
            "{} more problems are not listed",
            report.faults_not_listed
        ));
    }
    let derived: Vec<String> = report
        .derived_faults
        .iter()
        .map(ToString::to_string)
        .collect();
    let dict = PyDict::new(py);
    dict.set_item("problems", PyList::new(py, problems)?)?;
    dict.set_item("derived_problems", PyList::new(py, derived)?)?;
    macro_rules! copy {
        ($($name:ident),* $(,)?) => { $(dict.set_item(stringify!($name), report.$name)?;)* };
    }
    copy!(
        seq,
        stores,
        removed_stores,
        entries,
        large_values,
        pages,
        bytes,
        checkpoint_pages,
        unverified_pages,
        file_pages,
        free_pages,
        waiting_pages,
        in_flight_pages,
        leaked_pages,
        log_groups,
        log_bytes,
    );
    Ok(dict)
}

/// Copies the newest snapshot to the folder `path`, which is made; after an error it is removed again, unless it was there.
pub fn copy_to(
    database: &Database,
    path: &Path,
    progress: &mut Progress<'_>,
) -> sopasync_core::Result<BackupReport> {
    let was_there = path.exists();
    if was_there && !path.is_dir() {
        let reason = format!(
            "{} is a file, and a database is a folder. Give another path",
            path.display()
        );
        return Err(Error::invalid(reason));
    }
    let disk = RealDisk::open(path, true)
        .map_err(|error| Error::io(path.display().to_string(), "make", &error))?;
    let result = database.backup(Arc::new(disk), progress);
    if result.is_err() && !was_there {
        // Whatever was copied cannot be opened; if it cannot be removed either, the next attempt says so.
        let _ = std::fs::remove_dir_all(path);
    }
    result
}

/// What was copied.
pub fn backup_dict<'py>(py: Python<'py>, report: &BackupReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    macro_rules! copy {
        ($($name:ident),* $(,)?) => { $(dict.set_item(stringify!($name), report.$name)?;)* };
    }
    copy!(seq, stores, entries, large_values, pages, bytes);
    Ok(dict)
}
