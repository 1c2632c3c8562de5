//! Flat segments with codes: found nearly as if everything was measured, exactly when asked, never what is not visible.

mod support;
mod vector_support;

use std::sync::Arc;

use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::vector::{
    CodeKind, IndexKind, VECTOR_KIND, VectorLimits, VectorMaintainer, VectorOptions, VectorQuery,
    VectorStore,
};
use sopasync_core::{Database, Isolation, Transaction};
use sopasync_vector::{Element, Metric};
use support::{WAIT, begin, open, reader, simulated};
use vector_support::{create, find, options};

const DIMENSION: usize = 96;
/// More than the megabyte from which codes are made when they are asked for.
const COUNT: usize = 4000;

fn database(codes: CodeKind, index: IndexKind, disk: &SimDisk) -> (Database, VectorStore) {
    database_of(codes, index, usize::MAX, disk)
}

fn database_of(
    codes: CodeKind,
    index: IndexKind,
    graph_rows_min: usize,
    disk: &SimDisk,
) -> (Database, VectorStore) {
    let db = open(disk, &simulated(8192, 64 << 20)).unwrap();
    let limits = VectorLimits {
        seal_bytes: 1 << 20,
        graph_rows_min,
        ..VectorLimits::default()
    };
    db.maintain_kind(VECTOR_KIND, Arc::new(VectorMaintainer { limits }));
    let options = VectorOptions {
        codes,
        index,
        ..options(Metric::L2, Element::F32, DIMENSION)
    };
    let store = create(&db, "vectors", &options);
    (db, store)
}

/// In clusters, each of them wide in a few directions only, so that near and far differ.
fn vector(random: &mut SplitMix64) -> Vec<u8> {
    let mut cluster = SplitMix64::new(random.below(30) as u64);
    (0..DIMENSION)
        .flat_map(|at| {
            let width = if at % 8 == 0 { 600 } else { 30 };
            (cluster.below(200) as f32 + random.below(width) as f32).to_le_bytes()
        })
        .collect()
}

fn fill(db: &Database, store: &VectorStore) {
    let mut random = SplitMix64::new(1);
    let mut tx = begin(db, Isolation::Serializable);
    for key in 0..COUNT {
        store
            .upsert(
                &mut tx,
                &(key as u32).to_be_bytes(),
                &vector(&mut random),
                &[0xc0],
                true,
            )
            .unwrap();
    }
    tx.commit().unwrap();
    db.settle(store.id()).unwrap();
}

/// Keys of the nearest.
fn nearest(db: &Database, store: &VectorStore, vector: &[u8], exact: bool) -> Vec<Vec<u8>> {
    let query = VectorQuery {
        exact,
        ..VectorQuery::new(vector, 10)
    };
    let hits = store
        .query(&mut reader(db), &query, WAIT)
        .unwrap()
        .remove(0);
    hits.into_iter().map(|hit| hit.key).collect()
}

/// The share of the exact answers that are found, over some queries.
fn recall(db: &Database, store: &VectorStore) -> f64 {
    let mut random = SplitMix64::new(2);
    let mut found = 0;
    for _ in 0..50 {
        let vector = vector(&mut random);
        let exact = nearest(db, store, &vector, true);
        let coded = nearest(db, store, &vector, false);
        found += exact.iter().filter(|key| coded.contains(key)).count();
    }
    f64::from(found as u32) / 500.0
}

#[test]
fn codes_find_nearly_all_also_after_reopening() {
    for (codes, least) in [(CodeKind::Int8, 0.98), (CodeKind::Bits, 0.93)] {
        let disk = SimDisk::new(1);
        let (db, store) = database(codes, IndexKind::Hnsw, &disk);
        fill(&db, &store);
        let statistics = store.statistics();
        assert_eq!(statistics.segments.len(), 1);
        assert!(
            statistics.segments[0]
                .recall_estimate
                .is_some_and(|recall| recall > 0.9),
            "{statistics:?}"
        );
        let before = recall(&db, &store);
        assert!(before >= least, "{codes:?}: {before}");
        drop((db, store));
        let db = open(&disk.next_process(), &simulated(8192, 64 << 20)).unwrap();
        let store = find(&db, "vectors");
        assert!((recall(&db, &store) - before).abs() < 1e-9);
        assert!(
            store.statistics().segments[0].recall_estimate.is_some(),
            "the codes were read"
        );
    }
}

#[test]
fn without_codes_or_where_every_search_is_exact_nothing_is_missed() {
    for (codes, index) in [
        (CodeKind::None, IndexKind::Hnsw),
        (CodeKind::Auto, IndexKind::Hnsw),  // too few vectors
        (CodeKind::Bits, IndexKind::Exact), // how far off they are is not known
    ] {
        let (db, store) = database(codes, index, &SimDisk::new(1));
        fill(&db, &store);
        assert_eq!(store.statistics().segments[0].recall_estimate, None);
        assert!((recall(&db, &store) - 1.0).abs() < 1e-9);
    }
}

