//! Every level, metric and element against sums in f64, at every small dimension and some large ones.

use super::*;
use crate::half;
use crate::random::Random;
use crate::space::{DIMENSION_MAX, Element, Metric};

/// Kinds of rows: usual numbers, and what may go wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Usual,
    Zeros,
    Subnormal,
    Extreme,
    Mixed,
}

const KINDS: [Kind; 5] = [
    Kind::Usual,
    Kind::Zeros,
    Kind::Subnormal,
    Kind::Extreme,
    Kind::Mixed,
];

fn row(space: &Space, kind: Kind, random: &mut Random) -> Vec<u8> {
    let mut row = Vec::new();
    let dimension = space.dimension();
    for at in 0..dimension {
        let kind = if kind == Kind::Mixed {
            KINDS[(random.bits() % 4) as usize]
        } else {
            kind
        };
        match space.element() {
            Element::F32 => {
                // As long as a vector may be, less what rounding may add.
                let longest = crate::space::LENGTH_MAX as f32 / (dimension as f32).sqrt() * 0.999;
                let value = match kind {
                    Kind::Zeros => 0.0 * random.unit() as f32,
                    Kind::Subnormal => f32::MIN_POSITIVE * random.unit() as f32,
                    Kind::Extreme => longest * [1.0, -1.0][random.bits() as usize % 2],
                    _ => random.unit() as f32,
                };
                row.extend_from_slice(&value.to_le_bytes());
            }
            Element::F16 => {
                let value = match kind {
                    Kind::Zeros => 0x8000 * (random.bits() % 2) as u16,
                    Kind::Subnormal => (random.bits() % 0x400) as u16,
                    Kind::Extreme => 0x7bff | (0x8000 * (random.bits() % 2) as u16),
                    _ => half::from_f32(random.unit() as f32),
                };
                row.extend_from_slice(&value.to_le_bytes());
            }
            Element::I8 => row.push(match kind {
                Kind::Zeros => 0,
                Kind::Extreme => [0x80, 0x7f][random.bits() as usize % 2],
                _ => random.bits() as u8,
            }),
            Element::Bits if at % 8 == 0 => row.push(match kind {
                Kind::Zeros => 0,
                Kind::Extreme => 0xff,
                _ => random.bits() as u8,
            }),
            Element::Bits => {}
        }
    }
    if space.element() == Element::Bits && dimension % 8 != 0 {
        *row.last_mut().unwrap() &= (1 << (dimension % 8)) - 1;
    }
    space.validate(&row).unwrap();
    row
}

fn values(space: &Space, row: &[u8]) -> Vec<f64> {
    match space.element() {
        Element::F32 => crate::space::singles(row).map(f64::from).collect(),
        Element::F16 => crate::space::halves(row)
            .map(|half| f64::from(half::to_f32(half)))
            .collect(),
        Element::I8 => row.iter().map(|&byte| f64::from(byte as i8)).collect(),
        Element::Bits => (0..space.dimension())
            .map(|at| f64::from(row[at / 8] >> (at % 8) & 1))
            .collect(),
    }
}

/// The distance of two rows in f64, and how far a kernel may be from it.
fn reference(space: &Space, one: &[u8], other: &[u8]) -> (f64, f64) {
    let (one, other) = (values(space, one), values(space, other));
    let sum = |term: &dyn Fn(f64, f64) -> f64| -> f64 {
        one.iter()
            .zip(&other)
            .map(|(&one, &other)| term(one, other))
            .sum()
    };
    let product = sum(&|one, other| one * other);
    let lengths = (sum(&|one, _| one * one) * sum(&|_, other| other * other)).sqrt();
    let squares = sum(&|one, other| (one - other) * (one - other));
    // The rounding of a sum is in proportion to the sum of magnitudes and to the terms in one lane; whole numbers
    // are exact but for the last conversion. Below the smallest normal number it is absolute.
    let terms = (one.len() / 4 + 8) as f64;
    let rounding = f64::from(f32::EPSILON)
        * if matches!(space.element(), Element::I8 | Element::Bits) {
            1.0
        } else {
            terms
        };
    let least = f64::from(f32::MIN_POSITIVE) * f64::from(f32::EPSILON) * one.len() as f64;
    match space.metric() {
        Metric::L2 | Metric::Hamming => (squares, squares * rounding + least),
        Metric::InnerProduct => (
            -product,
            sum(&|one, other| (one * other).abs()) * rounding + least,
        ),
        Metric::Cosine => (
            1.0 - if lengths == 0.0 {
                0.0
            } else {
                product / lengths
            },
            rounding * 4.0 + 2.0 * f64::from(f32::EPSILON),
        ),
    }
}

fn spaces(dimension: usize) -> impl Iterator<Item = Space> {
    let pairs = [Element::F32, Element::F16, Element::I8]
        .into_iter()
        .flat_map(|element| {
            [Metric::L2, Metric::InnerProduct, Metric::Cosine].map(|metric| (metric, element))
        });
    pairs
        .chain([(Metric::Hamming, Element::Bits)])
        .map(move |(metric, element)| Space::new(metric, element, dimension).unwrap())
}

fn dimensions() -> impl Iterator<Item = usize> {
    (1..=130).chain([
        255,
        256,
        257,
        383,
        384,
        385,
        768,
        1000,
        1536,
        4099,
        DIMENSION_MAX,
    ])
}

