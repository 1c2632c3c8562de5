//! Changing the tip: insertion and deletion by path copying.
//!
//! An edit descends to a leaf, makes the pages on the way back the group's own (`fresh`),
//! and hands the new reference up. Splits and merges are handled by the parent on that way.

use crossbeam_epoch::Guard;
use xxhash_rust::xxh3::xxh3_64;

use super::finger::Finger;
use super::fresh::{Fresh, TipReader};
use super::shape::{Entry, Shape, entries};
use crate::error::Result;
use crate::page::{Cell, ChildRef, Kind, LargeRef, Node, NodeMut, PageBuf, PageRef};
use crate::pager::Pager;

/// Insertions in a row, each right after the one before, that count as ascending.
const ASCENT_MIN: usize = 3;

/// Edits trees on behalf of the transaction being applied.
pub(crate) struct Editor<'a> {
    pub(crate) pager: &'a Pager,
    pub(crate) guard: &'a Guard,
    pub(crate) fresh: &'a mut Fresh,
    pub(crate) finger: &'a mut Finger,
    /// The group being formed: the birth of every page made here.
    pub(crate) stamp: u64,
    pub(crate) store: u64,
}

/// What an edit did to a node, for its parent to take in.
pub(super) enum Outcome {
    Same,
    Replaced {
        node: ChildRef,
        split: Option<(Vec<u8>, ChildRef)>,
    },
    /// The leaf, now the group's own, has no room for what was to be put at this index. It is
    /// as it was, but for the key's earlier payload, which is gone.
    Full {
        leaf: ChildRef,
        index: usize,
    },
}

/// A change to one entry.
#[derive(Clone, Copy)]
enum Change<'c> {
    Put(&'c [u8]),
    Delete,
}

