//! The levels of a growing tree: entries gathered until a node is full.
//!
//! How much fits depends on the fences, and the upper fence only shows when the entry after it
//! comes. So a level gathers entries while what it has fits before the next one, and cuts a node
//! off at the last place where it did.
//!
//! Invariants
//! G1  The gathered entries but the last one fit a node that ends before the last one.
//! G2  When a node is cut off, entries stay behind: an inner node never has a single child, but
//!     for an only one, which is then the root itself.

use super::pages::{BulkPages, PageFile};
use crate::error::Result;
use crate::limits::NODE_BYTES_MAX;
use crate::page::{ChildRef, HEADER_BYTES, Kind, Outline, Packed, SLOT_COST};
use crate::tree::shape::SPLIT_ENTRIES_MIN;

/// Entries of one level on their way into nodes, packed one behind the other.
struct Level {
    kind: Kind,
    number: u8,
    bytes: Vec<u8>,
    /// For each entry: length of its key, and where it ends in `bytes`.
    entries: Vec<(u32, u32)>,
    /// Lower fence of the node being gathered.
    lower: Vec<u8>,
    /// So many entries are known to fit (G1).
    good: usize,
    nodes: u64,
}

/// Builds one tree. Keys come in strictly ascending order.
pub(crate) struct TreeBuilder {
    levels: Vec<Level>,
    store: u64,
    page_bytes: usize,
    /// Bytes of a base page to fill.
    fill_bytes: usize,
}

impl TreeBuilder {
    pub(crate) fn new(store: u64, page_bytes: usize, fill_percent: usize) -> Self {
        Self {
            levels: vec![Level::new(0)],
            store,
            page_bytes,
            fill_bytes: page_bytes * fill_percent / 100,
        }
    }

    /// The key added last.
    #[inline]
    pub(crate) fn last_key(&self) -> Option<&[u8]> {
        let leaf = &self.levels[0];
        leaf.entries.len().checked_sub(1).map(|last| leaf.key(last))
    }

    /// The payload added last.
    pub(crate) fn last_payload(&self) -> Option<&[u8]> {
        let leaf = &self.levels[0];
        let last = leaf.entries.len().checked_sub(1)?;
        Some(&leaf.packed(last).bytes[leaf.entries[last].0 as usize..])
    }

    /// Gives the key added last another payload.
    pub(crate) fn replace_last(&mut self, payload: &[u8]) {
        let leaf = &mut self.levels[0];
        let last = leaf.entries.len() - 1;
        let keep = leaf.start(last) + leaf.entries[last].0 as usize;
        leaf.bytes.truncate(keep);
        leaf.bytes.extend_from_slice(payload);
        leaf.entries[last].1 = leaf.bytes.len() as u32;
        // It was measured without its last entry: that one is looked at when the next one comes.
        debug_assert!(leaf.good <= last, "G1");
    }

    /// Every entry, when no node was written yet.
    pub(crate) fn gathered(&self) -> Option<impl Iterator<Item = (&[u8], &[u8])>> {
        let leaf = &self.levels[0];
        (leaf.nodes == 0).then(|| {
            (0..leaf.entries.len()).map(|index| {
                let packed = leaf.packed(index);
                packed.bytes.split_at(packed.key)
            })
        })
    }

    /// Adds an entry above all others.
    #[inline]
    pub(crate) fn push<F: PageFile>(
        &mut self,
        pages: &mut BulkPages<F>,
        key: &[u8],
        payload: &[u8],
    ) -> Result<()> {
        self.make_room(pages, 0, key)?;
        self.levels[0].append(key, payload);
        Ok(())
    }

    /// Cuts nodes off until the rest fits before `key`.
    #[inline]
    fn make_room<F: PageFile>(
        &mut self,
        pages: &mut BulkPages<F>,
        level: usize,
        key: &[u8],
    ) -> Result<()> {
        let gathered = &mut self.levels[level];
        let count = gathered.entries.len();
        if gathered.fits(count, key, self.fill_bytes) {
            gathered.good = count;
            return Ok(());
        }
        self.cut_until_room(pages, level, key)
    }

