//! The pages of the group being formed: the only pages that are ever changed in place.
//!
//! Invariants
//! T1  A page is changed in place while the group that made it is being formed, by whichever transaction of that
//!     group: no snapshot reaches it yet. So a page is copied once for a group, not once for a transaction.
//! T2  A page of an earlier group is replaced by a copy and is dead. One of this group that is no longer reached was
//!     never seen by anybody: its number is free again at once.
//! T3  What a transaction that fails half-way did is not taken back page by page: all pages of the group are
//!     forgotten, and the transactions that went well before are applied again (`Tip::rebuild`).

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
}

/// Everything the transactions of one group changed.
#[derive(Default)]
pub(crate) struct Fresh {
    pages: FxHashMap<u64, FreshPage>,
    extents: Vec<LargeRef>,
    /// Runs of trees that were written before the commit.
    loaded: Vec<(u64, u64)>,
    dead: Vec<Dead>,
    /// Dead without a transaction: they stay so when the group is made again.
    buried: Vec<Dead>,
    bytes: usize,
    /// Counts changes.
    changes: u64,
}

/// A sealed group's pages, ready for the table, and what they replaced.
pub(crate) struct GroupPages {
    pub(crate) frames: Vec<Frame>,
    pub(crate) born: Vec<Born>,
    pub(crate) dead: Vec<Dead>,
}

impl Fresh {
    /// Grows with every change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Forgets everything the transactions of the group did; the roots from before the group are valid again.
    pub(crate) fn reset(&mut self, pager: &Pager) {
        for (id, old) in self.pages.drain() {
            pager.release(id, u64::from(old.page.span));
        }
        self.bytes = 0;
        self.extents.clear();
        self.loaded.clear();
        self.dead.clear();
    }

    fn forget(&mut self, id: u64, pager: &Pager) {
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
            && self.buried.is_empty()
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
        self.changes += 1;
        let found = self
            .pages
            .get_mut(&page.id)
            .expect("T1: an unpublished page is in its group");
        &mut found.bytes
    }

    pub(super) fn insert(&mut self, bytes: PageBuf, page: PageRef, raw: bool) {
        self.bytes += bytes.len();
        self.changes += 1;
        let fresh = FreshPage { bytes, page, raw };
        let before = self.pages.insert(page.id, fresh);
        assert!(before.is_none(), "S1: page {} was given out twice", page.id);
    }

    /// The tip reaches an extent that was written before the commit.
    pub(crate) fn adopt(&mut self, extent: LargeRef) {
        self.changes += 1;
        self.extents.push(extent);
    }

    /// The tip reaches a run of a tree that was written before the commit.
    pub(crate) fn adopt_run(&mut self, id: u64, span: u64) {
        self.changes += 1;
        self.loaded.push((id, span));
    }

    /// The tip reaches a run no longer.
    pub(super) fn drop_run(&mut self, page: PageRef, span: u64, stamp: u64, pager: &Pager) {
        self.changes += 1;
        // An extent has the stamp of its group and no page here.
        if page.stamp == stamp && self.pages.contains_key(&page.id) {
            self.forget(page.id, pager);
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
        self.buried.push(dead);
    }

    /// Closes the group.
    pub(crate) fn seal(&mut self, page_bytes: usize) -> GroupPages {
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
        let mut dead = std::mem::take(&mut self.dead);
        dead.append(&mut self.buried);
        GroupPages { frames, born, dead }
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
