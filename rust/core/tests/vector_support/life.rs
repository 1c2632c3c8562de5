//! Lives of a vector store with maintenance in them, for crashes, faults and deliberate bugs.

use std::sync::Arc;

use sopasync_core::disk::{Disk, SimDisk, SplitMix64};
use sopasync_core::vector::{
    VECTOR_KIND, VectorLimits, VectorMaintainer, VectorQuery, VectorStore,
};
use sopasync_core::{Database, Isolation, Options, Transaction};
use sopasync_vector::{Element, Metric};

use super::{
    State, assert_nearest, change, create, elements, find, look, maintain_early, options, payload,
};
use crate::support::{WAIT, begin, open, reader, simulated};

pub fn settings() -> Options {
    simulated(1024, 4 << 20)
}

/// What the store should hold at each commit.
#[derive(Clone, Default)]
pub struct Versions(pub Vec<Arc<State>>);

impl Versions {
    /// Nothing changed up to this commit but by maintenance.
    pub fn settle(&mut self, db: &Database) {
        let newest = self.0.last().cloned().unwrap_or_default();
        self.0.resize(db.last_seq() as usize + 1, newest);
    }

    pub fn at(&self, seq: u64) -> &State {
        &self.0[seq as usize]
    }
}

/// One random commit.
pub fn commit(
    db: &Database,
    store: &VectorStore,
    versions: &mut Versions,
    random: &mut SplitMix64,
) {
    let mut tx = begin(db, Isolation::Serializable);
    let mut state = State::clone(versions.0.last().expect("a version"));
    for _ in 0..1 + random.below(4) {
        change(&mut tx, store, &mut state, random);
    }
    let before = db.last_seq();
    tx.commit().expect("a commit");
    if db.last_seq() > before {
        versions.0.push(Arc::new(state));
    }
}

/// Commits and steps of maintenance in turn; a disk whose trace is the second half of the life.
pub fn live(seed: u64) -> (SimDisk, Versions) {
    let mut random = SplitMix64::new(seed);
    let disk = SimDisk::new(seed);
    let db = open(&disk, &settings()).expect("a new database");
    maintain_early(&db);
    let store = create(&db, "vectors", &options(Metric::L2, Element::F32, 3));
    let mut versions = Versions::default();
    versions.settle(&db);
    let mut kinds = [0; 2];
    for step in 0..24 {
        if step == 12 {
            disk.restart_trace();
        }
        commit(&db, &store, &mut versions, &mut random);
        for _ in 0..random.below(3) {
            db.maintain_step().expect("maintenance");
        }
        versions.settle(&db);
        if random.chance(1, 5) {
            db.checkpoint().expect("a checkpoint");
        }
        for segment in store.statistics().segments {
            kinds[usize::from(segment.kind != "flat")] += 1;
        }
    }
    assert!(
        kinds[0] > 0 && kinds[1] > 0,
        "segments of both kinds: {kinds:?}"
    );
    (disk, versions)
}

/// Everything that may be asked, compared with the model at that commit; then life goes on, and once more.
pub fn look_after_crash(disk: &SimDisk, versions: &Versions, seed: u64) {
    let db = open(disk, &settings()).expect("a recovery");
    maintain_early(&db);
    let mut random = SplitMix64::new(seed);
    let store = find(&db, "vectors");
    let seq = db.last_seq();
    look(
        &mut reader(&db),
        &store,
        versions.at(seq),
        &mut random,
        &format!("recovered at {seq}"),
    );
    let all = elements(&mut random, &store.options().space);
    let query = VectorQuery::new(&all, usize::MAX);
    let hits = store
        .query(&mut reader(&db), &query, WAIT)
        .expect("a query");
    assert_nearest(
        &store.options().space,
        versions.at(seq),
        &query,
        &all,
        &hits[0],
        "all",
    );
    assert!(
        store.statistics().broken_segments.is_empty(),
        "{:?}",
        store.statistics()
    );
    let mut later = Versions(versions.0[..=seq as usize].to_vec());
    for _ in 0..2 {
        commit(&db, &store, &mut later, &mut random);
        db.settle(store.id()).expect("maintenance");
        later.settle(&db);
        let state = later.at(db.last_seq());
        look(
            &mut reader(&db),
            &store,
            state,
            &mut random,
            "after the recovery",
        );
    }
    assert_no_strays(disk, &store);
}

/// Files are those the manifest names, but for ones that the next opening removes.
pub fn assert_no_strays(disk: &SimDisk, store: &VectorStore) {
    let named = store.statistics().segments.len();
    let files = disk.list().expect("a list");
    let files = files.iter().filter(|name| name.starts_with("derived-"));
    assert!(files.count() >= named, "a segment in use has no file");
}

