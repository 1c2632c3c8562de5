//! How complete an index is, and how far its building has come.

use crate::engine::{Access, Transaction};
use crate::error::{Error, Result};
use crate::wire::{Put, Take};

pub(super) const STATE_ROW: [u8; 1] = [0];
pub(super) const PROGRESS_ROW: [u8; 1] = [1];
/// Entries lie above this.
pub(super) const FIRST_ENTRY: [u8; 1] = [2];

const BUILDING: u8 = 1;
const FAILED: u8 = 2;

/// Whether an index can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is complete.
    Ready,
    /// Items written before it was declared are being taken in.
    Building {
        /// Items done.
        done: u64,
    },
    /// It cannot be complete, and is kept for its message only.
    Failed {
        /// The key, in the store, of the item where building ended.
        key: Vec<u8>,
        /// Why.
        reason: String,
    },
}

/// How far the building is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) done: u64,
    pub(super) after: Option<Vec<u8>>,
}

impl Progress {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_varint(self.done);
        out.put_bytes(self.after.as_deref().unwrap_or_default());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut take = Take::new(bytes);
        let done = take.varint()?;
        let after = Some(take.bytes()?.to_vec());
        Some(Self { done, after })
    }
}

/// What the index is like at the transaction's snapshot. `access` decides whether the commit depends on it.
pub fn state(tx: &mut Transaction, index: u64, access: Access) -> Result<State> {
    let Some(row) = tx.get(index, &STATE_ROW, access)? else {
        return Ok(State::Ready);
    };
    let mut take = Take::new(&row.value);
    match take.byte() {
        Some(BUILDING) => {
            let access = Access {
                track: false,
                ..access
            };
            let done = progress(tx, index, access)?.done;
            Ok(State::Building { done })
        }
        Some(FAILED) => failed(&mut take).ok_or_else(malformed),
        _ => Err(malformed()),
    }
}

fn failed(take: &mut Take<'_>) -> Option<State> {
    let key = take.bytes()?.to_vec();
    let reason = String::from_utf8(take.bytes()?.to_vec()).ok()?;
    Some(State::Failed { key, reason })
}

pub(super) fn progress(tx: &mut Transaction, index: u64, access: Access) -> Result<Progress> {
    match tx.get(index, &PROGRESS_ROW, access)? {
        None => Ok(Progress::default()),
        Some(row) => Progress::decode(&row.value).ok_or_else(malformed),
    }
}

pub(super) fn set_building(tx: &mut Transaction, index: u64) -> Result<()> {
    tx.delete(index, &PROGRESS_ROW)?;
    tx.put(index, &STATE_ROW, &[], &[BUILDING], true)
}

pub(super) fn set_failed(tx: &mut Transaction, index: u64, key: &[u8], reason: &str) -> Result<()> {
    let mut row = vec![FAILED];
    row.put_bytes(key);
    row.put_bytes(reason.as_bytes());
    tx.put(index, &STATE_ROW, &[], &row, true)
}

fn malformed() -> Error {
    Error::corruption("an index", 0, "the row of its state makes no sense")
}
