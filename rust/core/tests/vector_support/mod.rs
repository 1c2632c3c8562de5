//! A vector store beside a plain map of what it should hold at every commit, and the nearest by measuring them all.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod clustered;
pub mod life;
#[cfg(target_os = "linux")]
pub mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sopasync_core::disk::{SimDisk, SplitMix64};
use sopasync_core::vector::{
    VECTOR_KIND, VectorHit, VectorLimits, VectorMaintainer, VectorOptions, VectorQuery, VectorStore,
};
use sopasync_core::{Database, Isolation, Transaction};
use sopasync_payload::Filter;
use sopasync_vector::{Element, Kernel, Metric, Space};

use crate::support::{WAIT, begin, reader};

/// What a key holds: elements, packed payload.
pub type Item = (Vec<u8>, Vec<u8>);
pub type State = BTreeMap<Vec<u8>, Item>;

/// Every metric with elements it goes with.
pub const SPACES: [(Metric, Element); 8] = [
    (Metric::L2, Element::F32),
    (Metric::Cosine, Element::F32),
    (Metric::InnerProduct, Element::F32),
    (Metric::Cosine, Element::F16),
    (Metric::L2, Element::F16),
    (Metric::L2, Element::I8),
    (Metric::Cosine, Element::I8),
    (Metric::Hamming, Element::Bits),
];

pub fn options(metric: Metric, element: Element, dimension: usize) -> VectorOptions {
    VectorOptions::new(Space::new(metric, element, dimension).expect("a space"))
}

/// Makes the store in a commit of its own.
pub fn create(db: &Database, name: &str, options: &VectorOptions) -> VectorStore {
    let mut tx = begin(db, Isolation::Serializable);
    let info = tx.create_store(name, VECTOR_KIND, &options.encode());
    let store = VectorStore::open(&tx, &info.expect("a new store")).expect("a vector store");
    tx.commit().expect("a commit");
    store
}

/// Maintains vector stores as soon as there is anything to maintain.
pub fn maintain_early(db: &Database) {
    let limits = VectorLimits {
        seal_bytes: 100,
        memory_bytes: 4000,
        graph_rows_min: 20,
        tombstones_max: 3,
        heap_bytes: 0,
        ..VectorLimits::default()
    };
    db.maintain_kind(VECTOR_KIND, Arc::new(VectorMaintainer { limits }));
}

/// The store of that name.
pub fn find(db: &Database, name: &str) -> VectorStore {
    let mut tx = reader(db);
    let info = tx.find_store(name).expect("the store is there");
    VectorStore::open(&tx, &info).expect("a vector store")
}

/// Random elements; few distinct ones, so that distances tie.
pub fn elements(random: &mut SplitMix64, space: &Space) -> Vec<u8> {
    let mut row = Vec::with_capacity(space.row_bytes());
    let plain = random.chance(1, 3);
    for place in 0..space.dimension() {
        let value = if plain {
            random.below(3) as f32 - 1.0
        } else {
            random.below(2000) as f32 / 1000.0 - 1.0
        };
        match space.element() {
            Element::F32 => row.extend_from_slice(&value.to_le_bytes()),
            Element::F16 => row.extend_from_slice(&half_of(value).to_le_bytes()),
            Element::I8 => row.push((value * 127.0) as i8 as u8),
            Element::Bits => {
                if place % 8 == 0 {
                    row.push(0);
                }
                let last = row.len() - 1;
                row[last] |= u8::from(value > 0.0) << (place % 8);
            }
        }
    }
    row
}

/// Half precision, cut off: enough for test data.
fn half_of(value: f32) -> u16 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff) as i32 - 127 + 15;
    let sign = (bits >> 16 & 0x8000) as u16;
    if exponent <= 0 {
        return sign;
    }
    sign | (exponent as u16) << 10 | (bits >> 13 & 0x3ff) as u16
}

