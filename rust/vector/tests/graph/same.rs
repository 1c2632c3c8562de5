//! The same graph from the same rows, and builds that are stopped.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use sopasync_vector::graph::{BuildError, Heap, Options, Work, hnsw};

use crate::data::{Data, Shape};

#[test]
fn threads_do_not_change_the_graph_and_the_seed_does() {
    for shape in [Shape::Clustered, Shape::Duplicated] {
        let data = Data::f32(16, shape, 3000, 0, 31);
        let options = Options::default();
        let one = data.graph_with(&options, 1);
        for threads in [2, 3, 8] {
            assert!(
                data.graph_with(&options, threads) == one,
                "G4: {threads} threads"
            );
        }
        let other = Options { seed: 1, ..options };
        assert!(data.graph_with(&other, 1) != one);
    }
}

#[test]
fn a_build_can_be_stopped_and_tells_how_far_it_is() {
    let data = Data::f32(16, Shape::Uniform, 3000, 0, 32);
    for threads in [1, 2] {
        let stop = AtomicBool::new(false);
        let last = Cell::new(0);
        let progress = |done: usize, all: usize| {
            assert!(last.get() < done && done <= all && all == 3000);
            last.set(done);
            if done > 1000 {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let work = Work {
            threads,
            stop: &stop,
            progress: &progress,
            room: &Heap,
        };
        let built = hnsw::build(&data.space, &data.rows, &Options::default(), &work);
        assert_eq!(built, Err(BuildError::Stopped));
        assert!((1000..1200).contains(&last.get()));
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let data = Data::f32(16, Shape::Uniform, 10, 0, 33);
    let stop = AtomicBool::new(false);
    let work = Work {
        threads: 1,
        stop: &stop,
        progress: &|_, _| {},
        room: &Heap,
    };
    let cut = hnsw::build(&data.space, &data.rows[1..], &Options::default(), &work);
    assert_eq!(
        cut,
        Err(BuildError::Rows {
            row: 64,
            found: 639
        })
    );
    assert!(cut.unwrap_err().to_string().contains("64 bytes"));
    for links in [0, 1, 257] {
        let options = Options {
            links,
            ..Options::default()
        };
        let refused = hnsw::build(&data.space, &data.rows, &options, &work).unwrap_err();
        assert!(refused.to_string().contains("2 to 256"), "{refused}");
    }
    let options = Options {
        ef_construction: 0,
        ..Options::default()
    };
    assert!(matches!(
        hnsw::build(&data.space, &data.rows, &options, &work),
        Err(BuildError::Option { .. })
    ));
}
