//! The exact nearest by codes: the very hits that measuring every row gives.

use sopasync_vector::graph::hnsw::Hnsw;
use sopasync_vector::graph::{Codes, Graph, Options};
use sopasync_vector::random::Random;
use sopasync_vector::scan::{Among, Each};
use sopasync_vector::{Element, Kernel, Metric, Space, TopK, half};

use super::data::{Data, Shape};

/// Where a graph knows how far its rows may lie from their codes.
fn spaces(dimension: usize) -> impl Iterator<Item = Space> {
    [Metric::L2, Metric::Cosine, Metric::InnerProduct]
        .into_iter()
        .flat_map(|metric| [Element::F32, Element::F16].map(|element| (metric, element)))
        .map(move |(metric, element)| Space::new(metric, element, dimension).unwrap())
}

/// What measuring the rows that pass gives.
fn truth(data: &Data, query: &[u8], mut top: TopK, pass: impl Fn(u32) -> bool) -> TopK {
    let kernel = Kernel::of(&data.space);
    for (slot, row) in (0..).zip(data.rows.chunks_exact(data.space.prepared_bytes())) {
        if pass(slot) {
            top.push(kernel.distance(query, row), slot);
        }
    }
    top
}

/// Everything that is found is what is true: all, few, far and near ones. How many queries went by codes.
fn check(data: &Data, what: &str) -> usize {
    let bytes = data.graph();
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    assert!(graph.is_bounded(), "{what}: it has codes");
    let mut by_codes = 0;
    for query in &data.queries {
        let all = truth(data, query, TopK::new(usize::MAX), |_| true).into_sorted();
        let limits = [0, data.count() / 200, data.count() / 2].map(|at| all[at].distance);
        for every in [1, 3, 50] {
            let pass = |slot: u32| slot.is_multiple_of(every);
            let slots: Vec<u32> = (0..data.count() as u32)
                .filter(|&slot| pass(slot))
                .collect();
            let nearest = [1, 10, 300].map(TopK::new);
            let within = limits.map(|limit| TopK::within(usize::MAX, limit));
            for top in nearest.into_iter().chain(within) {
                let expected = truth(data, query, top.clone(), pass).into_sorted();
                for among in [Among::Slots(&slots), Among::Kept(&Each(pass))] {
                    let mut found = top.clone();
                    if graph.nearest(query, &among, &mut found) {
                        by_codes += 1;
                        assert_eq!(found.into_sorted(), expected, "{what}, one of {every}");
                    } else {
                        assert!(found.is_empty(), "nothing is taken");
                    }
                }
            }
        }
    }
    by_codes
}

#[test]
fn the_nearest_by_codes_are_those_of_measuring_all() {
    for dimension in [16, 37, 200] {
        for space in spaces(dimension) {
            for shape in [Shape::Clustered, Shape::Uniform, Shape::Duplicated] {
                let data = Data::new(space, shape, 1500, 4, 51);
                let what = format!("{space:?}, {shape:?}");
                assert!(check(&data, &what) > 0, "{what}: codes serve");
            }
        }
    }
}

/// Rows as given, in one space.
fn data_of(space: Space, vectors: &[Vec<f32>], queries: &[Vec<f32>]) -> Data {
    let raw = |vector: &[f32]| -> Vec<u8> {
        match space.element() {
            Element::F16 => (vector.iter())
                .flat_map(|&element| half::from_f32(element).to_le_bytes())
                .collect(),
            _ => vector
                .iter()
                .flat_map(|element| element.to_le_bytes())
                .collect(),
        }
    };
    let prepared = |vectors: &[Vec<f32>]| -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for vector in vectors {
            let mut row = Vec::new();
            space.prepare(&raw(vector), &mut row);
            all.push(row);
        }
        all
    };
    Data {
        space,
        rows: prepared(vectors).concat(),
        queries: prepared(queries),
    }
}

#[test]
fn rows_nearer_to_each_other_than_a_step_of_their_codes_are_told_apart() {
    // Some of the rows crowd around the queries, a few steps of codes or less away; a few reach out of the range of codes.
    let mut random = Random::new(52);
    for space in spaces(24) {
        let mut vectors: Vec<Vec<f32>> = (0..1200)
            .map(|_| (0..24).map(|_| random.normal() as f32).collect())
            .collect();
        let queries: Vec<Vec<f32>> = (0..4).map(|at| vectors[at * 7].clone()).collect();
        for (at, vector) in vectors.iter_mut().skip(100).step_by(3).enumerate() {
            let spread = [1e-4, 0.01, 0.02, 0.03][at / 4 % 4];
            let near = queries[at % 4].iter();
            *vector = near
                .map(|element| element + random.normal() as f32 * spread)
                .collect();
        }
        for vector in vectors.iter_mut().skip(101).step_by(300) {
            vector[3] = 6.0;
        }
        let data = data_of(space, &vectors, &queries);
        let what = format!("{space:?}");
        assert!(check(&data, &what) > 0, "{what}: codes serve");
    }
}

#[test]
fn numbers_far_from_zero_and_very_small_ones_are_measured_too() {
    let mut random = Random::new(53);
    let space = Space::new(Metric::L2, Element::F32, 32).unwrap();
    for (scale, shift) in [(1.0, 1e3), (1e-18, 0.0), (1e-22, 0.0), (1e15, 3e15)] {
        let mut vector = || -> Vec<f32> {
            (0..32)
                .map(|_| (random.normal() * scale + shift) as f32)
                .collect()
        };
        let vectors: Vec<_> = (0..800).map(|_| vector()).collect();
        let queries: Vec<_> = (0..3).map(|_| vector()).collect();
        let data = data_of(space, &vectors, &queries);
        let what = format!("{scale} around {shift}");
        assert!(check(&data, &what) > 0, "{what}: codes serve");
    }
}

#[test]
fn a_query_far_outside_and_a_graph_without_codes_take_nothing() {
    let data = Data::f32(16, Shape::Clustered, 600, 1, 54);
    let slots: Vec<u32> = (0..600).collect();
    let far: Vec<u8> = [1e6_f32; 16]
        .iter()
        .flat_map(|element| element.to_le_bytes())
        .collect();
    let mut top = TopK::new(5);
    let bytes = data.graph();
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    assert!(!graph.nearest(&far, &Among::Slots(&slots), &mut top) && top.is_empty());
    let never = Options {
        codes: Codes::Never,
        ..Options::default()
    };
    let bytes = data.graph_with(&never, 1);
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    assert!(!graph.is_bounded());
    let query = &data.queries[0];
    assert!(!graph.nearest(query, &Among::Slots(&slots), &mut top) && top.is_empty());
}
