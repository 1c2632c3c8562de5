//! Many keys looked up at once are found as they are one by one, own writes included, and only those that were looked at are
//! claimed.

mod support;

use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::{Database, Error, Isolation, MergeOp};
use support::{WAIT, begin, for_seeds, open, simulated};

type Found = Option<(Vec<u8>, Vec<u8>)>;

fn key(random: &mut SplitMix64) -> Vec<u8> {
    // Of many lengths, most with one head, some of them beginnings of others.
    let number = random.below(600);
    let mut key = format!("same{:03}", number / 3).into_bytes();
    key.extend(std::iter::repeat_n(b'x', number % 3));
    key
}

/// A store with half of the keys, some with values that lie out of line.
fn filled(db: &Database, random: &mut SplitMix64) -> u64 {
    let mut tx = begin(db, Isolation::Serializable);
    let id = tx.create_store("s", 1, b"").expect("a store").id;
    for _ in 0..400 * random.below(2) {
        let value = vec![7; if random.chance(1, 20) { 3000 } else { 3 }];
        tx.put(id, &key(random), b"meta", &value, true)
            .expect("put");
    }
    tx.commit().expect("a commit");
    id
}

#[test]
fn what_is_found_is_what_single_looks_find() {
    for_seeds(60, |seed| {
        let mut random = SplitMix64::new(seed);
        let db = open(&SimDisk::new(seed), &simulated(512, 4 << 20)).expect("a database");
        let id = filled(&db, &mut random);
        let mut tx = begin(&db, Isolation::Serializable);
        for _ in 0..random.below(60) {
            let key = key(&mut random);
            match random.below(4) {
                0 => tx.delete(id, &key).expect("deleted"),
                1 => tx.put_meta(id, &key, b"other").expect("put"),
                2 => tx
                    .merge(id, b"counted", MergeOp::Append, b"\xA1a")
                    .expect("merged"),
                _ => tx.put(id, &key, b"", b"own", true).expect("put"),
            }
        }
        let mut keys: Vec<_> = (0..random.below(50)).map(|_| key(&mut random)).collect();
        keys.extend([b"counted".to_vec(), b"".to_vec(), b"zzz".to_vec()]);
        let one_by_one: Vec<Found> = keys
            .iter()
            .map(|key| {
                let entry = tx.get(id, key, WAIT).expect("a look");
                entry.map(|entry| (entry.meta, entry.value))
            })
            .collect();
        let until = random.below(keys.len()) + 1;
        let mut at_once: Vec<Found> = Vec::new();
        tx.visit_many(id, keys.iter().map(Vec::as_slice), WAIT, |found| {
            at_once.push(found.map(|(meta, value)| (meta.to_vec(), value.to_vec())));
            at_once.len() < until
        })
        .expect("a look");
        assert_eq!(at_once, one_by_one[..until]);
    });
}

#[test]
fn only_what_was_looked_at_conflicts() {
    for place in 0..40_usize {
        let db = open(&SimDisk::new(1), &simulated(512, 4 << 20)).expect("a database");
        let id = filled(&db, &mut SplitMix64::new(1));
        let keys: Vec<_> = (0..40)
            .map(|n| format!("same{n:03}").into_bytes())
            .collect();
        let mut tx = begin(&db, Isolation::Serializable);
        let mut looked_at = 0;
        tx.visit_many(id, keys.iter().map(Vec::as_slice), WAIT, |_| {
            looked_at += 1;
            looked_at < 20
        })
        .expect("a look");
        tx.put(id, b"mine", b"", b"1", true).expect("put");
        let mut other = begin(&db, Isolation::Serializable);
        other.put(id, &keys[place], b"", b"2", true).expect("put");
        other.commit().expect("a commit");
        let conflicts = matches!(tx.commit(), Err(Error::Conflict { .. }));
        assert_eq!(conflicts, place < 20, "key {place}");
    }
}