#[test]
fn what_is_deleted_or_later_is_not_found_by_codes() {
    let (db, store) = database(CodeKind::Bits, IndexKind::Hnsw, &SimDisk::new(1));
    fill(&db, &store);
    let mut random = SplitMix64::new(3);
    let vector = vector(&mut random);
    let mut old = reader(&db);
    let before = nearest(&db, &store, &vector, false);
    let mut tx = begin(&db, Isolation::Serializable);
    for key in &before[..5] {
        assert!(store.delete(&mut tx, key, true).unwrap());
    }
    let own = store
        .query(&mut tx, &VectorQuery::new(&vector, 10), WAIT)
        .unwrap()
        .remove(0);
    assert!(
        own.iter().all(|hit| !before[..5].contains(&hit.key)),
        "own deletions"
    );
    assert_eq!(own.len(), 10);
    tx.commit().unwrap();
    let after = nearest(&db, &store, &vector, false);
    assert!(after.iter().all(|key| !before[..5].contains(key)));
    assert_eq!((after.len(), &after[..5]), (10, &before[5..]));
    let again = store
        .query(&mut old, &VectorQuery::new(&vector, 10), WAIT)
        .unwrap()
        .remove(0);
    let again: Vec<Vec<u8>> = again.into_iter().map(|hit| hit.key).collect();
    assert_eq!(again, before, "the old snapshot has them still");
}

/// What some queries found: keys and distances.
type Found = Vec<Vec<(Vec<u8>, f32)>>;

/// Exact searches: the nearest of some vectors, and what lies within a distance of them.
fn exact_hits(tx: &mut Transaction, store: &VectorStore) -> Found {
    let mut random = SplitMix64::new(4);
    let mut found = Vec::new();
    let mut ask = |query: VectorQuery<'_>| -> Vec<(Vec<u8>, f32)> {
        let hits = store.query(tx, &query, WAIT).unwrap().remove(0);
        hits.into_iter()
            .map(|hit| (hit.key, hit.distance))
            .collect()
    };
    for _ in 0..20 {
        let vector = vector(&mut random);
        for k in [1, 10, 100] {
            let query = VectorQuery::new(&vector, k);
            found.push(ask(VectorQuery {
                exact: true,
                ..query
            }));
        }
        let within = found
            .last()
            .and_then(|hits| hits.get(30))
            .map(|(_, distance)| *distance);
        found.push(ask(VectorQuery {
            within,
            ..VectorQuery::new(&vector, usize::MAX)
        }));
    }
    found
}

#[test]
fn exact_searches_by_codes_find_the_very_hits_of_measuring_all() {
    let disks = [1, 2, 3].map(SimDisk::new);
    let stores = [
        database_of(CodeKind::None, IndexKind::Exact, usize::MAX, &disks[0]),
        database_of(CodeKind::Auto, IndexKind::Exact, usize::MAX, &disks[1]),
        database_of(CodeKind::Auto, IndexKind::Hnsw, 256, &disks[2]),
    ];
    let kinds = [("flat", None), ("flat", Some("int8")), ("hnsw", None)];
    for ((db, store), kind) in stores.iter().zip(kinds) {
        fill(db, store);
        let segments = store.statistics().segments;
        let [segment] = &segments[..] else {
            panic!("one segment: {segments:?}");
        };
        assert_eq!((segment.kind, segment.codes), kind);
    }
    let same = |found: Vec<Found>, when: &str| {
        assert!(found[0].iter().all(|hits| !hits.is_empty()), "{when}");
        assert!(found[0] == found[1], "{when}: a store without graphs");
        assert!(found[0] == found[2], "{when}: by a graph");
        found
    };
    let found = |when: &str| {
        let each = stores
            .iter()
            .map(|(db, store)| exact_hits(&mut reader(db), store));
        same(each.collect(), when)
    };
    let before = found("all");
    let mut old: Vec<_> = stores.iter().map(|(db, _)| reader(db)).collect();
    let mut own = Vec::new();
    for (db, store) in &stores {
        let mut tx = begin(db, Isolation::Serializable);
        for (key, _) in before[0].iter().filter_map(|hits| hits.first()) {
            store.delete(&mut tx, key, true).unwrap();
        }
        own.push(exact_hits(&mut tx, store));
        tx.commit().unwrap();
    }
    let own = same(own, "own deletions");
    assert!(own[0] != before[0]);
    assert!(found("deletions") == own);
    let again = old
        .iter_mut()
        .zip(&stores)
        .map(|(tx, (_, store))| exact_hits(tx, store));
    assert!(same(again.collect(), "an old snapshot") == before);
    drop(old);
    drop(stores);
    let reopened = disks.iter().map(|disk| {
        let db = open(&disk.next_process(), &simulated(8192, 64 << 20)).unwrap();
        exact_hits(&mut reader(&db), &find(&db, "vectors"))
    });
    assert!(same(reopened.collect(), "reopened") == own);
}
