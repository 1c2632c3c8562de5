//! `Transaction`: a snapshot and the writes on top of it.
//!
//! T1 one operation at a time: while a retry is with an engine thread every call but `rollback` is refused, and the
//!    loop's thread never waits for the lock.
//! T2 `rollback` during a retry leaves a note; whoever of the two comes last drops the transaction.
//! T3 what a large transaction leaves of the heap of the loop's thread, where its writes came from, is put in order by
//!    the thread that drops them, not by the loop's next call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::{Mutex, MutexGuard};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use sopasync_core::text::TextStore;
use sopasync_core::{
    Database, Error, Savepoint, StoreInfo as CoreStoreInfo, Transaction as CoreTransaction,
};

use crate::completions::{Completions, Outcome, Sender};
use crate::error::{exception, from_core, invalid_argument, transaction_closed};
use crate::fork::{Guarded, Stamp};
use crate::key::KeyCodec;
use crate::last_piece::LastPiece;
use crate::participant::Participant;
use crate::state::State;
use crate::text::SearchParticipant;
use crate::value::{Form, ValueForm};
use crate::vector::VectorParticipant;

/// From this size of writes on, packing or dropping them takes longer than an event loop may be kept.
const LARGE_WRITE_BYTES: usize = 256 * 1024;

/// What handing a transaction over has to go through: its writes, and the work it has put off.
fn work_bytes(tx: &CoreTransaction) -> usize {
    tx.write_bytes() + tx.pending_cost()
}

/// From so many reads on, forgetting them does.
const LARGE_READS: usize = 4096;

/// Whether a transaction leaves more behind than the loop's thread should be kept for.
fn is_long_to_drop(tx: &CoreTransaction) -> bool {
    work_bytes(tx) > LARGE_WRITE_BYTES || tx.reads() > LARGE_READS
}

/// So many changes are taken back within a millisecond.
const UNDONE_INLINE_MAX: usize = 4096;
/// From this size of writes on, a few changes can be as long to take back.
const LARGE_UNDO_BYTES: usize = 64 << 20;

/// A retry is with an engine thread.
const RETRYING: u8 = 1;
/// It was rolled back.
const ABANDONED: u8 = 2;

/// What a transaction and its participants share.
pub struct Shared {
    state: Guarded<Mutex<State>>,
    /// `RETRYING` and `ABANDONED`.
    notes: AtomicU8,
    stamp: Stamp,
    database: Guarded<Database>,
    /// T3
    last_piece: Mutex<Option<LastPiece>>,
}

impl Shared {
    /// The lock, if nobody runs an operation (T1).
    pub fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, State>> {
        self.stamp.check(py)?;
        let notes = self.notes.load(Ordering::Acquire);
        if notes & ABANDONED != 0 {
            return Err(transaction_closed(py));
        }
        if notes & RETRYING != 0 {
            return Err(busy(py));
        }
        self.state.get().try_lock().ok_or_else(|| busy(py))
    }

    /// Runs something on the open transaction.
    #[inline]
    pub fn with<R>(
        &self,
        py: Python<'_>,
        run: impl FnOnce(&mut CoreTransaction) -> R,
    ) -> PyResult<R> {
        match &mut *self.lock(py)? {
            State::Open(tx, _) => Ok(run(tx)),
            State::Submitted(_) | State::Ended => Err(transaction_closed(py)),
        }
    }

    /// Runs something that does not concern the transaction on an engine thread.
    pub fn spawn(&self, job: Box<dyn FnOnce() + Send>) -> Result<(), Error> {
        self.database.get().spawn_blocking(job)
    }

    /// Runs something on an engine thread, which hands the outcome to `finish`. After an error here it does neither.
    pub fn with_on_engine(
        self: Arc<Self>,
        run: impl FnOnce(&mut CoreTransaction) -> Outcome + Send + 'static,
        finish: impl FnOnce(Outcome) + Send + 'static,
    ) -> Result<(), Error> {
        self.notes.fetch_or(RETRYING, Ordering::AcqRel);
        let retry = Retry { shared: self };
        let database = retry.shared.database.get().clone();
        database.spawn_blocking(Box::new(move || {
            let outcome = retry.shared.state.get().lock().run(run);
            // Before the loop is told, so that its next call finds the transaction idle.
            drop(retry);
            finish(outcome);
        }))
    }
}

