//! All vectors of one store, as far as this process has read them.
//!
//! A search takes the present `View` and keeps it; whoever reads more of the store makes the next one. Views share their
//! chunks and segments: rows that were added, and deletions that were noted, after a view was made belong to later commits
//! than any that it answers, so they change nothing for it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, RwLock};
use sopasync_vector::{Kernel, Space};

use super::chunk::Chunk;
use super::filters::Filters;
use super::options::VectorOptions;
use super::rows::Number;
use super::segment::{Descriptor, Sealed};

/// See the module.
pub(super) struct Index {
    pub(super) options: VectorOptions,
    pub(super) kernel: Kernel,
    pub(super) view: ArcSwapOption<View>,
    /// Held by whoever makes the next view.
    pub(super) turn: Mutex<()>,
    /// Above the number of every segment there ever was in this process.
    pub(super) next_segment: AtomicU64,
    pub(super) upkeep: Mutex<Upkeep>,
    pub(super) filters: Filters,
}

/// What the index knows: every vector and deletion of the snapshots from `floor` to `pulled` (V3).
#[derive(Clone)]
pub(super) struct View {
    pub(super) floor: u64,
    pub(super) pulled: u64,
    /// Ascending by what they cover.
    pub(super) segments: Vec<Arc<Sealed>>,
    /// Those that cannot be read: their vectors are in chunks.
    pub(super) broken: Vec<Broken>,
    /// Ascending.
    pub(super) chunks: Vec<HeldChunk>,
    /// The first so many chunks get no more rows.
    pub(super) closed: usize,
}

/// A segment whose file is missing or damaged.
#[derive(Clone)]
pub(super) struct Broken {
    pub(super) number: u64,
    pub(super) descriptor: Descriptor,
    pub(super) reason: String,
}

/// What maintenance remembers from one step to the next.
#[derive(Default)]
pub(super) struct Upkeep {
    /// Vectors known when the last step began.
    rows: usize,
    /// Steps since there were fewer.
    quiet: u32,
    /// Tombstones that the last purge had to leave.
    pub(super) tombstones_left: u64,
}

impl Upkeep {
    /// How many steps ago vectors were added, now that there are so many.
    pub(super) fn quiet_steps(&mut self, rows: usize) -> u32 {
        self.quiet = if rows > self.rows {
            0
        } else {
            self.quiet.saturating_add(1)
        };
        self.rows = rows;
        self.quiet
    }
}

/// A chunk, and the first number that may be in it.
#[derive(Clone)]
pub(super) struct HeldChunk {
    pub(super) first: Number,
    /// The broken segment whose vectors are here.
    pub(super) instead_of: Option<u64>,
    pub(super) chunk: Arc<RwLock<Chunk>>,
}

impl Index {
    pub(super) fn new(options: VectorOptions) -> Self {
        Self {
            kernel: Kernel::of(&options.space),
            options,
            view: ArcSwapOption::empty(),
            turn: Mutex::default(),
            next_segment: AtomicU64::new(1),
            upkeep: Mutex::default(),
            filters: Filters::default(),
        }
    }

    pub(super) fn space(&self) -> &Space {
        &self.options.space
    }
}

impl View {
    /// Answers it this snapshot?
    pub(super) fn answers(&self, seq: u64) -> bool {
        (self.floor..=self.pulled).contains(&seq)
    }

    /// Notes that commit `seq` deleted a vector. One that is not here was purged, or is of another life of the store.
    pub(super) fn mark(&self, number: Number, seq: u64) {
        if self
            .segments
            .iter()
            .any(|segment| segment.mark(number, seq))
        {
            return;
        }
        let behind = self.chunks.partition_point(|held| held.first <= number);
        if let Some(held) = behind.checked_sub(1).map(|place| &self.chunks[place]) {
            held.chunk.read().mark(number, seq);
        }
    }

    /// Vectors in segments and chunks, also deleted ones.
    pub(super) fn rows(&self) -> usize {
        let sealed: usize = self.segments.iter().map(|segment| segment.count()).sum();
        sealed + self.chunk_rows()
    }

    /// Chunks of vectors that came lately, not of broken segments.
    fn tail(&self) -> impl Iterator<Item = &HeldChunk> {
        self.chunks.iter().filter(|held| held.instead_of.is_none())
    }

    /// Rows that came lately.
    pub(super) fn tail_rows(&self) -> usize {
        self.tail().map(|held| held.chunk.read().count()).sum()
    }

    /// Memory of these, with what is kept beside them.
    pub(super) fn tail_memory(&self) -> usize {
        self.tail()
            .map(|held| held.chunk.read().memory_bytes())
            .sum()
    }

    /// Rows in chunks.
    pub(super) fn chunk_rows(&self) -> usize {
        self.chunks
            .iter()
            .map(|held| held.chunk.read().count())
            .sum()
    }
}
