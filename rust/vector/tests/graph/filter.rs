//! What a graph finds when only some rows pass.

use sopasync_vector::graph::hnsw::Hnsw;
use sopasync_vector::graph::{Codes, Graph, Options, Pass, Request};
use sopasync_vector::random::Random;

use crate::data::{Data, Shape, recall};
use crate::find::check;

struct Outcome {
    recall: f64,
    visited: f64,
    exhausted: usize,
}

/// Ask all queries; rows that the graph did not find count as missing unless it says that it was exhausted.
fn outcome(data: &Data, graph: &dyn Graph, passes: &[bool], budget: usize) -> Outcome {
    let test = |slot: u32| passes[slot as usize];
    let rate = passes.iter().filter(|&&pass| pass).count() as f32 / passes.len() as f32;
    let mut outcome = Outcome {
        recall: 0.0,
        visited: 0.0,
        exhausted: 0,
    };
    for query in &data.queries {
        let request = Request {
            query,
            k: 10,
            ef: 64,
            pass: Pass::when(&test, rate),
            budget,
        };
        let found = graph.search(&request);
        check(data, &request, &found);
        let truth = data.truth(query, 10, test);
        outcome.visited += found.visited as f64 / data.queries.len() as f64;
        outcome.exhausted += usize::from(found.exhausted);
        outcome.recall += if found.exhausted {
            1.0 // whoever asked looks at the rows themselves
        } else {
            recall(&found.hits, &truth)
        } / data.queries.len() as f64;
    }
    outcome
}

#[test]
fn the_nearest_that_pass_are_found_or_the_search_says_that_it_is_exhausted() {
    for (shape, codes) in [
        (Shape::Clustered, Codes::Auto),
        (Shape::Clustered, Codes::Never),
        (Shape::Uniform, Codes::Auto),
        (Shape::Duplicated, Codes::Auto),
    ] {
        let data = Data::f32(16, shape, 6000, 40, 21);
        let options = Options {
            codes,
            ..Options::default()
        };
        let bytes = data.graph_with(&options, 1);
        let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
        for rate in [1.0, 0.5, 0.3, 0.1, 0.01, 0.001, 0.0] {
            let mut random = Random::new(22);
            let passes: Vec<bool> = (0..data.count())
                .map(|_| random.unit() * 0.5 + 0.5 < rate)
                .collect();
            let found = outcome(&data, &graph, &passes, usize::MAX);
            assert!(
                found.recall >= 0.95,
                "{shape:?} {codes:?} {rate}: recall {} after {} visited",
                found.recall,
                found.visited
            );
            if rate >= 0.1 {
                assert_eq!(
                    found.exhausted, 0,
                    "{shape:?} {rate}: gave up though many pass"
                );
            }
        }
    }
}

#[test]
fn tests_that_go_with_distance_are_met_or_said_to_be_exhausted() {
    // Those near to the query pass; those far from it pass; one cluster passes.
    let data = Data::f32(16, Shape::Clustered, 6000, 30, 23);
    let bytes = data.graph();
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    for rate in [0.5, 0.1, 0.01] {
        let count = (data.count() as f64 * rate) as usize;
        for query in &data.queries {
            let order = data.truth(query, data.count(), |_| true);
            for (name, chosen) in [
                ("near", &order[..count]),
                ("far", &order[data.count() - count..]),
            ] {
                let mut passes = vec![false; data.count()];
                chosen
                    .iter()
                    .for_each(|hit| passes[hit.slot as usize] = true);
                let test = |slot: u32| passes[slot as usize];
                let request = Request {
                    query,
                    k: 10,
                    ef: 64,
                    pass: Pass::when(&test, rate as f32),
                    budget: 3000,
                };
                let found = graph.search(&request);
                check(&data, &request, &found);
                assert!(found.visited <= 3000 + 200);
                if !found.exhausted {
                    let recall = recall(&found.hits, &chosen[..10]);
                    assert!(
                        recall >= 0.7,
                        "{name} {rate}: recall {recall}, {} visited",
                        found.visited
                    );
                }
            }
        }
    }
}

#[test]
fn a_wrong_rate_changes_no_promise() {
    let data = Data::f32(16, Shape::Clustered, 3000, 20, 24);
    let bytes = data.graph();
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    for modulus in [1, 2, 30] {
        let test = |slot: u32| slot % modulus == 0;
        for rate in [0.0, 0.01, 1.0, f32::NAN] {
            for query in &data.queries {
                let request = Request {
                    query,
                    k: 10,
                    ef: 100,
                    pass: Pass::when(&test, rate),
                    budget: usize::MAX,
                };
                let found = graph.search(&request);
                check(&data, &request, &found);
                let recall = recall(&found.hits, &data.truth(query, 10, test));
                assert!(
                    found.exhausted || recall >= 0.5,
                    "{modulus} {rate}: recall {recall}"
                );
            }
        }
    }
}

#[test]
fn equal_rows_are_tested_each_on_its_own() {
    let data = Data::f32(16, Shape::Equal, 2000, 2, 25);
    let bytes = data.graph();
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    let test = |slot: u32| slot % 300 == 299;
    let request = Request {
        query: &data.queries[0],
        k: 10,
        ef: 10,
        pass: Pass::when(&test, 0.003),
        budget: usize::MAX,
    };
    let found = graph.search(&request);
    check(&data, &request, &found);
    assert_eq!(found.hits, data.truth(&data.queries[0], 10, test));
}

#[test]
fn codes_of_chosen_rows_lead_to_the_nearest_of_them() {
    use sopasync_vector::scan::{Among, Each};

    for shape in [Shape::Clustered, Shape::Uniform, Shape::Duplicated] {
        let data = Data::f32(16, shape, 3000, 30, 41);
        let bytes = data.graph();
        let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
        assert_eq!(graph.code_bytes(), 16, "{shape:?}");
        for every in [1, 2, 7, 100, 1000] {
            let passes = |slot: u32| slot.is_multiple_of(every);
            let slots: Vec<u32> = (0..3000).filter(|&slot| passes(slot)).collect();
            let mut found_all = 0.0;
            for query in &data.queries {
                let truth = data.truth(query, 10, passes);
                let by_slots = graph.among(query, &Among::Slots(&slots), 10).unwrap();
                let kept = Each(passes);
                let by_words = graph.among(query, &Among::Kept(&kept), 10).unwrap();
                assert_eq!(by_slots, by_words);
                assert_eq!(by_slots.len(), slots.len().min(10));
                assert!(by_slots.iter().all(|hit| passes(hit.slot)));
                if slots.len() <= 46 {
                    assert_eq!(by_slots, truth, "all of them are measured");
                }
                found_all += recall(&by_slots, &truth) / data.queries.len() as f64;
            }
            assert!(found_all >= 0.99, "{shape:?}, one of {every}: {found_all}");
        }
    }
    let data = Data::f32(16, Shape::Clustered, 500, 1, 42);
    let bytes = data.graph_with(
        &Options {
            codes: Codes::Never,
            ..Options::default()
        },
        1,
    );
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    assert_eq!(graph.code_bytes(), 0);
    assert!(
        graph
            .among(&data.queries[0], &Among::Slots(&[1]), 1)
            .is_none()
    );
}