/// The open transaction, and where in it a savepoint is; later savepoints are forgotten.
fn go_back<'s>(
    py: Python<'_>,
    state: &'s mut State,
    savepoint: usize,
) -> PyResult<(&'s mut CoreTransaction, Savepoint)> {
    let State::Open(tx, savepoints) = state else {
        return Err(transaction_closed(py));
    };
    let Some(&place) = savepoints.get(savepoint) else {
        return Err(invalid_argument(
            py,
            "no such savepoint: it was taken back with an earlier one",
        ));
    };
    savepoints.truncate(savepoint + 1);
    Ok((tx, place))
}

/// The time from `retry` until its outcome is known, also when the engine drops the job.
struct Retry {
    shared: Arc<Shared>,
}

impl Drop for Retry {
    fn drop(&mut self) {
        let notes = self.shared.notes.fetch_and(!RETRYING, Ordering::AcqRel);
        if notes & ABANDONED != 0 {
            *self.shared.state.get().lock() = State::Ended; // T2
        }
    }
}

fn busy(py: Python<'_>) -> PyErr {
    let message = "another call of this transaction is still running. Await it before the next one";
    exception(py, "TransactionStateError", message, &[])
}

/// A snapshot and the writes on top of it. Dropping it rolls back.
#[pyclass(frozen, module = "sopasync._core")]
pub struct Transaction {
    pub(crate) shared: Arc<Shared>,
    #[pyo3(get)]
    seq: u64,
}

impl Transaction {
    pub fn new(database: &Database, tx: CoreTransaction) -> Self {
        let seq = tx.seq();
        let shared = Shared {
            state: Guarded::new(Mutex::new(State::Open(tx, Vec::new()))),
            notes: AtomicU8::new(0),
            stamp: Stamp::now(),
            database: Guarded::new(database.clone()),
            last_piece: Mutex::new(None),
        };
        Self {
            shared: Arc::new(shared),
            seq,
        }
    }

    /// Submits transactions of one database together. Which could not be handed over, and why.
    pub fn submit_all(
        py: Python<'_>,
        transactions: &[Bound<'_, Self>],
        tokens: &[u64],
        sender: &Sender,
    ) -> PyResult<Vec<(usize, PyErr)>> {
        let mut places = Vec::with_capacity(transactions.len());
        let mut batch = Vec::with_capacity(transactions.len());
        let mut refused = Vec::new();
        for (index, (transaction, token)) in transactions.iter().zip(tokens).enumerate() {
            match transaction.get().take(py) {
                Ok((tx, state)) => {
                    places.push((index, state));
                    let last_piece = transaction.get().shared.last_piece.lock().take();
                    batch.push((tx, sender.clone().of_commit(*token, last_piece)));
                }
                Err(error) => refused.push((index, error)),
            }
        }
        for ((index, mut state), answer) in
            places.into_iter().zip(CoreTransaction::submit_all(batch))
        {
            match answer {
                Ok(ticket) => *state = State::Submitted(ticket),
                Err(error) => refused.push((index, from_core(py, &error))),
            }
        }
        Ok(refused)
    }

    /// Takes the open transaction out, leaving `Ended`.
    fn take(&self, py: Python<'_>) -> PyResult<(CoreTransaction, MutexGuard<'_, State>)> {
        let mut state = self.shared.lock(py)?;
        match std::mem::replace(&mut *state, State::Ended) {
            State::Open(tx, _) => Ok((tx, state)),
            other => {
                *state = other;
                Err(transaction_closed(py))
            }
        }
    }
}

#[pymethods]
impl Transaction {
    #[getter]
    fn has_writes(&self, py: Python<'_>) -> PyResult<bool> {
        self.shared.with(py, |tx| tx.has_writes())
    }

    #[getter]
    fn write_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        self.shared.with(py, |tx| work_bytes(tx))
    }

    /// About how many bytes a commit has to pack, work put off until then included; -1 when it has nothing to write. Asked on
    /// the loop's thread before a commit.
    fn pending_bytes(&self, py: Python<'_>) -> PyResult<i64> {
        let (bytes, is_long) = self.shared.with(py, |tx| {
            let bytes = tx.has_writes().then(|| work_bytes(tx));
            (bytes, bytes.is_some() && is_long_to_drop(tx))
        })?;
        if is_long {
            *self.shared.last_piece.lock() = Some(LastPiece::take());
        }
        Ok(bytes.map_or(-1, |bytes| bytes as i64))
    }

