//! The pages of the group being formed: the only pages that are ever changed in place.
//!
//! Invariants
//! T1  A page is changed in place only by the transaction that made it, so that a transaction
//!     which fails half-way can be undone by forgetting its pages.
//!     A replay is one transaction throughout: when it fails, the opening fails.
//! T2  A page that another transaction of the group made, or an earlier group, is replaced by a
//!     copy; its number is free again at once in the first case, and dead in the second.

use crossbeam_epoch::Guard;
use rustc_hash::FxHashMap;

use super::lookup::Pages;
use crate::error::Result;
use crate::page::{LargeRef, Node, PageBuf, PageRef};
use crate::pager::{Born, Dead, Frame, Pager};

/// A page not published yet.
pub(super) struct FreshPage {
    pub(super) bytes: PageBuf,
    pub(super) page: PageRef,
    raw: bool,
    transaction: u64,
}

/// Everything the transactions of one group changed.
#[derive(Default)]
pub(crate) struct Fresh {
    pages: FxHashMap<u64, FreshPage>,
    extents: Vec<LargeRef>,
    /// Runs of trees that were written before the commit.
    loaded: Vec<(u64, u64)>,
    dead: Vec<Dead>,
    bytes: usize,
    // State of the transaction being applied.
    transaction: u64,
    made: Vec<u64>,
    superseded: Vec<u64>,
    extents_before: usize,
    loaded_before: usize,
    dead_before: usize,
}

/// A sealed group's pages, ready for the table, and what they replaced.
pub(crate) struct GroupPages {
    pub(crate) frames: Vec<Frame>,
    pub(crate) born: Vec<Born>,
    pub(crate) dead: Vec<Dead>,
}

impl Fresh {
    /// Starts applying a transaction.
    pub(crate) fn begin(&mut self) {
        assert!(
            self.made.is_empty() && self.superseded.is_empty(),
            "T1: one at a time"
        );
        self.transaction += 1;
        self.extents_before = self.extents.len();
        self.loaded_before = self.loaded.len();
        self.dead_before = self.dead.len();
    }

    /// Goes on with the one transaction that a replay is.
    pub(crate) fn go_on(&mut self) {
        assert!(
            self.superseded.is_empty(),
            "T1: a replay replaces only pages of its own"
        );
        self.made.clear();
    }

    /// Keeps what the transaction did.
    pub(crate) fn keep(&mut self, pager: &Pager) {
        self.made.clear();
        for id in std::mem::take(&mut self.superseded) {
            self.forget(id, pager);
        }
    }

    /// Undoes what the transaction did; the roots from before it are valid again.
    pub(crate) fn undo(&mut self, pager: &Pager) {
        for id in std::mem::take(&mut self.made) {
            self.forget(id, pager);
        }
        self.superseded.clear();
        self.extents.truncate(self.extents_before);
        self.loaded.truncate(self.loaded_before);
        self.dead.truncate(self.dead_before);
    }

    fn forget(&mut self, id: u64, pager: &Pager) {
        // A page made and dropped by the same transaction is gone already.
        if let Some(old) = self.pages.remove(&id) {
            self.bytes -= old.bytes.len();
            pager.release(id, u64::from(old.page.span));
        }
    }

    /// Has nothing happened since the last group was sealed?
    pub(crate) fn is_unchanged(&self) -> bool {
        self.pages.is_empty()
            && self.dead.is_empty()
            && self.extents.is_empty()
            && self.loaded.is_empty()
    }