/// Snapshots that are held while much changes answer as they always did; a life for deliberate bugs to spoil.
pub fn old_snapshots_never_change(seed: u64) {
    let mut random = SplitMix64::new(seed);
    let disk = SimDisk::new(seed);
    let db = open(&disk, &settings()).expect("a new database");
    maintain_early(&db);
    let store = create(&db, "vectors", &options(Metric::Cosine, Element::F32, 4));
    let mut versions = Versions::default();
    versions.settle(&db);
    let mut held: Vec<(
        Transaction,
        Vec<u8>,
        Vec<Vec<sopasync_core::vector::VectorHit>>,
    )> = Vec::new();
    for step in 0..40 {
        commit(&db, &store, &mut versions, &mut random);
        if step % 6 == 0 {
            let mut tx = reader(&db);
            let vector = elements(&mut random, &store.options().space);
            let query = VectorQuery::new(&vector, 10);
            let hits = store.query(&mut tx, &query, WAIT).expect("a query");
            held.push((tx, vector, hits));
        }
        for _ in 0..random.below(4) {
            db.maintain_step().expect("maintenance");
        }
        db.checkpoint().expect("a checkpoint");
        versions.settle(&db);
        for (tx, vector, hits) in &mut held {
            let query = VectorQuery::new(vector, 10);
            let again = store.query(tx, &query, WAIT).expect("a query");
            let distances = |hits: &[Vec<sopasync_core::vector::VectorHit>]| -> Vec<f32> {
                hits[0].iter().map(|hit| hit.distance).collect()
            };
            assert_eq!(
                distances(&again),
                distances(hits),
                "a snapshot's answer changed"
            );
            let seq = tx.seq();
            look(tx, &store, versions.at(seq), &mut random, "an old snapshot");
        }
        if held.len() > 4 {
            held.remove(random.below(held.len()));
        }
    }
}

/// A follower's snapshot, older than what its owner has purged since, and a newer one beside it.
pub fn followers_notice_what_was_purged(seed: u64) {
    let mut random = SplitMix64::new(seed);
    let disk = SimDisk::new(seed);
    let db = open(&disk, &settings()).expect("a new database");
    maintain_early(&db);
    let store = create(&db, "vectors", &options(Metric::L2, Element::F32, 2));
    let mut versions = Versions::default();
    versions.settle(&db);
    let follow = Options {
        read_only: true,
        ..settings()
    };
    let follower = open(&disk, &follow).expect("a follower");
    let mut held: Vec<Transaction> = Vec::new();
    for _ in 0..30 {
        commit(&db, &store, &mut versions, &mut random);
        if random.chance(1, 2) {
            // Purging waits for the last checkpoint, too.
            db.checkpoint().expect("a checkpoint");
            db.settle(store.id()).expect("maintenance");
            versions.settle(&db);
        }
        if random.chance(1, 3) {
            follower.refresh().expect("a refresh");
            let theirs = find(&follower, "vectors");
            let mut tx = reader(&follower);
            let seq = tx.seq();
            look(
                &mut tx,
                &theirs,
                versions.at(seq),
                &mut random,
                "a follower",
            );
            held.push(tx);
            for tx in &mut held {
                let seq = tx.seq();
                match tx.count(theirs.id(), WAIT) {
                    // Pages of it were used again by its owner.
                    Err(_) => continue,
                    Ok(_) => look_if_there(tx, &theirs, versions.at(seq), &mut random),
                }
            }
        }
        if held.len() > 3 {
            held.remove(0);
        }
    }
}

/// A follower's old snapshot may expire; if it does not, it answers rightly.
fn look_if_there(
    tx: &mut Transaction,
    store: &VectorStore,
    state: &State,
    random: &mut SplitMix64,
) {
    let vector = elements(random, &store.options().space);
    let query = VectorQuery::new(&vector, usize::MAX);
    match store.query(tx, &query, WAIT) {
        Err(sopasync_core::Error::SnapshotExpired) => {}
        Err(error) => panic!("{error}"),
        Ok(hits) => {
            let space = store.options().space;
            assert_nearest(
                &space,
                state,
                &query,
                &vector,
                &hits[0],
                "a follower's old snapshot",
            );
        }
    }
}

/// Maintenance that comes late reads what waits for it a piece at a time, whatever a commit holds; searches in between
/// and afterwards find what their snapshots have.
pub fn what_waits_is_read_in_pieces(seed: u64) {
    const SEALED: usize = 4096;
    const ROWS: usize = 400;
    let disk = SimDisk::new(seed);
    let db = open(&disk, &settings()).expect("a new database");
    let limits = VectorLimits {
        seal_bytes: SEALED,
        memory_bytes: 2 * SEALED,
        ..VectorLimits::default()
    };
    db.maintain_kind(VECTOR_KIND, Arc::new(VectorMaintainer { limits }));
    let store = create(&db, "vectors", &options(Metric::L2, Element::F32, 16));
    let space = store.options().space;
    let mut random = SplitMix64::new(seed);
    let mut states = vec![(reader(&db), State::new())];
    for commit in 0..3 {
        let mut state = states[commit].1.clone();
        let mut tx = begin(&db, Isolation::Serializable);
        for number in 0..ROWS {
            let key = (number + ROWS / 2 * commit).to_string().into_bytes();
            let vector = elements(&mut random, &space);
            let payload = payload(&mut random);
            let added = store.upsert(&mut tx, &key, &vector, &payload, true);
            added.expect("a vector");
            state.insert(key, (vector, payload));
        }
        tx.commit().expect("a commit");
        states.push((reader(&db), state));
    }
    let (mut steps, mut most, mut searched) = (0, 0, 0);
    while db.maintain_step().expect("maintenance") {
        steps += 1;
        most = most.max(store.statistics().tail_rows * space.row_bytes());
        // Those that need no more than was read already: others would read all that they need.
        let pulled = store
            .statistics()
            .pulled_seq
            .expect("it has read something");
        for (tx, state) in states.iter_mut().filter(|(tx, _)| tx.seq() <= pulled) {
            look(tx, &store, state, &mut random, "in between");
            searched += 1;
        }
    }
    assert!(
        steps > ROWS * 3 * space.row_bytes() / (3 * SEALED),
        "{steps} steps"
    );
    assert!(most <= 2 * SEALED, "{most} bytes of vectors in memory");
    assert!(searched > steps, "{searched} searches in {steps} steps");
    for (tx, state) in &mut states {
        look(tx, &store, state, &mut random, "afterwards");
    }
}