    fn stores<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let stores = self.shared.with(py, |tx| tx.stores())?;
        let stores: PyResult<Vec<_>> = stores
            .into_iter()
            .map(|info| Py::new(py, StoreInfo::of(py, info)))
            .collect();
        PyList::new(py, stores?)
    }

    fn find_store(&self, py: Python<'_>, name: &str) -> PyResult<Option<StoreInfo>> {
        Ok(self
            .shared
            .with(py, |tx| tx.find_store(name))?
            .map(|info| StoreInfo::of(py, info)))
    }

    fn store_id(&self, py: Python<'_>, name: &str) -> PyResult<Option<u64>> {
        let found = self.shared.with(py, |tx| tx.find_store(name))?;
        Ok(found.map(|info| info.id))
    }

    fn create_store(
        &self,
        py: Python<'_>,
        name: &str,
        kind: u8,
        options: &[u8],
    ) -> PyResult<StoreInfo> {
        let created = self
            .shared
            .with(py, |tx| match tx.create_store(name, kind, options) {
                Err(error @ Error::StoreExists { .. }) => {
                    let same = |info: &CoreStoreInfo| info.kind == kind && info.options == options;
                    tx.find_store(name).filter(same).ok_or(error)
                }
                result => result,
            })?;
        created
            .map(|info| StoreInfo::of(py, info))
            .map_err(|error| from_core(py, &error))
    }

    fn remove_store(&self, py: Python<'_>, store_id: u64) -> PyResult<()> {
        self.shared
            .with(py, |tx| tx.remove_store(store_id))?
            .map_err(|error| from_core(py, &error))
    }

    #[pyo3(signature = (store_id, codec, form=None))]
    fn participant(
        &self,
        store_id: u64,
        codec: &Bound<'_, KeyCodec>,
        form: Option<&Bound<'_, ValueForm>>,
    ) -> Participant {
        let form = form.map_or_else(Form::packed, |form| Arc::clone(&form.get().form));
        let codec = Arc::clone(&codec.get().codec);
        Participant::new(Arc::clone(&self.shared), store_id, codec, form)
    }

    fn vector_participant(
        &self,
        py: Python<'_>,
        name: &str,
        codec: &Bound<'_, KeyCodec>,
        decode: &Bound<'_, PyAny>,
    ) -> PyResult<VectorParticipant> {
        let store = self
            .shared
            .with(py, |tx| {
                let info = tx.find_store(name).ok_or_else(|| Error::StoreNotFound {
                    store: name.to_owned(),
                })?;
                sopasync_core::vector::VectorStore::open(tx, &info)
            })?
            .map_err(|error| from_core(py, &error))?;
        Ok(VectorParticipant::new(
            Arc::clone(&self.shared),
            store,
            Arc::clone(&codec.get().codec),
            decode.clone().unbind(),
        ))
    }

    fn search_participant(
        &self,
        py: Python<'_>,
        name: &str,
        codec: &Bound<'_, KeyCodec>,
    ) -> PyResult<SearchParticipant> {
        let opened = self.shared.with(py, |tx| {
            let info = tx.find_store(name).ok_or_else(|| Error::StoreNotFound {
                store: name.to_owned(),
            })?;
            TextStore::open(tx, &info)
        })?;
        Ok(SearchParticipant::new(
            Arc::clone(&self.shared),
            opened.map_err(|error| from_core(py, &error))?,
            Arc::clone(&codec.get().codec),
        ))
    }

    fn savepoint(&self, py: Python<'_>) -> PyResult<usize> {
        match &mut *self.shared.lock(py)? {
            State::Open(tx, savepoints) => {
                savepoints.push(tx.savepoint());
                Ok(savepoints.len() - 1)
            }
            State::Submitted(_) | State::Ended => Err(transaction_closed(py)),
        }
    }

    fn rollback_to(&self, py: Python<'_>, savepoint: usize) -> PyResult<()> {
        let mut state = self.shared.lock(py)?;
        let (tx, place) = go_back(py, &mut state, savepoint)?;
        tx.rollback_to(place).map_err(|error| from_core(py, &error))
    }

    /// `rollback_to` for an event loop: true when it is done, false when there is so much to take back that an engine
    /// thread does it, and tells `completions`.
    fn undo(
        &self,
        py: Python<'_>,
        savepoint: usize,
        completions: &Bound<'_, Completions>,
        token: u64,
    ) -> PyResult<bool> {
        let place = {
            let mut state = self.shared.lock(py)?;
            let (tx, place) = go_back(py, &mut state, savepoint)?;
            if tx.changes_since(place) <= UNDONE_INLINE_MAX && work_bytes(tx) <= LARGE_UNDO_BYTES {
                return tx
                    .rollback_to(place)
                    .map(|()| true)
                    .map_err(|error| from_core(py, &error));
            }
            place
        };
        let sender = completions.get().sender();
        let last_piece = LastPiece::take();
        let undone = Arc::clone(&self.shared).with_on_engine(
            move |tx| {
                let outcome = Outcome::from(tx.rollback_to(place));
                drop(last_piece); // T3
                outcome
            },
            move |outcome| sender.send(token, outcome),
        );
        undone
            .map(|()| false)
            .map_err(|error| from_core(py, &error))
    }

    fn submit(
        &self,
        py: Python<'_>,
        completions: &Bound<'_, Completions>,
        token: u64,
    ) -> PyResult<()> {
        let sender = completions.get().sender();
        let (tx, mut state) = self.take(py)?;
        let done = sender.of_commit(token, self.shared.last_piece.lock().take());
        // Large ones are submitted on a worker thread, which must not keep the loop's thread waiting for the GIL.
        let submitted = if work_bytes(&tx) > LARGE_WRITE_BYTES {
            py.detach(|| tx.submit(done))
        } else {
            tx.submit(done)
        };
        *state = State::Submitted(submitted.map_err(|error| from_core(py, &error))?);
        Ok(())
    }

    fn withdraw(&self, py: Python<'_>) -> PyResult<bool> {
        self.shared.stamp.check(py)?;
        // Not by `lock`: a submitted transaction can be withdrawn after `rollback` too, which does not concern it.
        match self.shared.state.get().try_lock().as_deref() {
            Some(State::Submitted(ticket)) => Ok(ticket.withdraw()),
            Some(State::Open(..) | State::Ended) | None => Ok(false),
        }
    }

    fn commit(&self, py: Python<'_>) -> PyResult<u64> {
        let (tx, state) = self.take(py)?;
        drop(state);
        let info = py
            .detach(|| tx.commit())
            .map_err(|error| from_core(py, &error))?;
        Ok(info.seq)
    }

    fn rollback(&self) {
        if !self.shared.stamp.is_here() {
            return;
        }
        let notes = self.shared.notes.fetch_or(ABANDONED, Ordering::AcqRel);
        if notes & RETRYING == 0
            && let Some(mut state) = self.shared.state.get().try_lock()
            && matches!(*state, State::Open(..))
        {
            let dropped = std::mem::replace(&mut *state, State::Ended); // T2
            if let State::Open(tx, _) = &dropped
                && is_long_to_drop(tx)
            {
                let last_piece = LastPiece::take();
                let job = move || {
                    drop(dropped);
                    drop(last_piece); // T3
                };
                // Where the engine is closed it takes no job, and the job is dropped here.
                let _ = self.shared.database.get().spawn_blocking(Box::new(job));
            }
        }
    }
}

/// A store as the catalog has it.
#[pyclass(frozen, get_all, module = "sopasync._core")]
pub struct StoreInfo {
    id: u64,
    name: String,
    kind: u8,
    options: Py<PyBytes>,
}

impl StoreInfo {
    pub fn of(py: Python<'_>, info: CoreStoreInfo) -> Self {
        let options = PyBytes::new(py, &info.options).unbind();
        Self {
            id: info.id,
            name: info.name,
            kind: info.kind,
            options,
        }
    }
}

#[pymethods]
impl StoreInfo {
    fn __repr__(&self) -> String {
        format!("<StoreInfo {} '{}' kind {}>", self.id, self.name, self.kind)
    }
}
