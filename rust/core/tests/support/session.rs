//! One transaction driven at random, beside the model of what it must see.

use std::ops::Bound;

use sopasync_core::disk::SplitMix64;
use sopasync_core::{
    CommitInfo, Database, Error, Isolation, MergeOp, Result, Savepoint, ScanRange, Transaction,
};

use super::number::{decode_bytes, decode_int, encode_bytes, encode_int};
use super::state::{Item, State, range, short};
use super::{WAIT, begin, check, pick};

/// What random transactions look like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Different keys per store.
    pub keys: usize,
    pub stores: usize,
    /// Values: how often within a leaf, on pages of their own, straight to the file.
    pub sizes: [usize; 3],
    /// Keys of thousands of bytes, one in so many; 0 for none.
    pub long_keys: usize,
    /// Reads and checks among the operations, in tenths.
    pub reads: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            keys: 120,
            stores: 3,
            sizes: [30, 4, 1],
            long_keys: 40,
            reads: 3,
        }
    }
}

/// A transaction and what it must see.
pub struct Session {
    pub tx: Transaction,
    pub view: State,
    pub changed: bool,
    shape: Shape,
    savepoints: Vec<(Savepoint, State)>,
}

impl Session {
    pub fn new(db: &Database, isolation: Isolation, versions: &[State], shape: Shape) -> Self {
        let tx = begin(db, isolation);
        let view = versions[tx.seq() as usize].clone();
        Self {
            tx,
            view,
            changed: false,
            shape,
            savepoints: Vec::new(),
        }
    }

    /// One random operation. An error is the engine's; the model has not moved then.
    pub fn step(&mut self, random: &mut SplitMix64) -> Result<()> {
        if random.chance(self.shape.reads, 10) {
            return self.look(random);
        }
        match pick(random, &[40, 12, 8, 5, 3, 1, 3, 2]) {
            0 => self.put(random),
            1 => self.delete(random),
            2 => self.merge(random),
            3 => self.put_meta(random),
            4 => self.create(random),
            5 => self.remove(random),
            6 => {
                self.savepoints
                    .push((self.tx.savepoint(), self.view.clone()));
                Ok(())
            }
            _ => self.roll_back(random),
        }
    }

    pub fn commit(self) -> Result<CommitInfo> {
        self.tx.commit()
    }

    fn some_store(&mut self, random: &mut SplitMix64) -> Option<(String, u64)> {
        if self.view.stores.is_empty() {
            return None;
        }
        let index = random.below(self.view.stores.len());
        let name = self
            .view
            .stores
            .keys()
            .nth(index)
            .expect("below its length")
            .clone();
        let info = self.tx.find_store(&name);
        let info = info.unwrap_or_else(|| panic!("store {name} is not found"));
        Some((name, info.id))
    }

    fn put(&mut self, random: &mut SplitMix64) -> Result<()> {
        let Some((name, store)) = self.some_store(random) else {
            return self.create(random);
        };
        let key = some_key(random, self.shape);
        let value = some_value(random, self.shape, &key);
        let meta = some_meta(random);
        self.tx.put(store, &key, &meta, &value, true)?;
        self.view.put(&name, &key, &meta, &value);
        self.changed = true;
        Ok(())
    }

    fn delete(&mut self, random: &mut SplitMix64) -> Result<()> {
        let Some((name, store)) = self.some_store(random) else {
            return Ok(());
        };
        if random.chance(1, 6) {
            // A whole stretch, so that pages empty and merge.
            let first = some_key(random, self.shape);
            let contents = self.view.contents(&name);
            let keys: Vec<Vec<u8>> = contents
                .range(first..)
                .take(25)
                .map(|(k, _)| k.clone())
                .collect();
            for key in keys {
                self.tx.delete(store, &key)?;
                self.view.contents_mut(&name).remove(&key);
            }
        } else {
            let key = some_key(random, self.shape);
            self.tx.delete(store, &key)?;
            self.view.contents_mut(&name).remove(&key);
        }
        self.changed = true;
        Ok(())
    }

    fn merge(&mut self, random: &mut SplitMix64) -> Result<()> {
        let Some((name, store)) = self.some_store(random) else {
            return Ok(());
        };
        let numbers = random.chance(2, 3);
        let key = merge_key(random, numbers);
        let old = self.view.contents(&name).get(&key).cloned();
        let (op, operand, value) = if numbers {
            let operand = random.below(2_000_001) as i64 - 1_000_000;
            let left = old.as_ref().map(|item| decode_int(&item.value));
            let (op, value) = match random.below(3) {
                0 => (MergeOp::Add, left.unwrap_or(0) + operand),
                1 => (MergeOp::Max, left.map_or(operand, |left| left.max(operand))),
                _ => (MergeOp::Min, left.map_or(operand, |left| left.min(operand))),
            };
            (op, encode_int(operand), encode_int(value))
        } else {
            let more = some_bytes(random, 1, 40);
            let mut content = old
                .as_ref()
                .map_or(Vec::new(), |item| decode_bytes(&item.value).to_vec());
            content.extend_from_slice(&more);
            (MergeOp::Append, encode_bytes(&more), encode_bytes(&content))
        };
        if value.len() > 50_000 {
            return Ok(());
        }
        self.tx.merge(store, &key, op, &operand)?;
        let meta = old.map_or_else(Vec::new, |item| item.meta.to_vec());
        self.view.put(&name, &key, &meta, &value);
        self.changed = true;
        Ok(())
    }

