//! What is written is read.

use std::sync::Arc;

use sopasync_vector::graph::{Pass, Request};
use sopasync_vector::segment::{
    Head, Kind, Parts, Section, Segment, SegmentWriter, Vid, write_segment,
};

use crate::data::{Data, Shape, recall, spaces};

/// Vids of `count` rows in commits of three.
pub fn vids(count: usize) -> Vec<Vid> {
    (0..count as u32)
        .map(|at| Vid {
            seq: 11 + u64::from(at) / 3,
            ordinal: at % 3 * 7,
        })
        .collect()
}

pub fn head(data: &Data, kind: Kind) -> Head {
    Head {
        space: data.space,
        kind,
        count: data.count() as u32,
        lo: 10,
        hi: 10 + data.count() as u64,
        store: 5,
        number: 77,
    }
}

#[cfg(feature = "usearch")]
const KINDS: [Kind; 3] = [Kind::Flat, Kind::Hnsw, Kind::Usearch];
#[cfg(not(feature = "usearch"))]
const KINDS: [Kind; 2] = [Kind::Flat, Kind::Hnsw];

#[cfg(feature = "usearch")]
fn library_graph(data: &Data) -> Vec<u8> {
    use sopasync_vector::graph::{Heap, Options, Work, usearch::native};

    let stop = std::sync::atomic::AtomicBool::new(false);
    let work = Work {
        threads: 1,
        stop: &stop,
        progress: &|_, _| {},
        room: &Heap,
    };
    native::build(&data.space, &data.rows, &Options::default(), &work).unwrap()
}

#[cfg(not(feature = "usearch"))]
fn library_graph(_data: &Data) -> Vec<u8> {
    b"of a library that is not here".to_vec()
}

/// The bytes of a segment with everything in it.
pub fn file_of(data: &Data, kind: Kind) -> Vec<u8> {
    let graph = match kind {
        Kind::Flat => Vec::new(),
        Kind::Hnsw => data.graph(),
        Kind::Usearch => library_graph(data),
    };
    let mut file = Vec::new();
    let parts = Parts {
        vids: &vids(data.count()),
        rows: &data.rows,
        codes: b"some codes",
        graph: &graph,
        payload: b"columns of payloads",
        records: b"keys and payloads",
        steps: b"codes in steps",
    };
    let written = write_segment(&mut file, &head(data, kind), &parts).unwrap();
    assert_eq!(written.bytes, file.len() as u64);
    file
}

pub fn open(file: &[u8]) -> Segment {
    Segment::open(Arc::new(file.to_vec())).unwrap()
}

#[test]
fn everything_comes_back() {
    for space in spaces(19) {
        for count in [0, 1, 2, 300] {
            for kind in KINDS {
                let data = Data::new(space, Shape::Clustered, count, 5, 41);
                let segment = open(&file_of(&data, kind));
                assert!(!segment.is_verified());
                segment.verify().unwrap();
                assert!(segment.is_verified());
                assert_eq!(*segment.head(), head(&data, kind));
                assert_eq!(segment.rows().unwrap(), data.rows);
                assert_eq!(
                    segment.section(Section::Codes).unwrap().unwrap(),
                    b"some codes"
                );
                assert_eq!(
                    segment.section(Section::Payload).unwrap().unwrap(),
                    b"columns of payloads"
                );
                assert_eq!(
                    segment.section(Section::Records).unwrap().unwrap(),
                    b"keys and payloads"
                );
                assert_eq!(segment.section_bytes(Section::Ordinals), count * 4);
                let found: Vec<Vid> = segment.vids().unwrap().iter().collect();
                assert_eq!(found, vids(count));
                for query in &data.queries {
                    let request = Request {
                        query,
                        k: 10,
                        ef: 100,
                        pass: Pass::all(),
                        budget: usize::MAX,
                    };
                    let hits = segment.search(&request).unwrap().map(|found| found.hits);
                    assert_eq!(hits.is_none(), kind == Kind::Flat);
                    let truth = data.truth(query, 10, |_| true);
                    assert!(hits.is_none_or(|hits| recall(&hits, &truth) >= 0.8));
                }
            }
        }
    }
}