#[test]
fn every_level_agrees_with_f64() {
    let mut random = Random::new(1);
    for dimension in dimensions() {
        for space in spaces(dimension) {
            for (kind, other_kind) in KINDS
                .into_iter()
                .flat_map(|kind| KINDS.map(|other| (kind, other)))
            {
                let (one, other) = (
                    row(&space, kind, &mut random),
                    row(&space, other_kind, &mut random),
                );
                let (expected, tolerance) = reference(&space, &one, &other);
                let (mut prepared, mut other_prepared) = (Vec::new(), Vec::new());
                space.prepare(&one, &mut prepared);
                space.prepare(&other, &mut other_prepared);
                for level in Level::here() {
                    let found = Kernel::at(&space, level).distance(&prepared, &other_prepared);
                    assert!(
                        found.is_finite(),
                        "K3: {level}, {space:?}, {kind:?} and {other_kind:?}: {found}"
                    );
                    let error = (f64::from(found) - expected).abs();
                    assert!(
                        error <= tolerance,
                        "{level}, {space:?}, {kind:?} and {other_kind:?}: {found} is {error:e} from {expected}, over {tolerance:e}"
                    );
                }
            }
        }
        if dimension == 130 && cfg!(debug_assertions) {
            return; // the large ones take long without optimisation
        }
    }
}

#[test]
fn all_forms_of_a_kernel_give_the_same_bits() {
    let mut random = Random::new(2);
    for dimension in (1..=40).chain([63, 64, 65, 100, 127, 128, 129, 300]) {
        for space in spaces(dimension) {
            let (count, queries_count) = (23, 11);
            let prepared = |count: usize, random: &mut Random| {
                let mut rows = Vec::new();
                for _ in 0..count {
                    let kind = KINDS[(random.bits() % 5) as usize];
                    space.prepare(&row(&space, kind, random), &mut rows);
                }
                rows
            };
            let (rows, queries) = (
                prepared(count, &mut random),
                prepared(queries_count, &mut random),
            );
            for level in Level::here() {
                let kernel = Kernel::at(&space, level);
                let bytes = kernel.row_bytes();
                let mut all = vec![f32::NAN; count * queries_count];
                kernel.batch(&queries, &rows, &mut all);
                for (query, batch) in queries.chunks_exact(bytes).zip(all.chunks_exact(count)) {
                    let single: Vec<_> = rows
                        .chunks_exact(bytes)
                        .map(|row| kernel.distance(query, row).to_bits())
                        .collect();
                    let mut many = vec![f32::NAN; count];
                    kernel.many(query, &rows, &mut many);
                    let ids: Vec<u32> = (0..41).map(|at| at * 7 % count as u32).collect();
                    let mut gathered = vec![f32::NAN; ids.len()];
                    kernel.gather(query, &rows, &ids, &mut gathered);
                    for row in 0..count {
                        assert_eq!(
                            many[row].to_bits(),
                            single[row],
                            "K1: many, {level}, {space:?}"
                        );
                        assert_eq!(
                            batch[row].to_bits(),
                            single[row],
                            "K1: batch, {level}, {space:?}"
                        );
                    }
                    for (id, found) in ids.iter().zip(gathered) {
                        assert_eq!(
                            found.to_bits(),
                            single[*id as usize],
                            "K1: gather, {level}, {space:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn alignment_does_not_matter_and_nothing_outside_is_read() {
    let mut random = Random::new(3);
    for dimension in (1..=130).chain([384]) {
        for space in spaces(dimension) {
            let (one, other) = (
                row(&space, Kind::Usual, &mut random),
                row(&space, Kind::Usual, &mut random),
            );
            let (mut prepared, mut other_prepared) = (Vec::new(), Vec::new());
            space.prepare(&one, &mut prepared);
            space.prepare(&other, &mut other_prepared);
            for level in Level::here() {
                let kernel = Kernel::at(&space, level);
                let expected = kernel.distance(&prepared, &other_prepared).to_bits();
                for shift in 1..9 {
                    // Bytes around a row that would change any sum they got into.
                    let mut around = vec![0x7f; shift];
                    around.extend_from_slice(&other_prepared);
                    around.extend_from_slice(&[0x7f; 80]);
                    let moved = &around[shift..shift + other_prepared.len()];
                    assert_eq!(
                        kernel.distance(&prepared, moved).to_bits(),
                        expected,
                        "K2: {level}, {space:?}, {shift}"
                    );
                }
            }
        }
    }
}

#[test]
fn wrong_sizes_and_places_are_refused() {
    let space = Space::new(Metric::L2, Element::F32, 3).unwrap();
    let kernel = Kernel::of(&space);
    let refused =
        |call: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err();
    let row = [0_u8; 12];
    assert!(refused(&|| _ = kernel.distance(&row, &row[1..])));
    assert!(refused(&|| _ = kernel.distance(&row[1..], &row)));
    assert!(refused(&|| kernel.many(&row, &[0; 23], &mut [0.0; 2])));
    assert!(refused(&|| kernel.gather(
        &row,
        &[0; 24],
        &[0, 2],
        &mut [0.0; 2]
    )));
    assert!(refused(&|| kernel.gather(
        &row,
        &[0; 24],
        &[0, 1],
        &mut [0.0; 1]
    )));
    assert!(refused(&|| kernel.batch(&row, &[0; 24], &mut [0.0; 3])));
    kernel.gather(&row, &[0; 24], &[0, 1], &mut [0.0; 2]);
    kernel.gather(&row, &[], &[], &mut []);
    kernel.batch(&[], &[0; 24], &mut []);
    kernel.batch(&row, &[], &mut []);
}
