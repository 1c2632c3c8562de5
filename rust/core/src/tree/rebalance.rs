//! Keeping nodes filled: merging a node that lost entries with a neighbour, or sharing evenly.

use super::edit::{Editor, Outcome};
use super::shape::{Entry, Shape, entries};
use crate::error::Result;
use crate::page::{ChildRef, Node, NodeMut};

impl Editor<'_> {
    /// Does this node, just changed, hold too little to stand alone?
    pub(super) fn is_underfull(&self, child: ChildRef) -> bool {
        let node = Node::new(&self.fresh.get(child.page).bytes);
        node.entry_bytes() < node.size() / 4 || (!node.is_leaf() && node.count() < 2)
    }

    /// Joins child `index` of a node the transaction owns with a neighbour.
    pub(super) fn rebalance(&mut self, parent: ChildRef, index: usize) -> Result<Outcome> {
        let node = self.node(parent.page)?;
        if node.count() < 2 {
            // Alone under its parent: the parent is underfull itself and will be joined.
            return Ok(Outcome::Replaced {
                node: parent,
                split: None,
            });
        }
        let left = index.min(node.count() - 2);
        let (a, b) = (node.child(left), node.child(left + 1));
        let boundary = node.key(left + 1);
        // Copies, because building takes pages while these are read.
        let first = self.node(a.page)?.bytes_copy();
        let second = self.node(b.page)?.bytes_copy();
        let (first, second) = (Node::new(&first), Node::new(&second));
        let shape = Shape::of(first, self.pager.page_bytes());
        let list: Vec<Entry<'_>> = entries(first).chain(entries(second)).collect();
        let (lower, upper) = (first.lower(), second.upper());
        debug_assert_eq!(first.upper(), Some(boundary.as_slice()), "N4");
        let needed = shape.needed(&list, lower, upper);
        // A joined node is left with room, or the next insertion would split it again.
        let one = needed <= shape.page_bytes * 3 / 4 || shape.must_join(&list, needed);
        self.drop_page(a.page);
        self.drop_page(b.page);
        if one {
            let joined = self.build(shape, &list, lower, upper);
            let mut node = NodeMut::new(self.fresh.get_mut(parent.page));
            node.remove(left + 1);
            node.set_child(left, joined);
            return Ok(Outcome::Replaced {
                node: parent,
                split: None,
            });
        }
        let point = shape.split_point(&list, None);
        let (joined, (separator, right)) = self.build_two(shape, &list, point, lower, upper);
        let mut node = NodeMut::new(self.fresh.get_mut(parent.page));
        node.remove(left + 1);
        node.set_child(left, joined);
        self.insert_child(parent, left + 1, &separator, right)
    }
}
