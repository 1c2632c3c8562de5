//! Scans against sorting all distances.

use super::*;
use crate::random::Random;
use crate::{Element, Hit, Kernel, Level, Metric, Space, TopK};

/// Prepared rows of a space; few different ones, so that there are ties.
fn rows(space: &Space, count: usize, random: &mut Random) -> Vec<u8> {
    let mut rows = Vec::new();
    for _ in 0..count {
        let mut row = Vec::new();
        for _ in 0..space.dimension() {
            let value = random.below(5) as i8 - 2;
            match space.element() {
                Element::F32 => row.extend_from_slice(&f32::from(value).to_le_bytes()),
                Element::F16 => {
                    row.extend_from_slice(&crate::half::from_f32(f32::from(value)).to_le_bytes())
                }
                Element::I8 => row.push(value as u8),
                Element::Bits => {}
            }
        }
        if space.element() == Element::Bits {
            row.extend((0..space.row_bytes()).map(|_| random.bits() as u8));
            if !space.dimension().is_multiple_of(8) {
                *row.last_mut().unwrap() &= (1 << (space.dimension() % 8)) - 1;
            }
        }
        space.prepare(&row, &mut rows);
    }
    rows
}

/// All kept rows within the limit, sorted: what any scan is to find the first k of.
fn sorted(
    kernel: &Kernel,
    query: &[u8],
    rows: &[u8],
    kept: &dyn Fn(u32) -> bool,
    limit: f32,
) -> Vec<Hit> {
    let mut hits: Vec<Hit> = rows
        .chunks_exact(kernel.row_bytes())
        .zip(0_u32..)
        .map(|(row, slot)| Hit {
            distance: kernel.distance(query, row),
            slot,
        })
        .filter(|hit| kept(hit.slot) && hit.distance <= limit)
        .collect();
    hits.sort();
    hits
}

fn spaces() -> impl Iterator<Item = Space> {
    [
        (Metric::L2, Element::F32, 3),
        (Metric::Cosine, Element::F32, 24),
        (Metric::InnerProduct, Element::F16, 9),
        (Metric::Cosine, Element::I8, 33),
        (Metric::L2, Element::I8, 5),
        (Metric::Hamming, Element::Bits, 11),
    ]
    .into_iter()
    .map(|(metric, element, dimension)| Space::new(metric, element, dimension).unwrap())
}

/// Filters by the share of rows they keep, in thousandths; also ones that keep rows in blocks.
fn keeps(count: usize, random: &mut Random) -> Vec<Vec<bool>> {
    let mut keeps = Vec::new();
    for share in [0, 1, 10, 100, 500, 740, 760, 990, 1000] {
        keeps.push((0..count).map(|_| random.below(1000) < share).collect());
        let blocks: Vec<bool> = (0..=count / 64)
            .map(|_| random.below(1000) < share)
            .collect();
        keeps.push((0..count).map(|at| blocks[at / 64]).collect());
    }
    keeps
}

fn words(kept: &[bool]) -> Vec<u64> {
    kept.chunks(64)
        .map(|kept| {
            kept.iter()
                .rev()
                .fold(0, |word, &kept| word << 1 | u64::from(kept))
        })
        .collect()
}

/// Bits of rows that do not exist may be anything.
fn with_bits_after_the_last(kept: &[bool]) -> Vec<u64> {
    let mut words = words(kept);
    if let Some(last) = words.last_mut()
        && !kept.len().is_multiple_of(64)
    {
        *last |= u64::MAX << (kept.len() % 64);
    }
    words.push(u64::MAX);
    words
}

#[test]
fn a_scan_finds_what_sorting_finds() {
    let mut random = Random::new(1);
    for space in spaces() {
        for level in Level::here() {
            let kernel = Kernel::at(&space, level);
            for count in [0, 1, 7, 63, 64, 65, 255, 256, 257, 1000] {
                let rows = rows(&space, count, &mut random);
                let query = self::rows(&space, 1, &mut random);
                for kept in keeps(count, &mut random) {
                    let middle = sorted(&kernel, &query, &rows, &|_| true, f32::INFINITY);
                    let middle = middle.get(count / 2).map_or(0.0, |hit| hit.distance);
                    for (k, limit) in [
                        (1, f32::INFINITY),
                        (10, f32::INFINITY),
                        (count + 1, middle),
                        (3, middle),
                    ] {
                        let mut expected =
                            sorted(&kernel, &query, &rows, &|slot| kept[slot as usize], limit);
                        expected.truncate(k);
                        let mut tops = [
                            TopK::within(k, limit),
                            TopK::within(k, limit),
                            TopK::within(k, limit),
                        ];
                        scan(
                            &kernel,
                            &query,
                            &rows,
                            &Words(&with_bits_after_the_last(&kept)),
                            &mut tops[0],
                        );
                        scan(
                            &kernel,
                            &query,
                            &rows,
                            &(All, Each(|slot: u32| kept[slot as usize])),
                            &mut tops[1],
                        );
                        let half = count / 2 / 64 * 64;
                        scan_part(
                            &kernel,
                            &query,
                            &rows,
                            half..count,
                            &Words(&words(&kept)),
                            &mut tops[2],
                        );
                        scan_part(
                            &kernel,
                            &query,
                            &rows,
                            0..half,
                            &Words(&words(&kept)),
                            &mut tops[2],
                        );
                        for top in tops {
                            assert_eq!(
                                top.into_sorted(),
                                expected,
                                "{level}, {space:?}, {count} rows, {k} within {limit}"
                            );
                        }
                        let ids: Vec<u32> = (0..count as u32)
                            .filter(|&slot| kept[slot as usize])
                            .collect();
                        let mut top = TopK::within(k, limit);
                        scan_ids(&kernel, &query, &rows, &ids, &mut top);
                        assert_eq!(
                            top.into_sorted(),
                            expected,
                            "by ids: {level}, {space:?}, {count} rows"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_batch_finds_for_each_query_what_it_finds_alone() {
    let mut random = Random::new(2);
    for space in spaces().chain([Space::new(Metric::L2, Element::F32, 700).unwrap()]) {
        let kernel = Kernel::of(&space);
        for (count, queries_count) in [(0, 3), (1, 1), (100, 2), (1500, 7), (130, 70)] {
            let rows = rows(&space, count, &mut random);
            let queries = self::rows(&space, queries_count, &mut random);
            for kept in keeps(count, &mut random) {
                let words = words(&kept);
                let mut tops = vec![TopK::new(10); queries_count];
                scan_batch(&kernel, &queries, &rows, &Words(&words), &mut tops);
                for (query, top) in queries.chunks_exact(kernel.row_bytes()).zip(tops) {
                    let mut alone = TopK::new(10);
                    scan(&kernel, query, &rows, &Words(&words), &mut alone);
                    assert_eq!(
                        top.into_sorted(),
                        alone.into_sorted(),
                        "{space:?}, {count} rows"
                    );
                }
            }
        }
    }
}