fn packed_text(out: &mut Vec<u8>, text: &str) {
    out.push(0xa0 | text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

/// {"color": one of three, "n": below 100, "pad": long now and then}, or nil.
pub fn payload(random: &mut SplitMix64) -> Vec<u8> {
    if random.chance(1, 10) {
        return Vec::new();
    }
    let mut out = vec![0x83];
    packed_text(&mut out, "color");
    packed_text(&mut out, ["red", "green", "blue"][random.below(3)]);
    packed_text(&mut out, "n");
    out.push(random.below(100) as u8);
    packed_text(&mut out, "pad");
    let pad = if random.chance(1, 12) { 1500 } else { 3 };
    out.extend_from_slice(&[0xc5, (pad >> 8) as u8, pad as u8]);
    out.resize(out.len() + pad, 7);
    out
}

/// Payload whose `n` is given, alone.
pub fn numbered(n: u16) -> Vec<u8> {
    let mut out = vec![0x81];
    packed_text(&mut out, "n");
    out.push(0xcd);
    out.extend_from_slice(&n.to_be_bytes());
    out
}

/// ["lt"-like range, "n", nil, false, n, false]: n below.
pub fn below(n: u16) -> Filter {
    let mut out = vec![0x96];
    packed_text(&mut out, "range");
    packed_text(&mut out, "n");
    out.extend_from_slice(&[0xc0, 0xc2, 0xcd]);
    out.extend_from_slice(&n.to_be_bytes());
    out.push(0xc2);
    Filter::parse(&out).expect("a filter")
}

/// ["eq", "color", color]
pub fn color(color: &str) -> Filter {
    let mut out = vec![0x93];
    packed_text(&mut out, "eq");
    packed_text(&mut out, "color");
    packed_text(&mut out, color);
    Filter::parse(&out).expect("a filter")
}

pub fn some_filter(random: &mut SplitMix64) -> Option<Filter> {
    match random.below(4) {
        0 => Some(color(["red", "green", "blue"][random.below(3)])),
        1 => Some(below([0, 1, 5, 50, 99][random.below(5)])),
        _ => None,
    }
}

/// How far an item is from a query, as users see it.
pub fn distance(space: &Space, query: &[u8], elements: &[u8]) -> f32 {
    let kernel = Kernel::of(space);
    let (mut one, mut other) = (Vec::new(), Vec::new());
    space.prepare(query, &mut one);
    space.prepare(elements, &mut other);
    space.shown(kernel.distance(&one, &other)).distance
}

/// Every distance that a query should find, nearest first.
pub fn expected(space: &Space, state: &State, query: &VectorQuery<'_>, vector: &[u8]) -> Vec<f32> {
    let mut distances: Vec<f32> = state
        .values()
        .filter(|(_, payload)| {
            let packed: &[u8] = if payload.is_empty() { &[0xc0] } else { payload };
            query.filter.is_none_or(|filter| filter.matches(packed))
        })
        .map(|(elements, _)| distance(space, vector, elements))
        .filter(|distance| {
            let internal = space.internal(*distance);
            query
                .within
                .is_none_or(|within| internal <= space.internal(within))
        })
        .collect();
    distances.sort_by(f32::total_cmp);
    distances.truncate(query.k);
    distances
}

/// Compares hits with what measuring everything finds.
pub fn assert_nearest(
    space: &Space,
    state: &State,
    query: &VectorQuery<'_>,
    vector: &[u8],
    hits: &[VectorHit],
    place: &str,
) {
    let found: Vec<f32> = hits.iter().map(|hit| hit.distance).collect();
    let expected = expected(space, state, query, vector);
    assert_eq!(found, expected, "{place}: distances");
    assert_hits(space, state, query, vector, hits, place);
}

/// Every hit is there, matches, is as far as it says, and comes once.
pub fn assert_hits(
    space: &Space,
    state: &State,
    query: &VectorQuery<'_>,
    vector: &[u8],
    hits: &[VectorHit],
    place: &str,
) {
    let mut keys = BTreeSet::new();
    for hit in hits {
        assert!(
            keys.insert(&hit.key),
            "{place}: {:?} is found twice",
            hit.key
        );
        let item = state.get(&hit.key);
        let (elements, payload) =
            item.unwrap_or_else(|| panic!("{place}: {:?} is not there", hit.key));
        assert_eq!(
            hit.distance,
            distance(space, vector, elements),
            "{place}: {:?}",
            hit.key
        );
        let packed: &[u8] = if payload.is_empty() { &[0xc0] } else { payload };
        assert_eq!(
            hit.payload.as_deref(),
            query.payloads.then_some(packed),
            "{place}"
        );
        assert!(
            query.filter.is_none_or(|filter| filter.matches(packed)),
            "{place}"
        );
    }
}

/// A database with one vector store, and what it should hold at each commit.
pub struct World {
    pub disk: SimDisk,
    pub db: Database,
    pub options: VectorOptions,
    pub store: VectorStore,
    /// By commit number.
    pub versions: Vec<Arc<State>>,
}

pub fn some_key(random: &mut SplitMix64) -> Vec<u8> {
    format!("key-{}", random.below(60)).into_bytes()
}

/// Asks for the nearest of a random vector, whatever way, and compares.
pub fn ask(
    tx: &mut Transaction,
    store: &VectorStore,
    state: &State,
    random: &mut SplitMix64,
    place: &str,
) {
    let space = store.options().space;
    let filter =
        some_filter(random).filter(|_| state.values().any(|(_, payload)| payload.len() > 1));
    let many = if random.chance(1, 4) { 3 } else { 1 };
    let vectors: Vec<u8> = (0..many).flat_map(|_| elements(random, &space)).collect();
    let within = random
        .chance(1, 5)
        .then(|| random.below(300) as f32 / 100.0);
    let query = VectorQuery {
        within,
        filter: filter.as_ref(),
        payloads: random.chance(4, 5),
        exact: random.chance(1, 3),
        k: match random.below(6) {
            0 => usize::MAX,
            1 => 1000,
            _ => 1 + random.below(12),
        },
        ..VectorQuery::new(&vectors, 1)
    };
    let found = store.query(tx, &query, WAIT).expect("a query");
    assert_eq!(found.len(), many);
    // With so few candidates it walks graphs: what it finds may not be the nearest, but is there, and as many.
    let walk = VectorQuery {
        exact: false,
        ef: Some(1),
        ..query
    };
    let walked = store.query(tx, &walk, WAIT).expect("a query");
    for ((vector, hits), exact) in vectors
        .chunks_exact(space.row_bytes())
        .zip(&walked)
        .zip(&found)
    {
        assert_hits(&space, state, &walk, vector, hits, place);
        assert_eq!(hits.len(), exact.len(), "{place}: fewer than there are");
    }
    for (vector, hits) in vectors.chunks_exact(space.row_bytes()).zip(found) {
        assert_nearest(&space, state, &query, vector, &hits, place);
    }
}

/// Compares look-ups, count and some queries with the model.
pub fn look(
    tx: &mut Transaction,
    store: &VectorStore,
    state: &State,
    random: &mut SplitMix64,
    place: &str,
) {
    assert_eq!(
        store.count(tx, WAIT).expect("a count"),
        state.len() as u64,
        "{place}"
    );
    for _ in 0..3 {
        let key = some_key(random);
        let found = store.get(tx, &key, WAIT).expect("a look-up");
        let found = found.map(|entry| (entry.elements, entry.payload));
        let expected = state.get(&key).map(|(elements, payload)| {
            let payload = if payload.is_empty() {
                vec![0xc0]
            } else {
                payload.clone()
            };
            (elements.clone(), payload)
        });
        assert_eq!(found, expected, "{place}: {key:?}");
        ask(tx, store, state, random, place);
    }
}

/// One random change, on both.
pub fn change(
    tx: &mut Transaction,
    store: &VectorStore,
    state: &mut State,
    random: &mut SplitMix64,
) {
    let space = store.options().space;
    if random.chance(1, 4) {
        let key = some_key(random);
        let had = store.delete(tx, &key, true).expect("a delete");
        assert_eq!(had, state.remove(&key).is_some());
    } else if random.chance(1, 5) {
        let keys: Vec<Vec<u8>> = (0..random.below(20)).map(|_| some_key(random)).collect();
        let vectors: Vec<Vec<u8>> = keys.iter().map(|_| elements(random, &space)).collect();
        let payloads: Vec<Vec<u8>> = keys.iter().map(|_| payload(random)).collect();
        store
            .upsert_many(tx, &keys, &vectors.concat(), &payloads, true)
            .expect("upserts");
        for ((key, vector), payload) in keys.into_iter().zip(vectors).zip(payloads) {
            state.insert(key, (vector, payload));
        }
    } else {
        let (key, vector, payload) = (some_key(random), elements(random, &space), payload(random));
        let had = store
            .upsert(tx, &key, &vector, &payload, true)
            .expect("an upsert");
        assert_eq!(had, state.insert(key, (vector, payload)).is_some());
    }
}
