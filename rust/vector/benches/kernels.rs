//! How fast kernels and scans are: `cargo bench -p sopasync-vector --bench kernels`.
//!
//! Throughput is in bytes of rows. A scan of memory that no cache holds is bound by memory; the same kernel over rows
//! in the cache, or gathered at random as a graph does, shows its own cost.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sopasync_vector::random::Random;
use sopasync_vector::scan::{All, Words, scan, scan_batch, scan_ids};
use sopasync_vector::{Element, Kernel, Level, Metric, Space, TopK};

const SPACES: [(Metric, Element); 6] = [
    (Metric::L2, Element::F32),
    (Metric::InnerProduct, Element::F32),
    (Metric::Cosine, Element::F16),
    (Metric::L2, Element::I8),
    (Metric::Cosine, Element::I8),
    (Metric::Hamming, Element::Bits),
];

/// Prepared rows of noise.
fn rows(space: &Space, count: usize) -> Vec<u8> {
    let mut random = Random::new(7);
    let mut rows = Vec::with_capacity(count * space.prepared_bytes());
    let mut row = Vec::new();
    for _ in 0..count {
        row.clear();
        match space.element() {
            Element::F32 => row
                .extend((0..space.dimension()).flat_map(|_| (random.unit() as f32).to_le_bytes())),
            Element::F16 => {
                row.extend((0..space.dimension()).flat_map(|_| {
                    sopasync_vector::half::from_f32(random.unit() as f32).to_le_bytes()
                }))
            }
            Element::I8 | Element::Bits => {
                row.extend((0..space.row_bytes()).map(|_| random.bits() as u8))
            }
        }
        space.prepare(&row, &mut rows);
    }
    rows
}

fn name(space: &Space) -> String {
    format!(
        "{}/{}/{}",
        space.element(),
        space.metric(),
        space.dimension()
    )
}

fn spaces(dimension: usize) -> impl Iterator<Item = Space> {
    SPACES
        .into_iter()
        .map(move |(metric, element)| Space::new(metric, element, dimension).expect("a space"))
}

/// Top 10 of 100,000 rows; and of 800,000 f32 rows, more than any cache holds.
fn scans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan");
    let large = Space::new(Metric::L2, Element::F32, 128).expect("a space");
    for (space, count) in spaces(128)
        .chain(spaces(384))
        .map(|space| (space, 100_000))
        .chain([(large, 800_000)])
    {
        let (rows, query) = (rows(&space, count), rows(&space, 1));
        let kernel = Kernel::of(&space);
        group.throughput(Throughput::Bytes(rows.len() as u64));
        group.bench_function(BenchmarkId::new(name(&space), count), |bencher| {
            bencher.iter(|| {
                let mut top = TopK::new(10);
                scan(&kernel, &query, &rows, &All, &mut top);
                top
            });
        });
    }
    group.finish();
}

/// Top 10 of the rows that pass a filter, as the share of 100,000 that do.
fn filtered(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("filtered scan");
    let space = Space::new(Metric::L2, Element::F32, 128).expect("a space");
    let (rows, query, kernel) = (rows(&space, 100_000), rows(&space, 1), Kernel::of(&space));
    let mut random = Random::new(8);
    for share in [1, 10, 100, 500, 700, 800, 900, 1000] {
        let words: Vec<u64> = (0..100_000_usize.div_ceil(64))
            .map(|_| {
                (0..64).fold(0, |word, bit| {
                    word | (u64::from(random.below(1000) < share) << bit)
                })
            })
            .collect();
        group.bench_function(
            BenchmarkId::from_parameter(format!("{} %", share as f64 / 10.0)),
            |bencher| {
                bencher.iter(|| {
                    let mut top = TopK::new(10);
                    scan(&kernel, &query, &rows, &Words(&words), &mut top);
                    top
                });
            },
        );
    }
    group.finish();
}

/// Top 10 for each of 64 queries.
fn batches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan of 64 queries");
    for space in spaces(128) {
        let (rows, queries, kernel) = (rows(&space, 20_000), rows(&space, 64), Kernel::of(&space));
        group.throughput(Throughput::Elements(64));
        group.bench_function(name(&space), |bencher| {
            bencher.iter(|| {
                let mut tops = vec![TopK::new(10); 64];
                scan_batch(&kernel, &queries, &rows, &All, &mut tops);
                tops
            });
        });
    }
    group.finish();
}

/// One distance after the other in the first cache, for every level here; and gathered from 51 MB, 16 at a time.
fn distances(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("distance");
    for space in spaces(128).chain(spaces(100)).chain(spaces(768)) {
        for level in Level::here() {
            let kernel = Kernel::at(&space, level);
            let rows = rows(&space, 2);
            let (one, other) = rows.split_at(space.prepared_bytes());
            group.bench_function(BenchmarkId::new(name(&space), level), |bencher| {
                bencher.iter(|| kernel.distance(black_box(one), black_box(other)));
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("gather of 16");
    for space in spaces(128).chain(spaces(384)) {
        let (rows, query, kernel) = (rows(&space, 100_000), rows(&space, 1), Kernel::of(&space));
        let mut random = Random::new(9);
        group.bench_function(name(&space), |bencher| {
            bencher.iter(|| {
                let ids: [u32; 16] = std::array::from_fn(|_| random.below(100_000) as u32);
                let mut top = TopK::new(10);
                scan_ids(&kernel, &query, &rows, &ids, &mut top);
                top
            });
        });
    }
    group.finish();
}

criterion_group!(benches, scans, filtered, batches, distances);
criterion_main!(benches);
