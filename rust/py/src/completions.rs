//! `Completions`: where engine threads leave what they finished, and where the loop's thread takes it.
//!
//! C1 an engine thread only pushes plain data and signals the descriptor; it never touches Python.
//! C2 the descriptor is readable if and only if something is queued.
//! C3 what arrives after `close` is dropped.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use sopasync_core::{CommitInfo, Done, Error};

use crate::error::{closed, from_core, invalid_argument};
use crate::fork::Stamp;
use crate::last_piece::LastPiece;
use crate::participant::{Answer, Reading};
use crate::transaction::Transaction;
use crate::wake::Wake;

/// What was finished.
pub enum Outcome {
    /// A commit is durable, under this number.
    Committed(u64),
    /// A retried call of a participant.
    Answered(Answer),
    /// What has no result: writes were taken back, a checkpoint was written.
    Done,
    /// Any of them failed.
    Failed(Error),
}

impl From<Result<(), Error>> for Outcome {
    fn from(result: Result<(), Error>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Done)
    }
}

struct Waiting {
    finished: Vec<(u64, Outcome)>,
    is_open: bool,
}

struct Queue {
    waiting: Mutex<Waiting>,
    wake: Wake,
}

/// The engine threads' end.
#[derive(Clone)]
pub struct Sender {
    queue: Arc<Queue>,
}

impl Sender {
    /// Leaves an outcome for the loop.
    pub fn send(&self, token: u64, outcome: Outcome) {
        let mut waiting = self.queue.waiting.lock();
        if !waiting.is_open {
            return; // C3
        }
        waiting.finished.push((token, outcome));
        if waiting.finished.len() == 1 {
            self.queue.wake.signal(); // C2: under the lock, so that no drain comes between
        }
    }
}

impl Sender {
    /// Leaves a commit's outcome.
    pub fn of_commit(self, token: u64, last_piece: Option<LastPiece>) -> Done {
        Box::new(move |result| {
            drop(last_piece); // before the loop hears of it
            let outcome = match result {
                Ok(CommitInfo { seq, .. }) => Outcome::Committed(seq),
                Err(error) => Outcome::Failed(error),
            };
            self.send(token, outcome);
        })
    }
}

/// What engine threads have finished for one event loop.
#[pyclass(frozen, module = "sopasync._core")]
pub struct Completions {
    queue: Arc<Queue>,
    /// What was drained last, empty: the next outcomes wait in its memory.
    drained: Mutex<Vec<(u64, Outcome)>>,
    /// How the answers to retried calls become Python objects; never leaves the loop's thread (C1).
    readings: Mutex<HashMap<u64, Reading>>,
    stamp: Stamp,
}

impl Completions {
    /// The end to give to engine threads.
    pub fn sender(&self) -> Sender {
        Sender {
            queue: Arc::clone(&self.queue),
        }
    }

    /// Remembers how the answer for `token` is to be read.
    pub fn expect(&self, token: u64, reading: Reading) {
        self.readings.lock().insert(token, reading);
    }
}

#[pymethods]
impl Completions {
    #[new]
    fn new() -> PyResult<Self> {
        let waiting = Mutex::new(Waiting {
            finished: Vec::new(),
            is_open: true,
        });
        Ok(Self {
            queue: Arc::new(Queue {
                waiting,
                wake: Wake::new()?,
            }),
            drained: Mutex::default(),
            readings: Mutex::default(),
            stamp: Stamp::now(),
        })
    }

    fn fileno(&self, py: Python<'_>) -> PyResult<u64> {
        self.stamp.check(py)?;
        if !self.queue.waiting.lock().is_open {
            return Err(closed(py, "the completion queue"));
        }
        Ok(self.queue.wake.descriptor())
    }

    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.stamp.check(py)?;
        let mut finished = std::mem::take(&mut *self.drained.lock());
        {
            let mut waiting = self.queue.waiting.lock();
            if !waiting.finished.is_empty() {
                self.queue.wake.clear(); // C2
            }
            std::mem::swap(&mut waiting.finished, &mut finished);
        }
        let rows: PyResult<Vec<_>> = finished
            .drain(..)
            .map(|(token, outcome)| self.row(py, token, outcome))
            .collect();
        *self.drained.lock() = finished;
        PyList::new(py, rows?)
    }

    fn submit(
        &self,
        py: Python<'_>,
        transactions: Vec<Bound<'_, Transaction>>,
        tokens: Vec<u64>,
    ) -> PyResult<Vec<(usize, Py<PyAny>)>> {
        self.stamp.check(py)?;
        if transactions.len() != tokens.len() {
            return Err(invalid_argument(py, "give one token for each transaction"));
        }
        let refused = Transaction::submit_all(py, &transactions, &tokens, &self.sender())?;
        Ok(refused
            .into_iter()
            .map(|(index, error)| (index, error.into_value(py).into_any()))
            .collect())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.stamp.check(py)?;
        let mut waiting = self.queue.waiting.lock();
        waiting.is_open = false;
        if !waiting.finished.is_empty() {
            self.queue.wake.clear(); // C2
        }
        let dropped = std::mem::take(&mut waiting.finished);
        drop(waiting);
        drop(dropped);
        self.readings.lock().clear();
        Ok(())
    }
}

impl Completions {
    fn row<'py>(
        &self,
        py: Python<'py>,
        token: u64,
        outcome: Outcome,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let result = match outcome {
            Outcome::Committed(seq) => Ok(seq.into_pyobject(py)?.into_any()),
            Outcome::Done => Ok(py.None().into_bound(py)),
            Outcome::Failed(error) => Err(from_core(py, &error)),
            Outcome::Answered(answer) => {
                let reading = self.readings.lock().remove(&token);
                let reading = reading.expect("every retry says how its answer is read");
                answer.into_python(
                    py,
                    &reading.entries,
                    reading.parts,
                    reading.default.as_ref(),
                )
            }
        };
        match result {
            Ok(payload) => (token, 0, payload).into_pyobject(py),
            Err(error) => (token, 1, error.into_value(py)).into_pyobject(py),
        }
    }
}
