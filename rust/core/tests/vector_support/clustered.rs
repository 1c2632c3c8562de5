//! Vectors in clusters, enough of them for graphs.

use std::sync::Arc;

use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::vector::{
    IndexKind, VECTOR_KIND, VectorLimits, VectorMaintainer, VectorOptions, VectorQuery, VectorStore,
};
use sopasync_core::{Database, Isolation};
use sopasync_vector::{Element, Metric};

use super::{State, assert_hits, assert_nearest, below, create, expected, numbered, options};
use crate::support::{WAIT, begin, open, reader, simulated};

/// Rows of a store with graphs, in clusters.
pub struct Clustered {
    pub db: Database,
    pub store: VectorStore,
    pub state: State,
    random: SplitMix64,
    centers: Vec<Vec<f32>>,
}

pub const DIMENSION: usize = 16;

impl Clustered {
    pub fn new(count: usize, index: IndexKind) -> Self {
        Self::with(count, |options| VectorOptions { index, ..options })
    }

    pub fn with(count: usize, choose: impl Fn(VectorOptions) -> VectorOptions) -> Self {
        let db = open(&SimDisk::new(1), &simulated(8192, 64 << 20)).unwrap();
        let limits = VectorLimits {
            seal_bytes: 64 << 10,
            graph_rows_min: 500,
            tombstones_max: 50,
            ..VectorLimits::default()
        };
        db.maintain_kind(VECTOR_KIND, Arc::new(VectorMaintainer { limits }));
        let options = choose(options(Metric::L2, Element::F32, DIMENSION));
        let store = create(&db, "vectors", &options);
        let mut random = SplitMix64::new(7);
        let mut point = || {
            (0..DIMENSION)
                .map(|_| random.below(1000) as f32 / 50.0)
                .collect()
        };
        let centers = (0..20).map(|_| point()).collect();
        let mut new = Self {
            db,
            store,
            state: State::new(),
            random,
            centers,
        };
        new.put(0..count);
        new.db.settle(new.store.id()).unwrap();
        new
    }

    pub fn near(&mut self, center: usize) -> Vec<u8> {
        let noise: Vec<f32> = (0..DIMENSION)
            .map(|_| self.random.below(1000) as f32 / 500.0)
            .collect();
        let center = self.centers[center].iter();
        center
            .zip(noise)
            .flat_map(|(a, b)| (a + b).to_le_bytes())
            .collect()
    }

    /// Gives keys new vectors, each in the cluster of its number; the payload is that cluster's number.
    pub fn put(&mut self, keys: impl Iterator<Item = usize>) {
        let mut tx = begin(&self.db, Isolation::Serializable);
        for key in keys {
            let (cluster, name) = (key % 20, format!("{key:06}").into_bytes());
            let (vector, payload) = (self.near(cluster), numbered(cluster as u16));
            self.store
                .upsert(&mut tx, &name, &vector, &payload, true)
                .unwrap();
            self.state.insert(name, (vector, payload));
        }
        tx.commit().unwrap();
        self.db.checkpoint().unwrap();
    }

    pub fn recall(&mut self) -> f32 {
        let (mut found, mut wanted) = (0, 0);
        for number in 0..100 {
            let vector = self.near(number % 20);
            let query = VectorQuery::new(&vector, 10);
            let mut tx = reader(&self.db);
            let hits = self.store.query(&mut tx, &query, WAIT).unwrap().remove(0);
            let space = self.store.options().space;
            assert_hits(
                &space,
                &self.state,
                &query,
                &vector,
                &hits,
                "a graph's hits",
            );
            assert_eq!(hits.len(), 10);
            let best = expected(&space, &self.state, &query, &vector);
            found += hits.iter().filter(|hit| hit.distance <= best[9]).count();
            wanted += 10;
        }
        found as f32 / wanted as f32
    }
}

/// Filters that pass many or few, all far from the query: as many hits as there are, or k.
pub fn filters_find_all(all: &mut Clustered) {
    let count = all.state.len();
    for (pass, k) in [(1, 10), (1, 500), (3, 100), (10, 10), (19, 10), (20, count)] {
        let filter = below(pass);
        for ef in [1, 64] {
            let vector = all.near(19);
            let query = VectorQuery {
                filter: Some(&filter),
                ef: Some(ef),
                ..VectorQuery::new(&vector, k)
            };
            let found = all.store.query(&mut reader(&all.db), &query, WAIT);
            let hits = found.expect("a query").remove(0);
            let space = all.store.options().space;
            assert_hits(&space, &all.state, &query, &vector, &hits, "filtered");
            let matches = count / 20 * usize::from(pass);
            assert_eq!(hits.len(), k.min(matches), "{pass} of 20 clusters, k {k}");
            if matches <= 1000 {
                assert_nearest(&space, &all.state, &query, &vector, &hits, "few matches");
            }
        }
    }
    // Graphs that give up, because most of what is near was deleted by this very transaction.
    let mut tx = begin(&all.db, Isolation::Serializable);
    let mut state = all.state.clone();
    for key in (0..count).filter(|key| key % 20 < 19) {
        let name = format!("{key:06}").into_bytes();
        assert!(all.store.delete(&mut tx, &name, true).expect("a delete"));
        state.remove(&name);
    }
    let vector = all.near(0);
    let query = VectorQuery {
        ef: Some(1),
        ..VectorQuery::new(&vector, 30)
    };
    let hits = all
        .store
        .query(&mut tx, &query, WAIT)
        .expect("a query")
        .remove(0);
    assert_hits(
        &all.store.options().space,
        &state,
        &query,
        &vector,
        &hits,
        "few are left",
    );
    assert_eq!(hits.len(), 30, "few are left");
}
