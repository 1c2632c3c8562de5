//! What is kept in memory beside a text store.

use std::sync::Arc;

use parking_lot::Mutex;
use sopasync_text::Schema;
use sopasync_text::index::{Cache, Failure, Policy};
use sopasync_text::score::Parameters;

use crate::engine::Transaction;
use crate::error::{Error, Result};
use crate::txn::StoreInfo;

/// The kind of text stores in the catalogue.
pub const TEXT_KIND: u8 = 3;

/// See the module. What it says follows from the store's options, which never change, and from its rows.
pub(super) struct Index {
    pub(super) schema: Schema,
    pub(super) parameters: Parameters,
    pub(super) fingerprint: u64,
    pub(super) cache: Cache,
    /// Set by tests that want more to happen with less.
    pub(super) policy: Mutex<Policy>,
}

impl Index {
    pub(super) fn open(tx: &Transaction, info: &StoreInfo) -> Result<Arc<Self>> {
        if info.kind != TEXT_KIND {
            return Err(Error::invalid(format!(
                "store '{}' is no text store",
                info.name
            )));
        }
        let slot = tx.attached(info.id, || Mutex::new(None::<Arc<Self>>));
        let mut slot = slot.lock();
        if let Some(index) = &*slot {
            return Ok(Arc::clone(index));
        }
        let schema = Schema::from_options(&info.options);
        let schema =
            schema.map_err(|error| Error::invalid(format!("store '{}': {error}", info.name)))?;
        let index = Arc::new(Self {
            parameters: Parameters {
                k1: schema.k1,
                b: schema.b,
                boosts: schema.fields.iter().map(|field| field.boost).collect(),
            },
            fingerprint: schema.fingerprint(),
            schema,
            cache: Cache::default(),
            policy: Mutex::default(),
        });
        *slot = Some(Arc::clone(&index));
        Ok(index)
    }

    pub(super) fn fields(&self) -> usize {
        self.schema.fields.len()
    }
}

/// The engine's error for a failure of the index; `kept` is that of the rows.
pub(super) fn failed(failure: &Failure, kept: Option<Error>) -> Error {
    match (failure, kept) {
        (Failure::Rows, Some(error)) => error,
        (Failure::Costly, _) => Error::WouldBlock,
        (Failure::Full, _) => Error::invalid(failure.to_string()),
        _ => malformed(&failure.to_string()),
    }
}

pub(super) fn malformed(reason: &str) -> Error {
    Error::corruption("a text store", 0, reason)
}
