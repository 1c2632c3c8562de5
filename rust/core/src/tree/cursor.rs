//! Walking a tree in key order, either way, from any position.
//!
//! A cursor keeps the path of nodes above its position, so a step costs nothing inside a leaf and
//! one page load at its edge.

use std::ops::Bound;

use super::lookup::Pages;
use crate::error::Result;
use crate::page::{ChildRef, Node};

/// A position between two entries of one version of a tree.
pub(crate) struct Cursor<'p, P: Pages> {
    pages: &'p P,
    /// Inner nodes with the child taken; the leaf with the index of the entry after the position.
    path: Vec<(Node<'p>, usize)>,
}

impl<'p, P: Pages> Cursor<'p, P> {
    /// A cursor before the first entry at or above `bound` (above it, when excluded);
    /// `Unbounded` is the start.
    pub(crate) fn seek(pages: &'p P, root: Option<ChildRef>, bound: Bound<&[u8]>) -> Result<Self> {
        Self::place(pages, root, |node| match bound {
            Bound::Unbounded => 0,
            Bound::Included(key) if !node.is_leaf() => node.child_index(key),
            Bound::Excluded(key) if !node.is_leaf() => node.child_index(key),
            Bound::Included(key) => node.lower_bound(key).0,
            Bound::Excluded(key) => {
                let (index, found) = node.lower_bound(key);
                index + usize::from(found)
            }
        })
    }

    /// A cursor after the last entry.
    pub(crate) fn end(pages: &'p P, root: Option<ChildRef>) -> Result<Self> {
        Self::place(pages, root, |node| {
            if node.is_leaf() {
                node.count()
            } else {
                node.count() - 1
            }
        })
    }

    /// A cursor before entry number `rank`.
    pub(crate) fn nth(pages: &'p P, root: Option<ChildRef>, rank: u64) -> Result<Self> {
        let mut left = rank;
        Self::place(pages, root, |node| {
            if node.is_leaf() {
                return (left as usize).min(node.count());
            }
            for index in 0..node.count() - 1 {
                let below = node.child(index).count;
                if left < below {
                    return index;
                }
                left -= below;
            }
            node.count() - 1
        })
    }

    fn place(
        pages: &'p P,
        root: Option<ChildRef>,
        mut choose: impl FnMut(Node<'p>) -> usize,
    ) -> Result<Self> {
        let mut path = Vec::with_capacity(6);
        let mut next = root;
        while let Some(child) = next {
            let node = pages.node(child.page)?;
            let index = choose(node);
            path.push((node, index));
            next = (!node.is_leaf()).then(|| node.child(index));
        }
        Ok(Self { pages, path })
    }

    /// Steps over the entry after the position: its leaf and index.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(Node<'p>, usize)>> {
        loop {
            let Some((leaf, index)) = self.path.last_mut() else {
                return Ok(None);
            };
            if *index < leaf.count() {
                *index += 1;
                return Ok(Some((*leaf, *index - 1)));
            }
            if !self.turn(
                |node, index| (index + 1 < node.count()).then_some(index + 1),
                |_| 0,
            )? {
                return Ok(None);
            }
        }
    }

    /// Steps back over the entry before the position: its leaf and index.
    #[inline]
    pub(crate) fn previous(&mut self) -> Result<Option<(Node<'p>, usize)>> {
        loop {
            let Some((leaf, index)) = self.path.last_mut() else {
                return Ok(None);
            };
            if *index > 0 {
                *index -= 1;
                return Ok(Some((*leaf, *index)));
            }
            let last = |node: Node<'_>| {
                if node.is_leaf() {
                    node.count()
                } else {
                    node.count() - 1
                }
            };
            if !self.turn(|_, index| index.checked_sub(1), last)? {
                return Ok(None);
            }
        }
    }

    /// Goes to the neighbouring leaf; false, and nothing moved, when there is none.
    fn turn(
        &mut self,
        step: impl Fn(Node<'p>, usize) -> Option<usize>,
        enter: impl Fn(Node<'p>) -> usize,
    ) -> Result<bool> {
        let inner = self.path.len() - 1;
        let Some((depth, index)) = (0..inner).rev().find_map(|depth| {
            let (node, index) = self.path[depth];
            step(node, index).map(|index| (depth, index))
        }) else {
            return Ok(false);
        };
        let mut path = self.path[..=depth].to_vec();
        path[depth].1 = index;
        while path.len() <= inner {
            let (node, index) = path[path.len() - 1];
            let child = self.pages.node(node.child(index).page)?;
            path.push((child, enter(child)));
        }
        self.path = path;
        Ok(true)
    }
}
