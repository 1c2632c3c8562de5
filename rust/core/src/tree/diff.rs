//! Comparing two versions of a tree: what validation is made of.
//!
//! Pages are immutable, so equal references mean equal subtrees: only what changed is read. A
//! comparison is exact (it sees phantoms and deletions, and no change that is not there) and
//! needs no table of recent writes, so there is no window after which it would have to give up.

use super::cursor::Cursor;
use super::lookup::{Pages, get};
use crate::error::Result;
use crate::page::{ChildRef, Node};
use std::ops::Bound;

/// Is the entry of `key` (or its absence) the same in both versions?
pub(crate) fn same_at<A: Pages, B: Pages>(
    (old_pages, old): (&A, Option<ChildRef>),
    (new_pages, new): (&B, Option<ChildRef>),
    key: &[u8],
) -> Result<bool> {
    let (Some(mut old), Some(mut new)) = (old, new) else {
        return Ok(get(old_pages, old, key)? == get(new_pages, new, key)?);
    };
    loop {
        if old.page == new.page {
            return Ok(true);
        }
        let (a, b) = (old_pages.node(old.page)?, new_pages.node(new.page)?);
        let (down_a, down_b) = (a.level() >= b.level(), b.level() >= a.level());
        if a.is_leaf() && b.is_leaf() {
            let (i, in_a) = a.lower_bound(key);
            let (j, in_b) = b.lower_bound(key);
            return Ok(in_a == in_b && (!in_a || a.payload(i) == b.payload(j)));
        }
        if down_a {
            old = a.child(a.child_index(key));
        }
        if down_b {
            new = b.child(b.child_index(key));
        }
    }
}

/// Do both versions hold the same entries with low <= key < high?
pub(crate) fn same_between<A: Pages, B: Pages>(
    (old_pages, old): (&A, Option<ChildRef>),
    (new_pages, new): (&B, Option<ChildRef>),
    low: &[u8],
    high: Option<&[u8]>,
) -> Result<bool> {
    match (old, new) {
        (None, None) => Ok(true),
        (None, Some(_)) => is_empty(new_pages, new, low, high),
        (Some(_), None) => is_empty(old_pages, old, low, high),
        (Some(old), Some(new)) => Compare {
            old_pages,
            new_pages,
        }
        .same(old, new, low, high),
    }
}

fn is_empty<P: Pages>(
    pages: &P,
    root: Option<ChildRef>,
    low: &[u8],
    high: Option<&[u8]>,
) -> Result<bool> {
    let mut cursor = Cursor::seek(pages, root, Bound::Included(low))?;
    Ok(match (cursor.next()?, high) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some((leaf, index)), Some(high)) => leaf.key(index).as_slice() >= high,
    })
}

struct Compare<'p, A: Pages, B: Pages> {
    old_pages: &'p A,
    new_pages: &'p B,
}

impl<A: Pages, B: Pages> Compare<'_, A, B> {
    /// `low..high` lies within the ranges of both nodes.
    fn same(&self, old: ChildRef, new: ChildRef, low: &[u8], high: Option<&[u8]>) -> Result<bool> {
        if old.page == new.page {
            return Ok(true);
        }
        let (a, b) = (
            self.old_pages.node(old.page)?,
            self.new_pages.node(new.page)?,
        );
        if a.is_leaf() && b.is_leaf() {
            return Ok(same_entries(a, b, low, high));
        }
        let mut i = Side::new(a, old, low, a.level() >= b.level());
        let mut j = Side::new(b, new, low, b.level() >= a.level());
        let mut start = low.to_vec();
        loop {
            let ends = (i.end(), j.end());
            let end = least(least(ends.0.as_deref(), ends.1.as_deref()), high).map(<[u8]>::to_vec);
            if !self.same(i.child(), j.child(), &start, end.as_deref())? {
                return Ok(false);
            }
            let Some(end) = end else { return Ok(true) };
            if high.is_some_and(|high| end.as_slice() >= high) {
                return Ok(true);
            }
            i.advance(&end, ends.0.as_deref());
            j.advance(&end, ends.1.as_deref());
            start = end;
        }
    }
}

/// One of two nodes whose children are walked side by side; the lower one stays as it is.
struct Side<'p> {
    node: Node<'p>,
    whole: ChildRef,
    descend: bool,
    index: usize,
}

impl<'p> Side<'p> {
    fn new(node: Node<'p>, whole: ChildRef, low: &[u8], higher: bool) -> Self {
        let descend = higher && !node.is_leaf();
        let index = if descend { node.child_index(low) } else { 0 };
        Self {
            node,
            whole,
            descend,
            index,
        }
    }

    fn child(&self) -> ChildRef {
        if self.descend {
            self.node.child(self.index)
        } else {
            self.whole
        }
    }

    fn end(&self) -> Option<Vec<u8>> {
        if self.descend && self.index + 1 < self.node.count() {
            Some(self.node.key(self.index + 1))
        } else {
            self.node.upper().map(<[u8]>::to_vec)
        }
    }

    fn advance(&mut self, end: &[u8], own_end: Option<&[u8]>) {
        if own_end == Some(end) && self.index + 1 < self.node.count() && self.descend {
            self.index += 1;
        }
    }
}

fn least<'k>(a: Option<&'k [u8]>, b: Option<&'k [u8]>) -> Option<&'k [u8]> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (end, None) | (None, end) => end,
    }
}

fn same_entries(a: Node<'_>, b: Node<'_>, low: &[u8], high: Option<&[u8]>) -> bool {
    let range = |node: Node<'_>| {
        let end = high.map_or(node.count(), |high| node.lower_bound(high).0);
        node.lower_bound(low).0..end
    };
    let (in_a, in_b) = (range(a), range(b));
    in_a.len() == in_b.len()
        && in_a
            .zip(in_b)
            .all(|(i, j)| a.payload(i) == b.payload(j) && a.key(i) == b.key(j))
}
