//! The newest state: what the next commit is validated against and applied to.

use super::stores::Stores;
use crate::error::Result;
use crate::page::ChildRef;
use crate::pager::{Dead, Pager};
use crate::tree::{Editor, Finger, Fresh, GroupPages, TipReader};
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
    /// The stores and the last commit as the group found them.
    base: (Stores, u64),
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
            base: (stores.clone(), seq),
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

    /// Moves pages on the way to `keys` of a store to free places before `limit`; its entries stay as
    /// they are. After an error the group is to be made again.
    pub(crate) fn relocate(
        &mut self,
        store: u64,
        keys: &[Vec<u8>],
        limit: u64,
        pager: &Pager,
        guard: &Guard,
    ) -> Result<()> {
        let Some(mut root) = self.stores.get(store).and_then(|store| store.root) else {
            return Ok(());
        };
        for key in keys {
            let mut editor = Editor {
                pager,
                guard,
                fresh: &mut self.fresh,
                finger: &mut Finger::default(),
                stamp: self.stamp,
                store,
            };
            root = editor.relocate(root, key, limit)?;
        }
        self.stores.set_root(store, Some(root));
        Ok(())
    }

    /// Takes the pages of a removed store's tree as dead. They stay so when the group is made again.
    pub(crate) fn bury(&mut self, root: ChildRef, found: Vec<Dead>) {
        let death = self.stamp;
        for run in found {
            self.fresh.bury(Dead { death, ..run });
        }
        self.stores.forget_removed(root);
        self.base.0.forget_removed(root);
    }

    /// Forgets what the group's transactions did.
    pub(super) fn begin_again(&mut self, pager: &Pager) {
        self.fresh.reset(pager);
        (self.stores, self.seq) = self.base.clone();
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
        self.base = (self.stores.clone(), self.seq);
        self.sealed = self.stamp;
        self.stamp += 1 + std::mem::take(&mut self.drawn);
        sealed
    }
}
