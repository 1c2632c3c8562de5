//! Choosing node sizes and split points, and building nodes from lists of entries.

use crate::limits::NODE_BYTES_MAX;
use crate::page::{ChildRef, HEADER_BYTES, Kind, Node, NodeMut, PageBuf, SLOT_COST};

/// Fewest entries a node of long keys is split at while it still could grow: they get longer nodes
/// instead of trees without fan-out.
pub(super) const SPLIT_ENTRIES_MIN: usize = 4;

/// An entry on its way into a new node; the key comes in two pieces.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) suffix: &'a [u8],
    pub(super) payload: &'a [u8],
}

impl Entry<'_> {
    pub(super) fn key(&self) -> Vec<u8> {
        [self.prefix, self.suffix].concat()
    }

    fn key_bytes(&self) -> usize {
        self.prefix.len() + self.suffix.len()
    }
}

/// What nodes of one level have in common.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) page_bytes: usize,
    pub(super) kind: Kind,
    pub(super) level: u8,
    pub(super) store: u64,
}

/// The entries of a node.
pub(super) fn entries<'a>(node: Node<'a>) -> impl Iterator<Item = Entry<'a>> {
    let prefix = node.prefix();
    (0..node.count()).map(move |index| Entry {
        prefix,
        suffix: node.suffix(index),
        payload: node.payload(index),
    })
}

impl Shape {
    pub(super) fn of(node: Node<'_>, page_bytes: usize) -> Self {
        Self {
            page_bytes,
            kind: node.kind(),
            level: node.level(),
            store: node.store(),
        }
    }

    /// Bytes a node between these fences needs.
    pub(super) fn needed(&self, list: &[Entry<'_>], lower: &[u8], upper: Option<&[u8]>) -> usize {
        let shared = upper.map_or(0, |upper| {
            lower.iter().zip(upper).take_while(|(a, b)| a == b).count()
        });
        let entries: usize = list
            .iter()
            .map(|e| SLOT_COST + e.key_bytes() - shared + e.payload.len())
            .sum();
        HEADER_BYTES + lower.len() + upper.map_or(0, <[u8]>::len) + entries
    }

    /// The size of page that holds `needed` bytes: the base page doubled until it fits.
    pub(super) fn size_for(&self, needed: usize) -> usize {
        let mut size = self.page_bytes;
        while size < needed {
            size *= 2;
        }
        assert!(size <= NODE_BYTES_MAX, "a node of {needed} bytes");
        size
    }

    /// Builds a node of `list`, in the smallest page that holds it.
    pub(super) fn build(
        &self,
        list: &[Entry<'_>],
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> (PageBuf, u64) {
        let mut bytes = PageBuf::zeroed(self.size_for(self.needed(list, lower, upper)));
        let mut node = NodeMut::format(&mut bytes, self.kind, self.level, self.store, lower, upper);
        let mut count = 0;
        for entry in list {
            let fits = node.push((entry.prefix, entry.suffix), entry.payload);
            assert!(fits, "the size was computed for these entries");
            count += match self.kind {
                Kind::Leaf => 1,
                Kind::Inner => ChildRef::decode(entry.payload).count,
            };
        }
        (bytes, count)
    }

    /// May these entries stay in one node, if need be a longer one?
    pub(super) fn may_grow(&self, list: &[Entry<'_>], needed: usize) -> bool {
        needed <= self.page_bytes || self.must_join(list, needed)
    }

    /// Are these entries too few to make two nodes of?
    pub(super) fn must_join(&self, list: &[Entry<'_>], needed: usize) -> bool {
        list.len() < 2
            || (list.len() < SPLIT_ENTRIES_MIN
                && needed <= NODE_BYTES_MAX
                && self.is_of_long_keys(list))
    }

    /// Are keys what makes a node of these few entries long? Long values need no fan-out: two that do not fit into one page
    /// have a page each.
    fn is_of_long_keys(&self, list: &[Entry<'_>]) -> bool {
        let keys: usize = list.iter().map(Entry::key_bytes).sum();
        let payloads: usize = list.iter().map(|entry| entry.payload.len()).sum();
        self.kind == Kind::Inner || keys >= payloads
    }

    /// Where to cut evenly by bytes.
    pub(super) fn split_point(&self, list: &[Entry<'_>]) -> usize {
        let least = self.split_least();
        assert!(
            list.len() >= 2 * least,
            "{} entries cannot be split",
            list.len()
        );
        let cost = |e: &Entry<'_>| SLOT_COST + e.key_bytes() + e.payload.len();
        let total: usize = list.iter().map(cost).sum();
        let (mut left, mut point) = (0, 0);
        while point < list.len() && (left + cost(&list[point])) * 2 <= total {
            left += cost(&list[point]);
            point += 1;
        }
        // The entry in the middle goes where the longer half gets shorter, which matters when entries are long.
        if point < list.len() && left + cost(&list[point]) < total - left {
            point += 1;
        }
        point.clamp(least, list.len() - least)
    }

    /// Where to cut when insertions go on ascending and that at `newest` does not fit into `room` bytes: they shall leave full
    /// nodes behind. Entries that follow it are cut off, or they would go along from node to node and take room in each; with none,
    /// the newest one begins the next node. Not where the left node, whose upper fence becomes another, would be a longer one.
    pub(super) fn ascending_point(
        &self,
        list: &[Entry<'_>],
        newest: usize,
        (lower, room): (&[u8], usize),
    ) -> usize {
        let least = self.split_least();
        let followed = newest + 1 < list.len();
        let full = (newest + usize::from(followed)).min(list.len() - least);
        let evenly = self.split_point(list);
        let fits = |point: &usize| {
            let separator = self.separator(list[*point - 1], list[*point]);
            self.needed(&list[..*point], lower, Some(&separator)) <= room
        };
        (evenly + 1..=full).rev().find(fits).unwrap_or(evenly)
    }

    /// Fewest entries of a half.
    fn split_least(&self) -> usize {
        match self.kind {
            Kind::Leaf => 1,
            Kind::Inner => 2,
        }
    }

    /// The key that separates the halves of a split: in leaves the shortest that does.
    pub(super) fn separator(&self, left: Entry<'_>, right: Entry<'_>) -> Vec<u8> {
        let mut key = right.key();
        if self.kind == Kind::Leaf {
            let left = left.key();
            let shared = left.iter().zip(&key).take_while(|(a, b)| a == b).count();
            debug_assert!(
                shared < key.len(),
                "N1: the right key is above the left one"
            );
            key.truncate(shared + 1);
        }
        key
    }
}
