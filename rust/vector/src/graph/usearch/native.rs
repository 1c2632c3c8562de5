//! A graph built and walked by the usearch library, over the rows of a segment and with our kernel as its metric.
//!
//! The library keeps a copy of every vector it is given. Here a vector is the number of a slot, four bytes, and the metric
//! looks up the rows: so nothing is kept twice, and every space there is a kernel for can be used. A query has no slot: it is
//! the number [`QUERY`], which stands for the row that the calling thread searches for.
//!
//! What the library does not do, and what is done about it:
//! - A predicate never ends a walk: beyond the budget everything passes, which does, and the result is thrown away.
//! - The number of candidates is a property of the index and not of a search: so many hits are asked for instead.
//! - Threads that add at the same time may leave rows unreachable: one thread builds.
//! - A metric cannot report an error: rows and slots are checked before.
//! - A thread that finds no free place in the index fails: there are more places than threads.
//! - Equal rows are linked to each other alone, when there are many: this graph may miss rows beside them.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use usearch::{Index, IndexOptions, MetricKind, ScalarKind, b1x8};

use super::super::{BuildError, Graph, Options, ROWS_MAX, Request, Search, Work};
use crate::kernel::Kernel;
use crate::space::Space;
use crate::top::{Hit, TopK};

/// In place of a slot: the row that this thread searches for.
const QUERY: u32 = u32::MAX;

/// Threads that may search one graph at the same time.
const THREADS: usize = 256;

/// Rows between two looks at the stop flag.
const ROWS_A_LOOK: usize = 64;

thread_local! {
    static SEARCHED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static MEASURED: Cell<usize> = const { Cell::new(0) };
}

/// Where the rows of a graph are. They stay there, unchanged, while the graph exists.
pub trait RowSource: Send + Sync + 'static {
    /// All prepared rows.
    fn rows(&self) -> &[u8];
}

impl RowSource for Vec<u8> {
    fn rows(&self) -> &[u8] {
        self
    }
}

/// A graph of the usearch library.
pub struct Native {
    index: Index,
    kernel: Kernel,
    count: usize,
}

impl fmt::Debug for Native {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Native over {} rows", self.count)
    }
}

/// The library refused to do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeError(String);

impl fmt::Display for NativeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the usearch library cannot use its graph: {}; build it again",
            self.0
        )
    }
}

impl std::error::Error for NativeError {}

fn refused(error: &dyn fmt::Display) -> NativeError {
    NativeError(error.to_string())
}

fn empty_index(options: &Options) -> Result<Index, NativeError> {
    let options = IndexOptions {
        dimensions: 32,
        metric: MetricKind::Hamming,
        quantization: ScalarKind::B1,
        connectivity: options.links,
        expansion_add: options.ef_construction,
        expansion_search: 1, // searches ask for as many hits as they want candidates
        multi: false,
    };
    Index::new(&options).map_err(|error| refused(&error))
}

/// The distance of two vectors of the index. `rows` gives a pointer to the rows and their number of bytes.
fn use_rows(
    index: &mut Index,
    kernel: Kernel,
    rows: impl Fn() -> (*const u8, usize) + Send + Sync + 'static,
) {
    let row_bytes = kernel.row_bytes();
    let distance = move |one: *const b1x8, other: *const b1x8| {
        // SAFETY: the library calls its metric with vectors of 32 bits, its own or the caller's, at any alignment.
        let (one, other) = unsafe {
            (
                ptr::read_unaligned(one.cast::<[u8; 4]>()),
                ptr::read_unaligned(other.cast::<[u8; 4]>()),
            )
        };
        let (start, length) = rows();
        // SAFETY: the caller of `use_rows` promises that these bytes stay there, unchanged, as long as the index.
        let rows = unsafe { std::slice::from_raw_parts(start, length) };
        let row = |slot: u32| rows.get(slot as usize * row_bytes..(slot as usize + 1) * row_bytes);
        MEASURED.with(|count| count.set(count.get() + 1));
        // Unwinding through the library is not possible, so what cannot be is infinitely far away.
        SEARCHED.with(|searched| {
            let Ok(searched) = searched.try_borrow() else {
                return f32::INFINITY;
            };
            let side = |vector: [u8; 4]| match u32::from_le_bytes(vector) {
                QUERY => Some(&searched[..]),
                slot => row(slot),
            };
            match (side(one), side(other)) {
                (Some(one), Some(other)) if one.len() == row_bytes && other.len() == row_bytes => {
                    kernel.distance(one, other)
                }
                _ => f32::INFINITY,
            }
        })
    };
    index.change_metric::<b1x8>(Box::new(distance));
}

