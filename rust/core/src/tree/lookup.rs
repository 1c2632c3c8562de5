//! Looking keys up in a tree.

use std::ops::Bound;

use crossbeam_epoch::Guard;

use crate::error::Result;
use crate::page::{Cell, ChildRef, Node, PageRef};
use crate::pager::Pager;

/// Keys that are looked up abreast at most.
pub(crate) const ABREAST: usize = 16;

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

/// The leaf whose range holds `key`. It is asked for, but not looked at: whoever wants several need not wait for each.
#[inline]
pub(super) fn leaf<'p, P: Pages>(pages: &'p P, root: ChildRef, key: &[u8]) -> Result<Node<'p>> {
    let mut node = pages.node(root.page)?;
    for _ in 0..node.level() {
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

/// The entries of a few keys, looked up abreast: memory is waited for once for all their leaves, and once for all entries.
pub(crate) fn get_abreast<'p, P: Pages>(
    pages: &'p P,
    root: Option<ChildRef>,
    keys: &[&[u8]],
    found: &mut Vec<Option<Cell<'p>>>,
) -> Result<()> {
    found.clear();
    let Some(root) = root else {
        found.resize(keys.len(), None);
        return Ok(());
    };
    let mut on_the_way = [None; ABREAST];
    for (way, key) in on_the_way.iter_mut().zip(keys) {
        *way = Some((leaf(pages, root, key)?, 0));
    }
    for (way, key) in on_the_way.iter_mut().flatten().zip(keys) {
        way.1 = way.0.approach(key);
    }
    for ((node, place), key) in on_the_way.iter().flatten().zip(keys) {
        let index = node.find_from(*place, key);
        found.push(index.map(|index| Cell::decode(node.payload(index))));
    }
    Ok(())
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
