//! Where a transaction stands.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sopasync_core::{CommitTicket, Error, Savepoint, Transaction};

use crate::completions::Outcome;

/// See the module.
pub enum State {
    Open(Transaction, Vec<Savepoint>),
    Submitted(CommitTicket),
    Ended,
}

impl State {
    /// Runs something on the open transaction, on an engine thread. A panic ends the transaction and is told like an
    /// error: the loop waits for an answer.
    pub fn run(&mut self, run: impl FnOnce(&mut Transaction) -> Outcome) -> Outcome {
        let Self::Open(tx, _) = self else {
            return Outcome::Failed(Error::Closed {
                what: "the transaction",
            });
        };
        catch_unwind(AssertUnwindSafe(|| run(tx))).unwrap_or_else(|_| {
            *self = Self::Ended;
            let reason = "the operation panicked; please report this";
            Outcome::Failed(Error::invalid(reason))
        })
    }
}
