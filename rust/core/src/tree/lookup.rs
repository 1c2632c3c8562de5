//! Looking keys up in a tree.

use std::ops::Bound;

use crossbeam_epoch::Guard;

use crate::error::Result;
use crate::page::{Cell, ChildRef, Node, PageRef};
use crate::pager::Pager;

/// Where nodes come from: a snapshot's pages, or the tip with its unpublished ones.
pub(crate) trait Pages {
    /// The node a reference names.
    fn node(&self, page: PageRef) -> Result<Node<'_>>;
}

/// Reads published pages through the cache.
pub(crate) struct Reader<'a> {
    pub(crate) pager: &'a Pager,
    pub(crate) guard: &'a Guard,
    /// May a page be read from disk? When not, a miss is `WouldBlock`.
    pub(crate) wait: bool,
}

impl Pages for Reader<'_> {
    #[inline]
    fn node(&self, page: PageRef) -> Result<Node<'_>> {
        self.pager.node(page, self.wait, self.guard)
    }
}

/// The leaf whose range holds `key`.
#[inline]
pub(super) fn leaf<'p, P: Pages>(pages: &'p P, root: ChildRef, key: &[u8]) -> Result<Node<'p>> {
    let mut node = pages.node(root.page)?;
    while !node.is_leaf() {
        node = pages.node(node.child(node.child_index_inside(key)).page)?;
    }
    Ok(node)
}

/// The entry of `key`.
#[inline]
pub(crate) fn get<'p, P: Pages>(
    pages: &'p P,
    root: Option<ChildRef>,
    key: &[u8],
) -> Result<Option<Cell<'p>>> {
    let Some(root) = root else { return Ok(None) };
    let node = leaf(pages, root, key)?;
    let (index, found) = node.lower_bound_inside(key);
    Ok(found.then(|| Cell::decode(node.payload(index))))
}

/// How many entries lie before `bound`: below an included key, at or below an excluded one.
/// `Unbounded` counts as the start.
pub(crate) fn rank<P: Pages>(
    pages: &P,
    root: Option<ChildRef>,
    bound: Bound<&[u8]>,
) -> Result<u64> {
    let (Some(root), Bound::Included(key) | Bound::Excluded(key)) = (root, bound) else {
        return Ok(0);
    };
    let mut before = 0;
    let mut node = pages.node(root.page)?;
    while !node.is_leaf() {
        let index = node.child_index(key);
        before += (0..index).map(|i| node.child(i).count).sum::<u64>();
        node = pages.node(node.child(index).page)?;
    }
    let (index, found) = node.lower_bound(key);
    let through = found && matches!(bound, Bound::Excluded(_));
    Ok(before + index as u64 + u64::from(through))
}
