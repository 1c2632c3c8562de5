//! Graphs of the usearch library, and files that it reads and writes.

use sopasync_vector::graph::hnsw::Hnsw;
use sopasync_vector::graph::usearch::{Import, ImportError, export};

use crate::data::{Data, Shape, spaces};

/// The rows as a user gave them: prepared ones but for a length behind them.
fn raw(data: &Data, slot: u32) -> &[u8] {
    let row = data.space.prepared_bytes();
    &data.rows[slot as usize * row..][..data.space.row_bytes()]
}

fn exported(data: &Data) -> Vec<u8> {
    let bytes = data.graph();
    let graph = Hnsw::open(&bytes, &data.space, &data.rows).unwrap();
    let keys: Vec<u64> = (0..data.count() as u64).map(|slot| slot * 10 + 3).collect();
    let mut file = Vec::new();
    export(&mut file, &graph, &keys, |slot| raw(data, slot)).unwrap();
    file
}

#[test]
fn what_is_exported_can_be_imported() {
    for space in spaces(20) {
        for (shape, count) in [
            (Shape::Uniform, 0),
            (Shape::Uniform, 1),
            (Shape::Duplicated, 500),
        ] {
            let data = Data::new(space, shape, count, 0, 61);
            let file = exported(&data);
            let import = Import::open(&file).unwrap();
            assert_eq!(*import.space(), space);
            assert_eq!(import.count(), count);
            let mut slots = 0..;
            for (key, row) in import.iter() {
                let slot = slots.next().unwrap();
                assert_eq!(key, u64::from(slot) * 10 + 3);
                assert_eq!(row, raw(&data, slot));
            }
            assert_eq!(slots.next(), Some(count as u32));
        }
    }
}

#[test]
fn a_file_that_was_cut_off_or_changed_never_panics() {
    let data = Data::f32(6, Shape::Duplicated, 40, 0, 62);
    let file = exported(&data);
    for length in 0..file.len() {
        let error = Import::open(&file[..length]).unwrap_err();
        assert!(
            matches!(error, ImportError::Damaged { .. }),
            "{length}: {error}"
        );
    }
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0xff;
        if let Ok(import) = Import::open(&changed) {
            assert!(import.iter().count() <= 40);
        }
    }
}

#[test]
fn files_of_another_kind_are_refused_with_a_sentence() {
    let data = Data::f32(6, Shape::Uniform, 10, 0, 63);
    let file = exported(&data);
    let head = 8 + 10 * 24;
    let changed = |at: usize, byte: u8| {
        let mut file = file.clone();
        file[head + at] = byte;
        Import::open(&file).unwrap_err()
    };
    let version = changed(7, 3);
    assert_eq!(version, ImportError::Version { found: [3, 26, 0] });
    assert!(version.to_string().contains("3.26.0"), "{version}");
    let metric = changed(13, b'h');
    assert!(metric.to_string().contains("metric"), "{metric}");
    let scalar = changed(14, 5);
    assert!(scalar.to_string().contains("number 5"), "{scalar}");
}

#[cfg(feature = "usearch")]
mod native {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use ::usearch::{Index, IndexOptions, MetricKind, ScalarKind};
    use sopasync_vector::graph::usearch::native;
    use sopasync_vector::graph::{BuildError, Graph, Heap, Options, Pass, Request, Work};

    use sopasync_vector::{Element, Metric, Space};

    use super::*;
    use crate::data::recall;
    use crate::find::{all, check};

    fn built(data: &Data) -> native::Native {
        let stop = AtomicBool::new(false);
        let work = Work {
            threads: 1,
            stop: &stop,
            progress: &|_, _| {},
            room: &Heap,
        };
        let bytes = native::build(&data.space, &data.rows, &Options::default(), &work).unwrap();
        native::Native::open(&bytes, &data.space, Arc::new(data.rows.clone())).unwrap()
    }

    #[test]
    fn the_nearest_are_found_in_every_space() {
        for space in spaces(50) {
            let data = Data::new(space, Shape::Clustered, 2000, 40, 64);
            let graph = built(&data);
            let mut sum = 0.0;
            for query in &data.queries {
                let request = all(query, 10, 100);
                let found = graph.search(&request);
                check(&data, &request, &found);
                assert_eq!(found.hits.len(), 10);
                sum += recall(&found.hits, &data.truth(query, 10, |_| true));
            }
            assert!(sum / 40.0 >= 0.95, "{space:?}: recall {}", sum / 40.0);
        }
    }

    #[test]
    fn a_few_rows_are_all_found() {
        for count in 0..20 {
            let data = Data::f32(5, Shape::Uniform, count, 3, 65);
            let graph = built(&data);
            for query in &data.queries {
                let request = all(query, count + 1, 0);
                let found = graph.search(&request);
                check(&data, &request, &found);
                assert_eq!(found.hits, data.truth(query, count, |_| true));
            }
        }
    }

    #[test]
    fn rows_that_do_not_pass_are_not_given_and_the_budget_holds() {
        let data = Data::f32(16, Shape::Clustered, 4000, 20, 66);
        let graph = built(&data);
        for modulus in [2, 10, 100, 1000] {
            let test = |slot: u32| slot % modulus == 1;
            for budget in [0, 500, usize::MAX] {
                for query in &data.queries {
                    let request = Request {
                        query,
                        k: 10,
                        ef: 64,
                        pass: Pass::when(&test, 1.0 / modulus as f32),
                        budget,
                    };
                    let found = graph.search(&request);
                    check(&data, &request, &found);
                    assert!(
                        found.visited <= budget.saturating_add(2500),
                        "{} visited of {budget}",
                        found.visited
                    );
                    if !found.exhausted {
                        assert!(recall(&found.hits, &data.truth(query, 10, test)) >= 0.7);
                    } else {
                        assert!(budget < 4000 || modulus == 1000);
                    }
                }
            }
        }
    }

