//! Filling a node in one go, when all its entries are known: no slot is moved twice.

use super::edit::NodeMut;
use super::node::{HEAD_BYTES, HEADER_BYTES, Kind, SLOT_BYTES, SLOT_COST, at, head_of};

/// Everything of a node but its entries.
#[derive(Clone, Copy)]
pub(crate) struct Outline<'a> {
    pub(crate) kind: Kind,
    pub(crate) level: u8,
    pub(crate) store: u64,
    pub(crate) lower: &'a [u8],
    pub(crate) upper: Option<&'a [u8]>,
}

/// An entry whose payload stands right behind its whole key.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) key: usize,
}

/// Makes `bytes` a node of these entries, ascending and known to fit. What was there is overwritten.
pub(crate) fn fill<'e>(
    bytes: &mut [u8],
    outline: Outline<'_>,
    entries: impl ExactSizeIterator<Item = Packed<'e>>,
) {
    let count = entries.len();
    let Outline {
        kind,
        level,
        store,
        lower,
        upper,
    } = outline;
    let (prefix, mut heap) = {
        let node = NodeMut::format(bytes, kind, level, store, lower, upper);
        let view = node.view();
        (view.prefix_len(), view.u32_at(at::HEAP) as usize)
    };
    let slots = HEADER_BYTES + count * HEAD_BYTES;
    let end = HEADER_BYTES + count * SLOT_COST;
    for (index, entry) in entries.enumerate() {
        let rest = &entry.bytes[prefix..];
        let key = entry.key - prefix;
        heap -= rest.len();
        assert!(heap >= end, "the entries were measured before");
        bytes[heap..heap + rest.len()].copy_from_slice(rest);
        let head = HEADER_BYTES + index * HEAD_BYTES;
        bytes[head..head + HEAD_BYTES].copy_from_slice(&head_of(&rest[..key]).to_le_bytes());
        let slot = &mut bytes[slots + index * SLOT_BYTES..][..SLOT_BYTES];
        for (field, value) in slot.chunks_exact_mut(2).zip([heap, key, rest.len() - key]) {
            let value = u16::try_from(value).expect("a page offset fits 16 bits");
            field.copy_from_slice(&value.to_le_bytes());
        }
    }
    bytes[end..heap].fill(0);
    let count = u16::try_from(count).expect("a page's entries fit 16 bits");
    let heap = u32::try_from(heap).expect("a page size fits 32 bits");
    bytes[at::COUNT..at::COUNT + 2].copy_from_slice(&count.to_le_bytes());
    bytes[at::HEAP..at::HEAP + 4].copy_from_slice(&heap.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::buffer::PageBuf;
    use super::super::node::Node;
    use super::*;

    #[test]
    fn a_filled_node_is_the_node_that_insertions_make() {
        let rows: Vec<(Vec<u8>, Vec<u8>)> = (0..40u8)
            .map(|i| {
                (
                    format!("key-{i:03}").into_bytes(),
                    vec![i; 1 + usize::from(i) % 7],
                )
            })
            .collect();
        for (lower, upper) in [(&b""[..], None), (b"key-", Some(&b"key-1"[..]))] {
            let mut filled = PageBuf::zeroed(2048);
            filled.fill(0xee);
            let outline = Outline {
                kind: Kind::Leaf,
                level: 0,
                store: 3,
                lower,
                upper,
            };
            let packed: Vec<Vec<u8>> = rows
                .iter()
                .map(|(k, v)| [k.as_slice(), v].concat())
                .collect();
            let entries = packed.iter().zip(&rows);
            fill(
                &mut filled,
                outline,
                entries.map(|(bytes, (key, _))| Packed {
                    bytes,
                    key: key.len(),
                }),
            );
            let mut inserted = PageBuf::zeroed(2048);
            let mut node = NodeMut::format(&mut inserted, Kind::Leaf, 0, 3, lower, upper);
            for (key, value) in &rows {
                assert!(node.push((&[], key), value));
            }
            assert_eq!(Node::new(&filled).faults(), Vec::<String>::new());
            assert!(filled[..] == inserted[..], "byte for byte");
        }
    }
}
