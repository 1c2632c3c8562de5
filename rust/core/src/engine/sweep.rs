//! Freeing the pages of removed stores: their trees are walked in the background.

use crossbeam_epoch as epoch;

use super::core::Engine;
use crate::error::Result;
use crate::page::{Cell, ChildRef};
use crate::pager::Dead;
use crate::tree::{Pages, Reader};

impl Engine {
    /// Buries every page of the trees whose stores were removed.
    pub(super) fn sweep_removed(&self) -> Result<()> {
        let snapshot = self.published.load_full();
        for root in snapshot.stores.removed() {
            let mut found = Vec::new();
            self.collect(*root, &mut found)?;
            let mut sequencer = self.sequencer.lock();
            if !sequencer.tip.stores.removed().contains(root) {
                continue;
            }
            let death = sequencer.tip.stamp;
            for (id, span, birth) in found {
                sequencer.tip.fresh.bury(Dead {
                    id,
                    span,
                    birth,
                    death,
                });
            }
            sequencer.tip.stores.forget_removed(*root);
        }
        if snapshot.stores.removed().is_empty() {
            return Ok(());
        }
        drop(snapshot);
        self.drain()
    }

    /// Every run a tree reaches, with its birth.
    fn collect(&self, root: ChildRef, found: &mut Vec<(u64, u64, u64)>) -> Result<()> {
        let page_bytes = self.pager.page_bytes();
        let mut open = vec![root];
        while let Some(child) = open.pop() {
            let guard = epoch::pin();
            let reader = Reader {
                pager: &self.pager,
                guard: &guard,
                wait: true,
            };
            let node = reader.node(child.page)?;
            found.push((child.page.id, u64::from(child.page.span), child.page.stamp));
            for index in 0..node.count() {
                if !node.is_leaf() {
                    open.push(node.child(index));
                } else if let Some(large) = Cell::decode(node.payload(index)).large() {
                    found.push((large.id, large.span(page_bytes), large.stamp));
                }
            }
        }
        Ok(())
    }
}
