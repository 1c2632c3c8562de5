//! A B-tree node: the read side of a slotted page.
//!
//! ```text
//!  0        8        16       24    28    32       36     38      40     44     48
//!  +--------+--------+--------+-----+-----+--------+------+-------+------+------+------------------+
//!  |checksum|page id |stamp   |size |heap |garbage |count |prefix |lower |upper |kind level flags  |
//!  |        |        |        |     |start|        |      |length |len,at|len,at|format            |
//!  +--------+--------+--------+-----+-----+--------+------+-------+------+------+------------------+
//! 52 last insertion:16 run:16
//! 56 store
//! 64 heads   [u32; count]                first four key bytes after the prefix, as a number
//!    slots   [{at:16, key:16, payload:16}; count]
//!    free
//!    heap    key suffix then payload per entry, and the two fences whole
//! ```
//!
//! Integers are little-endian. The checksum is xxh3-64 of everything after it, seeded with the
//! page id, and is filled in when the page is written.
//!
//! Invariants
//! N1  Entries are strictly ascending by key.
//! N2  lower <= every key < upper (an absent upper fence is above everything).
//! N3  The prefix is the common prefix of the two fences, and of every key.
//! N4  An inner node's first key equals its lower fence; child i covers [key i, key i+1).
//!
//! `last insertion` and `run` notice ascending insertions, wherever in the key space they are, so
//! that a split leaves a full page behind them; they promise nothing.
//!
//! The contiguous heads are Graefe's poor man's normalised keys ("Modern B-Tree Techniques", 2011).

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::refs::{ChildRef, read_u64};

/// Bytes before the head array.
pub(crate) const HEADER_BYTES: usize = 64;
/// Bytes an entry costs beside its key suffix and payload.
pub(crate) const SLOT_COST: usize = HEAD_BYTES + SLOT_BYTES;

/// The beginning of a page that a search is likely to touch; no page is shorter.
const PREFETCHED_BYTES: usize = crate::limits::PAGE_BYTES_MIN;

pub(super) const HEAD_BYTES: usize = 4;
pub(super) const SLOT_BYTES: usize = 6;
pub(super) const FORMAT: u8 = 1;

pub(super) mod at {
    pub(crate) const PAGE_ID: usize = 8;
    pub(crate) const STAMP: usize = 16;
    pub(crate) const SIZE: usize = 24;
    pub(crate) const HEAP: usize = 28;
    pub(crate) const GARBAGE: usize = 32;
    pub(crate) const COUNT: usize = 36;
    pub(crate) const PREFIX: usize = 38;
    pub(crate) const LOWER: usize = 40;
    pub(crate) const UPPER: usize = 44;
    pub(crate) const KIND: usize = 48;
    pub(crate) const LEVEL: usize = 49;
    pub(crate) const FLAGS: usize = 50;
    pub(crate) const FORMAT: usize = 51;
    pub(crate) const LAST: usize = 52;
    pub(crate) const RUN: usize = 54;
    pub(crate) const STORE: usize = 56;
}

pub(super) const HAS_UPPER: u8 = 1;

/// What a node's payloads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Payloads are `ChildRef`s.
    Inner,
    /// Payloads are cells.
    Leaf,
}

impl Kind {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Inner => 2,
            Self::Leaf => 1,
        }
    }
}

/// The first four bytes of a key suffix as a number that orders like the bytes.
#[inline]
pub(crate) fn head_of(suffix: &[u8]) -> u32 {
    if let Some(first) = suffix.first_chunk::<4>() {
        return u32::from_be_bytes(*first);
    }
    let mut padded = [0; 4];
    padded[..suffix.len()].copy_from_slice(suffix);
    u32::from_be_bytes(padded)
}

