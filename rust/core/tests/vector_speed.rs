//! Figures of vector stores, printed: not a check. Run with `--ignored --nocapture`, with nothing else on the machine.

mod support;
mod vector_support;

use std::sync::Arc;
use std::time::Instant;

use sopasync_core::disk::{Disk, RealDisk, SplitMix64};
use sopasync_core::vector::VectorQuery;
use sopasync_core::{Database, Isolation, Options};
use sopasync_vector::{Element, Metric};
use support::{WAIT, begin, reader};
use vector_support::{create, find, numbered, options};

const DIMENSION: usize = 128;

fn vector(random: &mut SplitMix64, centers: &[Vec<f32>]) -> Vec<u8> {
    let center = &centers[random.below(centers.len())];
    let noise = center
        .iter()
        .map(|value| value + random.below(1000) as f32 / 2000.0);
    noise.flat_map(f32::to_le_bytes).collect()
}

#[test]
#[ignore = "prints figures"]
fn figures() {
    let count: usize = std::env::var("ROWS").map_or(100_000, |rows| rows.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path(), true).unwrap());
    let settings = Options {
        cache_bytes: 512 << 20,
        ..Options::default()
    };
    let db = Database::open(Arc::clone(&disk), settings.clone()).unwrap();
    let store = create(
        &db,
        "vectors",
        &options(Metric::L2, Element::F32, DIMENSION),
    );
    let mut random = SplitMix64::new(1);
    let centers: Vec<Vec<f32>> = (0..100)
        .map(|_| {
            (0..DIMENSION)
                .map(|_| random.below(1000) as f32 / 500.0)
                .collect()
        })
        .collect();
    let rows: Vec<u8> = (0..count)
        .flat_map(|_| vector(&mut random, &centers))
        .collect();
    let queries: Vec<Vec<u8>> = (0..200).map(|_| vector(&mut random, &centers)).collect();
    let bytes = DIMENSION * 4;
    let started = Instant::now();
    for (batch, rows) in rows.chunks(5000 * bytes).enumerate() {
        let keys: Vec<String> = (0..rows.len() / bytes)
            .map(|row| format!("{:08}", batch * 5000 + row))
            .collect();
        let payloads: Vec<Vec<u8>> = (0..keys.len())
            .map(|row| numbered((row % 1000) as u16))
            .collect();
        let mut tx = begin(&db, Isolation::Serializable);
        store
            .upsert_many(&mut tx, &keys, rows, &payloads, true)
            .unwrap();
        tx.commit().unwrap();
    }
    let ingest = started.elapsed().as_secs_f64();
    eprintln!("ingest {:.0} vectors/s", count as f64 / ingest);
    let ask = |name: &str, query: &dyn Fn(&[u8]) -> f64| {
        let started = Instant::now();
        let found: f64 = queries.iter().map(|vector| query(vector)).sum();
        let each = started.elapsed().as_secs_f64() / queries.len() as f64;
        eprintln!(
            "{name}: {:.0} us per query, mean nearest {:.4}",
            each * 1e6,
            found / queries.len() as f64
        );
    };
    let run = |vector: &[u8], exact: bool, filter: Option<&sopasync_payload::Filter>| {
        let query = VectorQuery {
            exact,
            filter,
            ..VectorQuery::new(vector, 10)
        };
        let hits = store.query(&mut reader(&db), &query, WAIT).unwrap();
        f64::from(hits[0].iter().map(|hit| hit.distance).sum::<f32>())
    };
    run(&queries[0], true, None);
    eprintln!("{:?}", store.statistics());
    ask("before it settles", &|vector| run(vector, false, None));
    let started = Instant::now();
    db.settle(store.id()).unwrap();
    eprintln!("settled in {:.1} s", started.elapsed().as_secs_f64());
    eprintln!("{:?}", store.statistics());
    ask("exact", &|vector| run(vector, true, None));
    ask("graph", &|vector| run(vector, false, None));
    for pass in [500, 100, 10, 1] {
        let filter = vector_support::below(pass);
        ask(&format!("filter {pass} of 1000"), &|vector| {
            run(vector, false, Some(&filter))
        });
        ask(&format!("filter {pass} of 1000, exact"), &|vector| {
            run(vector, true, Some(&filter))
        });
    }
    db.close().unwrap();
    drop(db);
    let started = Instant::now();
    let db = Database::open(disk, settings).unwrap();
    let store = find(&db, "vectors");
    let query = VectorQuery::new(&queries[0], 10);
    store.query(&mut reader(&db), &query, WAIT).unwrap();
    eprintln!(
        "opened and answered in {:.0} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
}
