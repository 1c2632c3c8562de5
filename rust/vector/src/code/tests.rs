//! Codes against exact distances: unbiased, near, and found by scans.

use super::*;
use crate::random::Random;
use crate::scan::{All, Each, scan};
use crate::{Element, Hit, Kernel, Metric, Space, TopK, half};

/// Prepared rows in clusters, each in a few directions only; far from zero, as embeddings are.
fn clustered(space: &Space, count: usize, random: &mut Random) -> Vec<u8> {
    const DIRECTIONS: usize = 8;
    let dimension = space.dimension();
    let mut normal = |scale: f64| {
        (0..dimension)
            .map(|_| random.normal() * scale)
            .collect::<Vec<_>>()
    };
    let offset = normal(1.0);
    let clusters: Vec<Vec<Vec<f64>>> = (0..20)
        .map(|_| (0..=DIRECTIONS).map(|_| normal(1.0)).collect())
        .collect();
    let mut rows = Vec::new();
    for _ in 0..count {
        let cluster = &clusters[random.below(clusters.len())];
        let weights: Vec<f64> = (0..DIRECTIONS).map(|_| random.normal() * 0.5).collect();
        let values = (0..dimension).map(|at| {
            let inside: f64 = cluster[1..]
                .iter()
                .zip(&weights)
                .map(|(direction, weight)| direction[at] * weight)
                .sum();
            offset[at] + cluster[0][at] + inside
        });
        let values: Vec<f64> = values.collect();
        let row: Vec<u8> = match space.element() {
            Element::F32 => values
                .iter()
                .flat_map(|&value| (value as f32).to_le_bytes())
                .collect(),
            Element::F16 => values
                .iter()
                .flat_map(|&value| half::from_f32(value as f32).to_le_bytes())
                .collect(),
            _ => values
                .iter()
                .map(|value| (value * 16.0) as i8 as u8)
                .collect(),
        };
        space.prepare(&row, &mut rows);
    }
    rows
}

fn coded_spaces() -> impl Iterator<Item = (Space, Coding)> {
    let metrics = [Metric::L2, Metric::InnerProduct, Metric::Cosine];
    let kinds = [
        (Element::F32, Coding::Int8),
        (Element::F32, Coding::Bits),
        (Element::F16, Coding::Int8),
        (Element::F16, Coding::Bits),
        (Element::I8, Coding::Bits),
    ];
    kinds.into_iter().flat_map(move |(element, coding)| {
        metrics.map(|metric| (Space::new(metric, element, 100).unwrap(), coding))
    })
}

fn recall(found: &[Hit], expected: &[Hit]) -> f64 {
    let hits = expected
        .iter()
        .filter(|expected| found.iter().any(|found| found.slot == expected.slot));
    hits.count() as f64 / expected.len() as f64
}

#[test]
fn coded_scans_find_nearly_all_and_exact_distances() {
    let mut random = Random::new(1);
    for (space, coding) in coded_spaces() {
        let kernel = Kernel::of(&space);
        let rows = clustered(&space, 3050, &mut random);
        let (queries, rows) = rows.split_at(50 * kernel.row_bytes());
        let coder = Coder::of(&space, coding, 1, &rows[..500 * kernel.row_bytes()]).unwrap();
        let mut codes = Vec::new();
        coder.push(&mut codes, 0, rows);
        let coded_rows = Coded {
            kernel: &kernel,
            coder: &coder,
            codes: &codes,
            rows,
        };
        let (mut few, mut many, mut odd) = (0.0, 0.0, 0.0);
        for query in queries.chunks_exact(kernel.row_bytes()) {
            let nearest = |keep: &dyn Fn(u32) -> bool| {
                let mut top = TopK::new(10);
                scan(&kernel, query, rows, &Each(keep), &mut top);
                top.into_sorted()
            };
            let coded = |candidates, keep: &dyn Fn(u32) -> bool| {
                let mut top = TopK::new(10);
                scan_coded(&coded_rows, query, &Each(keep), candidates, &mut top);
                top.into_sorted()
            };
            let expected = nearest(&|_| true);
            few += recall(&coded(10, &|_| true), &expected) / 50.0;
            let found = coded(100, &|_| true);
            for hit in &found {
                let row = &rows[hit.slot as usize * kernel.row_bytes()..][..kernel.row_bytes()];
                assert_eq!(hit.distance, kernel.distance(query, row), "C3");
            }
            many += recall(&found, &expected) / 50.0;
            let is_odd = |slot: u32| slot % 2 == 1;
            odd += recall(&coded(100, &is_odd), &nearest(&is_odd)) / 50.0;
            assert!(coded(100, &is_odd).iter().all(|hit| is_odd(hit.slot)));
            let mut all = TopK::new(10);
            scan_coded(&coded_rows, query, &All, usize::MAX, &mut all);
            assert_eq!(
                all.into_sorted(),
                expected,
                "with every row a candidate, the result is exact"
            );
        }
        let (least_few, least_many) = if coding == Coding::Int8 {
            (0.96, 1.0)
        } else {
            (0.4, 0.97)
        };
        assert!(
            few >= least_few && many >= least_many && odd >= least_many,
            "{space:?}, {coding:?}: {few} {many} {odd}"
        );
    }
}

