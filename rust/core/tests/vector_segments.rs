//! Sealed segments: old snapshots while they come and go, damage, recall, filters far from the query, threads.

mod support;
mod vector_support;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sopasync_core::disk::{Disk, SimDisk, SplitMix64};
use sopasync_core::vector::{IndexKind, VectorQuery};
use sopasync_core::{Database, Isolation, Options};
use sopasync_vector::{Element, Metric};
use support::{WAIT, begin, for_seeds, open, reader, simulated};
use vector_support::clustered::{Clustered, filters_find_all};
use vector_support::life::{
    Versions, commit, followers_notice_what_was_purged, live, look_after_crash,
    old_snapshots_never_change, settings, what_waits_is_read_in_pieces,
};
use vector_support::{create, elements, find, look, maintain_early};

#[test]
fn old_snapshots_answer_the_same_while_everything_is_rebuilt() {
    for_seeds(6, old_snapshots_never_change);
}

#[test]
fn followers_answer_their_snapshots_whatever_the_owner_purges() {
    for_seeds(6, followers_notice_what_was_purged);
}

#[test]
fn a_flipped_bit_or_a_missing_file_is_noticed_and_mended() {
    for_seeds(30, |seed| {
        let (disk, versions) = live(seed % 3);
        let disk = disk.next_process();
        let mut random = SplitMix64::new(seed);
        let db = open(&disk, &settings()).unwrap();
        let seq = db.last_seq();
        drop(db);
        let versions = Versions(versions.0[..=seq as usize].to_vec());
        let files = disk.list().unwrap();
        let mut files: Vec<String> = files
            .into_iter()
            .filter(|name| name.starts_with("derived-"))
            .collect();
        files.sort();
        assert!(!files.is_empty());
        for name in &files {
            match random.below(4) {
                0 => disk.remove(name).unwrap(),
                1 => {
                    let bytes = disk.content(name).unwrap();
                    disk.replace_content(name, &bytes[..random.below(bytes.len())]);
                }
                _ => {
                    let mut bytes = disk.content(name).unwrap();
                    let at = random.below(bytes.len());
                    bytes[at] ^= 1 << random.below(8);
                    disk.replace_content(name, &bytes);
                }
            }
        }
        let db = open(&disk, &settings()).unwrap();
        let store = find(&db, "vectors");
        let state = versions.at(seq);
        let report = db.check(&mut |_, _| ControlFlow::Continue(())).unwrap();
        assert!(report.is_sound(), "no data is damaged: {report:?}");
        assert_eq!(report.derived_faults.len(), files.len(), "{report:?}");
        look(
            &mut reader(&db),
            &store,
            state,
            &mut random,
            "with damaged segments",
        );
        assert_eq!(store.statistics().broken_segments.len(), files.len());
        maintain_early(&db);
        db.settle(store.id()).unwrap();
        assert!(store.statistics().broken_segments.is_empty());
        let report = db.check(&mut |_, _| ControlFlow::Continue(())).unwrap();
        assert!(
            report.derived_faults.is_empty() && report.is_sound(),
            "{report:?}"
        );
        look(&mut reader(&db), &store, state, &mut random, "mended");
        let mut later = versions.clone();
        later.settle(&db);
        drop(db);
        look_after_crash(&disk.next_process(), &later, seed);
    });
}

#[test]
fn recall_stays_after_ten_rounds_of_churn() {
    const COUNT: usize = 4000;
    let mut all = Clustered::new(COUNT, IndexKind::Hnsw);
    let statistics = all.store.statistics();
    assert!(
        statistics
            .segments
            .iter()
            .any(|segment| segment.kind == "hnsw"),
        "{statistics:?}"
    );
    let fresh = all.recall();
    assert!(fresh >= 0.97, "recall of a fresh build: {fresh}");
    for round in 0..10 {
        all.put((round..COUNT).step_by(10));
        all.db.settle(all.store.id()).unwrap();
    }
    let statistics = all.store.statistics();
    let churned = all.recall();
    eprintln!("recall {fresh} fresh, {churned} after churn; {statistics:?}");
    assert!(
        churned >= fresh - 0.005,
        "recall {fresh} before, {churned} after"
    );
    let dead: usize = statistics
        .segments
        .iter()
        .map(|segment| segment.deleted)
        .sum();
    assert!(dead * 4 <= COUNT, "{dead} dead vectors are kept");
    assert!(statistics.recall_estimate > 0.95);
}

#[test]
fn a_filter_far_from_the_query_finds_all_it_can() {
    for index in [IndexKind::Hnsw, IndexKind::Exact] {
        let mut all = Clustered::new(3000, index);
        filters_find_all(&mut all);
    }
}

