//! Files of every released format stay readable.
//!
//! Each was written by `write_golden_files` below, which is run once for a format:
//! `SOPASYNC_WRITE_GOLDEN=NAME cargo test -p sopasync-vector --test segment -- --ignored`

use std::path::{Path, PathBuf};
use std::{env, fs};

use sopasync_vector::code::steps::{Codec, open_section, write_section};
use sopasync_vector::graph::{Pass, Request};
use sopasync_vector::scan::{All, Among};
use sopasync_vector::segment::{Kind, Section, Segment, Vid};
use sopasync_vector::{Element, Kernel, Metric, Space, TopK};

use crate::data::{Data, Shape};
use crate::whole::{file_of, open, vids};

/// The first graph knows nothing of how far its rows may lie from their codes; the second does.
const FILES: [(&str, Kind, bool); 3] = [
    ("segment-1-flat", Kind::Flat, false),
    ("segment-1-hnsw", Kind::Hnsw, false),
    ("segment-1-hnsw-2", Kind::Hnsw, true),
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Small whole numbers, so that no rounding of any machine makes a difference; some rows are equal.
fn data() -> Data {
    let space = Space::new(Metric::L2, Element::F32, 8).unwrap();
    let mut data = Data::new(space, Shape::Equal, 0, 0, 1);
    for row in 0..200_u32 {
        let mut bits = (row % 190).wrapping_mul(0x9e37_79b1);
        for _ in 0..8 {
            data.rows
                .extend_from_slice(&((bits % 64) as f32).to_le_bytes());
            bits = bits.rotate_left(7).wrapping_mul(0x85eb_ca6b);
        }
    }
    data
}

#[test]
fn golden_files_are_read() {
    let data = data();
    for (name, kind, bounded) in FILES {
        let file = fs::read(path(name)).unwrap();
        let segment: Segment = open(&file);
        segment.verify().unwrap();
        assert_eq!(segment.head().kind, kind);
        assert_eq!(segment.head().space, data.space);
        assert_eq!((segment.head().lo, segment.head().hi), (10, 210));
        assert_eq!((segment.head().store, segment.head().number), (5, 77));
        assert_eq!(segment.rows().unwrap(), data.rows);
        assert_eq!(
            segment.vids().unwrap().iter().collect::<Vec<Vid>>(),
            vids(200)
        );
        assert_eq!(
            segment.section(Section::Payload).unwrap().unwrap(),
            b"columns of payloads"
        );
        let graph = segment.graph().unwrap();
        assert_eq!(
            graph.is_some_and(|graph| graph.is_bounded()),
            bounded,
            "{name}"
        );
        for slot in (0..190).step_by(7) {
            let request = Request {
                query: &data.rows[slot * 32..][..32],
                k: 1,
                ef: 50,
                pass: Pass::all(),
                budget: usize::MAX,
            };
            let found = segment.search(&request).unwrap();
            assert_eq!(found.is_none(), kind == Kind::Flat);
            assert!(found.is_none_or(
                |found| found.hits[0].slot == slot as u32 && found.hits[0].distance == 0.0
            ));
        }
    }
}

/// The section of a flat segment, of the same rows.
const STEPS: &str = "steps-1";

#[test]
fn golden_steps_are_read() {
    let data = data();
    let file = fs::read(path(STEPS)).unwrap();
    assert!(file == steps_of(&data), "and written the same");
    let codes = open_section(&data.space, &file, 200).unwrap();
    for slot in (0..190).step_by(7) {
        let query = &data.rows[slot * 32..][..32];
        let mut top = TopK::new(1);
        let kernel = Kernel::of(&data.space);
        assert!(codes.nearest(&kernel, (&data.rows, query), &Among::Kept(&All), &mut top));
        let found = top.into_sorted();
        assert_eq!((found[0].slot, found[0].distance), (slot as u32, 0.0));
    }
}

fn steps_of(data: &Data) -> Vec<u8> {
    let codec = Codec::fit(&data.space, &data.rows).expect("codes suit them");
    let mut bytes = Vec::new();
    let rows = data.rows.chunks_exact(data.space.prepared_bytes());
    write_section(
        &data.space,
        &codec,
        data.rows.len() / data.space.prepared_bytes(),
        rows,
        |more| {
            bytes.extend_from_slice(more);
            Ok(())
        },
    )
    .unwrap();
    bytes
}

#[test]
#[ignore = "writes the golden files of a new format"]
fn write_golden_files() {
    let wanted = env::var("SOPASYNC_WRITE_GOLDEN").unwrap_or_default();
    let file = FILES.iter().find(|(name, _, _)| *name == wanted);
    let bytes = match file {
        Some((_, kind, _)) => file_of(&data(), *kind),
        None if wanted == STEPS => steps_of(&data()),
        None => panic!("set SOPASYNC_WRITE_GOLDEN to the file to write"),
    };
    let path = path(&wanted);
    assert!(
        !path.exists(),
        "golden files are written once: {}",
        path.display()
    );
    fs::write(path, bytes).unwrap();
}