#[test]
fn estimates_of_one_bit_have_no_bias() {
    // One pair of vectors under many rotations: the mean of the estimates comes near the inner product, far nearer
    // than one estimate does.
    let space = Space::new(Metric::InnerProduct, Element::F32, 96).unwrap();
    let kernel = Kernel::of(&space);
    let mut random = Random::new(2);
    for _ in 0..3 {
        let mut draw = || -> Vec<u8> {
            (0..96)
                .flat_map(|_| (random.normal() as f32).to_le_bytes())
                .collect()
        };
        let (row, query) = (draw(), draw());
        let exact = f64::from(kernel.distance(&row, &query));
        let zero = vec![0; space.prepared_bytes()]; // the centre
        let errors: Vec<f64> = (0..2000)
            .map(|seed| {
                let coder = Coder::of(&space, Coding::Bits, seed, &zero).unwrap();
                let mut codes = Vec::new();
                coder.push(&mut codes, 0, &row);
                let mut estimates = [0.0; BLOCK_ROWS];
                bits::Query::new(&coder, &query).estimate(&codes, &mut estimates);
                f64::from(estimates[0]) - exact
            })
            .collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let deviation =
            (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt();
        // sqrt((pi / 2 - 1) / d) times both lengths, about 96: the paper's error.
        assert!((4.0..12.0).contains(&deviation), "{deviation}");
        assert!(
            mean.abs() < 4.5 * deviation / (errors.len() as f64).sqrt(),
            "{mean} beside {deviation}"
        );
    }
}

#[test]
fn codes_do_not_depend_on_how_rows_come() {
    let mut random = Random::new(3);
    for (space, coding) in coded_spaces() {
        let rows = clustered(&space, 100, &mut random);
        let coder = Coder::of(&space, coding, 9, &rows).unwrap();
        let again = Coder::from_bytes(&space, &coder.to_bytes()).unwrap();
        let (mut at_once, mut in_parts) = (Vec::new(), Vec::new());
        coder.push(&mut at_once, 0, &rows);
        assert_eq!(at_once.len(), coder.bytes(100));
        let mut count = 0;
        for part in rows.chunks(7 * space.prepared_bytes()) {
            again.push(&mut in_parts, count, part);
            count += part.len() / space.prepared_bytes();
        }
        assert!(at_once == in_parts, "C1: {space:?}, {coding:?}");
    }
}

#[test]
fn equal_rows_zeros_and_extremes_are_coded() {
    for (metric, coding) in [Metric::L2, Metric::InnerProduct, Metric::Cosine]
        .into_iter()
        .flat_map(|metric| [Coding::Int8, Coding::Bits].map(|coding| (metric, coding)))
    {
        let space = Space::new(metric, Element::F32, 3).unwrap();
        let kernel = Kernel::of(&space);
        for value in [0.0, 1.0, f32::MIN_POSITIVE / 4.0, 1e18] {
            let mut rows = Vec::new();
            for row in 0..40 {
                let values = [value, if row == 7 { -value } else { value }, 0.0];
                let row: Vec<u8> = values
                    .iter()
                    .flat_map(|value: &f32| value.to_le_bytes())
                    .collect();
                space.validate(&row).unwrap();
                space.prepare(&row, &mut rows);
            }
            let coder = Coder::of(&space, coding, 0, &rows).unwrap();
            let mut codes = Vec::new();
            coder.push(&mut codes, 0, &rows);
            let query = rows[7 * kernel.row_bytes()..8 * kernel.row_bytes()].to_vec();
            let (mut found, mut expected) = (TopK::new(40), TopK::new(40));
            scan_coded(
                &Coded {
                    kernel: &kernel,
                    coder: &coder,
                    codes: &codes,
                    rows: &rows,
                },
                &query,
                &All,
                40,
                &mut found,
            );
            scan(&kernel, &query, &rows, &All, &mut expected);
            assert_eq!(
                found.into_sorted(),
                expected.into_sorted(),
                "{metric}, {coding:?}, {value:e}"
            );
        }
    }
}

#[test]
fn one_bit_is_chosen_where_rows_are_like_each_other_and_eight_where_they_are_noise() {
    let mut random = Random::new(4);
    let space = Space::new(Metric::L2, Element::F32, 64).unwrap();
    let rows = clustered(&space, 4000, &mut random);
    let (coder, recall) = choose(&space, &[Coding::Bits, Coding::Int8], false, &rows, 1).unwrap();
    assert!(
        coder.coding() == Coding::Bits && recall >= RECALL_MIN,
        "{recall}"
    );
    let noise: Vec<u8> = (0..4000 * 64)
        .flat_map(|_| (random.normal() as f32).to_le_bytes())
        .collect();
    let (coder, recall) = choose(&space, &[Coding::Bits, Coding::Int8], false, &noise, 1).unwrap();
    assert!(
        coder.coding() == Coding::Int8 && recall >= RECALL_MIN,
        "{recall}"
    );
    assert!(choose(&space, &[Coding::Bits], false, &noise, 1).is_none());
    let (_, recall) = choose(&space, &[Coding::Bits], true, &noise, 1).unwrap();
    assert!(recall < RECALL_MIN, "{recall}");
}

#[test]
fn a_section_is_read_as_it_was_written() {
    let mut random = Random::new(5);
    let space = Space::new(Metric::Cosine, Element::F16, 20).unwrap();
    let rows = clustered(&space, 70, &mut random);
    let coder = Coder::of(&space, Coding::Bits, 3, &rows).unwrap();
    let mut codes = Vec::new();
    coder.push(&mut codes, 0, &rows);
    let section = [section_head(&coder), codes.clone()].concat();
    let (again, start) = of_section(&space, &section, 70).unwrap();
    assert_eq!(
        (again.to_bytes(), &section[start..]),
        (coder.to_bytes(), &codes[..])
    );
    assert!(
        of_section(&space, &section, 97).is_err()
            && of_section(&space, &section[..section.len() - 1], 70).is_err()
    );
    assert!((0..start).all(|end| of_section(&space, &section[..end], 70).is_err()));
}

#[test]
fn what_is_no_coder_is_refused() {
    let space = Space::new(Metric::L2, Element::F32, 4).unwrap();
    let coder = Coder::of(&space, Coding::Bits, 1, &[0; 16]).unwrap();
    let bytes = coder.to_bytes();
    assert!(Coder::from_bytes(&Space::new(Metric::L2, Element::F32, 5).unwrap(), &bytes).is_err());
    assert!(Coder::from_bytes(&space, &bytes[..bytes.len() - 1]).is_err());
    for at in 0..4 {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(Coder::from_bytes(&space, &damaged).is_err(), "byte {at}");
    }
    let whole = Space::new(Metric::L2, Element::I8, 4).unwrap();
    assert!(Coder::of(&whole, Coding::Int8, 1, &[]).is_err());
    let bits = Space::new(Metric::Hamming, Element::Bits, 4).unwrap();
    assert!(Coder::of(&bits, Coding::Bits, 1, &[]).is_err());
}