    /// Bytes of the pages held here.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, page: PageRef) -> &FreshPage {
        let found = self
            .pages
            .get(&page.id)
            .expect("T1: an unpublished page is in its group");
        debug_assert_eq!(found.page, page);
        found
    }

    pub(super) fn get_mut(&mut self, page: PageRef) -> &mut PageBuf {
        let found = self
            .pages
            .get_mut(&page.id)
            .expect("T1: an unpublished page is in its group");
        assert_eq!(
            found.transaction, self.transaction,
            "T1: another transaction's page"
        );
        &mut found.bytes
    }

    /// May the running transaction change this page in place?
    pub(super) fn owns(&self, page: PageRef, stamp: u64) -> bool {
        page.stamp == stamp && self.get(page).transaction == self.transaction
    }

    pub(super) fn insert(&mut self, bytes: PageBuf, page: PageRef, raw: bool) {
        self.bytes += bytes.len();
        self.made.push(page.id);
        let fresh = FreshPage {
            bytes,
            page,
            raw,
            transaction: self.transaction,
        };
        let before = self.pages.insert(page.id, fresh);
        assert!(before.is_none(), "S1: page {} was given out twice", page.id);
    }

    /// The tip reaches an extent that was written before the commit.
    pub(crate) fn adopt(&mut self, extent: LargeRef) {
        self.extents.push(extent);
    }

    /// The tip reaches a run of a tree that was written before the commit.
    pub(crate) fn adopt_run(&mut self, id: u64, span: u64) {
        self.loaded.push((id, span));
    }

    /// The tip reaches a run no longer.
    pub(super) fn drop_run(&mut self, page: PageRef, span: u64, stamp: u64, pager: &Pager) {
        let fresh = page.stamp == stamp;
        if fresh
            && self
                .pages
                .get(&page.id)
                .is_some_and(|p| p.transaction == self.transaction)
        {
            self.forget(page.id, pager);
        } else if fresh && self.pages.contains_key(&page.id) {
            self.superseded.push(page.id);
        } else {
            self.dead.push(Dead {
                id: page.id,
                span,
                birth: page.stamp,
                death: stamp,
            });
        }
    }

    /// Notes a run as dead whose reference was found by walking a removed tree.
    pub(crate) fn bury(&mut self, dead: Dead) {
        self.dead.push(dead);
    }

    /// Closes the group.
    pub(crate) fn seal(&mut self, page_bytes: usize) -> GroupPages {
        assert!(self.made.is_empty(), "T1: a transaction is being applied");
        let mut born = Vec::with_capacity(self.pages.len() + self.extents.len());
        for (id, span) in self.loaded.drain(..) {
            born.push(Born {
                id,
                span,
                dirty: false,
            });
        }
        for extent in self.extents.drain(..) {
            born.push(Born {
                id: extent.id,
                span: extent.span(page_bytes),
                dirty: false,
            });
        }
        let mut frames = Vec::with_capacity(self.pages.len());
        for (_, fresh) in self.pages.drain() {
            born.push(Born {
                id: fresh.page.id,
                span: u64::from(fresh.page.span),
                dirty: true,
            });
            frames.push(Frame::fresh(fresh.bytes, fresh.page, fresh.raw));
        }
        self.bytes = 0;
        GroupPages {
            frames,
            born,
            dead: std::mem::take(&mut self.dead),
        }
    }

    /// Bytes of a value made in this group, when `large` is one.
    pub(crate) fn large(&self, large: LargeRef) -> Option<Vec<u8>> {
        let found = self
            .pages
            .get(&large.id)
            .filter(|p| p.raw && p.page.stamp == large.stamp)?;
        Some(found.bytes[..large.length as usize].to_vec())
    }
}

/// Reads the tip: pages of the group being formed, and published ones.
pub(crate) struct TipReader<'a> {
    pub(crate) pager: &'a Pager,
    pub(crate) guard: &'a Guard,
    pub(crate) fresh: &'a Fresh,
    /// The group being formed.
    pub(crate) stamp: u64,
}

impl Pages for TipReader<'_> {
    #[inline]
    fn node(&self, page: PageRef) -> Result<Node<'_>> {
        if page.stamp == self.stamp {
            return Ok(Node::new(&self.fresh.get(page).bytes));
        }
        self.pager.node(page, true, self.guard)
    }
}
