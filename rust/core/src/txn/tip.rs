//! The newest state: what the next commit is validated against and applied to.

use super::stores::Stores;
use crate::pager::Pager;
use crate::tree::{Fresh, GroupPages, TipReader};
use crossbeam_epoch::Guard;

/// The stores after every commit sequenced so far, durable or not.
pub(crate) struct Tip {
    pub(crate) stores: Stores,
    pub(crate) fresh: Fresh,
    /// The group being formed.
    pub(crate) stamp: u64,
    /// The last commit applied.
    pub(crate) seq: u64,
    /// Above every store id ever used.
    pub(crate) next_store_id: u64,
    /// The last group closed.
    pub(crate) sealed: u64,
    /// Stamps above `stamp` that were drawn and will be no group's.
    drawn: u64,
}

/// A closed group: what its snapshot will show, and its pages.
pub(crate) struct Sealed {
    pub(crate) stamp: u64,
    pub(crate) seq: u64,
    pub(crate) stores: Stores,
    pub(crate) pages: GroupPages,
}

impl Tip {
    pub(crate) fn new(stores: Stores, stamp: u64, seq: u64, next_store_id: u64) -> Self {
        Self {
            stores,
            fresh: Fresh::default(),
            stamp,
            seq,
            next_store_id,
            sealed: stamp - 1,
            drawn: 0,
        }
    }

    /// A stamp that no group has or will have, above those of all groups closed so far. `idle`
    /// says that the group being formed has nothing in it yet.
    pub(crate) fn draw_stamp(&mut self, idle: bool) -> u64 {
        if idle && self.drawn == 0 {
            self.stamp += 1;
            return self.stamp - 1;
        }
        self.drawn += 1;
        self.stamp + self.drawn
    }

    /// Reads the tip.
    pub(crate) fn reader<'a>(&'a self, pager: &'a Pager, guard: &'a Guard) -> TipReader<'a> {
        TipReader {
            pager,
            guard,
            fresh: &self.fresh,
            stamp: self.stamp,
        }
    }

    /// Closes the group and starts the next one.
    pub(crate) fn seal(&mut self, page_bytes: usize) -> Sealed {
        let pages = self.fresh.seal(page_bytes);
        let sealed = Sealed {
            stamp: self.stamp,
            seq: self.seq,
            stores: self.stores.clone(),
            pages,
        };
        self.sealed = self.stamp;
        self.stamp += 1 + std::mem::take(&mut self.drawn);
        sealed
    }
}