    fn put_meta(&mut self, random: &mut SplitMix64) -> Result<()> {
        let Some((name, store)) = self.some_store(random) else {
            return Ok(());
        };
        let key = some_key(random, self.shape);
        let meta = some_meta(random);
        self.tx.put_meta(store, &key, &meta)?;
        if let Some(item) = self.view.contents_mut(&name).get_mut(&key) {
            item.meta = meta.into();
        }
        self.changed = true;
        Ok(())
    }

    fn create(&mut self, random: &mut SplitMix64) -> Result<()> {
        let name = format!("store-{}", random.below(self.shape.stores));
        let kind = random.below(3) as u8;
        let result = self.tx.create_store(&name, kind, b"options");
        if self.view.stores.contains_key(&name) {
            assert!(
                matches!(result, Err(Error::StoreExists { .. })),
                "a second store {name}: {result:?}"
            );
            return Ok(());
        }
        result?;
        self.view.stores.insert(name, (kind, Default::default()));
        self.changed = true;
        Ok(())
    }

    fn remove(&mut self, random: &mut SplitMix64) -> Result<()> {
        let Some((name, store)) = self.some_store(random) else {
            return Ok(());
        };
        self.tx.remove_store(store)?;
        self.view.stores.remove(&name);
        assert!(
            matches!(
                self.tx.get(store, b"x", WAIT),
                Err(Error::StoreNotFound { .. })
            ),
            "a removed store answers"
        );
        self.changed = true;
        Ok(())
    }

    fn roll_back(&mut self, random: &mut SplitMix64) -> Result<()> {
        if self.savepoints.is_empty() {
            return Ok(());
        }
        let keep = random.below(self.savepoints.len());
        let (savepoint, view) = self.savepoints[keep].clone();
        self.tx.rollback_to(savepoint)?;
        self.view = view;
        self.savepoints.truncate(keep + 1);
        Ok(())
    }

    /// A read, compared with the model.
    fn look(&mut self, random: &mut SplitMix64) -> Result<()> {
        let Some((name, store)) = self.some_store(random) else {
            return Ok(());
        };
        match pick(random, &[6, 3, 6, 3, 2]) {
            0 => self.look_up(random, &name, store),
            1 => {
                let key = some_key(random, self.shape);
                let found = self.tx.contains(store, &key, WAIT)?;
                let expected = self.view.contents(&name).contains_key(&key);
                assert_eq!(found, expected, "contains {} in {name}", short(&key));
                Ok(())
            }
            2 => self.look_through(random, &name, store),
            3 => self.look_ahead(random, &name, store),
            _ => {
                let count = self.tx.count(store, WAIT)?;
                assert_eq!(
                    count,
                    self.view.contents(&name).len() as u64,
                    "count of {name}"
                );
                Ok(())
            }
        }
    }

    fn look_up(&mut self, random: &mut SplitMix64, name: &str, store: u64) -> Result<()> {
        let key = match random.below(4) {
            0 => merge_key(random, true),
            _ => some_key(random, self.shape),
        };
        let entry = self.tx.get(store, &key, WAIT)?;
        let found = entry.map(|entry| Item {
            meta: entry.meta.into(),
            value: entry.value.into(),
        });
        let expected = self.view.contents(name).get(&key);
        assert_eq!(found.as_ref(), expected, "get {} in {name}", short(&key));
        Ok(())
    }