#[test]
fn vids_are_found_by_search() {
    let data = Data::f32(4, Shape::Uniform, 100, 0, 42);
    let segment = open(&file_of(&data, Kind::Flat));
    let all = vids(100);
    let found = segment.vids().unwrap();
    assert_eq!(found.len(), 100);
    for (slot, vid) in (0..).zip(&all) {
        assert_eq!(found.get(slot), *vid);
        assert_eq!(found.seq(slot), vid.seq);
        assert_eq!(found.slot_of(*vid), Some(slot));
        let absent = Vid {
            ordinal: vid.ordinal + 1,
            ..*vid
        };
        assert_eq!(found.slot_of(absent), None);
        assert_eq!(found.before(absent), slot + 1);
        assert_eq!(found.before(*vid), slot);
    }
    let last = Vid {
        seq: u64::MAX,
        ordinal: 0,
    };
    assert_eq!(found.before(last), 100);
    assert_eq!(found.slot_of(last), None);
}

#[test]
fn a_file_can_be_written_in_pieces() {
    let data = Data::f32(7, Shape::Uniform, 50, 0, 43);
    let mut file = Vec::new();
    let mut writer = SegmentWriter::new(&mut file, &head(&data, Kind::Flat)).unwrap();
    writer.begin(Section::Rows).unwrap();
    for row in data.rows.chunks(data.space.prepared_bytes()) {
        writer.write(row).unwrap();
    }
    writer.vids(vids(50).into_iter()).unwrap();
    let written = writer.finish().unwrap();
    assert_eq!(written.bytes, file.len() as u64);
    let segment = open(&file);
    assert_eq!(segment.rows().unwrap(), data.rows);
    assert_eq!(segment.section(Section::Payload).unwrap(), None);
    let range = segment.range(Section::Rows).unwrap();
    assert_eq!(file[range.clone()], data.rows);
    assert_eq!(range.start % 64, 0);
}

#[test]
fn files_of_other_content_have_other_checksums() {
    let data = Data::f32(7, Shape::Uniform, 50, 0, 44);
    let (head, mut vids) = (head(&data, Kind::Flat), vids(50));
    let written = |vids: &[Vid], payload: &[u8]| {
        let parts = Parts {
            vids,
            rows: &data.rows,
            codes: b"",
            graph: b"",
            payload,
            records: b"",
            steps: b"",
        };
        write_segment(Vec::new(), &head, &parts).unwrap().checksum
    };
    let first = written(&vids, b"one");
    assert_eq!(written(&vids, b"one"), first);
    assert_ne!(written(&vids, b"two"), first);
    vids[49].ordinal += 1;
    assert_ne!(written(&vids, b"one"), first);
}

#[test]
#[should_panic(expected = "X3: vids out of order")]
fn vids_out_of_order_are_never_written() {
    let data = Data::f32(7, Shape::Uniform, 2, 0, 45);
    let mut writer = SegmentWriter::new(Vec::new(), &head(&data, Kind::Flat)).unwrap();
    let vid = Vid {
        seq: 11,
        ordinal: 0,
    };
    let _ = writer.vids([vid, vid].into_iter());
}

#[test]
#[should_panic(expected = "does not have the bytes of 2 rows")]
fn a_file_with_missing_rows_is_never_finished() {
    let data = Data::f32(7, Shape::Uniform, 2, 0, 46);
    let mut writer = SegmentWriter::new(Vec::new(), &head(&data, Kind::Flat)).unwrap();
    writer.section(Section::Rows, &data.rows[28..]).unwrap();
    let _ = writer.finish();
}

#[test]
fn a_graph_of_the_library_is_used_or_refused_with_a_sentence() {
    let data = Data::f32(7, Shape::Uniform, 50, 1, 47);
    let segment = open(&file_of(&data, Kind::Usearch));
    segment.verify().unwrap();
    let graph = segment.graph();
    if cfg!(feature = "usearch") {
        assert!(graph.unwrap().unwrap().describe().contains("usearch"));
    } else {
        let error = graph.map(|_| ()).unwrap_err().to_string();
        assert!(
            error.contains("usearch library, which was left out"),
            "{error}"
        );
    }
}