    #[cold]
    fn cut_until_room<F: PageFile>(
        &mut self,
        pages: &mut BulkPages<F>,
        level: usize,
        key: &[u8],
    ) -> Result<()> {
        loop {
            let good = self.levels[level].good;
            self.cut(pages, level, good)?;
            let fill_bytes = self.fill_bytes;
            let gathered = &mut self.levels[level];
            gathered.measure(fill_bytes);
            let count = gathered.entries.len();
            if gathered.fits(count, key, fill_bytes) {
                gathered.good = count;
                return Ok(());
            }
        }
    }

    /// Makes a node of the first `count` entries, which are not all.
    fn cut<F: PageFile>(
        &mut self,
        pages: &mut BulkPages<F>,
        level: usize,
        count: usize,
    ) -> Result<()> {
        let gathered = &self.levels[level];
        let upper = gathered.fence(count - 1, gathered.key(count)).to_vec();
        let child = self.node(pages, level, count, Some(&upper))?;
        let gathered = &mut self.levels[level];
        let lower = std::mem::replace(&mut gathered.lower, upper);
        gathered.remove_first(count);
        self.hand_up(pages, level, &lower, child)
    }

    fn node<F: PageFile>(
        &mut self,
        pages: &mut BulkPages<F>,
        level: usize,
        count: usize,
        upper: Option<&[u8]>,
    ) -> Result<ChildRef> {
        let gathered = &mut self.levels[level];
        gathered.nodes += 1;
        let needed = gathered.needed(count, upper);
        let mut size = self.page_bytes;
        while size < needed {
            size *= 2;
        }
        assert!(size <= NODE_BYTES_MAX, "a node of {needed} bytes");
        let outline = Outline {
            kind: gathered.kind,
            level: gathered.number,
            store: self.store,
            lower: &gathered.lower,
            upper,
        };
        let below = gathered.below(count);
        let entries = (0..count).map(|index| gathered.packed(index));
        pages.add_node(size, outline, entries, below)
    }

    fn hand_up<F: PageFile>(
        &mut self,
        pages: &mut BulkPages<F>,
        level: usize,
        lower: &[u8],
        child: ChildRef,
    ) -> Result<()> {
        let above = level + 1;
        if above == self.levels.len() {
            let number = u8::try_from(above).expect("a tree has few levels");
            self.levels.push(Level::new(number));
        }
        self.make_room(pages, above, lower)?;
        self.levels[above].append(lower, &child.encode());
        Ok(())
    }

    /// Writes what is gathered. The root, unless there was no entry.
    pub(crate) fn finish<F: PageFile>(
        mut self,
        pages: &mut BulkPages<F>,
    ) -> Result<Option<ChildRef>> {
        if self.levels[0].entries.is_empty() {
            return Ok(None);
        }
        for level in 0.. {
            let child = self.finish_level(pages, level)?;
            let gathered = &mut self.levels[level];
            if gathered.nodes == 1 {
                return Ok(Some(child));
            }
            let lower = std::mem::take(&mut gathered.lower);
            self.hand_up(pages, level, &lower, child)?;
        }
        unreachable!("each level has fewer nodes than the one below")
    }

    /// The last node of a level has no upper fence, and so no prefix: what it takes may be more.
    fn finish_level<F: PageFile>(
        &mut self,
        pages: &mut BulkPages<F>,
        level: usize,
    ) -> Result<ChildRef> {
        loop {
            let fill_bytes = self.fill_bytes;
            let gathered = &mut self.levels[level];
            let count = gathered.entries.len();
            let needed = gathered.needed(count, None);
            if gathered.may_be(count, needed, fill_bytes) {
                return self.node(pages, level, count, None);
            }
            gathered.measure(fill_bytes);
            // Two are left for an inner node (G2).
            let good = gathered.good.min(count - gathered.least());
            self.cut(pages, level, good)?;
        }
    }
}

impl Level {
    fn new(number: u8) -> Self {
        Self {
            kind: if number == 0 { Kind::Leaf } else { Kind::Inner },
            number,
            bytes: Vec::new(),
            entries: Vec::new(),
            lower: Vec::new(),
            good: 0,
            nodes: 0,
        }
    }

