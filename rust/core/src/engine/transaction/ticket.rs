//! Taking a submitted commit back.

use crate::mutants::mutant;
use crate::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;

/// A commit on its way, that can be taken back until it is sequenced.
#[derive(Clone)]
pub struct CommitTicket {
    state: Arc<AtomicU8>,
}

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl CommitTicket {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::new(AtomicU8::new(WAITING)),
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

    fn turn(&self, to: u8) -> bool {
        if mutant("threads-look-then-take") {
            let waits = self.state.load(Ordering::Acquire) == WAITING;
            self.state.store(to, Ordering::Release);
            return waits;
        }
        self.state
            .compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}