    /// A scan in pages, either way.
    fn look_through(&mut self, random: &mut SplitMix64, name: &str, store: u64) -> Result<()> {
        let (a, b) = (some_key(random, self.shape), some_key(random, self.shape));
        let (mut low, mut high) = (some_bound(random, a), some_bound(random, b));
        let reverse = random.chance(1, 2);
        let mut expected = range(self.view.contents(name), as_ref(&low), as_ref(&high));
        if reverse {
            expected.reverse();
        }
        let limit = 1 + random.below(30);
        let limit_bytes = if random.chance(1, 4) { 300 } else { usize::MAX };
        let keys_only = random.chance(1, 4);
        let mut seen = 0;
        for _page in 0..=1 + random.below(4) {
            let wanted = ScanRange {
                low: as_ref(&low),
                high: as_ref(&high),
                reverse,
                limit,
                limit_bytes,
                keys_only,
            };
            let mut page = 0;
            let last = self
                .tx
                .scan(store, &wanted, WAIT, &mut |key, meta, value| {
                    let (expected_key, item) = expected.get(seen).unwrap_or_else(|| {
                        panic!("a scan of {name} shows {} too much", short(key))
                    });
                    assert!(
                        key == expected_key.as_slice(),
                        "scan of {name}: {} for {}",
                        short(key),
                        short(expected_key)
                    );
                    assert!(
                        meta == &item.meta[..],
                        "scan of {name}: ride-along part of {}",
                        short(key)
                    );
                    assert_eq!(value.is_none(), keys_only);
                    assert!(
                        value.is_none_or(|value| value == &item.value[..]),
                        "scan of {name}: value of {}",
                        short(key)
                    );
                    seen += 1;
                    page += 1;
                })?;
            assert!(page <= limit, "a page of {page} entries, {limit} asked for");
            let Some(last) = last else {
                assert_eq!(seen, expected.len(), "a scan of {name} ended early");
                return Ok(());
            };
            assert!(page > 0, "a page of a scan makes progress");
            if reverse {
                high = Bound::Excluded(last);
            } else {
                low = Bound::Excluded(last);
            }
        }
        Ok(())
    }

    fn look_ahead(&mut self, random: &mut SplitMix64, name: &str, store: u64) -> Result<()> {
        let (a, b) = (some_key(random, self.shape), some_key(random, self.shape));
        let (low, high) = (some_bound(random, a), some_bound(random, b));
        let reverse = random.chance(1, 2);
        let mut expected = range(self.view.contents(name), as_ref(&low), as_ref(&high));
        if reverse {
            expected.reverse();
        }
        let count = random.below(expected.len() + 3);
        let wanted = ScanRange {
            low: as_ref(&low),
            high: as_ref(&high),
            reverse,
            ..ScanRange::default()
        };
        let found = self.tx.skip(store, &wanted, count as u64, WAIT)?;
        let expected = expected.get(count).map(|(key, _)| (*key).clone());
        assert_eq!(
            found, expected,
            "skip {count} in {name}, backwards {reverse}"
        );
        Ok(())
    }

    /// Compares everything the transaction sees with the model.
    pub fn assert_all(&mut self, place: &str) {
        let view = self.view.clone();
        check::assert_sees(&mut self.tx, &view, place);
    }
}

fn as_ref(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

fn some_bound(random: &mut SplitMix64, key: Vec<u8>) -> Bound<Vec<u8>> {
    match random.below(5) {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Excluded(key),
        _ => Bound::Included(key),
    }
}

/// Keys of several kinds: short, with long common prefixes, prefixes of each other, and very long.
pub fn some_key(random: &mut SplitMix64, shape: Shape) -> Vec<u8> {
    let number = random.below(shape.keys);
    if shape.long_keys > 0 && number.is_multiple_of(shape.long_keys) {
        let mut key = format!("long-{number}-").into_bytes();
        key.resize(200 + number * 7919 % 7800, b'a' + (number % 26) as u8);
        return key;
    }
    match number % 5 {
        0 => vec![b'k'; number % 90],
        1 => format!("a-rather-long-common-prefix/of-many-keys/{number:06}").into_bytes(),
        2 => format!("a-rather-long-common-prefix/{number}").into_bytes(),
        _ => format!("{number:05}").into_bytes(),
    }
}

/// Keys whose values the commutative operations can be applied to; nothing else is put there.
fn merge_key(random: &mut SplitMix64, numbers: bool) -> Vec<u8> {
    let kind = if numbers { "number" } else { "text" };
    format!("merged-{kind}-{}", random.below(6)).into_bytes()
}

fn some_meta(random: &mut SplitMix64) -> Vec<u8> {
    match random.below(6) {
        0 => some_bytes(random, 1, 30),
        1 => some_bytes(random, 1, 200),
        _ => Vec::new(),
    }
}

fn some_value(random: &mut SplitMix64, shape: Shape, key: &[u8]) -> Vec<u8> {
    if key.starts_with(b"merged-") {
        return encode_int(1);
    }
    match pick(random, &shape.sizes) {
        0 => some_bytes(random, 0, 250),
        1 => some_bytes(random, 600, 20_000),
        _ => some_bytes(random, 65_530, 30_000),
    }
}

/// Bytes no two calls are likely to share.
pub fn some_bytes(random: &mut SplitMix64, least: usize, more: usize) -> Vec<u8> {
    let length = least + random.below(more.max(1));
    let mut bytes = Vec::with_capacity(length + 8);
    let mut word = random.next_u64();
    while bytes.len() < length {
        bytes.extend_from_slice(&word.to_le_bytes());
        word = word.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    }
    bytes.truncate(length);
    bytes
}
