//! Graphs that are built onto another.

use std::sync::atomic::AtomicBool;

use sopasync_vector::graph::hnsw::{GONE, Hnsw, build_onto};
use sopasync_vector::graph::{Codes, Graph, Heap, Options, Work};
use sopasync_vector::random::Random;

use crate::data::{Data, Shape, recall};
use crate::find::{all, check};

/// Of all rows, those at `there` in a graph first, then all of them built onto it, with a thread or several.
fn onto(data: &Data, there: &[Option<u32>], options: &Options, threads: usize) -> Vec<u8> {
    // `there` has, for each row of the old graph, its slot now; a row that is gone is made up.
    let row = data.space.prepared_bytes();
    let mut gone = Data::f32(data.space.dimension(), Shape::Clustered, there.len(), 0, 99).rows;
    for (at, slot) in there.iter().enumerate() {
        if let Some(slot) = slot {
            let from = *slot as usize * row;
            gone[at * row..(at + 1) * row].copy_from_slice(&data.rows[from..from + row]);
        }
    }
    let old = Data {
        space: data.space,
        rows: gone,
        queries: Vec::new(),
    };
    let bytes = old.graph_with(options, 1);
    let start = Hnsw::open(&bytes, &old.space, &old.rows).unwrap();
    let slots: Vec<u32> = there.iter().map(|slot| slot.unwrap_or(GONE)).collect();
    let stop = AtomicBool::new(false);
    let work = Work {
        threads,
        stop: &stop,
        progress: &|_, _| {},
        room: &Heap,
    };
    build_onto(&data.space, &data.rows, &start, &slots, options, &work).unwrap()
}

fn mean_recall(data: &Data, bytes: &[u8]) -> f64 {
    let graph = Hnsw::open(bytes, &data.space, &data.rows).unwrap();
    graph.check().unwrap();
    let recalls = data.queries.iter().map(|query| {
        let request = all(query, 10, 40);
        let found = graph.search(&request);
        check(data, &request, &found);
        recall(&found.hits, &data.truth(query, 10, |_| true))
    });
    recalls.sum::<f64>() / data.queries.len() as f64
}

#[test]
fn a_graph_built_onto_another_finds_as_much_as_one_built_anew() {
    for (shape, codes) in [
        (Shape::Clustered, Codes::Auto),
        (Shape::Clustered, Codes::Never),
        (Shape::Duplicated, Codes::Auto),
    ] {
        let data = Data::f32(16, shape, 4000, 100, 71);
        let options = Options {
            codes,
            ..Options::default()
        };
        let anew = mean_recall(&data, &data.graph_with(&options, 1));
        for (from, to) in [(0, 2500), (1500, 4000), (0, 4000), (3990, 4000)] {
            let there: Vec<Option<u32>> = (from..to).map(Some).collect();
            let found = mean_recall(&data, &onto(&data, &there, &options, 1));
            assert!(
                found >= anew - 0.01,
                "{shape:?} {codes:?} {from}..{to}: {found} instead of {anew}"
            );
        }
    }
}

#[test]
fn rows_that_are_gone_leave_no_hole() {
    let data = Data::f32(16, Shape::Clustered, 4000, 100, 72);
    let anew = mean_recall(&data, &data.graph());
    for part in [10, 30, 70, 100] {
        let mut random = Random::new(73);
        let mut next = 0;
        let there: Vec<Option<u32>> = (0..3000)
            .map(|_| {
                if random.below(100) < part {
                    return None;
                }
                next += 1;
                Some(next - 1)
            })
            .collect();
        let found = mean_recall(&data, &onto(&data, &there, &Options::default(), 1));
        assert!(
            found >= anew - 0.01,
            "{part} % gone: {found} instead of {anew}"
        );
    }
}

#[test]
fn new_rows_far_from_all_old_ones_are_found() {
    let near = Data::f32(16, Shape::Clustered, 2000, 0, 74);
    let mut data = Data::f32(16, Shape::Clustered, 2000, 0, 75);
    for element in data.rows.as_chunks_mut::<4>().0 {
        *element = (f32::from_le_bytes(*element) + 500.0).to_le_bytes();
    }
    data.queries = data
        .rows
        .chunks_exact(64)
        .step_by(20)
        .map(<[u8]>::to_vec)
        .collect();
    data.rows.splice(0..0, near.rows);
    let there: Vec<Option<u32>> = (0..2000).map(Some).collect();
    let anew = mean_recall(&data, &data.graph());
    let found = mean_recall(&data, &onto(&data, &there, &Options::default(), 1));
    assert!(found >= anew - 0.02, "{found} instead of {anew}");
}

#[test]
fn threads_do_not_change_it_and_old_links_are_kept() {
    let data = Data::f32(16, Shape::Clustered, 3000, 10, 76);
    let there: Vec<Option<u32>> = (0..1500)
        .map(|slot| (slot % 7 > 0).then_some(slot))
        .collect();
    let options = Options::default();
    let one = onto(&data, &there, &options, 1);
    for threads in [2, 5] {
        assert!(
            onto(&data, &there, &options, threads) == one,
            "G4: {threads} threads"
        );
    }
    // With nothing to insert the old graph comes out.
    let there: Vec<Option<u32>> = (0..3000).map(Some).collect();
    let again = onto(&data, &there, &options, 1);
    assert!(again == data.graph_with(&options, 1));
}

#[test]
fn rows_that_became_equal_to_others_stand_behind_them() {
    let mut data = Data::f32(8, Shape::Uniform, 200, 20, 77);
    let copied = data.rows[..100 * 32].to_vec();
    data.rows.extend(copied.repeat(3));
    let there: Vec<Option<u32>> = (250..450).map(Some).collect();
    let bytes = onto(&data, &there, &Options::default(), 1);
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    graph.check().unwrap();
    for slot in 0..100 {
        let request = all(&data.rows[slot * 32..][..32], 4, 50);
        let found = graph.search(&request);
        check(&data, &request, &found);
        let slots: Vec<u32> = found.hits.iter().map(|hit| hit.slot).collect();
        assert_eq!(slots, [0, 200, 300, 400].map(|more| slot as u32 + more));
    }
}
