//! The puts and deletes of many records as one record: in key order, and with the last word on each key only.
//!
//! Replay gathers what nobody looks at in between. A tree that is changed in key order is descended once for a leaf
//! and not once for an entry, and its leaves are met one after another instead of at random.
//!
//! Invariants
//! H1  Applying the one record leaves every store as applying the gathered ones in turn would have, each with its own
//!     number in its stamps.
//! H2  A record is gathered as a whole or not at all. One with more in it than puts and deletes of values that it
//!     holds itself is not: what it does depends on what is there, or on its place among the others.

use super::record::{EntryOp, Op, Record, RecordWriter};
use super::stamp::{Stamp, stamped};
use crate::mutants::mutant;

/// See the module.
#[derive(Default)]
pub(crate) struct Gathered {
    /// The entries as a record has them, in the order they came.
    entries: RecordWriter,
    places: Vec<Place>,
}

/// Where an entry and its key lie.
#[derive(Clone, Copy)]
struct Place {
    store: u64,
    /// The key's first eight bytes, zeros behind a shorter one.
    head: u64,
    begin: u32,
    end: u32,
    key: u32,
    key_bytes: u32,
}

impl Gathered {
    /// Takes in the record of commit `seq`; false, and nothing has changed, when it cannot be gathered.
    pub(crate) fn take(&mut self, record: &[u8], seq: u64) -> bool {
        let before = (self.entries.bytes().len(), self.places.len());
        let fits = u32::try_from(before.0 + 2 * record.len()).is_ok();
        let taken = fits && self.take_ops(record, seq).is_some();
        if !taken {
            self.entries.truncate(before.0);
            self.places.truncate(before.1);
        }
        taken
    }

