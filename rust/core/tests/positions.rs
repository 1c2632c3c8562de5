//! Which entry is the n-th, and how many there are, in the middle of a transaction that writes: as in a plain ordered map,
//! whatever was written, taken back and written again since anybody last counted.

mod support;

use std::collections::BTreeMap;
use std::ops::Bound;

use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::{Access, Error, Isolation, MergeOp, ScanRange, Transaction};
use support::{WAIT, begin, for_seeds, open, simulated};

const AT_ONCE: Access = Access {
    may_wait: false,
    track: true,
};

/// The keys that are there, and whether something was written to them before.
type Model = BTreeMap<Vec<u8>, ()>;

fn key(random: &mut SplitMix64, keys: usize) -> Vec<u8> {
    // Of many lengths, some of them beginnings of others.
    let number = random.below(keys);
    let mut key = format!("{:04}", number / 3).into_bytes();
    key.extend(std::iter::repeat_n(b'x', number % 3));
    key
}

fn write(tx: &mut Transaction, id: u64, model: &mut Model, random: &mut SplitMix64, keys: usize) {
    let key = key(random, keys);
    match random.below(5) {
        0 | 1 => {
            tx.put(id, &key, b"", b"\xA3new", true).unwrap();
            model.insert(key, ());
        }
        2 | 3 => {
            tx.delete(id, &key).unwrap();
            model.remove(&key);
        }
        _ if random.chance(1, 2) => {
            tx.merge(id, &key, MergeOp::Append, b"\xA4more").unwrap();
            model.insert(key, ());
        }
        // Changes nothing where there is nothing.
        _ => tx.put_meta(id, &key, b"meta").unwrap(),
    }
}

fn bound(random: &mut SplitMix64, key: Vec<u8>) -> Bound<Vec<u8>> {
    [
        Bound::Unbounded,
        Bound::Included(key.clone()),
        Bound::Excluded(key),
    ][random.below(3)]
    .clone()
}

fn look(tx: &mut Transaction, id: u64, model: &Model, random: &mut SplitMix64, keys: usize) {
    let mut ends = [key(random, keys), key(random, keys)];
    ends.sort();
    let [low, high] = ends.map(|key| bound(random, key));
    let empty =
        matches!((&low, &high), (Bound::Excluded(low), Bound::Excluded(high)) if low == high);
    let inside: Vec<_> = if empty {
        Vec::new()
    } else {
        model
            .range((low.clone(), high.clone()))
            .map(|(key, ())| key)
            .collect()
    };
    let (low, high) = (
        low.as_ref().map(Vec::as_slice),
        high.as_ref().map(Vec::as_slice),
    );
    assert_eq!(
        tx.count_range(id, low, high, WAIT).unwrap(),
        inside.len() as u64
    );
    assert_eq!(tx.count(id, WAIT).unwrap(), model.len() as u64);
    let count = random.below(inside.len() + 2);
    for reverse in [false, true] {
        let range = ScanRange {
            low,
            high,
            reverse,
            ..ScanRange::default()
        };
        let place = if reverse {
            inside.len().checked_sub(count + 1)
        } else {
            Some(count)
        };
        let expected = place.and_then(|place| inside.get(place)).copied();
        let found = tx.skip(id, &range, count as u64, WAIT).unwrap();
        assert_eq!(
            found.as_ref(),
            expected,
            "{count} of {}, {range:?}",
            inside.len()
        );
    }
}

#[test]
fn entries_are_numbered_as_in_a_plain_map() {
    for_seeds(12, |seed| {
        let mut random = SplitMix64::new(seed);
        let keys = [40, 900, 6000][random.below(3)];
        let db = open(&SimDisk::new(seed), &simulated(512, 1 << 20)).unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        let id = tx.create_store("items", 0, b"").unwrap().id;
        let mut model = Model::new();
        let first = random.below(4) * keys / 4;
        for _ in 0..first {
            write(&mut tx, id, &mut model, &mut random, keys);
        }
        tx.commit().unwrap();
        let mut tx = begin(&db, Isolation::Serializable);
        for _ in 0..30 {
            let (savepoint, before) = (tx.savepoint(), model.clone());
            let most = [3, 60, 1500][random.below(3)];
            for _ in 0..random.below(most) {
                write(&mut tx, id, &mut model, &mut random, keys);
                if random.chance(1, 100) {
                    look(&mut tx, id, &model, &mut random, keys);
                }
            }
            look(&mut tx, id, &model, &mut random, keys);
            if random.chance(1, 3) {
                tx.rollback_to(savepoint).unwrap();
                model = before;
            }
            for _ in 0..3 {
                look(&mut tx, id, &model, &mut random, keys);
            }
        }
        tx.commit().unwrap();
    });
}

#[test]
fn thousands_of_new_writes_are_looked_at_where_somebody_may_wait() {
    let db = open(&SimDisk::new(1), &simulated(8192, 64 << 20)).unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    let id = tx.create_store("items", 0, b"").unwrap().id;
    (0..50_000_u32).for_each(|key| tx.put(id, &key.to_be_bytes(), b"", b"", true).unwrap());
    let all = ScanRange::default();
    assert!(matches!(
        tx.skip(id, &all, 40_000, AT_ONCE),
        Err(Error::WouldBlock)
    ));
    let expected = Some(40_000_u32.to_be_bytes().to_vec());
    assert_eq!(tx.skip(id, &all, 40_000, WAIT).unwrap(), expected);
    // What is known stays known, but for what is written meanwhile.
    for key in 0..1000_u32 {
        tx.delete(id, &(50 * key).to_be_bytes()).unwrap();
        let there = tx.skip(id, &all, 20_000, AT_ONCE).unwrap().unwrap();
        let passed = u32::from_be_bytes(there.try_into().unwrap());
        let gone = (0..=key).filter(|gone| 50 * gone <= passed).count() as u32;
        assert_eq!(passed - gone, 20_000, "after {key}");
    }
}