impl Editor<'_> {
    /// Gives `key` this payload. The new root; its count is that of its entries when the finger is settled.
    pub(crate) fn put(
        &mut self,
        root: Option<ChildRef>,
        key: &[u8],
        payload: &[u8],
    ) -> Result<Option<ChildRef>> {
        let Some(root) = root else {
            let entry = Entry {
                prefix: &[],
                suffix: key,
                payload,
            };
            return Ok(Some(self.build(self.leaf_shape(), &[entry], &[], None)));
        };
        if self.put_at_finger(key, payload) {
            return Ok(Some(root));
        }
        let root = self.settle(root);
        let outcome = match self.change(root, key, Change::Put(payload))? {
            Outcome::Full { leaf, index } => self.split(leaf, index, key, payload),
            outcome => outcome,
        };
        Ok(Some(self.grow(root, outcome)))
    }

    /// Takes `key` away, if it is there. The new root.
    pub(crate) fn delete(
        &mut self,
        root: Option<ChildRef>,
        key: &[u8],
    ) -> Result<Option<ChildRef>> {
        let Some(root) = root else { return Ok(None) };
        let root = self.settle(root);
        let outcome = self.change(root, key, Change::Delete)?;
        self.finger.lift();
        let root = self.grow(root, outcome);
        self.shrink(root)
    }

    /// Writes a value of its own run, in memory until the next checkpoint.
    pub(crate) fn add_large(&mut self, value: &[u8]) -> LargeRef {
        let page_bytes = self.pager.page_bytes();
        let span = value.len().div_ceil(page_bytes);
        let id = self.pager.allocate(span as u64);
        let mut bytes = PageBuf::zeroed(span * page_bytes);
        bytes[..value.len()].copy_from_slice(value);
        let page = PageRef {
            id,
            span: span as u16,
            stamp: self.stamp,
        };
        self.fresh.insert(bytes, page, true);
        LargeRef {
            id,
            length: value.len() as u64,
            stamp: self.stamp,
            hash: xxh3_64(value),
        }
    }

    fn leaf_shape(&self) -> Shape {
        Shape {
            page_bytes: self.pager.page_bytes(),
            kind: Kind::Leaf,
            level: 0,
            store: self.store,
        }
    }

    /// The tip as this edit sees it.
    pub(crate) fn reader(&self) -> TipReader<'_> {
        TipReader {
            pager: self.pager,
            guard: self.guard,
            fresh: self.fresh,
            stamp: self.stamp,
        }
    }

    pub(super) fn node(&self, page: PageRef) -> Result<Node<'_>> {
        if page.stamp == self.stamp {
            return Ok(Node::new(&self.fresh.get(page).bytes));
        }
        self.pager.node(page, true, self.guard)
    }

    /// The node if it need not be read.
    pub(super) fn resident(&self, page: PageRef) -> Option<Node<'_>> {
        if page.stamp == self.stamp {
            return Some(Node::new(&self.fresh.get(page).bytes));
        }
        self.pager.node(page, false, self.guard).ok()
    }

    fn grow(&mut self, old: ChildRef, outcome: Outcome) -> ChildRef {
        match outcome {
            Outcome::Same => old,
            Outcome::Full { .. } => unreachable!("room was made where the leaf hangs"),
            Outcome::Replaced { node, split: None } => node,
            Outcome::Replaced {
                node,
                split: Some((separator, right)),
            } => {
                let level = Node::new(&self.fresh.get(node.page).bytes).level() + 1;
                let shape = Shape {
                    kind: Kind::Inner,
                    level,
                    ..self.leaf_shape()
                };
                let (left, right) = (node.encode(), right.encode());
                let list = [
                    Entry {
                        prefix: &[],
                        suffix: &[],
                        payload: &left,
                    },
                    Entry {
                        prefix: &[],
                        suffix: &separator,
                        payload: &right,
                    },
                ];
                self.build(shape, &list, &[], None)
            }
        }
    }

    fn shrink(&mut self, mut root: ChildRef) -> Result<Option<ChildRef>> {
        loop {
            let node = self.node(root.page)?;
            let below = match (node.is_leaf(), node.count()) {
                (true, 0) => None,
                (false, 1) => Some(node.child(0)),
                _ => return Ok(Some(root)),
            };
            self.drop_page(root.page);
            let Some(below) = below else { return Ok(None) };
            root = below;
        }
    }

    fn change(&mut self, mut at: ChildRef, key: &[u8], change: Change<'_>) -> Result<Outcome> {
        let node = self.node(at.page)?;
        if node.is_leaf() {
            return self.change_leaf(at, key, change);
        }
        let index = node.child_index_inside(key);
        let child = node.child(index);
        let mut outcome = self.change(child, key, change)?;
        if let (Outcome::Full { leaf, index: place }, Change::Put(payload)) = (&outcome, change) {
            let (leaf, place) = (*leaf, *place);
            at = self.own(at)?;
            NodeMut::new(self.fresh.get_mut(at.page)).set_child(index, leaf);
            if let Some(shared) = self.share(at, index, (place, key, payload))? {
                return Ok(shared);
            }
            outcome = self.split(leaf, place, key, payload);
        }
        self.take_in(at, (index, child), outcome)
    }

    /// Lets a node know what became of its child `index`, which was `child`.
    fn take_in(
        &mut self,
        at: ChildRef,
        (index, child): (usize, ChildRef),
        outcome: Outcome,
    ) -> Result<Outcome> {
        let Outcome::Replaced { node: below, split } = outcome else {
            return Ok(outcome);
        };
        let right = split.as_ref().map_or(0, |(_, right)| right.count);
        let count = at.count - child.count + below.count + right;
        let at = ChildRef {
            count,
            ..self.own(at)?
        };
        NodeMut::new(self.fresh.get_mut(at.page)).set_child(index, below);
        if let Some((separator, right)) = split {
            return self.insert_child(at, index + 1, &separator, right);
        }
        if below.count < child.count && self.is_underfull(below) {
            return self.rebalance(at, index);
        }
        self.finger.came_by(at.page, index);
        Ok(Outcome::Replaced {
            node: at,
            split: None,
        })
    }

    pub(super) fn insert_child(
        &mut self,
        at: ChildRef,
        index: usize,
        separator: &[u8],
        child: ChildRef,
    ) -> Result<Outcome> {
        let payload = child.encode();
        if NodeMut::new(self.fresh.get_mut(at.page)).insert(index, separator, &payload) {
            return Ok(Outcome::Replaced {
                node: at,
                split: None,
            });
        }
        Ok(self.split(at, index, separator, &payload))
    }

    fn change_leaf(&mut self, at: ChildRef, key: &[u8], change: Change<'_>) -> Result<Outcome> {
        let node = self.node(at.page)?;
        let (index, found) = node.lower_bound_inside(key);
        let old = found
            .then(|| Cell::decode(node.payload(index)).large())
            .flatten();
        let payload = match change {
            Change::Delete if !found => return Ok(Outcome::Same),
            Change::Delete => None,
            Change::Put(payload) => Some(payload),
        };
        if let Some(old) = old
            && payload.is_none_or(|payload| Cell::decode(payload).large() != Some(old))
        {
            self.drop_large(old);
        }
        let mut at = self.own(at)?;
        let mut node = NodeMut::new(self.fresh.get_mut(at.page));
        match payload {
            None => {
                node.remove(index);
                at.count -= 1;
            }
            Some(payload) if found => {
                if !node.set_payload(index, payload) {
                    node.remove(index);
                    return Ok(Outcome::Full { leaf: at, index });
                }
            }
            Some(payload) => {
                if !node.insert(index, key, payload) {
                    return Ok(Outcome::Full { leaf: at, index });
                }
                at.count += 1;
            }
        }
        self.finger.point(at.page);
        Ok(Outcome::Replaced {
            node: at,
            split: None,
        })
    }

    /// Makes a full node and the entry that did not fit into two nodes, or one longer one.
    fn split(&mut self, at: ChildRef, index: usize, key: &[u8], payload: &[u8]) -> Outcome {
        // The page is the group's own: taking its bytes along is cheaper than borrowing.
        let old = self.fresh.get(at.page).bytes.clone();
        self.drop_page(at.page);
        let node = Node::new(&old);
        let shape = Shape::of(node, self.pager.page_bytes());
        let mut list: Vec<Entry<'_>> = entries(node).collect();
        let ascending = is_ascending(node, index).then_some(index);
        let run = run_with(node, index);
        list.insert(
            index,
            Entry {
                prefix: &[],
                suffix: key,
                payload,
            },
        );
        let (lower, upper) = (node.lower(), node.upper());
        if shape.may_grow(&list, shape.needed(&list, lower, upper)) {
            let node = self.build(shape, &list, lower, upper);
            return Outcome::Replaced { node, split: None };
        }
        let point = match ascending {
            Some(newest) => shape.ascending_point(&list, newest, (lower, node.size())),
            None => shape.split_point(&list),
        };
        let (node, right) = self.build_two(shape, &list, point, lower, upper);
        self.carry_run(run, (node, right.1), (point, index));
        Outcome::Replaced {
            node,
            split: Some(right),
        }
    }

    /// The insertion at `index` of two nodes that were cut at `point` was one of a run, which goes on.
    pub(super) fn carry_run(
        &mut self,
        run: Option<usize>,
        (left, right): (ChildRef, ChildRef),
        (point, index): (usize, usize),
    ) {
        let Some(run) = run else { return };
        let (half, place) = if index < point {
            (left, index)
        } else {
            (right, index - point)
        };
        NodeMut::new(self.fresh.get_mut(half.page)).set_ascent(place + 1, run);
    }

    pub(super) fn build_two(
        &mut self,
        shape: Shape,
        list: &[Entry<'_>],
        point: usize,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> (ChildRef, (Vec<u8>, ChildRef)) {
        let separator = shape.separator(list[point - 1], list[point]);
        let left = self.build(shape, &list[..point], lower, Some(&separator));
        let right = self.build(shape, &list[point..], &separator, upper);
        (left, (separator, right))
    }

    pub(super) fn build(
        &mut self,
        shape: Shape,
        list: &[Entry<'_>],
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> ChildRef {
        let (bytes, count) = shape.build(list, lower, upper);
        ChildRef {
            page: self.add(bytes),
            count,
        }
    }

    fn add(&mut self, mut bytes: PageBuf) -> PageRef {
        let span = bytes.len() / self.pager.page_bytes();
        let id = self.pager.allocate(span as u64);
        NodeMut::new(&mut bytes).set_identity(id, self.stamp);
        let page = PageRef {
            id,
            span: span as u16,
            stamp: self.stamp,
        };
        self.fresh.insert(bytes, page, false);
        page
    }

    /// A version of the node that may be changed in place.
    pub(super) fn own(&mut self, at: ChildRef) -> Result<ChildRef> {
        if at.page.stamp == self.stamp {
            return Ok(at); // T1
        }
        let copy = self.pager.copy_node(at.page, self.guard)?;
        self.drop_page(at.page);
        Ok(ChildRef {
            page: self.add(copy),
            ..at
        })
    }

    pub(super) fn drop_page(&mut self, page: PageRef) {
        self.fresh
            .drop_run(page, u64::from(page.span), self.stamp, self.pager);
    }

    fn drop_large(&mut self, large: LargeRef) {
        let span = large.span(self.pager.page_bytes());
        let page = PageRef {
            id: large.id,
            span: 0,
            stamp: large.stamp,
        };
        self.fresh.drop_run(page, span, self.stamp, self.pager);
    }
}

/// How many insertions in a row one at `index` makes, if it goes on right after the last one.
pub(super) fn run_with(node: Node<'_>, index: usize) -> Option<usize> {
    let (next, run) = node.ascent();
    (index == next).then_some(run + 1)
}

/// Have insertions into this node gone on ascending, with one at `index` next?
pub(super) fn is_ascending(node: Node<'_>, index: usize) -> bool {
    let (next, run) = node.ascent();
    run >= ASCENT_MIN && index == next
}
