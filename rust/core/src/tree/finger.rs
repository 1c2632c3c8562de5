//! A finger on the leaf of the last put: entries that come in ascending order descend once per leaf, not once each.
//!
//! Invariants
//! G1  The leaf and every node on the way to it are the group's own, and nothing but puts through
//!     the finger changes the tree while it is held.
//! G2  The counts on the way, the root's included, lack the `added` entries until the finger is settled.

use super::edit::Editor;
use crate::page::{Cell, ChildRef, NodeMut, PageRef};

/// See the module. Kept between the edits of one store by one transaction.
#[derive(Default)]
pub(crate) struct Finger {
    leaf: Option<PageRef>,
    /// From the leaf's parent up: a node, and which of its entries leads to the leaf.
    way: Vec<(PageRef, usize)>,
    added: u64,
}

impl Finger {
    /// Points nowhere. What was added has been settled.
    pub(super) fn lift(&mut self) {
        assert_eq!(self.added, 0, "G2: entries are missing in the counts");
        self.leaf = None;
        self.way.clear();
    }

    /// A put has gone well in this leaf; the nodes above it follow.
    pub(super) fn point(&mut self, leaf: PageRef) {
        self.leaf = Some(leaf);
    }

    /// The put came by here, and no node was split.
    pub(super) fn came_by(&mut self, node: PageRef, index: usize) {
        self.way.push((node, index));
    }
}

impl Editor<'_> {
    /// Puts an entry into the leaf the finger is on; false, and nothing changed, when it belongs elsewhere, does not fit, or
    /// takes the place of a value out of line.
    pub(super) fn put_at_finger(&mut self, key: &[u8], payload: &[u8]) -> bool {
        let Some(leaf) = self.finger.leaf else {
            return false;
        };
        let mut node = NodeMut::new(self.fresh.get_mut(leaf));
        let view = node.view();
        if key < view.lower() || view.upper().is_some_and(|upper| key >= upper) {
            return false;
        }
        let (index, found) = view.lower_bound_inside(key);
        if found {
            let out_of_line = Cell::decode(view.payload(index)).large().is_some();
            return !out_of_line && node.set_payload(index, payload);
        }
        let fits = node.insert(index, key, payload);
        self.finger.added += u64::from(fits);
        fits
    }

    /// Brings the counts on the way up to date and lifts the finger. The root with its count.
    pub(crate) fn settle(&mut self, root: ChildRef) -> ChildRef {
        let added = std::mem::take(&mut self.finger.added);
        if added > 0 {
            for &(page, index) in &self.finger.way {
                let mut node = NodeMut::new(self.fresh.get_mut(page));
                let mut child = node.view().child(index);
                child.count += added;
                node.set_child(index, child);
            }
        }
        self.finger.lift();
        ChildRef {
            count: root.count + added,
            ..root
        }
    }
}
