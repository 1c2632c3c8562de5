//! What a transaction reads: the roots of all stores at one commit.

use super::stores::Stores;
use crate::pager::Pin;

/// All stores after commit `seq`. While somebody holds it, none of its pages is reused.
pub(crate) struct Snapshot {
    pub(crate) stamp: u64,
    pub(crate) seq: u64,
    pub(crate) stores: Stores,
    _pin: Pin,
}

impl Snapshot {
    pub(crate) fn new(stamp: u64, seq: u64, stores: Stores, pin: Pin) -> Self {
        pin.note_seq(seq);
        Self {
            stamp,
            seq,
            stores,
            _pin: pin,
        }
    }
}
