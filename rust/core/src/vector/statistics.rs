//! What there is of a vector store: for people who wonder why a search takes as long as it does.

use super::VectorStore;
use sopasync_vector::segment::Kind;

/// What the index knows, at this moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorStatistics {
    /// Newest commit it has read; `None` before its first use.
    pub pulled_seq: Option<u64>,
    /// Oldest commit it can answer.
    pub floor_seq: u64,
    /// Sealed segments, oldest first.
    pub segments: Vec<SegmentStatistics>,
    /// Segments whose files are missing or damaged, each with the reason; they are built again.
    pub broken_segments: Vec<(u64, String)>,
    /// Vectors in memory, deleted ones too: they are measured one by one.
    pub tail_rows: usize,
    /// Deleted ones among them.
    pub tail_deleted: usize,
    /// Memory of the tail, and of what is noted about segments.
    pub memory_bytes: usize,
    /// What a sample of queries found of the ten nearest when graphs were built, over all vectors; 1.0 without graphs.
    pub recall_estimate: f32,
}

/// One segment.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentStatistics {
    /// Its number.
    pub number: u64,
    /// "flat", "hnsw" or "usearch".
    pub kind: &'static str,
    /// Vectors in it, deleted ones too.
    pub rows: usize,
    /// Deleted ones.
    pub deleted: usize,
    /// "int8" or "bits" when it is searched by codes first.
    pub codes: Option<&'static str>,
    /// Bytes of its file.
    pub file_bytes: u64,
    /// What a sample of queries found of the ten nearest, when it has a graph.
    pub recall_estimate: Option<f32>,
}

impl VectorStore {
    /// What the index knows at this moment. Reads nothing.
    pub fn statistics(&self) -> VectorStatistics {
        let Some(view) = self.index.view.load_full() else {
            return VectorStatistics {
                recall_estimate: 1.0,
                ..VectorStatistics::default()
            };
        };
        let mut all = VectorStatistics {
            pulled_seq: Some(view.pulled),
            floor_seq: view.floor,
            ..VectorStatistics::default()
        };
        let (mut found, mut live) = (0.0, 0.0);
        for segment in &view.segments {
            let deleted = segment.part().dead;
            let rows = segment.count();
            let recall = segment.descriptor.recall;
            let weight = (rows - deleted) as f32;
            found += weight * recall.unwrap_or(1.0);
            live += weight;
            all.memory_bytes += rows * size_of::<u64>() + segment.selections.memory_bytes();
            all.segments.push(SegmentStatistics {
                number: segment.number,
                kind: match segment.descriptor.kind {
                    Kind::Flat => "flat",
                    Kind::Hnsw => "hnsw",
                    Kind::Usearch => "usearch",
                },
                rows,
                deleted,
                codes: segment.codes_name(),
                file_bytes: segment.descriptor.bytes,
                recall_estimate: recall,
            });
        }
        for held in &view.chunks {
            let chunk = held.chunk.read();
            all.tail_rows += chunk.count();
            all.tail_deleted += chunk.part().dead;
            all.memory_bytes += chunk.memory_bytes();
        }
        let tail = (all.tail_rows - all.tail_deleted) as f32;
        all.recall_estimate = if live + tail > 0.0 {
            (found + tail) / (live + tail)
        } else {
            1.0
        };
        let broken = view.broken.iter();
        all.broken_segments = broken.map(|one| (one.number, one.reason.clone())).collect();
        all
    }
}
