//! Work a transaction puts off until its commit: what a store gathers in memory, and writes as rows at the end.
//!
//! A text store keeps the terms of the documents that were added, so that the transaction itself finds them, and
//! writes one row for all of them when it commits. `Transaction::prepare` does that beforehand, on any thread.

use std::any::Any;

use super::{Change, Transaction};
use crate::error::Result;

/// What one store of one transaction has put off.
pub trait Pending: Send + 'static {
    /// How far the work is: a number that only grows, until `rollback_to` sets it back.
    fn mark(&self) -> usize;

    /// Takes back everything since `mark` returned this number.
    fn rollback_to(&mut self, mark: usize);

    /// Writes the rows of all work so far. Called before the commit is handed over, and again when more was
    /// added or rolled back since: rows of the earlier call are then to be overwritten, or forgotten.
    fn finish(&mut self, transaction: &mut Transaction, store: u64) -> Result<()>;

    /// What `finish` will cost, in bytes to go through: whether it is worth a thread.
    fn cost(&self) -> usize;

    /// Itself, for `Transaction::pending` to find its type.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// Pending work, and whether its rows are written.
pub(in crate::engine) struct PendingWork {
    work: Box<dyn Pending>,
    finished: bool,
}

impl PendingWork {
    pub(in crate::engine) fn rollback_to(&mut self, mark: usize) {
        self.work.rollback_to(mark);
        self.finished = false;
    }
}

impl Transaction {
    /// The pending work of a store, if there is any of type `P`. Whoever asks may add to it: its rows will be written
    /// anew before the commit.
    pub fn pending<P: Pending>(&mut self, store: u64) -> Result<Option<&mut P>> {
        let place = self.part(store)?;
        let Some(pending) = &mut self.parts[place].pending else {
            return Ok(None);
        };
        pending.finished = false;
        Ok(pending.work.as_any().downcast_mut())
    }

    /// The same, beginning it when there is none.
    pub fn pending_or_begin<P: Pending>(
        &mut self,
        store: u64,
        begin: impl FnOnce() -> P,
    ) -> Result<&mut P> {
        self.ensure_writable()?;
        let place = self.part(store)?;
        if self.parts[place].pending.is_none() {
            let work = begin();
            if self.journal.is_some() {
                let mark = work.mark();
                self.note(Change::Pending { part: place, mark });
            }
            self.parts[place].pending = Some(PendingWork {
                work: Box::new(work),
                finished: false,
            });
        }
        let pending = self.parts[place].pending.as_mut().expect("just begun");
        pending.finished = false;
        let found = pending.work.as_any().downcast_mut();
        Ok(found.expect("a store has pending work of one type"))
    }

    /// What is still to be done before the commit can be handed over, in bytes to go through.
    pub fn pending_cost(&self) -> usize {
        let open = self.parts.iter().filter_map(|part| part.pending.as_ref());
        open.filter(|pending| !pending.finished)
            .map(|pending| pending.work.cost())
            .sum()
    }

    /// Writes the rows of all pending work. Committing does it too; this is for doing it on another thread first.
    pub fn prepare(&mut self) -> Result<()> {
        for place in 0..self.parts.len() {
            if self.parts[place].removed {
                continue;
            }
            let Some(mut pending) = self.parts[place].pending.take() else {
                continue;
            };
            let mut result = Ok(());
            if !pending.finished {
                let store = self.parts[place].info.id;
                result = pending.work.finish(self, store);
                pending.finished = result.is_ok();
            }
            self.parts[place].pending = Some(pending);
            result?;
        }
        Ok(())
    }

    /// Notes in the journal how far pending work is.
    pub(super) fn mark_pending(&mut self) {
        for place in 0..self.parts.len() {
            if let Some(pending) = &self.parts[place].pending {
                let mark = pending.work.mark();
                self.note(Change::Pending { part: place, mark });
            }
        }
    }

    pub(super) fn has_pending(&self) -> bool {
        let mut open = self.parts.iter().filter_map(|part| part.pending.as_ref());
        open.any(|pending| !pending.finished && pending.work.mark() > 0)
    }
}
