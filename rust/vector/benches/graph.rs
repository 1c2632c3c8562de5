//! How fast graphs are built and searched: `cargo bench -p sopasync-vector --bench graph`.
//!
//! Vectors in clusters, each around a subspace of its own, as embeddings lie. What a search finds stands in its name.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sopasync_vector::graph::hnsw::{self, Hnsw};
use sopasync_vector::graph::{Codes, Graph, Heap, Options, Pass, Request, Work};
use sopasync_vector::random::Random;
use sopasync_vector::scan::{All, scan};
use sopasync_vector::segment::{Head, Kind, Parts, Segment, Vid, write_segment};
use sopasync_vector::{Element, Kernel, Metric, Space, TopK};

const ROWS: usize = 20_000;
const QUERIES: usize = 200;
const DIMENSION: usize = 128;
const K: usize = 10;

struct Data {
    space: Space,
    rows: Vec<u8>,
    queries: Vec<Vec<u8>>,
}

fn data() -> Data {
    let mut random = Random::new(3);
    let mut vector =
        |scale: f64| -> Vec<f64> { (0..DIMENSION).map(|_| random.normal() * scale).collect() };
    let clusters: Vec<Vec<Vec<f64>>> = (0..50)
        .map(|_| {
            (0..17)
                .map(|at| vector(if at == 0 { 1.0 } else { 0.09 }))
                .collect()
        })
        .collect();
    let mut random = Random::new(4);
    let mut row = || -> Vec<u8> {
        let cluster = &clusters[random.below(clusters.len())];
        let mut row = cluster[0].clone();
        for direction in &cluster[1..] {
            let along = random.normal();
            row.iter_mut()
                .zip(direction)
                .for_each(|(x, step)| *x += along * step);
        }
        row.iter()
            .flat_map(|&x| ((x + random.normal() * 0.05) as f32).to_le_bytes())
            .collect()
    };
    Data {
        space: Space::new(Metric::L2, Element::F32, DIMENSION).expect("a space"),
        rows: (0..ROWS).flat_map(|_| row()).collect(),
        queries: (0..QUERIES).map(|_| row()).collect(),
    }
}

fn built(data: &Data, rows: &[u8], codes: Codes) -> Vec<u8> {
    let stop = AtomicBool::new(false);
    let options = Options {
        codes,
        ..Options::default()
    };
    hnsw::build(&data.space, rows, &options, &work(&stop)).expect("a graph")
}

fn work(stop: &AtomicBool) -> Work<'_> {
    Work {
        threads: 1,
        stop,
        progress: &|_, _| {},
        room: &Heap,
    }
}

fn recall(data: &Data, graph: &dyn Graph, ef: usize) -> f64 {
    let kernel = Kernel::of(&data.space);
    let found = data.queries.iter().map(|query| {
        let mut top = TopK::new(K);
        scan(&kernel, query, &data.rows, &All, &mut top);
        let truth = top.into_sorted();
        let hits = graph.search(&request(query, ef, Pass::all())).hits;
        hits.iter()
            .filter(|hit| hit.distance <= truth[K - 1].distance)
            .count()
    });
    found.sum::<usize>() as f64 / (QUERIES * K) as f64
}

fn request<'a>(query: &'a [u8], ef: usize, pass: Pass<'a>) -> Request<'a> {
    Request {
        query,
        k: K,
        ef,
        pass,
        budget: usize::MAX,
    }
}