#[test]
fn sixteen_writers_searches_and_the_thread_get_along() {
    let folder = tempfile::tempdir().unwrap();
    let disk = sopasync_core::disk::RealDisk::open(folder.path(), true).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let options = Options {
        background: true,
        ..simulated(8192, 32 << 20)
    };
    let db = Database::open(Arc::clone(&disk), options.clone()).unwrap();
    maintain_early(&db);
    let shape = vector_support::options(Metric::Cosine, Element::F32, 8);
    let store = create(&db, "vectors", &shape);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16u64)
            .map(|writer| {
                let (db, store) = (&db, &store);
                scope.spawn(move || {
                    let mut random = SplitMix64::new(writer);
                    for number in 0..20 {
                        let mut tx = begin(db, Isolation::Serializable);
                        let key = format!("{writer}-{}", number % 15);
                        let vector = elements(&mut random, &store.options().space);
                        store
                            .upsert(&mut tx, key.as_bytes(), &vector, b"", true)
                            .unwrap();
                        tx.commit().expect("no conflict");
                    }
                })
            })
            .collect();
        for reader_number in 0..2 {
            let (db, store, ended) = (&db, &store, &ended);
            scope.spawn(move || {
                let mut random = SplitMix64::new(99 + reader_number);
                while !ended.load(Ordering::Relaxed) {
                    let mut tx = reader(db);
                    let count = store.count(&mut tx, WAIT).unwrap() as usize;
                    let vector = elements(&mut random, &store.options().space);
                    let query = VectorQuery::new(&vector, usize::MAX);
                    let hits = store.query(&mut tx, &query, WAIT).unwrap();
                    assert_eq!(hits[0].len(), count, "at commit {}", tx.seq());
                    let again = store.query(&mut tx, &query, WAIT).unwrap();
                    assert_eq!(again, hits);
                }
            });
        }
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        ended.store(true, Ordering::Relaxed);
    });
    db.settle(store.id()).unwrap();
    assert_eq!(store.count(&mut reader(&db), WAIT).unwrap(), 16 * 15);
    assert_eq!(db.statistics().conflicts, 0);
    assert_eq!(db.statistics().last_maintenance_error, None);
    db.close().unwrap();
    let db = Database::open(disk, options).unwrap();
    let store = find(&db, "vectors");
    let vector = elements(&mut SplitMix64::new(5), &store.options().space);
    let query = VectorQuery::new(&vector, usize::MAX);
    let hits = store.query(&mut reader(&db), &query, WAIT).unwrap();
    assert_eq!(hits[0].len(), 16 * 15);
    assert!(store.statistics().broken_segments.is_empty());
}

#[test]
fn a_graph_that_gives_up_its_build_leaves_the_store_as_it_was() {
    for_seeds(4, |seed| {
        let disk = SimDisk::new(seed);
        let db = open(&disk, &settings()).unwrap();
        maintain_early(&db);
        let options = vector_support::options(Metric::L2, Element::F32, 3);
        let store = create(&db, "vectors", &options);
        let mut random = SplitMix64::new(seed);
        let mut versions = Versions::default();
        versions.settle(&db);
        let kinds = || store.statistics().segments.into_iter().map(|one| one.kind);
        let files = || {
            let files = disk.list().unwrap().into_iter();
            files.filter(|name| name.starts_with("derived-")).count()
        };
        // Builds look at this flag; nothing else of an open database does.
        db.closing().store(true, Ordering::Relaxed);
        let mut given_up = 0;
        for _ in 0..40 {
            commit(&db, &store, &mut versions, &mut random);
            let before = (store.statistics().segments.len(), db.last_seq());
            db.maintain_step().unwrap();
            versions.settle(&db);
            let state = versions.at(db.last_seq());
            look(&mut reader(&db), &store, state, &mut random, "given up");
            assert!(kinds().all(|kind| kind == "flat"), "no graph was built");
            assert_eq!(files(), kinds().count(), "a file that nobody names is left");
            let after = (store.statistics().segments.len(), db.last_seq());
            given_up += usize::from(before == after && before.0 > 4);
        }
        assert!(given_up > 0, "no build was begun");
        db.closing().store(false, Ordering::Relaxed);
        db.settle(store.id()).unwrap();
        versions.settle(&db);
        assert!(kinds().any(|kind| kind == "hnsw"), "built in the end");
        let state = versions.at(db.last_seq());
        look(&mut reader(&db), &store, state, &mut random, "built");
        drop(db);
        look_after_crash(&disk.next_process(), &versions, seed);
    });
}

#[test]
fn what_waits_is_read_into_memory_in_pieces_also_of_a_single_commit() {
    for_seeds(3, what_waits_is_read_in_pieces);
}

#[test]
fn closing_stops_a_build_and_the_next_opening_goes_on() {
    let disk = SimDisk::new(1);
    let options = Options {
        background: true,
        ..simulated(8192, 64 << 20)
    };
    let db = open(&disk, &options).unwrap();
    maintain_early(&db);
    let store = create(
        &db,
        "vectors",
        &vector_support::options(Metric::L2, Element::F32, 32),
    );
    let mut random = SplitMix64::new(1);
    let mut versions = Versions::default();
    versions.settle(&db);
    commit(&db, &store, &mut versions, &mut random);
    let space = store.options().space;
    let keys: Vec<String> = (0..4000).map(|number| number.to_string()).collect();
    let vectors: Vec<u8> = keys
        .iter()
        .flat_map(|_| elements(&mut random, &space))
        .collect();
    let mut tx = begin(&db, Isolation::Serializable);
    store
        .upsert_many(&mut tx, &keys, &vectors, &[""; 0], true)
        .unwrap();
    let count = store.count(&mut tx, WAIT).unwrap();
    tx.commit().unwrap();
    db.close().unwrap();
    drop(db);
    let db = open(&disk, &options).unwrap();
    let store = find(&db, "vectors");
    assert_eq!(store.count(&mut reader(&db), WAIT).unwrap(), count);
    let query = VectorQuery {
        exact: true,
        ..VectorQuery::new(&vectors[..space.row_bytes()], usize::MAX)
    };
    let hits = store.query(&mut reader(&db), &query, WAIT).unwrap();
    assert_eq!(hits[0].len() as u64, count);
}