    #[test]
    fn threads_may_search_one_graph() {
        let data = Data::f32(16, Shape::Clustered, 3000, 32, 67);
        let graph = built(&data);
        let alone: Vec<_> = (data.queries.iter())
            .map(|query| graph.search(&all(query, 10, 50)))
            .collect();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for (query, alone) in data.queries.iter().zip(&alone) {
                        assert_eq!(graph.search(&all(query, 10, 50)), *alone);
                    }
                });
            }
        });
    }

    #[test]
    fn a_build_can_be_stopped() {
        let data = Data::f32(16, Shape::Uniform, 500, 0, 68);
        let stop = AtomicBool::new(true);
        let work = Work {
            threads: 1,
            stop: &stop,
            progress: &|_, _| {},
            room: &Heap,
        };
        let stopped = native::build(&data.space, &data.rows, &Options::default(), &work);
        assert_eq!(stopped, Err(BuildError::Stopped));
    }

    #[test]
    fn the_library_reads_what_is_exported() {
        for space in spaces(40) {
            for shape in [Shape::Clustered, Shape::Duplicated, Shape::Equal] {
                let data = Data::new(space, shape, 700, 30, 69);
                let index = Index::restore_from_buffer(&exported(&data)).unwrap();
                assert_eq!(index.size(), 700);
                index.change_expansion_search(100);
                let mut near = 0;
                for query in &data.queries {
                    let query = &query[..space.row_bytes()];
                    let keys = match space.element() {
                        Element::F32 => search(&index, query, f32::from_le_bytes),
                        Element::F16 => {
                            let numbers = query.as_chunks::<2>().0.iter();
                            let halves: Vec<i16> =
                                numbers.map(|bytes| i16::from_le_bytes(*bytes)).collect();
                            index
                                .search(::usearch::f16::from_i16s(&halves), 10)
                                .unwrap()
                                .keys
                        }
                        Element::I8 => search(&index, query, i8::from_le_bytes),
                        Element::Bits => {
                            search(&index, query, |[byte]: [u8; 1]| ::usearch::b1x8(byte))
                        }
                    };
                    let mut prepared = Vec::new();
                    space.prepare(query, &mut prepared);
                    let truth = data.truth(&prepared, 10, |_| true);
                    let kernel = sopasync_vector::Kernel::of(&space);
                    let last = truth[9].distance + 1e-5;
                    near += keys
                        .iter()
                        .filter(|key| {
                            let at = ((*key - 3) / 10) as usize * space.prepared_bytes();
                            kernel.distance(&prepared, &data.rows[at..at + space.prepared_bytes()])
                                <= last
                        })
                        .count();
                }
                assert!(near >= 280, "{space:?} {shape:?}: {near} of 300 found");
            }
        }
    }

    fn search<T: ::usearch::VectorType, const N: usize>(
        index: &Index,
        row: &[u8],
        number: impl Fn([u8; N]) -> T,
    ) -> Vec<u64> {
        let query: Vec<T> = row
            .as_chunks::<N>()
            .0
            .iter()
            .map(|bytes| number(*bytes))
            .collect();
        index.search(&query, 10).unwrap().keys
    }

    #[test]
    fn what_the_library_writes_is_imported() {
        for (kind, element) in [
            (ScalarKind::F32, Element::F32),
            (ScalarKind::F64, Element::F32),
            (ScalarKind::BF16, Element::F32),
            (ScalarKind::F16, Element::F16),
        ] {
            let index = Index::new(&IndexOptions {
                dimensions: 6,
                metric: MetricKind::Cos,
                quantization: kind,
                ..IndexOptions::default()
            })
            .unwrap();
            index.reserve(100).unwrap();
            for key in 0..100_u64 {
                let vector: Vec<f32> = (0..6).map(|at| (key * 6 + at) as f32 / 64.0).collect();
                index.add(key * 3, &vector).unwrap();
            }
            index.remove(9).unwrap();
            let mut file = vec![0; index.serialized_length()];
            index.save_to_buffer(&mut file).unwrap();
            let import = Import::open(&file).unwrap();
            assert_eq!(
                *import.space(),
                Space::new(Metric::Cosine, element, 6).unwrap()
            );
            assert_eq!(import.count(), 99);
            let mut keys = Vec::new();
            for (key, row) in import.iter() {
                keys.push(key);
                if element == Element::F32 {
                    for (at, bytes) in row.as_chunks().0.iter().enumerate() {
                        let expected = (key / 3 * 6 + at as u64) as f32 / 64.0;
                        let found = f32::from_le_bytes(*bytes);
                        assert!(
                            (found - expected).abs() <= expected / 128.0,
                            "{found} for {expected}"
                        );
                    }
                }
            }
            keys.sort_unstable();
            let expected: Vec<u64> = (0..100)
                .map(|key| key * 3)
                .filter(|&key| key != 9)
                .collect();
            assert_eq!(keys, expected);
        }
    }
}
