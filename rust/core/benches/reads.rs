//! Reading a million rows of 174 bytes that are in the cache: by key, ten in a row, all.
#![allow(missing_docs, reason = "criterion's macros make functions without any")]

mod rows;

use std::hint::black_box;
use std::ops::Bound;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rows::{key, load, open};
use sopasync_core::disk::SplitMix64;
use sopasync_core::{Access, Options, ScanRange, TransactionOptions};

const ROWS: u64 = 1_000_000;
const NOW: Access = Access {
    may_wait: true,
    track: false,
};

fn reads(criterion: &mut Criterion) {
    let folder = rows::folder();
    let db = open(
        folder.path(),
        Options {
            cache_bytes: 1 << 30,
            ..Options::default()
        },
    );
    let store = load(&db, "rows", 0..ROWS);
    let read_only = TransactionOptions {
        read_only: true,
        ..TransactionOptions::default()
    };
    let mut tx = db.begin(read_only).expect("the database is open");
    let mut random = SplitMix64::new(1);
    let mut any = || key(random.below(ROWS as usize) as u64);

    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Elements(ROWS));
    group.sample_size(10);
    // First, so that everything is in the cache after it.
    group.bench_function("scan of 1M rows", |bencher| {
        bencher.iter(|| {
            let mut bytes = 0;
            tx.scan(store, &ScanRange::default(), NOW, &mut |key, _, value| {
                bytes += key.len() + value.map_or(0, <[u8]>::len);
            })
            .expect("a scan");
            black_box(bytes)
        });
    });
    group.sample_size(50);
    group.throughput(Throughput::Elements(1));
    group.bench_function("get by random key", |bencher| {
        bencher.iter_batched(
            &mut any,
            |key| {
                let found = tx.visit(store, &key, NOW, |_, value| value[0]);
                black_box(found.expect("a get"))
            },
            criterion::BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(10));
    group.bench_function("scan of 10 rows", |bencher| {
        bencher.iter_batched(
            &mut any,
            |key| {
                let range = ScanRange {
                    low: Bound::Included(&key),
                    limit: 10,
                    ..ScanRange::default()
                };
                let mut bytes = 0;
                tx.scan(store, &range, NOW, &mut |key, _, value| {
                    bytes += key.len() + value.map_or(0, <[u8]>::len);
                })
                .expect("a scan");
                black_box(bytes)
            },
            criterion::BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("begin and drop", |bencher| {
        bencher.iter(|| black_box(db.begin(read_only).expect("the database is open")));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = reads
}
criterion_main!(benches);
