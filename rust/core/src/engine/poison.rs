//! The end of all writing, after an error that leaves open what is durable or half done (E3 of `core`).

use super::core::Engine;
use crate::error::{Error, Result};

/// Has a panic poison the engine, when it is dropped by one.
pub(super) struct OrPoison<'a> {
    engine: &'a Engine,
    what: &'static str,
    /// It may be made while an earlier panic has its way: a database is closed by one, too.
    earlier: bool,
}

impl Engine {
    /// Refuses writes after the log failed (E3).
    pub(super) fn ensure_sound(&self) -> Result<()> {
        match self.poison.get() {
            Some(reason) => Err(Error::Poisoned {
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }

    pub(super) fn poisoned(&self) -> Option<String> {
        self.poison.get().cloned()
    }

    pub(super) fn poison(&self, error: &Error) {
        let _ = self.poison.set(error.to_string());
    }

    /// For work that leaves something half done when it panics: poisons the engine then. Drop it before the lock that
    /// protects what is changed.
    pub(super) fn or_poison(&self, what: &'static str) -> OrPoison<'_> {
        OrPoison {
            engine: self,
            what,
            earlier: std::thread::panicking(),
        }
    }
}

impl Drop for OrPoison<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.earlier {
            let reason = format!("{} panicked; please report this", self.what);
            self.engine.poison(&Error::invalid(reason));
        }
    }
}
