//! Selecting from 100 000 payloads, and making the columns that answer.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sopasync_payload::{Columns, Filter, Part, SealedColumns, seal};

const SLOTS: u32 = 100_000;

fn payload(slot: u32) -> Vec<u8> {
    // {"shop": 0..1000, "price": 0..100000}
    let mut out = vec![0x82, 0xA4];
    out.extend(b"shop\xCD");
    out.extend(((slot.wrapping_mul(2_654_435_761) % 1000) as u16).to_be_bytes());
    out.extend(b"\xA5price\xCE");
    out.extend((slot.wrapping_mul(40_503) % SLOTS).to_be_bytes());
    out
}

fn filter(bytes: &[u8]) -> Filter {
    Filter::parse(bytes).expect("a filter")
}

fn bench(c: &mut Criterion) {
    let mut columns = Columns::new();
    for slot in 0..SLOTS {
        columns.push(&payload(slot)).expect("packed");
    }
    let bytes = seal(&[Part::whole(&columns)]).expect("seals");
    let sealed = SealedColumns::open(&bytes[..]).expect("opens");
    let shop = filter(b"\x93\xA2eq\xA4shop\x07");
    let cheap = filter(b"\x96\xA5range\xA5price\xC0\xC2\xCE\x00\x00\x03\xE8\xC2");
    let half = filter(b"\x96\xA5range\xA5price\xC0\xC2\xCE\x00\x00\xC3\x50\xC2");
    let most = filter(b"\x96\xA5range\xA5price\xC0\xC2\xCE\x00\x01\x5F\x90\xC2");
    let both = filter(
        b"\x92\xA3and\x92\x93\xA2eq\xA4shop\x07\x96\xA5range\xA5price\xC0\xC2\xCE\x00\x00\xC3\x50\xC2",
    );
    for (name, filter) in [
        ("equal 0.1 %", &shop),
        ("range 1 %", &cheap),
        ("range 50 %", &half),
        ("range 90 %", &most),
        ("and", &both),
    ] {
        c.bench_function(&format!("sealed: {name}"), |b| {
            b.iter(|| black_box(sealed.select(filter)))
        });
        c.bench_function(&format!("growing: {name}"), |b| {
            b.iter(|| black_box(columns.select(filter)))
        });
    }
    let one = payload(7);
    c.bench_function("matches: equal", |b| {
        b.iter(|| shop.matches(black_box(&one)))
    });
    c.bench_function("push", |b| {
        let mut columns = Columns::new();
        let mut slot = 0;
        b.iter(|| {
            slot += 1;
            columns.push(&payload(slot))
        });
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
