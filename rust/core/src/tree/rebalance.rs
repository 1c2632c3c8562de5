//! Keeping nodes filled: a node that lost entries is merged with a neighbour, or shares evenly with
//! it; a full leaf shares with a neighbour that has room, and is split only when neither has.
//!
//! With random insertions leaves are then four fifths full on average, where splits alone leave
//! them at ln 2 (Bayer and McCreight's overflow technique, "Organization and Maintenance of Large
//! Ordered Indexes", 1972). Sharing with neighbours that are fuller than `SHARE_FREE_SHARE` allows would
//! fill them more and cost more than it saves: a page shared is a page rebuilt.

use super::edit::{Editor, Outcome, is_ascending, run_with};
use super::shape::{Entry, Shape, entries};
use crate::error::Result;
use crate::page::{ChildRef, Node, NodeMut};

/// A neighbour takes entries over when at least this part of it is free: a fourth.
const SHARE_FREE_SHARE: usize = 4;

impl Editor<'_> {
    /// Does this node, just changed, hold too little to stand alone?
    pub(super) fn is_underfull(&self, child: ChildRef) -> bool {
        let node = Node::new(&self.fresh.get(child.page).bytes);
        node.entry_bytes() < node.size() / 4 || (!node.is_leaf() && node.count() < 2)
    }

    /// Joins child `index` of a node the group owns with a neighbour.
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
        let point = shape.split_point(&list);
        let (joined, (separator, right)) = self.build_two(shape, &list, point, lower, upper);
        let mut node = NodeMut::new(self.fresh.get_mut(parent.page));
        node.remove(left + 1);
        node.set_child(left, joined);
        self.insert_child(parent, left + 1, &separator, right)
    }

    /// Makes room for an entry (place, key, payload) in leaf `index` of a node the group owns by
    /// moving entries to a neighbour; `None`, and nothing changed, when that is not worth while.
    pub(super) fn share(
        &mut self,
        parent: ChildRef,
        index: usize,
        (place, key, payload): (usize, &[u8], &[u8]),
    ) -> Result<Option<Outcome>> {
        let node = self.node(parent.page)?;
        let leaf = node.child(index);
        if leaf.page.span != 1 || is_ascending(self.node(leaf.page)?, place) {
            return Ok(None);
        }
        let Some(left) = self.roomy_neighbour(node, index) else {
            return Ok(None);
        };
        let (a, b) = (node.child(left), node.child(left + 1));
        // Copies, because building takes pages while these are read.
        let first = self.node(a.page)?.bytes_copy();
        let second = self.node(b.page)?.bytes_copy();
        let (first, second) = (Node::new(&first), Node::new(&second));
        let shape = Shape::of(first, self.pager.page_bytes());
        let mut list: Vec<Entry<'_>> = entries(first).chain(entries(second)).collect();
        let entry = Entry {
            prefix: &[],
            suffix: key,
            payload,
        };
        let (run, place) = match left < index {
            true => (run_with(second, place), first.count() + place),
            false => (run_with(first, place), place),
        };
        list.insert(place, entry);
        let (lower, upper) = (first.lower(), second.upper());
        let point = shape.split_point(&list);
        let separator = shape.separator(list[point - 1], list[point]);
        let halves = [
            shape.needed(&list[..point], lower, Some(&separator)),
            shape.needed(&list[point..], &separator, upper),
        ];
        // A few long entries may not divide so that both halves fit.
        if halves.iter().any(|needed| *needed > shape.page_bytes) {
            return Ok(None);
        }
        self.drop_page(a.page);
        self.drop_page(b.page);
        let (joined, (separator, right)) = self.build_two(shape, &list, point, lower, upper);
        self.carry_run(run, (joined, right), (point, place));
        let mut node = NodeMut::new(self.fresh.get_mut(parent.page));
        node.remove(left + 1);
        node.set_child(left, joined);
        let parent = ChildRef {
            count: parent.count + joined.count + right.count - a.count - b.count,
            ..parent
        };
        self.insert_child(parent, left + 1, &separator, right)
            .map(Some)
    }

    /// The left one of leaf `index` and its emptier neighbour, if that one has room to share. Only pages in
    /// memory are considered: better fill is not worth waiting for the disk.
    fn roomy_neighbour(&self, parent: Node<'_>, index: usize) -> Option<usize> {
        let free = |index: usize| {
            let page = parent.child(index).page;
            let node = self.resident(page).filter(|_| page.span == 1)?;
            let free = node.free_bytes();
            (free >= node.size() / SHARE_FREE_SHARE).then_some(free)
        };
        let before = index
            .checked_sub(1)
            .and_then(|left| Some((free(left)?, left)));
        let after = Some(index + 1).filter(|right| *right < parent.count());
        let after = after.and_then(|right| Some((free(right)?, index)));
        before.max(after).map(|(_, left)| left)
    }
}
