//! Moving pages to the front of the file: nothing but their places changes.

use super::edit::Editor;
use crate::error::Result;
use crate::page::{ChildRef, NodeMut};

impl Editor<'_> {
    /// Moves the pages on the way to `key` that lie at `limit` or behind it, as long as there are free
    /// pages before it. The new root.
    pub(crate) fn relocate(&mut self, at: ChildRef, key: &[u8], limit: u64) -> Result<ChildRef> {
        let node = self.node(at.page)?;
        let mut moved = at;
        if !node.is_leaf() {
            let index = node.child_index(key);
            let child = node.child(index);
            let below = self.relocate(child, key, limit)?;
            if below != child {
                moved = self.own(moved)?;
                NodeMut::new(self.fresh.get_mut(moved.page)).set_child(index, below);
            }
        }
        // Longer nodes stay: a place for them may be farther back than the one they have.
        let far = moved == at && at.page.span == 1 && at.page.id >= limit;
        if far && self.pager.first_free().is_some_and(|id| id < limit) {
            moved = self.own(moved)?;
        }
        Ok(moved)
    }
}