/// Build the graph of prepared rows. Gives its bytes.
pub fn build(
    space: &Space,
    rows: &[u8],
    options: &Options,
    work: &Work<'_>,
) -> Result<Vec<u8>, BuildError> {
    let kernel = Kernel::of(space);
    let count = rows.len() / kernel.row_bytes();
    if !rows.len().is_multiple_of(kernel.row_bytes()) {
        return Err(BuildError::Rows {
            row: kernel.row_bytes(),
            found: rows.len(),
        });
    }
    if count > ROWS_MAX {
        return Err(BuildError::TooMany { count });
    }
    let failed = |error: NativeError| BuildError::Library(error.0);
    let mut index = empty_index(options).map_err(failed)?;
    let (start, length) = (rows.as_ptr() as usize, rows.len());
    // The index is dropped before this function returns, and `rows` are borrowed until then.
    use_rows(&mut index, kernel, move || (start as *const u8, length));
    let reserved = index.reserve_capacity_and_threads(count, 1);
    reserved.map_err(|error| failed(refused(&error)))?;
    for slot in 0..count as u32 {
        if (slot as usize).is_multiple_of(ROWS_A_LOOK) {
            (work.progress)(slot as usize, count);
            if work.stop.load(Ordering::Relaxed) {
                return Err(BuildError::Stopped);
            }
        }
        let added = index.add(u64::from(slot), &slot.to_le_bytes().map(b1x8));
        added.map_err(|error| failed(refused(&error)))?;
    }
    (work.progress)(count, count);
    let mut bytes = vec![0; index.serialized_length()];
    index
        .save_to_buffer(&mut bytes)
        .map_err(|error| failed(refused(&error)))?;
    Ok(bytes)
}

impl Native {
    /// Read the bytes of a graph over rows.
    pub fn open(
        bytes: &[u8],
        space: &Space,
        rows: Arc<dyn RowSource>,
    ) -> Result<Self, NativeError> {
        let kernel = Kernel::of(space);
        let count = rows.rows().len() / kernel.row_bytes();
        let mut index = empty_index(&Options::default())?;
        if count > 0 {
            index
                .load_from_buffer(bytes)
                .map_err(|error| refused(&error))?;
        }
        if index.size() != count || index.dimensions() != 32 {
            return Err(NativeError(format!(
                "it is over {} rows of {count}",
                index.size()
            )));
        }
        let rows_of = move || {
            let rows = rows.rows();
            (rows.as_ptr(), rows.len())
        };
        use_rows(&mut index, kernel, rows_of);
        let reserved = index.reserve_capacity_and_threads(count, THREADS);
        reserved.map_err(|error| refused(&error))?;
        index.change_expansion_search(1);
        Ok(Self {
            index,
            kernel,
            count,
        })
    }

    fn ask(
        &self,
        request: &Request<'_>,
        wanted: usize,
    ) -> Result<(Vec<(u64, f32)>, bool), NativeError> {
        let query = QUERY.to_le_bytes().map(b1x8);
        let early = Cell::new(false);
        let test = request.pass.test();
        let over = || MEASURED.with(Cell::get) >= request.budget;
        let found = self.index.filtered_search(&query, wanted, |key| {
            if over() {
                early.set(true);
                return true;
            }
            test.is_none_or(|test| test(key as u32))
        });
        let found = found.map_err(|error| refused(&error))?;
        let hits = found.keys.into_iter().zip(found.distances).collect();
        Ok((hits, early.get()))
    }
}

impl Graph for Native {
    fn search(&self, request: &Request<'_>) -> Search {
        assert_eq!(
            request.query.len(),
            self.kernel.row_bytes(),
            "a query of another space"
        );
        let wanted = request.ef.max(request.k).min(self.count);
        if wanted == 0 || request.k == 0 {
            return Search {
                hits: Vec::new(),
                visited: 0,
                exhausted: false,
            };
        }
        SEARCHED.with(|searched| {
            let mut searched = searched.borrow_mut();
            searched.clear();
            searched.extend_from_slice(request.query);
        });
        MEASURED.with(|count| count.set(0));
        // Beyond the budget everything passed, so what was found is tested again. A refusal is as good as having found nothing.
        let (found, early) = self.ask(request, wanted).unwrap_or_default();
        let mut top = TopK::new(request.k);
        for (key, distance) in found {
            let slot = key as u32;
            if !early || request.pass.test().is_none_or(|test| test(slot)) {
                top.push(distance, slot);
            }
        }
        let hits: Vec<Hit> = top.into_sorted();
        let visited = MEASURED.with(Cell::get);
        Search {
            exhausted: early || hits.len() < request.k && hits.len() < self.count,
            hits,
            visited,
        }
    }

    fn count(&self) -> usize {
        self.count
    }

    fn bytes(&self) -> usize {
        self.index.memory_usage()
    }

    fn describe(&self) -> String {
        format!("usearch of {} links", self.index.connectivity() * 2)
    }
}
