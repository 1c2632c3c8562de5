//! What a graph finds when every row passes.

use sopasync_vector::graph::hnsw::Hnsw;
use sopasync_vector::graph::{Codes, Graph, Options, Pass, Request, Search};
use sopasync_vector::{Hit, Kernel};

use crate::data::{Data, Shape, recall, spaces};

pub fn all<'a>(query: &'a [u8], k: usize, ef: usize) -> Request<'a> {
    Request {
        query,
        k,
        ef,
        pass: Pass::all(),
        budget: usize::MAX,
    }
}

/// What holds for the result of every search: G1 to G3, as far as one result shows it.
pub fn check(data: &Data, request: &Request<'_>, found: &Search) {
    let kernel = Kernel::of(&data.space);
    assert!(found.hits.len() <= request.k);
    for hit in &found.hits {
        let at = hit.slot as usize * data.space.prepared_bytes();
        let row = &data.rows[at..at + data.space.prepared_bytes()];
        assert_eq!(
            hit.distance,
            kernel.distance(request.query, row),
            "G1: the distance of {hit:?}"
        );
        assert!(
            request.pass.test().is_none_or(|test| test(hit.slot)),
            "G1: {hit:?} does not pass"
        );
    }
    assert!(
        found.hits.is_sorted_by(|one, other| one < other),
        "G2: {:?}",
        found.hits
    );
    if !found.exhausted {
        let wanted = request.k.min(data.count());
        assert_eq!(found.hits.len(), wanted, "G3: silent about what is missing");
    }
}

fn mean_recall(data: &Data, graph: &dyn Graph, k: usize, ef: usize) -> f64 {
    let recalls = data.queries.iter().map(|query| {
        let request = all(query, k, ef);
        let found = graph.search(&request);
        check(data, &request, &found);
        assert_eq!(found.hits.len(), k.min(data.count()));
        recall(&found.hits, &data.truth(query, k, |_| true))
    });
    recalls.sum::<f64>() / data.queries.len() as f64
}

#[test]
fn the_nearest_are_found_in_data_of_every_shape() {
    for shape in [Shape::Clustered, Shape::Uniform, Shape::Duplicated] {
        for codes in [Codes::Auto, Codes::Never] {
            let data = Data::f32(24, shape, 4000, 60, 5);
            let options = Options {
                codes,
                ..Options::default()
            };
            let bytes = data.graph_with(&options, 1);
            let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
            graph.check().unwrap();
            let found = mean_recall(&data, &graph, 10, 100);
            assert!(found >= 0.97, "{shape:?} {codes:?}: recall {found}");
        }
    }
}

#[test]
fn the_nearest_are_found_in_every_space() {
    for dimension in [32, 50] {
        for space in spaces(dimension) {
            let data = Data::new(space, Shape::Clustered, 2000, 40, 6);
            let bytes = data.graph();
            let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
            graph.check().unwrap();
            let found = mean_recall(&data, &graph, 10, 100);
            assert!(found >= 0.95, "{space:?}: recall {found}");
        }
    }
}

#[test]
fn a_few_rows_are_all_found() {
    for count in 0..40 {
        for shape in [Shape::Uniform, Shape::Duplicated, Shape::Equal] {
            let data = Data::f32(5, shape, count, 3, count as u64 + 1);
            let bytes = data.graph();
            let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
            graph.check().unwrap();
            for query in &data.queries {
                for k in [0, 1, 2, count, count + 1] {
                    let request = all(query, k, 0);
                    let found = graph.search(&request);
                    check(&data, &request, &found);
                    if k >= count {
                        assert_eq!(
                            found.hits,
                            data.truth(query, k, |_| true),
                            "{count} {shape:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn of_equal_rows_the_first_are_given() {
    let data = Data::f32(16, Shape::Equal, 3000, 3, 7);
    let bytes = data.graph();
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    for query in &data.queries {
        let request = all(query, 10, 10);
        let found = graph.search(&request);
        check(&data, &request, &found);
        let slots: Vec<u32> = found.hits.iter().map(|hit| hit.slot).collect();
        assert_eq!(slots, (0..10).collect::<Vec<_>>());
        assert!(!found.exhausted);
    }
}

#[test]
fn every_row_finds_itself() {
    // Equal and nearly equal rows too: nothing may be lost because no link leads to it.
    for (shape, seed) in [(Shape::Duplicated, 8), (Shape::Clustered, 9)] {
        let data = Data::f32(12, shape, 3000, 0, seed);
        let bytes = data.graph();
        let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
        let row = data.space.prepared_bytes();
        let lost = data.rows.chunks_exact(row).filter(|query| {
            let found = graph.search(&all(query, 1, 64));
            found.hits[0].distance > 0.0
        });
        assert_eq!(lost.count(), 0, "{shape:?}");
    }
}

#[test]
fn islands_are_connected() {
    // Two tight heaps far apart, each of rows that differ by next to nothing.
    let mut data = Data::f32(8, Shape::Uniform, 2000, 0, 10);
    for (at, element) in data.rows.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let heap = if at / 8 % 2 == 0 { 1.0_f32 } else { -1000.0 };
        let value = heap + f32::from_le_bytes(*element) * 1e-4;
        *element = value.to_le_bytes();
    }
    let bytes = data.graph();
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    let row = data.space.prepared_bytes();
    for query in data.rows.chunks_exact(row).step_by(17) {
        let request = all(query, 5, 50);
        let found = graph.search(&request);
        check(&data, &request, &found);
        let truth = data.truth(query, 5, |_| true);
        assert!(
            recall(&found.hits, &truth) >= 0.2,
            "{:?} instead of {truth:?}",
            found.hits
        );
        assert!(found.hits[0].distance < 1.0);
    }
}

#[test]
fn a_query_far_outside_is_answered_as_well() {
    // Codes cannot stand for it.
    let data = Data::f32(24, Shape::Uniform, 3000, 20, 11);
    let bytes = data.graph();
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    for query in &data.queries {
        let far: Vec<u8> = (query.as_chunks::<4>().0.iter())
            .flat_map(|bytes| (f32::from_le_bytes(*bytes) * 1e4).to_le_bytes())
            .collect();
        let request = all(&far, 10, 200);
        let found = graph.search(&request);
        check(&data, &request, &found);
        let truth: Vec<Hit> = data.truth(&far, 10, |_| true);
        assert!(
            recall(&found.hits, &truth) >= 0.8,
            "{:?} instead of {truth:?}",
            found.hits
        );
    }
}

#[test]
fn a_budget_ends_a_search_and_says_so() {
    let data = Data::f32(16, Shape::Uniform, 2000, 10, 12);
    let bytes = data.graph();
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    for query in &data.queries {
        for budget in [0, 1, 10, 100] {
            let found = graph.search(&Request {
                budget,
                ..all(query, 10, 100)
            });
            assert!(found.exhausted, "budget {budget}");
            assert!(
                found.visited <= budget + 200,
                "{} visited of {budget}",
                found.visited
            );
        }
        assert!(!graph.search(&all(query, 10, 100)).exhausted);
    }
}