/// A node, read from its page.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Node<'a> {
    /// `bytes` must be a whole page buffer: aligned to its head array.
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.len() >= HEADER_BYTES);
        Self { bytes }
    }

    #[inline]
    pub(super) fn u16_at(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    #[inline]
    pub(super) fn u32_at(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    pub(crate) fn page_id(&self) -> u64 {
        read_u64(self.bytes, at::PAGE_ID)
    }

    pub(crate) fn stamp(&self) -> u64 {
        read_u64(self.bytes, at::STAMP)
    }

    pub(crate) fn store(&self) -> u64 {
        read_u64(self.bytes, at::STORE)
    }

    pub(crate) fn size(&self) -> usize {
        self.u32_at(at::SIZE) as usize
    }

    #[inline]
    pub(crate) fn count(&self) -> usize {
        usize::from(self.u16_at(at::COUNT))
    }

    #[inline]
    pub(crate) fn is_leaf(&self) -> bool {
        self.bytes[at::KIND] == Kind::Leaf.code()
    }

    pub(crate) fn kind(&self) -> Kind {
        if self.is_leaf() {
            Kind::Leaf
        } else {
            Kind::Inner
        }
    }

    pub(crate) fn level(&self) -> u8 {
        self.bytes[at::LEVEL]
    }

    #[inline]
    pub(super) fn prefix_len(&self) -> usize {
        usize::from(self.u16_at(at::PREFIX))
    }

    fn fence(&self, field: usize) -> &'a [u8] {
        let length = usize::from(self.u16_at(field));
        let start = usize::from(self.u16_at(field + 2));
        &self.bytes[start..start + length]
    }

    /// The key every entry is at or above.
    pub(crate) fn lower(&self) -> &'a [u8] {
        self.fence(at::LOWER)
    }

    /// The key every entry is below, or `None` at the right edge of the tree.
    pub(crate) fn upper(&self) -> Option<&'a [u8]> {
        (self.bytes[at::FLAGS] & HAS_UPPER != 0).then(|| self.fence(at::UPPER))
    }

    /// The bytes all keys of this node share.
    #[inline]
    pub(crate) fn prefix(&self) -> &'a [u8] {
        let start = usize::from(self.u16_at(at::LOWER + 2));
        &self.bytes[start..start + self.prefix_len()]
    }

    #[inline]
    fn heads(&self, count: usize) -> &'a [u32] {
        bytemuck::cast_slice(&self.bytes[HEADER_BYTES..HEADER_BYTES + count * HEAD_BYTES])
    }

    #[inline]
    pub(super) fn slot(&self, index: usize) -> (usize, usize, usize) {
        let count = self.count();
        debug_assert!(index < count);
        let start = HEADER_BYTES + count * HEAD_BYTES + index * SLOT_BYTES;
        let slot: &[u8; SLOT_BYTES] = self.bytes[start..start + SLOT_BYTES]
            .try_into()
            .expect("a slot");
        (
            usize::from(u16::from_le_bytes([slot[0], slot[1]])),
            usize::from(u16::from_le_bytes([slot[2], slot[3]])),
            usize::from(u16::from_le_bytes([slot[4], slot[5]])),
        )
    }

    /// Key bytes of an entry after the prefix.
    #[inline]
    pub(crate) fn suffix(&self, index: usize) -> &'a [u8] {
        let (start, key, _) = self.slot(index);
        &self.bytes[start..start + key]
    }

    /// Payload bytes of an entry.
    #[inline]
    pub(crate) fn payload(&self, index: usize) -> &'a [u8] {
        let (start, key, payload) = self.slot(index);
        &self.bytes[start + key..start + key + payload]
    }

    /// The whole key of an entry.
    pub(crate) fn key(&self, index: usize) -> Vec<u8> {
        [self.prefix(), self.suffix(index)].concat()
    }

    /// An inner node's child.
    #[inline]
    pub(crate) fn child(&self, index: usize) -> ChildRef {
        ChildRef::decode(self.payload(index))
    }

    /// First entry with key >= `key`, and whether it is equal.
    #[inline]
    pub(crate) fn lower_bound(&self, key: &[u8]) -> (usize, bool) {
        let prefix = self.prefix();
        match key.strip_prefix(prefix) {
            Some(suffix) => self.lower_bound_of(suffix),
            None => (if key < prefix { 0 } else { self.count() }, false),
        }
    }

    /// The same for a key between the fences, as every key is that came down from the root: it has the prefix (N3), which lies
    /// far from the heads and need not be looked at.
    #[inline]
    pub(crate) fn lower_bound_inside(&self, key: &[u8]) -> (usize, bool) {
        debug_assert!(key.starts_with(self.prefix()), "N3");
        match key.get(self.prefix_len()..) {
            Some(suffix) => self.lower_bound_of(suffix),
            None => self.lower_bound(key),
        }
    }

    #[inline]
    fn lower_bound_of(&self, suffix: &[u8]) -> (usize, bool) {
        self.lower_bound_from(self.first_head(suffix), suffix)
    }

    /// First entry whose head is not below that of `suffix`.
    #[inline]
    fn first_head(&self, suffix: &[u8]) -> usize {
        let head = head_of(suffix);
        partition(self.heads(self.count()), |other| other < head)
    }

    /// First entry with a suffix that is not below, given the first with such a head.
    #[inline]
    fn lower_bound_from(&self, mut low: usize, suffix: &[u8]) -> (usize, bool) {
        let count = self.count();
        let head = head_of(suffix);
        let heads = self.heads(count);
        if low == count || u32::from_le(heads[low]) != head {
            return (low, false);
        }
        // Nearly always the head is the only one of its kind.
        let mut high = low + 1;
        if high < count && u32::from_le(heads[high]) == head {
            high += partition(&heads[high..], |other| other <= head);
        }
        while low < high {
            let middle = low.midpoint(high);
            match self.suffix(middle).cmp(suffix) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return (middle, true),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        (low, false)
    }

    /// Where the search for a key between the fences is to go on, in `find_from`. Asks for the entry that is there.
    #[inline]
    pub(crate) fn approach(&self, key: &[u8]) -> usize {
        debug_assert!(key.starts_with(self.prefix()), "N3");
        let place = self.first_head(key.get(self.prefix_len()..).unwrap_or_default());
        if place < self.count() {
            let (start, ..) = self.slot(place);
            fetch(&self.bytes[start]);
        }
        place
    }

    /// The entry of a key between the fences, given what `approach` gave for it.
    #[inline]
    pub(crate) fn find_from(&self, place: usize, key: &[u8]) -> Option<usize> {
        let (index, found) = self.lower_bound_from(place, key.get(self.prefix_len()..)?);
        found.then_some(index)
    }

    /// The child whose range holds `key`.
    #[inline]
    pub(crate) fn child_index(&self, key: &[u8]) -> usize {
        debug_assert!(!self.is_leaf());
        match self.lower_bound(key) {
            (index, true) => index,
            (index, false) => index.saturating_sub(1),
        }
    }

    /// The same for a key between the fences.
    #[inline]
    pub(crate) fn child_index_inside(&self, key: &[u8]) -> usize {
        debug_assert!(!self.is_leaf());
        match self.lower_bound_inside(key) {
            (index, true) => index,
            (index, false) => index.saturating_sub(1),
        }
    }

    /// Asks for the header, and for the heads and slots of entries of usual length, before a search needs one after
    /// the other.
    #[inline]
    pub(crate) fn prefetch(&self) {
        for line in self.bytes[..PREFETCHED_BYTES].chunks_exact(64) {
            fetch(&line[0]);
        }
    }

    /// Where the next entry goes if insertions go on ascending, and how long they have done so.
    pub(crate) fn ascent(&self) -> (usize, usize) {
        (
            usize::from(self.u16_at(at::LAST)),
            usize::from(self.u16_at(at::RUN)),
        )
    }

    /// Bytes between the slots and the heap.
    pub(super) fn gap(&self) -> usize {
        self.u32_at(at::HEAP) as usize - (HEADER_BYTES + self.count() * SLOT_COST)
    }

    /// Bytes an insert could use after compaction.
    pub(crate) fn free_bytes(&self) -> usize {
        self.gap() + self.u32_at(at::GARBAGE) as usize
    }

    /// Bytes the entries take, fences and header left out.
    pub(crate) fn entry_bytes(&self) -> usize {
        let fences = usize::from(self.u16_at(at::LOWER)) + usize::from(self.u16_at(at::UPPER));
        self.size() - HEADER_BYTES - self.free_bytes() - fences
    }

    /// The checksum that belongs into this page's header.
    pub(crate) fn checksum(&self) -> u64 {
        xxh3_64_with_seed(&self.bytes[8..], self.page_id())
    }

    /// The checksum found in the header.
    pub(crate) fn stored_checksum(&self) -> u64 {
        read_u64(self.bytes, 0)
    }

    /// The node's bytes, to read on while the page is replaced.
    pub(crate) fn bytes_copy(&self) -> super::PageBuf {
        super::PageBuf::copy_of(self.bytes)
    }

    /// Every way in which the bytes break the layout or N1-N4, as one sentence each.
    pub(crate) fn faults(&self) -> Vec<String> {
        faults(self)
    }
}

