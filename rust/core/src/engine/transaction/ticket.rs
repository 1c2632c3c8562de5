//! Taking a submitted commit back, and what is left of one.
//!
//! What the engine is through with (claims, the record once it is written) comes back in the ticket, to be let go of by
//! who submitted. Freed by the committer it would go to where the submitting thread takes its memory from, and both
//! threads would wait for each other in the allocator, several times for each commit. What is large is let go of by the
//! committer all the same: a transaction that has ended may be held for long.

use crate::mutants::mutant;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::txn::Claims;
use std::sync::Arc;

/// A commit on its way, that can be taken back until it is sequenced. Keep it until the outcome is there: memory of the
/// transaction is freed with it.
#[derive(Clone)]
pub struct CommitTicket {
    inner: Arc<Inner>,
}

struct Inner {
    state: AtomicU8,
    spent: Mutex<Spent>,
}

/// What is left of a commit.
#[derive(Default)]
struct Spent {
    claims: Claims,
    record: Vec<u8>,
}

/// Bytes of a record, and keys and ranges of claims, that are left at most.
const RECORD_BYTES_MAX: usize = 16 << 10;
const CLAIMS_MAX: usize = 256;

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl CommitTicket {
    pub(super) fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                state: AtomicU8::new(WAITING),
                spent: Mutex::default(),
            }),
        }
    }

    /// Takes the commit back: true when it was not sequenced yet. It is rolled back then, and its
    /// `done` is called with `Error::Withdrawn`.
    pub fn withdraw(&self) -> bool {
        self.turn(WITHDRAWN)
    }

    /// The committer's side: false when it was withdrawn.
    pub(in crate::engine) fn take(&self) -> bool {
        self.turn(TAKEN)
    }

    /// The engine is through with these.
    pub(in crate::engine) fn leave_claims(&self, claims: Claims) {
        if claims.len() <= CLAIMS_MAX {
            self.inner.spent.lock().claims = claims;
        }
    }

    /// The same.
    pub(in crate::engine) fn leave_record(&self, record: Vec<u8>) {
        if record.capacity() <= RECORD_BYTES_MAX {
            self.inner.spent.lock().record = record;
        }
    }

    fn turn(&self, to: u8) -> bool {
        let state = &self.inner.state;
        if mutant("threads-look-then-take") {
            let waits = state.load(Ordering::Acquire) == WAITING;
            state.store(to, Ordering::Release);
            return waits;
        }
        state
            .compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::disk::SimDisk;
    use crate::{Access, Database, Options, TransactionOptions};

    #[test]
    fn what_is_left_of_a_small_commit_is_with_its_ticket() {
        let db = Database::open(Arc::new(SimDisk::new(1)), Options::default()).expect("a new one");
        let mut tx = db.begin(TransactionOptions::default()).expect("it is open");
        let store = tx.create_store("rows", 1, b"").expect("a store").id;
        tx.commit().expect("it is made");
        for (rows, is_left) in [(1, true), (1_000, false)] {
            let mut tx = db.begin(TransactionOptions::default()).expect("it is open");
            for row in 0..rows {
                let key = format!("{rows} {row}");
                tx.get(store, key.as_bytes(), Access::default())
                    .expect("it can be read");
                tx.put(store, key.as_bytes(), b"", &[7; 100], false)
                    .expect("it is put");
            }
            let (tell, told) = mpsc::channel();
            let ticket = tx
                .submit(Box::new(move |result| tell.send(result).expect("awaited")))
                .expect("it is handed over");
            told.recv().expect("an answer").expect("it is made");
            let spent = ticket.inner.spent.lock();
            assert_eq!(spent.claims.len() == rows, is_left);
            assert_eq!(spent.record.len() > 100, is_left);
            let engines = Arc::strong_count(&ticket.inner) - 1;
            assert_eq!(engines, 0, "who is told has the last of it");
        }
        db.close().expect("it closes");
    }
}