    #[inline]
    fn start(&self, index: usize) -> usize {
        if index == 0 {
            0
        } else {
            self.entries[index - 1].1 as usize
        }
    }

    #[inline]
    fn packed(&self, index: usize) -> Packed<'_> {
        let (key, end) = self.entries[index];
        Packed {
            bytes: &self.bytes[self.start(index)..end as usize],
            key: key as usize,
        }
    }

    #[inline]
    fn key(&self, index: usize) -> &[u8] {
        let start = self.start(index);
        &self.bytes[start..start + self.entries[index].0 as usize]
    }

    #[inline]
    fn append(&mut self, key: &[u8], payload: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(payload);
        self.entries
            .push((key.len() as u32, self.bytes.len() as u32));
    }

    fn remove_first(&mut self, count: usize) {
        let end = self.entries[count - 1].1;
        self.bytes.drain(..end as usize);
        self.entries.drain(..count);
        for entry in &mut self.entries {
            entry.1 -= end;
        }
        self.good = 0;
    }

    /// Fewest entries a node has.
    fn least(&self) -> usize {
        match self.kind {
            Kind::Leaf => 1,
            Kind::Inner => 2,
        }
    }

    /// The upper fence of a node that ends with entry `last`, when `next` is the key behind it:
    /// in leaves the shortest that separates them.
    fn fence<'k>(&self, last: usize, next: &'k [u8]) -> &'k [u8] {
        match self.kind {
            Kind::Leaf => &next[..(shared(self.key(last), next) + 1).min(next.len())],
            Kind::Inner => next,
        }
    }

    /// Bytes a node of the first `count` entries needs.
    fn needed(&self, count: usize, upper: Option<&[u8]>) -> usize {
        let prefix = upper.map_or(0, |upper| shared(&self.lower, upper));
        self.loose(count) - count * prefix + upper.map_or(0, <[u8]>::len)
    }

    /// Bytes it needs without an upper fence.
    #[inline]
    fn loose(&self, count: usize) -> usize {
        HEADER_BYTES + self.lower.len() + count * SLOT_COST + self.start(count)
    }

    fn may_be(&self, count: usize, needed: usize, fill_bytes: usize) -> bool {
        needed <= fill_bytes
            || count <= self.least()
            || (count < SPLIT_ENTRIES_MIN
                && needed <= NODE_BYTES_MAX
                && self.is_of_long_keys(count))
    }

    /// See `Shape::must_join`.
    fn is_of_long_keys(&self, count: usize) -> bool {
        let keys: usize = self.entries[..count]
            .iter()
            .map(|(key, _)| *key as usize)
            .sum();
        self.kind == Kind::Inner || 2 * keys >= self.start(count)
    }

    /// Do the first `count` entries fit a node when `next` is the key behind them?
    #[inline]
    fn fits(&self, count: usize, next: &[u8], fill_bytes: usize) -> bool {
        if count == 0 || self.loose(count) + next.len() <= fill_bytes {
            return true;
        }
        let needed = self.needed(count, Some(self.fence(count - 1, next)));
        self.may_be(count, needed, fill_bytes)
    }

    /// Finds out again how many of the gathered entries fit before the one behind them.
    fn measure(&mut self, fill_bytes: usize) {
        self.good = (1..self.entries.len())
            .take_while(|&count| self.fits(count, self.key(count), fill_bytes))
            .count();
    }

    /// Entries of the tree below the first `count` entries.
    fn below(&self, count: usize) -> u64 {
        match self.kind {
            Kind::Leaf => count as u64,
            Kind::Inner => (0..count)
                .map(|index| {
                    let packed = self.packed(index);
                    ChildRef::decode(&packed.bytes[packed.key..]).count
                })
                .sum(),
        }
    }
}

/// How many bytes two keys share at their beginning.
#[inline]
fn shared(a: &[u8], b: &[u8]) -> usize {
    // Arrays of a known length are compared without a call.
    let whole = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let equal = whole.take_while(|(x, y)| x == y).count() * 8;
    let rest = a[equal..].iter().zip(&b[equal..]);
    equal + rest.take_while(|(x, y)| x == y).count()
}