/// Asks for the line of memory that a byte is in.
#[inline]
fn fetch(byte: &u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch changes nothing, and the byte is there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = byte;
}

/// Index of the first head for which `below` is false. Branch-free inside the loop.
#[inline]
fn partition(heads: &[u32], below: impl Fn(u32) -> bool) -> usize {
    let mut base = 0;
    let mut size = heads.len();
    while size > 1 {
        let half = size / 2;
        // SAFETY: `base + size <= heads.len()` throughout, and `half - 1 < size`.
        let probe = unsafe { *heads.get_unchecked(base + half - 1) };
        base += if below(u32::from_le(probe)) { half } else { 0 };
        size -= half;
    }
    base + usize::from(size == 1 && below(u32::from_le(heads[base])))
}

fn faults(node: &Node<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let size = node.bytes.len();
    if node.size() != size {
        out.push(format!(
            "the header says {} bytes, the page has {size}",
            node.size()
        ));
        return out;
    }
    if node.bytes[at::FORMAT] != FORMAT {
        out.push(format!("unknown node format {}", node.bytes[at::FORMAT]));
        return out;
    }
    let kind = node.bytes[at::KIND];
    if ![Kind::Leaf.code(), Kind::Inner.code()].contains(&kind) {
        out.push(format!("unknown node kind {kind}"));
        return out;
    }
    let count = node.count();
    let heap = node.u32_at(at::HEAP) as usize;
    if HEADER_BYTES + count * SLOT_COST > heap || heap > size {
        out.push(format!(
            "{count} entries do not fit before the heap at {heap}"
        ));
        return out;
    }
    let fence_ends = [at::LOWER, at::UPPER]
        .map(|field| usize::from(node.u16_at(field)) + usize::from(node.u16_at(field + 2)));
    if fence_ends.iter().any(|end| *end > size) || node.prefix_len() > node.lower().len() {
        out.push("a fence lies outside the page".to_owned());
        return out;
    }
    let mut used = node.lower().len() + node.upper().map_or(0, <[u8]>::len);
    for index in 0..count {
        let (start, key, payload) = node.slot(index);
        if start < heap || start + key + payload > size {
            out.push(format!("entry {index} lies outside the heap"));
            return out;
        }
        used += key + payload;
    }
    let garbage = node.u32_at(at::GARBAGE) as usize;
    if used + garbage != size - heap {
        out.push(format!(
            "the heap has {} bytes, its parts {used} and its garbage {garbage}",
            size - heap
        ));
    }
    if node
        .upper()
        .is_some_and(|upper| !upper.starts_with(node.prefix()))
    {
        out.push("N3: the prefix is not common to the fences".to_owned());
    }
    let heads = node.heads(count);
    for (index, head) in heads.iter().enumerate() {
        if u32::from_le(*head) != head_of(node.suffix(index)) {
            out.push(format!("entry {index} has a head that is not its key's"));
        }
        if index > 0 && node.suffix(index - 1) >= node.suffix(index) {
            out.push(format!("N1: entry {index} is not above the one before it"));
        }
    }
    if count > 0 {
        if node.key(0).as_slice() < node.lower() {
            out.push("N2: the first key is below the lower fence".to_owned());
        }
        if node
            .upper()
            .is_some_and(|upper| node.key(count - 1).as_slice() >= upper)
        {
            out.push("N2: the last key is not below the upper fence".to_owned());
        }
        if !node.is_leaf() && node.key(0) != node.lower() {
            out.push("N4: the first separator is not the lower fence".to_owned());
        }
    }
    out
}