    fn take_ops(&mut self, record: &[u8], seq: u64) -> Option<()> {
        let mut store = None;
        for op in Record::new(record) {
            match op? {
                Op::Store(id) => store = Some(id),
                Op::Entry(key, op @ (EntryOp::Put { .. } | EntryOp::Delete)) => {
                    let begin = self.entries.bytes().len();
                    let key_at = match op {
                        EntryOp::Put { stamp, meta, value } if !stamp.is_none() => {
                            let key = stamped(key, stamp.key_at, seq);
                            let value = &stamped(value, stamp.value_at, seq);
                            let stamp = Stamp::NONE;
                            self.entries
                                .entry(&key, EntryOp::Put { stamp, meta, value })
                        }
                        op => self.entries.entry(key, op),
                    };
                    let written = &self.entries.bytes()[key_at..key_at + key.len()];
                    self.places.push(Place {
                        store: store?,
                        head: head(written),
                        begin: begin as u32,
                        end: self.entries.bytes().len() as u32,
                        key: key_at as u32,
                        key_bytes: key.len() as u32,
                    });
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.bytes().len() + self.places.len() * size_of::<Place>()
    }

    /// The one record, when anything was gathered. What it was made of is forgotten, its memory is kept for the next.
    pub(crate) fn drain(&mut self) -> Option<Vec<u8>> {
        if self.places.is_empty() {
            return None;
        }
        let bytes = self.entries.bytes();
        let key = |place: &Place| &bytes[place.key as usize..][..place.key_bytes as usize];
        let by_key = |a: &Place, b: &Place| {
            let heads = (a.store, a.head).cmp(&(b.store, b.head));
            heads.then_with(|| key(a).cmp(key(b)))
        };
        self.places.sort_unstable_by(|a, b| {
            let order = match mutant("gather-keeps-the-first-word") {
                true => b.begin.cmp(&a.begin),
                false => a.begin.cmp(&b.begin),
            };
            by_key(a, b).then(order)
        });
        let mut record = RecordWriter::with_capacity(bytes.len() + 16);
        let mut store = None;
        for (index, place) in self.places.iter().enumerate() {
            let next = self.places.get(index + 1);
            if next.is_some_and(|next| by_key(place, next).is_eq()) {
                continue; // not the last word
            }
            if store != Some(place.store) {
                store = Some(place.store);
                record.store(place.store);
            }
            record.copy(&bytes[place.begin as usize..place.end as usize]);
        }
        self.entries.truncate(0);
        self.places.clear();
        Some(record.finish())
    }
}

fn head(key: &[u8]) -> u64 {
    let mut head = [0; 8];
    let count = key.len().min(head.len());
    head[..count].copy_from_slice(&key[..count]);
    u64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::disk::SplitMix64;
    use crate::txn::{MergeOp, StoreInfo};

    type Model = BTreeMap<(u64, Vec<u8>), (Vec<u8>, Vec<u8>)>;

    /// What a record of puts and deletes leaves, as commit `seq`.
    fn apply(model: &mut Model, record: &[u8], seq: u64) {
        let mut store = None;
        for op in Record::new(record) {
            match op.expect("well formed") {
                Op::Store(id) => store = Some(id),
                Op::Entry(key, EntryOp::Put { stamp, meta, value }) => {
                    let key = stamped(key, stamp.key_at, seq);
                    let value = stamped(value, stamp.value_at, seq);
                    model.insert((store.expect("a store"), key), (meta.to_vec(), value));
                }
                Op::Entry(key, EntryOp::Delete) => {
                    model.remove(&(store.expect("a store"), key.to_vec()));
                }
                op => panic!("{op:?} was gathered"),
            }
        }
    }

    /// A record of few keys, so that records meet; keys are of all lengths around that of a head.
    fn record(random: &mut SplitMix64) -> Vec<u8> {
        let mut writer = RecordWriter::default();
        for store in 1..=1 + random.below(3) as u64 {
            writer.store(store);
            for _ in 0..random.below(6) {
                let key = &b"\0\0\0\0\0\0\0\0\0\0\0\0"[..random.below(12)];
                let mut key = key.to_vec();
                if let Some(last) = key.last_mut() {
                    *last = random.below(3) as u8;
                }
                let value = random.next_u64().to_le_bytes();
                match random.below(4) {
                    0 => writer.entry(&key, EntryOp::Delete),
                    1 => {
                        key.extend([0xff; 8]);
                        let stamp = Stamp {
                            key_at: Some(key.len() as u16 - 8),
                            value_at: random.chance(1, 2).then_some(0),
                        };
                        let (meta, value) = (&b"m"[..], &[0xff; 9][..]);
                        writer.entry(&key, EntryOp::Put { stamp, meta, value })
                    }
                    _ => {
                        let (stamp, meta) = (Stamp::NONE, &value[..random.below(3)]);
                        let value = &value;
                        writer.entry(&key, EntryOp::Put { stamp, meta, value })
                    }
                };
            }
        }
        writer.finish()
    }

    #[test]
    fn the_one_record_leaves_what_the_gathered_ones_leave_in_turn() {
        let mut gathered = Gathered::default();
        let (mut expected, mut found) = (Model::new(), Model::new());
        let mut random = SplitMix64::new(7);
        let mut seq = 0;
        for _ in 0..300 {
            for _ in 0..random.below(20) {
                seq += 1;
                let record = record(&mut random);
                assert!(gathered.take(&record, seq));
                apply(&mut expected, &record, seq);
            }
            let Some(one) = gathered.drain() else {
                continue;
            };
            apply(&mut found, &one, u64::MAX);
            assert_eq!(found, expected);
            assert_eq!(gathered.bytes(), 0);
            let (mut store, mut keys) = (0, Vec::new());
            for op in Record::new(&one).flatten() {
                match op {
                    Op::Store(id) => store = id,
                    Op::Entry(key, _) => keys.push((store, key)),
                    _ => {}
                }
            }
            assert!(keys.is_sorted_by(|a, b| a < b), "in order, each key once");
        }
        assert!(seq > 1000 && !expected.is_empty());
    }

    #[test]
    fn a_record_that_cannot_be_gathered_changes_nothing() {
        let put = EntryOp::Put {
            stamp: Stamp::NONE,
            meta: b"",
            value: b"v",
        };
        let mut made = RecordWriter::default();
        made.create(&StoreInfo {
            id: 2,
            kind: 0,
            name: "made".into(),
            options: Vec::new(),
        });
        let mut merged = RecordWriter::default();
        merged.store(1);
        merged.entry(b"a", put);
        merged.entry(b"b", EntryOp::Merge(MergeOp::Add, &[1]));
        let mut torn = RecordWriter::default();
        torn.store(1);
        torn.entry(b"a", put);
        let mut torn = torn.finish();
        torn.pop();
        let mut nobodys = RecordWriter::default();
        nobodys.entry(b"a", put);

        let mut gathered = Gathered::default();
        let mut kept = RecordWriter::default();
        kept.store(1);
        kept.entry(b"a", EntryOp::Delete);
        let kept = kept.finish();
        assert!(gathered.take(&kept, 1));
        for record in [made.finish(), merged.finish(), torn, nobodys.finish()] {
            assert!(!gathered.take(&record, 2));
        }
        assert_eq!(gathered.drain(), Some(kept));
        assert_eq!(gathered.drain(), None);
    }
}
