//! The write side of a slotted page. Every method keeps N1-N4 of `node` or says that it cannot.

use super::node::{
    FORMAT, HAS_UPPER, HEAD_BYTES, HEADER_BYTES, Kind, Node, SLOT_BYTES, SLOT_COST, at, head_of,
};
use super::refs::ChildRef;

/// A node being changed in place: only pages no snapshot can see are.
pub(crate) struct NodeMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> NodeMut<'a> {
    /// A node to change.
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes }
    }

    /// Makes `bytes` an empty node between two fences.
    pub(crate) fn format(
        bytes: &'a mut [u8],
        kind: Kind,
        level: u8,
        store: u64,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> Self {
        bytes[..HEADER_BYTES].fill(0);
        let size = bytes.len();
        let mut node = Self { bytes };
        node.set_u32(at::SIZE, size);
        node.set_u32(at::HEAP, size);
        node.bytes[at::KIND] = kind.code();
        node.bytes[at::LEVEL] = level;
        node.bytes[at::FORMAT] = FORMAT;
        node.bytes[at::STORE..at::STORE + 8].copy_from_slice(&store.to_le_bytes());
        node.set_fence(at::LOWER, lower);
        if let Some(upper) = upper {
            node.bytes[at::FLAGS] = HAS_UPPER;
            node.set_fence(at::UPPER, upper);
            node.set_u16(at::PREFIX, common_prefix(lower, upper));
        }
        node
    }

    /// The read side of this node.
    #[inline]
    pub(crate) fn view(&self) -> Node<'_> {
        Node::new(self.bytes)
    }

    /// Names the page: its id and the group it is born in.
    pub(crate) fn set_identity(&mut self, id: u64, stamp: u64) {
        self.bytes[at::PAGE_ID..at::PAGE_ID + 8].copy_from_slice(&id.to_le_bytes());
        self.bytes[at::STAMP..at::STAMP + 8].copy_from_slice(&stamp.to_le_bytes());
    }

    /// Fills in the checksum: the last thing done before a page is written.
    pub(crate) fn seal(&mut self) {
        let checksum = self.view().checksum();
        self.bytes[..8].copy_from_slice(&checksum.to_le_bytes());
    }

    fn set_u16(&mut self, at: usize, value: usize) {
        let value = u16::try_from(value).expect("a page offset fits 16 bits");
        self.bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }

    fn set_u32(&mut self, at: usize, value: usize) {
        let value = u32::try_from(value).expect("a page size fits 32 bits");
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn set_fence(&mut self, field: usize, key: &[u8]) {
        self.set_u16(field, key.len());
        if !key.is_empty() {
            let start = self.take_heap(key.len());
            self.bytes[start..start + key.len()].copy_from_slice(key);
            self.set_u16(field + 2, start);
        }
    }

    fn take_heap(&mut self, length: usize) -> usize {
        let start = self.view().u32_at(at::HEAP) as usize - length;
        self.set_u32(at::HEAP, start);
        start
    }

    fn add_garbage(&mut self, length: usize) {
        let garbage = self.view().u32_at(at::GARBAGE) as usize + length;
        self.set_u32(at::GARBAGE, garbage);
    }

    /// Puts an entry at `index`; false, and nothing changed, when it does not fit.
    pub(crate) fn insert(&mut self, index: usize, key: &[u8], payload: &[u8]) -> bool {
        let prefix = self.view().prefix_len();
        debug_assert_eq!(&key[..prefix], self.view().prefix(), "N3");
        if !self.insert_suffix(index, &[], &key[prefix..], payload) {
            return false;
        }
        let (next, run) = self.view().ascent();
        self.set_ascent(index + 1, if index == next { run + 1 } else { 0 });
        true
    }

    /// Notes how insertions went: see `Node::ascent`.
    pub(crate) fn set_ascent(&mut self, next: usize, run: usize) {
        self.set_u16(at::LAST, next);
        self.set_u16(at::RUN, run.min(usize::from(u16::MAX)));
    }

    /// Puts an entry after the last one; its key comes in two pieces.
    pub(crate) fn push(&mut self, key: (&[u8], &[u8]), payload: &[u8]) -> bool {
        let prefix = self.view().prefix_len();
        let (first, second) = if prefix <= key.0.len() {
            (&key.0[prefix..], key.1)
        } else {
            (&key.0[..0], &key.1[prefix - key.0.len()..])
        };
        self.insert_suffix(self.view().count(), first, second, payload)
    }

    fn insert_suffix(&mut self, index: usize, first: &[u8], second: &[u8], payload: &[u8]) -> bool {
        let key = first.len() + second.len();
        let heap = key + payload.len();
        if heap + SLOT_COST > self.view().free_bytes() {
            return false;
        }
        if heap + SLOT_COST > self.view().gap() {
            self.compact();
        }
        let start = self.take_heap(heap);
        self.bytes[start..start + first.len()].copy_from_slice(first);
        self.bytes[start + first.len()..start + key].copy_from_slice(second);
        self.bytes[start + key..start + heap].copy_from_slice(payload);
        let head = head_of(&self.bytes[start..start + key]);
        self.open_slot(index, head, (start, key, payload.len()));
        true
    }

    fn open_slot(&mut self, index: usize, head: u32, slot: (usize, usize, usize)) {
        let count = self.view().count();
        debug_assert!(index <= count);
        let slots = HEADER_BYTES + count * HEAD_BYTES;
        let behind = slots + index * SLOT_BYTES;
        self.bytes
            .copy_within(behind..slots + count * SLOT_BYTES, behind + SLOT_COST);
        self.bytes.copy_within(slots..behind, slots + HEAD_BYTES);
        let place = HEADER_BYTES + index * HEAD_BYTES;
        self.bytes.copy_within(place..slots, place + HEAD_BYTES);
        self.bytes[place..place + HEAD_BYTES].copy_from_slice(&head.to_le_bytes());
        self.set_u16(at::COUNT, count + 1);
        self.set_slot(index, slot);
    }

    fn set_slot(&mut self, index: usize, (start, key, payload): (usize, usize, usize)) {
        let count = self.view().count();
        let place = HEADER_BYTES + count * HEAD_BYTES + index * SLOT_BYTES;
        self.set_u16(place, start);
        self.set_u16(place + 2, key);
        self.set_u16(place + 4, payload);
    }

    /// Takes the entry at `index` away.
    pub(crate) fn remove(&mut self, index: usize) {
        let count = self.view().count();
        let (_, key, payload) = self.view().slot(index);
        let slots = HEADER_BYTES + count * HEAD_BYTES;
        let place = HEADER_BYTES + index * HEAD_BYTES;
        self.bytes.copy_within(place + HEAD_BYTES..slots, place);
        let behind = slots + index * SLOT_BYTES;
        self.bytes.copy_within(slots..behind, slots - HEAD_BYTES);
        self.bytes.copy_within(
            behind + SLOT_BYTES..slots + count * SLOT_BYTES,
            behind - HEAD_BYTES,
        );
        self.set_u16(at::COUNT, count - 1);
        self.add_garbage(key + payload);
    }

    /// Gives the entry at `index` another payload; false, and nothing changed, when it does not fit.
    pub(crate) fn set_payload(&mut self, index: usize, payload: &[u8]) -> bool {
        let (start, key, old) = self.view().slot(index);
        if payload.len() == old {
            self.bytes[start + key..start + key + old].copy_from_slice(payload);
            return true;
        }
        if payload.len() < old {
            self.bytes[start + key..start + key + payload.len()].copy_from_slice(payload);
            self.set_slot(index, (start, key, payload.len()));
            self.add_garbage(old - payload.len());
            return true;
        }
        let view = self.view();
        if key + payload.len() > view.free_bytes() + key + old {
            return false;
        }
        let whole_key = view.key(index);
        self.remove(index);
        let fits = self.insert(index, &whole_key, payload);
        assert!(
            fits,
            "an entry removed leaves room for its longer successor"
        );
        true
    }

    /// Points an inner entry at another version of its child.
    #[inline]
    pub(crate) fn set_child(&mut self, index: usize, child: ChildRef) {
        let (start, key, payload) = self.view().slot(index);
        debug_assert_eq!(payload, ChildRef::BYTES);
        self.bytes[start + key..start + key + payload].copy_from_slice(&child.encode());
    }

    /// Moves the heap together so that all free bytes lie in one gap.
    fn compact(&mut self) {
        let old = self.bytes.to_vec();
        let (lower, upper) = (
            self.view().lower().to_vec(),
            self.view().upper().map(<[u8]>::to_vec),
        );
        self.set_u32(at::HEAP, old.len());
        self.set_u32(at::GARBAGE, 0);
        self.set_fence(at::LOWER, &lower);
        if let Some(upper) = &upper {
            self.set_fence(at::UPPER, upper);
        }
        for index in 0..self.view().count() {
            let (start, key, payload) = self.view().slot(index);
            let moved = self.take_heap(key + payload);
            self.bytes[moved..moved + key + payload]
                .copy_from_slice(&old[start..start + key + payload]);
            self.set_slot(index, (moved, key, payload));
        }
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::buffer::PageBuf;
    use super::*;

    fn contents(node: &Node<'_>) -> BTreeMap<Vec<u8>, Vec<u8>> {
        (0..node.count())
            .map(|i| (node.key(i), node.payload(i).to_vec()))
            .collect()
    }

    /// A small generator, so that the test needs no dependency and prints its seed.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (self.0 >> 33) % limit
        }
    }

    #[test]
    fn random_edits_agree_with_a_map() {
        let (seeds, edits) = if cfg!(miri) { (2, 60) } else { (200, 400) };
        for seed in 0..seeds {
            let mut random = Random(seed);
            let mut page = PageBuf::zeroed(1024);
            let fences: (&[u8], Option<&[u8]>) = if seed % 2 == 0 {
                (b"", None)
            } else {
                (b"key-a", Some(b"key-z"))
            };
            let mut node = NodeMut::format(&mut page, Kind::Leaf, 0, 7, fences.0, fences.1);
            let mut model = BTreeMap::new();
            for _ in 0..edits {
                let mut key = b"key-b".to_vec();
                key.extend((0..random.below(6)).map(|_| b'a' + random.below(3) as u8));
                let payload = vec![random.below(256) as u8; 1 + random.below(60) as usize];
                let (index, found) = node.view().lower_bound(&key);
                assert_eq!(found, model.contains_key(&key), "seed {seed}");
                if random.below(3) == 0 {
                    if found {
                        node.remove(index);
                        model.remove(&key);
                    }
                } else if found {
                    if node.set_payload(index, &payload) {
                        model.insert(key, payload);
                    }
                } else if node.insert(index, &key, &payload) {
                    model.insert(key, payload);
                }
                assert_eq!(node.view().faults(), Vec::<String>::new(), "seed {seed}");
                assert_eq!(contents(&node.view()), model, "seed {seed}");
                let used: usize = (0..node.view().count())
                    .map(|i| node.view().suffix(i).len() + node.view().payload(i).len() + SLOT_COST)
                    .sum();
                assert_eq!(
                    node.view().entry_bytes(),
                    used,
                    "seed {seed}: space accounting"
                );
            }
        }
    }

    #[test]
    fn a_flipped_bit_changes_the_checksum() {
        let mut page = PageBuf::zeroed(512);
        let mut node = NodeMut::format(&mut page, Kind::Leaf, 0, 1, b"", None);
        assert!(node.insert(0, b"k", b"v"));
        node.set_identity(9, 11);
        node.seal();
        for bit in (64..512 * 8).step_by(if cfg!(miri) { 97 } else { 1 }) {
            page[bit / 8] ^= 1 << (bit % 8);
            let node = Node::new(&page);
            assert_ne!(node.checksum(), node.stored_checksum(), "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
