//! Freeing the pages of removed stores: their trees are walked, by a checkpoint in the background and
//! by a replay before it meets extents that may lie on such pages again.

use crossbeam_epoch as epoch;

use super::core::Engine;
use crate::error::{Error, Result};
use crate::page::{Cell, ChildRef};
use crate::pager::{Dead, Pager};
use crate::tree::{Pages, Reader};
use crate::txn::Tip;

impl Engine {
    /// Buries every page of the trees whose stores were removed.
    pub(super) fn sweep_removed(&self) -> Result<()> {
        let snapshot = self.published.load_full();
        for root in snapshot.stores.removed() {
            let found = tree_runs(&self.pager, *root)?;
            let mut sequencer = self.sequencer.lock();
            let _whole = self.or_poison("giving up a removed store");
            if sequencer.tip.stores.removed().contains(root) {
                sequencer.tip.bury(*root, found);
            }
        }
        if snapshot.stores.removed().is_empty() {
            return Ok(());
        }
        drop(snapshot);
        self.drain()
    }
}

/// The same for a tip that nobody else uses and whose pages are all published.
pub(super) fn sweep_tip(tip: &mut Tip, pager: &Pager) -> Result<()> {
    for root in tip.stores.removed().to_vec() {
        let found = tree_runs(pager, root)?;
        tip.bury(root, found);
    }
    Ok(())
}

/// Every run a tree reaches, not dead yet.
fn tree_runs(pager: &Pager, root: ChildRef) -> Result<Vec<Dead>> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(child) = open.pop() {
        let guard = epoch::pin();
        let reader = Reader {
            pager,
            guard: &guard,
            wait: true,
        };
        let run = |id, span, birth| Dead {
            id,
            span,
            birth,
            death: u64::MAX,
        };
        let page = child.page;
        found.push(run(page.id, u64::from(page.span), page.stamp));
        let node = match reader.node(page) {
            Ok(node) => node,
            // Damage in a removed store hurts nobody: what lies below it is lost to the file, which
            // `check` tells, but checkpoints go on.
            Err(Error::Corruption { .. }) => continue,
            Err(error) => return Err(error),
        };
        for index in 0..node.count() {
            if !node.is_leaf() {
                open.push(node.child(index));
            } else if let Some(large) = Cell::decode(node.payload(index)).large() {
                found.push(run(large.id, large.span(pager.page_bytes()), large.stamp));
            }
        }
    }
    Ok(found)
}
