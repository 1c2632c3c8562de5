//! Damage is found, whatever byte it is in; nothing that is damaged makes a search panic.

use std::sync::Arc;

use sopasync_vector::graph::hnsw::Hnsw;
use sopasync_vector::graph::{Graph, Pass, Request};
use sopasync_vector::random::Random;
use sopasync_vector::segment::{Kind, Section, Segment, SegmentError};

use crate::data::{Data, Shape};
use crate::whole::{file_of, open};

fn opened(file: Vec<u8>) -> Result<(), SegmentError> {
    Segment::open(Arc::new(file))?.verify()
}

#[test]
fn every_flipped_byte_is_found() {
    for kind in [Kind::Flat, Kind::Hnsw] {
        let data = Data::f32(6, Shape::Duplicated, 60, 0, 51);
        let file = file_of(&data, kind);
        opened(file.clone()).unwrap();
        for at in 0..file.len() {
            for bit in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] ^= bit;
                assert!(
                    opened(damaged).is_err(),
                    "X1: byte {at} of {} with {bit:#x}",
                    file.len()
                );
            }
        }
    }
}

#[test]
fn damage_is_named_by_its_section() {
    let data = Data::f32(6, Shape::Uniform, 60, 0, 52);
    let file = file_of(&data, Kind::Hnsw);
    for section in Section::ALL {
        let range = open(&file).range(section).unwrap();
        let mut damaged = file.clone();
        damaged[range.start] ^= 1;
        let segment = Segment::open(Arc::new(damaged)).unwrap();
        let error = segment.verify().unwrap_err();
        assert_eq!(
            error,
            SegmentError::Section {
                section,
                offset: range.start as u64,
                what: "its checksum is wrong"
            }
        );
        let text = error.to_string();
        assert!(text.contains(&format!("section {section}")), "{text}");
        assert!(text.contains("built again"), "{text}");
        // What was found is said again, by everything that would use it.
        assert_eq!(segment.rows().unwrap_err(), error);
        assert_eq!(segment.vids().map(|_| ()).unwrap_err(), error);
        assert!(segment.graph().is_err());
    }
}

#[test]
fn a_file_that_was_cut_off_is_no_segment() {
    let data = Data::f32(6, Shape::Uniform, 60, 0, 53);
    let file = file_of(&data, Kind::Hnsw);
    for length in 0..file.len() {
        let error = opened(file[..length].to_vec()).unwrap_err();
        let expected = matches!(
            error,
            SegmentError::NoSegment | SegmentError::Truncated { .. }
        );
        assert!(expected, "{length} of {}: {error}", file.len());
    }
    let mut longer = file.clone();
    longer.extend_from_slice(&[0; 64]);
    assert!(opened(longer).is_err());
}

#[test]
fn another_format_is_refused_by_its_number() {
    let data = Data::f32(6, Shape::Uniform, 10, 0, 54);
    let mut file = file_of(&data, Kind::Flat);
    file[16] = 2;
    let error = opened(file).unwrap_err();
    assert_eq!(error, SegmentError::Format { found: 2 });
    assert!(error.to_string().contains("format 2"), "{error}");
    assert_eq!(
        opened(b"something else entirely".to_vec()),
        Err(SegmentError::NoSegment)
    );
}

#[test]
fn a_graph_with_wrong_numbers_is_refused_or_searched_without_a_panic() {
    // As if a wrong graph had been given a right checksum: what `check` lets through must be searchable.
    let seed = 55;
    let data = Data::f32(6, Shape::Duplicated, 300, 4, seed);
    let graph = data.graph();
    let mut random = Random::new(seed);
    let (mut refused, mut searched) = (0, 0);
    for round in 0..4000 {
        let mut damaged = graph.clone();
        let early = random.below(3) == 0;
        let at = random.below(if early { 512 } else { damaged.len() / 4 });
        let at = if early { at } else { at * 4 + random.below(4) };
        damaged[at] = random.bits() as u8;
        let opened = Hnsw::open(&damaged, &data.space, &data.rows).and_then(|graph| {
            graph.check()?;
            Ok(graph)
        });
        let Ok(opened) = opened else {
            refused += 1;
            continue;
        };
        searched += 1;
        let test = |slot: u32| slot % 5 == 0;
        for pass in [Pass::all(), Pass::when(&test, 0.5), Pass::when(&test, 0.01)] {
            let found = opened.search(&Request {
                query: &data.queries[round % 4],
                k: 10,
                ef: 20,
                pass,
                budget: usize::MAX,
            });
            assert!(found.hits.len() <= 10);
        }
    }
    assert!(
        refused > 200 && searched > 200,
        "{refused} refused, {searched} searched"
    );
}
