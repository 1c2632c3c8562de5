//! Vector stores: every query, at every snapshot, finds exactly what measuring everything finds; with a
//! transaction's own changes, whatever maintenance does meanwhile.

mod support;
mod vector_support;

use std::sync::Arc;

use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::vector::{VECTOR_KIND, VectorOptions, VectorQuery, VectorStore};
use sopasync_core::{Access, Database, Error, Isolation, Options, Transaction};
use sopasync_vector::{Element, Metric};
use support::{WAIT, begin, for_seeds, open, reader, simulated};
use vector_support::{
    SPACES, State, ask, below, change, color, create, elements, find, look, maintain_early,
    numbered, options,
};

fn database() -> Database {
    open(&SimDisk::new(1), &simulated(4096, 4 << 20)).unwrap()
}

fn singles(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn keys(tx: &mut Transaction, store: &VectorStore, vector: &[f32], k: usize) -> Vec<String> {
    let vector = singles(vector);
    let hits = store
        .query(tx, &VectorQuery::new(&vector, k), WAIT)
        .unwrap();
    let text = |key: &Vec<u8>| String::from_utf8(key.clone()).unwrap();
    hits[0].iter().map(|hit| text(&hit.key)).collect()
}

fn upsert(tx: &mut Transaction, store: &VectorStore, key: &str, vector: &[f32]) -> bool {
    store
        .upsert(tx, key.as_bytes(), &singles(vector), b"", true)
        .unwrap()
}

#[test]
fn random_lives_answer_like_measuring_everything() {
    random_lives(|store, _| store);
}

#[test]
fn random_lives_answer_the_same_when_little_is_kept_in_memory() {
    random_lives(|store, random| store.with_tail_max(random.below(3000)));
}

/// `open_with` says with how much memory the store is searched.
fn random_lives(open_with: fn(VectorStore, &mut SplitMix64) -> VectorStore) {
    for_seeds(24, |seed| {
        let mut random = SplitMix64::new(seed);
        let (metric, element) = SPACES[seed as usize % SPACES.len()];
        let options = options(metric, element, 1 + random.below(20));
        let mut disk = SimDisk::new(seed);
        let settings = simulated(1024 << random.below(3), 4 << 20);
        let mut db = open(&disk, &settings).unwrap();
        maintain_early(&db);
        let mut store = open_with(create(&db, "vectors", &options), &mut random);
        let mut versions: Vec<Arc<State>> = vec![Arc::default(); 2];
        let mut held: Vec<Transaction> = Vec::new();
        for step in 0..60 {
            let mut tx = begin(&db, Isolation::Serializable);
            let mut state = State::clone(&versions[versions.len() - 1]);
            for _ in 0..random.below(6) {
                if random.chance(1, 6) {
                    let (savepoint, before) = (tx.savepoint(), state.clone());
                    change(&mut tx, &store, &mut state, &mut random);
                    ask(&mut tx, &store, &state, &mut random, "inside a savepoint");
                    tx.rollback_to(savepoint).unwrap();
                    state = before;
                } else {
                    change(&mut tx, &store, &mut state, &mut random);
                }
                if random.chance(1, 4) {
                    look(&mut tx, &store, &state, &mut random, "own changes");
                }
            }
            if random.chance(5, 6) {
                let before = db.last_seq();
                tx.commit().unwrap();
                if db.last_seq() > before {
                    versions.push(Arc::new(state));
                }
            } else {
                tx.rollback();
            }
            assert_eq!(db.last_seq() as usize, versions.len() - 1);
            if random.chance(1, 4) {
                held.push(reader(&db));
            }
            if random.chance(1, 2) {
                for tx in &mut held {
                    let state = &versions[tx.seq() as usize];
                    look(tx, &store, state, &mut random, "an old snapshot");
                }
            }
            if random.chance(1, 5) && !held.is_empty() {
                held.swap_remove(random.below(held.len()));
            }
            for _ in 0..random.below(3) {
                db.maintain_step().unwrap();
            }
            let newest = Arc::clone(&versions[versions.len() - 1]);
            // Maintenance commits, and changes nothing that is seen.
            versions.resize(db.last_seq() as usize + 1, newest);
            if random.chance(1, 10) {
                db.checkpoint().unwrap();
            }
            if random.chance(1, 20) {
                held.clear();
                disk = disk.next_process();
                db = open(&disk, &settings).unwrap();
                maintain_early(&db);
                store = open_with(find(&db, "vectors"), &mut random);
            }
            let newest = &versions[versions.len() - 1];
            look(
                &mut reader(&db),
                &store,
                newest,
                &mut random,
                &format!("step {step}"),
            );
        }
    });
}

#[test]
fn who_follows_takes_up_the_segments_of_the_owner_when_the_memory_for_what_came_lately_is_full() {
    const ROUNDS: u16 = 20;
    const ROWS: u16 = 30;
    let disk = SimDisk::new(1);
    let settings = simulated(4096, 4 << 20);
    let db = open(&disk, &settings).unwrap();
    maintain_early(&db);
    let options = options(Metric::L2, Element::F32, 2);
    let store = create(&db, "vectors", &options);
    let settings = Options {
        read_only: true,
        ..settings
    };
    let following = open(&disk, &settings).unwrap();
    let followed = find(&following, "vectors").with_tail_max(4000);
    for round in 0..ROUNDS {
        let mut tx = begin(&db, Isolation::Serializable);
        for row in 0..ROWS {
            let number = f32::from(round * ROWS + row);
            upsert(&mut tx, &store, &format!("{number}"), &[number, 0.0]);
        }
        tx.commit().unwrap();
        while db.maintain_step().unwrap() {}
        following.refresh().unwrap();
        let mut tx = reader(&following);
        let found = keys(&mut tx, &followed, &[0.0, 0.0], usize::from(ROUNDS * ROWS));
        let all: Vec<String> = (0..(round + 1) * ROWS).map(|one| one.to_string()).collect();
        assert_eq!(found, all);
    }
    let statistics = followed.statistics();
    let sealed: usize = statistics.segments.iter().map(|one| one.rows).sum();
    assert!(sealed > 0, "it has them from segments");
    assert!(statistics.tail_rows < usize::from(ROUNDS * ROWS) / 2);
}

#[test]
fn own_changes_are_seen_inside_and_never_outside() {
    let db = database();
    let store = create(&db, "v", &options(Metric::L2, Element::F32, 2));
    let mut tx = begin(&db, Isolation::Serializable);
    assert!(!upsert(&mut tx, &store, "a", &[0.0, 0.0]));
    assert!(!upsert(&mut tx, &store, "b", &[1.0, 0.0]));
    assert!(upsert(&mut tx, &store, "a", &[5.0, 0.0]), "its own");
    assert_eq!(keys(&mut tx, &store, &[0.0, 0.0], 5), ["b", "a"]);
    assert!(keys(&mut reader(&db), &store, &[0.0, 0.0], 5).is_empty());
    tx.commit().unwrap();
    let mut tx = begin(&db, Isolation::Serializable);
    assert!(store.delete(&mut tx, b"b", true).unwrap());
    assert!(!store.delete(&mut tx, b"b", true).unwrap());
    assert!(store.get(&mut tx, b"b", WAIT).unwrap().is_none());
    upsert(&mut tx, &store, "c", &[0.5, 0.0]);
    assert_eq!(keys(&mut tx, &store, &[0.0, 0.0], 5), ["c", "a"]);
    assert_eq!(store.count(&mut tx, WAIT).unwrap(), 2);
    assert_eq!(keys(&mut reader(&db), &store, &[0.0, 0.0], 5), ["b", "a"]);
    tx.rollback();
    assert_eq!(keys(&mut reader(&db), &store, &[0.0, 0.0], 5), ["b", "a"]);
}

#[test]
fn writers_of_different_keys_never_conflict_and_of_one_key_always_do() {
    for isolation in [
        Isolation::Serializable,
        Isolation::Snapshot,
        Isolation::NoCheck,
    ] {
        let db = database();
        let store = create(&db, "v", &options(Metric::L2, Element::F32, 2));
        let mut all: Vec<Transaction> = (0..16).map(|_| begin(&db, isolation)).collect();
        for (number, tx) in all.iter_mut().enumerate() {
            upsert(tx, &store, &format!("{number:02}"), &[number as f32, 0.0]);
        }
        all.into_iter().for_each(|tx| {
            tx.commit().unwrap();
        });
        assert_eq!(keys(&mut reader(&db), &store, &[0.0, 0.0], 20).len(), 16);
        let mut first = begin(&db, isolation);
        let mut second = begin(&db, isolation);
        upsert(&mut first, &store, "03", &[9.0, 9.0]);
        upsert(&mut second, &store, "03", &[8.0, 8.0]);
        first.commit().unwrap();
        assert!(
            matches!(second.commit(), Err(Error::Conflict { .. })),
            "{isolation:?}"
        );
        assert_eq!(keys(&mut reader(&db), &store, &[0.0, 0.0], 20).len(), 16);
    }
}

#[test]
fn a_query_conflicts_with_any_later_change_and_not_with_maintenance() {
    let db = database();
    let store = create(&db, "v", &options(Metric::L2, Element::F32, 2));
    let add = |key: &str| {
        let mut tx = begin(&db, Isolation::Serializable);
        upsert(&mut tx, &store, key, &[1.0, 1.0]);
        tx.commit().unwrap();
    };
    add("a");
    add("b");
    let decide = |isolation, between: &dyn Fn()| {
        let mut tx = begin(&db, isolation);
        keys(&mut tx, &store, &[0.0, 0.0], 1);
        keys(&mut tx, &store, &[1.0, 0.0], 1);
        upsert(&mut tx, &store, "decision", &[2.0, 2.0]);
        between();
        tx.commit()
    };
    let serializable = Isolation::Serializable;
    assert!(decide(serializable, &|| ()).is_ok());
    assert!(matches!(
        decide(serializable, &|| add("c")),
        Err(Error::Conflict { .. })
    ));
    let delete = || {
        let mut tx = begin(&db, serializable);
        store.delete(&mut tx, b"a", true).unwrap();
        tx.commit().unwrap();
    };
    assert!(matches!(
        decide(serializable, &delete),
        Err(Error::Conflict { .. })
    ));
    let maintain = || {
        db.checkpoint().unwrap();
        db.settle(store.id()).unwrap();
    };
    assert!(decide(serializable, &maintain).is_ok());
    assert!(decide(Isolation::Snapshot, &|| add("d")).is_ok());
}

#[test]
fn filters_ranges_and_batches() {
    let db = database();
    let store = create(&db, "v", &options(Metric::L2, Element::F32, 1));
    let mut tx = begin(&db, Isolation::Serializable);
    for n in 0..100u16 {
        let key = format!("{n:03}");
        let vector = singles(&[f32::from(n)]);
        store
            .upsert(&mut tx, key.as_bytes(), &vector, &numbered(n), true)
            .unwrap();
    }
    tx.commit().unwrap();
    let vectors = singles(&[0.0, 99.0]);
    let filter = below(10);
    let query = VectorQuery {
        filter: Some(&filter),
        ..VectorQuery::new(&vectors, 3)
    };
    let names = |hits: &[sopasync_core::vector::VectorHit]| -> Vec<String> {
        let text = |key: &Vec<u8>| String::from_utf8(key.clone()).unwrap();
        hits.iter().map(|hit| text(&hit.key)).collect()
    };
    let mut tx = reader(&db);
    let found = store.query(&mut tx, &query, WAIT).unwrap();
    assert_eq!(names(&found[0]), ["000", "001", "002"]);
    assert_eq!(
        names(&found[1]),
        ["009", "008", "007"],
        "a filter far from the query"
    );
    let range = VectorQuery {
        within: Some(2.0),
        k: usize::MAX,
        ..VectorQuery::new(&vectors[4..], 1)
    };
    let found = store.query(&mut tx, &range, WAIT).unwrap();
    assert_eq!(names(&found[0]), ["099", "098", "097"]);
    assert_eq!(found[0][1].distance, 1.0);
    assert_eq!(found[0][1].score, -1.0);
    let unknown = color("red");
    let query = VectorQuery {
        filter: Some(&unknown),
        ..query
    };
    let error = store.query(&mut tx, &query, WAIT).unwrap_err().to_string();
    assert!(error.contains("no payload has a field 'color'"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let db = database();
    let store = create(&db, "v", &options(Metric::Cosine, Element::F32, 2));
    let mut tx = begin(&db, Isolation::Serializable);
    let refused = |result: sopasync_core::Result<bool>, part: &str| {
        let error = result.unwrap_err();
        assert!(matches!(
            error,
            Error::Invalid { .. } | Error::KeyTooLong { .. }
        ));
        assert!(error.to_string().contains(part), "{error}");
    };
    let mut put = |key: &[u8], vector: &[u8]| store.upsert(&mut tx, key, vector, b"", true);
    refused(put(b"a", &singles(&[1.0])), "store 'v'");
    refused(put(b"a", &singles(&[1.0, f32::NAN])), "store 'v'");
    refused(put(b"a", &singles(&[1.0, f32::INFINITY])), "store 'v'");
    refused(put(&[1; 8000], &singles(&[1.0, 2.0])), "8000 bytes");
    let many = store.upsert_many(&mut tx, &["a", "b"], &singles(&[1.0; 3]), &[""; 0], true);
    assert!(many.is_err());
    let many = store.upsert_many(
        &mut tx,
        &["a", "b"],
        &singles(&[1.0, 1.0, 1.0, f32::NAN]),
        &[""; 0],
        true,
    );
    assert!(many.is_err());
    let many = store.upsert_many(&mut tx, &["a", "b"], &singles(&[1.0; 4]), &[""], true);
    assert!(many.is_err());
    assert!(!tx.has_writes());
    for (vector, k) in [
        (singles(&[1.0]), 1),
        (vec![], 1),
        (singles(&[1.0, 2.0]), 0),
        (singles(&[f32::NAN, 2.0]), 1),
    ] {
        let query = VectorQuery::new(&vector, k);
        assert!(matches!(
            store.query(&mut tx, &query, WAIT),
            Err(Error::Invalid { .. })
        ));
    }
    let info = tx.create_store("plain", 1, b"").unwrap();
    assert!(VectorStore::open(&tx, &info).is_err());
    let info = tx.create_store("odd", VECTOR_KIND, b"\x80").unwrap();
    assert!(VectorStore::open(&tx, &info).is_err());
    let good = VectorOptions::parse(&store.options().encode()).unwrap();
    assert_eq!(good, *store.options());
}

#[test]
fn a_long_query_that_may_not_wait_says_so() {
    let db = database();
    let store = create(&db, "v", &options(Metric::L2, Element::F32, 64));
    let mut random = SplitMix64::new(1);
    let space = store.options().space;
    let fill = |from: usize, count: usize, random: &mut SplitMix64| {
        let keys: Vec<Vec<u8>> = (from..from + count)
            .map(|n| n.to_string().into_bytes())
            .collect();
        let vectors: Vec<u8> = keys.iter().flat_map(|_| elements(random, &space)).collect();
        let mut tx = begin(&db, Isolation::Serializable);
        store
            .upsert_many(&mut tx, &keys, &vectors, &[""; 0], true)
            .unwrap();
        tx.commit().unwrap();
    };
    fill(0, 1000, &mut random);
    let vector = elements(&mut random, &space);
    let query = VectorQuery::new(&vector, 3);
    let at_once = Access {
        may_wait: false,
        track: true,
    };
    let mut tx = reader(&db);
    assert_eq!(
        store
            .query_cost(&mut tx, &query, true)
            .unwrap()
            .rows_to_pull,
        1000
    );
    let error = store.query(&mut tx, &query, at_once);
    assert!(
        matches!(error, Err(Error::WouldBlock)),
        "much is to be read first"
    );
    let found = store.query(&mut tx, &query, WAIT).unwrap();
    assert_eq!(store.query(&mut tx, &query, at_once).unwrap(), found);
    let cost = store.query_cost(&mut tx, &query, true).unwrap();
    assert_eq!((cost.rows_to_pull, cost.rows_to_scan), (0, 1000));
    fill(1000, 100, &mut random);
    let mut tx = reader(&db);
    let found = store.query(&mut tx, &query, at_once).unwrap();
    assert_eq!(found[0].len(), 3, "little to read is read at once");
    fill(2000, 60_000, &mut random);
    let mut tx = reader(&db);
    store.query(&mut tx, &query, WAIT).unwrap();
    assert!(matches!(
        store.query(&mut tx, &query, at_once),
        Err(Error::WouldBlock)
    ));
    assert!(store.query_cost(&mut tx, &query, true).unwrap().nanos > 1_000_000);
}

#[test]
fn a_snapshot_goes_to_a_usearch_file_and_comes_back() {
    use sopasync_vector::graph::usearch::Import;
    use std::sync::atomic::AtomicBool;

    for (metric, element) in SPACES {
        let db = database();
        let store = create(&db, "v", &options(metric, element, 12));
        let mut random = SplitMix64::new(4);
        let space = store.options().space;
        let mut tx = begin(&db, Isolation::Serializable);
        let mut expected = std::collections::BTreeMap::new();
        for number in 0..300u64 {
            let (key, vector) = (number % 250, elements(&mut random, &space));
            store
                .upsert(&mut tx, &key.to_be_bytes(), &vector, b"", true)
                .unwrap();
            expected.insert(key, vector);
        }
        tx.commit().unwrap();
        let mut file = Vec::new();
        let number_of = |key: &[u8]| key.try_into().map(u64::from_be_bytes).ok();
        let stop = AtomicBool::new(false);
        let mut tx = reader(&db);
        let count = store
            .export_usearch(&mut tx, &mut file, &number_of, &stop)
            .unwrap();
        assert_eq!(count, 250);
        let import = Import::open(&file).unwrap();
        assert_eq!((*import.space(), import.count()), (space, 250));
        let found: std::collections::BTreeMap<u64, Vec<u8>> = import.iter().collect();
        assert_eq!(found, expected);
        let refused = store.export_usearch(&mut tx, Vec::new(), &|_| None, &stop);
        assert!(matches!(refused, Err(Error::Invalid { .. })));
    }
}