fn search(criterion: &mut Criterion, name: &str, data: &Data, graph: &dyn Graph) {
    let mut group = criterion.benchmark_group("graph search");
    group.throughput(Throughput::Elements(1));
    for ef in [16, 32, 64] {
        let found = recall(data, graph, ef);
        let mut queries = data.queries.iter().cycle();
        group.bench_function(format!("{name}/ef {ef}, recall {found:.3}"), |bencher| {
            bencher.iter(|| {
                let query = queries.next().expect("endless");
                black_box(graph.search(&request(query, ef, Pass::all())))
            });
        });
    }
    for percent in [50, 10] {
        let test = |slot: u32| slot.wrapping_mul(0x9e37_79b9) >> 16 < 65_536 / 100 * percent;
        let mut queries = data.queries.iter().cycle();
        group.bench_function(format!("{name}/ef 64, {percent} % pass"), |bencher| {
            bencher.iter(|| {
                let query = queries.next().expect("endless");
                let pass = Pass::when(&test, percent as f32 / 100.0);
                black_box(graph.search(&request(query, 64, pass)))
            });
        });
    }
    group.finish();
}

fn searches(criterion: &mut Criterion) {
    let data = data();
    for (name, codes) in [("codes", Codes::Auto), ("rows", Codes::Never)] {
        let bytes = built(&data, &data.rows, codes);
        let graph = Hnsw::open(&bytes, &data.space, &data.rows).expect("a graph");
        search(criterion, name, &data, &graph);
    }
    #[cfg(feature = "usearch")]
    {
        use sopasync_vector::graph::usearch::native;
        let stop = AtomicBool::new(false);
        let options = Options::default();
        let bytes =
            native::build(&data.space, &data.rows, &options, &work(&stop)).expect("a graph");
        let rows = Arc::new(data.rows.clone());
        let graph = native::Native::open(&bytes, &data.space, rows).expect("a graph");
        search(criterion, "usearch", &data, &graph);
    }
}

fn builds(criterion: &mut Criterion) {
    let data = data();
    let mut group = criterion.benchmark_group("graph build");
    group.sample_size(10);
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, codes) in [("codes", Codes::Auto), ("rows", Codes::Never)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(built(&data, &data.rows, codes)));
        });
    }
    // Two thirds are there, the rest is added.
    let there = ROWS / 3 * 2;
    let old_rows = &data.rows[..there * data.space.prepared_bytes()];
    let old = built(&data, old_rows, Codes::Auto);
    let slots: Vec<u32> = (0..there as u32).collect();
    group.bench_function("codes, two thirds there", |bencher| {
        let stop = AtomicBool::new(false);
        let start = Hnsw::open(&old, &data.space, old_rows).expect("a graph");
        let options = Options::default();
        bencher.iter(|| {
            let built = hnsw::build_onto(
                &data.space,
                &data.rows,
                &start,
                &slots,
                &options,
                &work(&stop),
            );
            black_box(built.expect("a graph"))
        });
    });
    group.finish();
}

fn segments(criterion: &mut Criterion) {
    let data = data();
    let graph = built(&data, &data.rows, Codes::Auto);
    let vids: Vec<Vid> = (0..ROWS as u32)
        .map(|ordinal| Vid { seq: 1, ordinal })
        .collect();
    let head = Head {
        space: data.space,
        kind: Kind::Hnsw,
        count: ROWS as u32,
        lo: 0,
        hi: 1,
        store: 1,
        number: 1,
    };
    let parts = Parts {
        vids: &vids,
        rows: &data.rows,
        codes: &[],
        graph: &graph,
        payload: &[],
        records: &[],
        steps: &[],
    };
    let mut file = Vec::new();
    write_segment(&mut file, &head, &parts).expect("memory");
    let file = Arc::new(file);
    let mut group = criterion.benchmark_group("segment");
    group.throughput(Throughput::Bytes(file.len() as u64));
    group.bench_function("write", |bencher| {
        bencher.iter_batched_ref(
            || Vec::with_capacity(file.len()),
            |out| write_segment(out, &head, &parts).expect("memory"),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("open", |bencher| {
        bencher.iter(|| black_box(Segment::open(file.clone()).expect("a segment")));
    });
    group.bench_function("open and verify", |bencher| {
        bencher.iter(|| Segment::open(file.clone()).expect("a segment").verify());
    });
    group.finish();
}

criterion_group!(benches, searches, builds, segments);
criterion_main!(benches);
