//! The forms in which a level offers its sums: one pair, many rows, gathered rows, many queries.
//!
//! A level gives [`Sums`]: sums over the elements, for a few queries and a few rows at once. What turns a sum into
//! a distance is [`Finish`], the same for all levels. `forms!` compiles the loops around them with the level's
//! instructions, so that everything is inlined into them; `offer!` has the list of a level's sums, `step!` the one loop all have.

/// Sums of products, squared differences or differing bits over the elements.
pub trait Sums {
    /// The sums of every query with every row.
    ///
    /// # Safety
    /// The machine has the instructions of the level, and every pointer leads to the bytes of a prepared row.
    unsafe fn sums<const Q: usize, const R: usize>(
        queries: [*const u8; Q],
        rows: [*const u8; R],
        dimension: usize,
    ) -> [[f32; R]; Q];
}

/// Elements of single precision.
pub struct Singles;

/// Elements of half precision.
pub struct Halves;

/// Sums of products.
pub struct Products;

/// Sums of squared differences.
pub struct Squares;

/// From a sum of whole numbers, which is known modulo 2^32, to the sum.
pub trait Whole {
    fn whole(sum: i32) -> f32;
}

impl Whole for Products {
    #[inline]
    fn whole(sum: i32) -> f32 {
        sum as f32
    }
}

impl Whole for Squares {
    #[inline]
    fn whole(sum: i32) -> f32 {
        sum as u32 as f32
    }
}

/// From a sum to a distance.
pub trait Finish {
    /// The distance of two rows with that sum.
    ///
    /// # Safety
    /// Both pointers lead to the bytes of a prepared row.
    unsafe fn finish(sum: f32, query: *const u8, row: *const u8, dimension: usize) -> f32;
}

/// The sum is the distance.
pub struct Same;

/// The larger the sum, the nearer.
pub struct Negative;

/// The sum is the cosine, since the rows have length 1.
pub struct Complement;

/// The sum times what follows the elements, the inverse lengths of both rows, is the cosine.
pub struct Angle<const ELEMENT_BYTES: usize>;

impl Finish for Same {
    #[inline]
    unsafe fn finish(sum: f32, _: *const u8, _: *const u8, _: usize) -> f32 {
        sum
    }
}

impl Finish for Negative {
    #[inline]
    unsafe fn finish(sum: f32, _: *const u8, _: *const u8, _: usize) -> f32 {
        -sum
    }
}

impl Finish for Complement {
    #[inline]
    unsafe fn finish(sum: f32, _: *const u8, _: *const u8, _: usize) -> f32 {
        1.0 - sum
    }
}

impl<const ELEMENT_BYTES: usize> Finish for Angle<ELEMENT_BYTES> {
    #[inline]
    unsafe fn finish(sum: f32, query: *const u8, row: *const u8, dimension: usize) -> f32 {
        let at = dimension * ELEMENT_BYTES;
        // SAFETY: a prepared row of such a space has four more bytes after its elements.
        let [query, row] = [query, row]
            .map(|row| unsafe { f32::from_le_bytes(row.add(at).cast::<[u8; 4]>().read()) });
        1.0 - sum * query * row
    }
}

/// How prepared rows lie in memory.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Elements.
    pub dimension: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// The forms of one distance at one level.
#[derive(Debug)]
pub struct Forms {
    pub pair: unsafe fn(*const u8, *const u8, usize) -> f32,
    pub many: unsafe fn(*const u8, *const u8, Shape, &mut [f32]),
    pub gather: unsafe fn(*const u8, *const u8, Shape, &[u32], &mut [f32]),
    /// Queries and rows one after the other; the distances of a query, one after the other, for every query.
    pub batch: unsafe fn(*const u8, *const u8, Shape, usize, &mut [f32]),
}

/// A gathered row is fetched from memory before it is needed: so many bytes of it.
pub const FETCHED_BYTES_MAX: usize = 1024;

/// Of gathered rows at least so many bytes are being fetched while one is measured: as much as processors have room for.
pub const AHEAD_GATHERED_BYTES: usize = 2048;

/// Up to this size, the sums of several rows in a row are made at once, which spares work. Longer rows are read one
/// after the other: the processor foresees one straight walk through memory, not several side by side. (Measured on
/// Zen 3, 128 f32 in 51 MB: 22 GB/s against 19, and 24 is what a loop does that only reads.)
pub const GROUPED_BYTES_MAX: usize = 256;

/// How far ahead of the row at hand memory is fetched: into the next page, where processors do not look by themselves.
/// (Measured on Sapphire Rapids, rows one after the other, 51 to 154 MB: 1 to 15 per cent more than half as far, and
/// no more from twice as far.)
pub const AHEAD_BYTES: usize = 4096;

/// The loops of a level: `forms!(#[target_feature(...)] rows 4 tile 2 x 3)`.
macro_rules! forms {
    ($(#[$features:meta])* rows $rows:literal tile $tile_queries:literal x $tile_rows:literal fetch $fetch:path) => {
        use $crate::kernel::form::{
            AHEAD_BYTES, AHEAD_GATHERED_BYTES, Angle, Complement, FETCHED_BYTES_MAX, Finish, Forms,
            GROUPED_BYTES_MAX, Negative, Same, Shape, Sums,
        };
        use $crate::space::{Element, Metric};

        /// Rows whose sums are made at once.
        const ROWS: usize = $rows;

        $(#[$features])*
        #[inline]
        unsafe fn block<S: Sums, F: Finish, const Q: usize, const R: usize>(
            queries: [*const u8; Q],
            rows: [*const u8; R],
            dimension: usize,
        ) -> [[f32; R]; Q] {
            // SAFETY: as the caller promises.
            unsafe {
                let mut found = S::sums(queries, rows, dimension);
                for (query, found) in queries.iter().zip(&mut found) {
                    for (row, found) in rows.iter().zip(found) {
                        *found = F::finish(*found, *query, *row, dimension);
                    }
                }
                found
            }
        }

        $(#[$features])*
        unsafe fn pair<S: Sums, F: Finish>(one: *const u8, other: *const u8, dimension: usize) -> f32 {
            // SAFETY: as the caller promises.
            unsafe { block::<S, F, 1, 1>([one], [other], dimension)[0][0] }
        }

        $(#[$features])*
        unsafe fn many<S: Sums, F: Finish>(query: *const u8, rows: *const u8, shape: Shape, out: &mut [f32]) {
            // SAFETY: as the caller promises.
            unsafe {
                if shape.stride <= GROUPED_BYTES_MAX {
                    walk::<S, F, ROWS>(query, rows, shape, out);
                } else {
                    walk::<S, F, 1>(query, rows, shape, out);
                }
            }
        }

        $(#[$features])*
        #[inline]
        unsafe fn walk<S: Sums, F: Finish, const R: usize>(
            query: *const u8,
            rows: *const u8,
            shape: Shape,
            out: &mut [f32],
        ) {
            let (blocks, rest) = out.as_chunks_mut::<R>();
            let mut at = rows;
            // SAFETY: as the caller promises, there is a row for every element of `out`; what is fetched ahead
            // need not exist.
            unsafe {
                for out in blocks {
                    for line in (0..R * shape.stride).step_by(64) {
                        $fetch(at.wrapping_add(AHEAD_BYTES + line));
                    }
                    let mut rows = [at; R];
                    for (index, row) in rows.iter_mut().enumerate() {
                        *row = at.add(index * shape.stride);
                    }
                    [*out] = block::<S, F, 1, R>([query], rows, shape.dimension);
                    at = at.add(R * shape.stride);
                }
                for out in rest {
                    [[*out]] = block::<S, F, 1, 1>([query], [at], shape.dimension);
                    at = at.add(shape.stride);
                }
            }
        }

        $(#[$features])*
        unsafe fn gather<S: Sums, F: Finish>(
            query: *const u8,
            rows: *const u8,
            shape: Shape,
            ids: &[u32],
            out: &mut [f32],
        ) {
            let fetched = shape.stride.min(FETCHED_BYTES_MAX);
            let (blocks, rest) = out.as_chunks_mut::<ROWS>();
            let (id_blocks, id_rest) = ids.as_chunks::<ROWS>();
            // SAFETY: as the caller promises, there is a row for every id.
            unsafe {
                let fetch = |ids: &[u32]| {
                    for &id in ids {
                        let row = rows.add(id as usize * shape.stride);
                        for line in (0..fetched).step_by(64) {
                            $fetch(row.add(line));
                        }
                    }
                };
                let ahead = (AHEAD_GATHERED_BYTES / fetched.max(1)).next_multiple_of(ROWS).max(ROWS);
                fetch(&ids[..ids.len().min(ahead)]);
                for (index, (out, ids_now)) in blocks.iter_mut().zip(id_blocks).enumerate() {
                    let next = &ids[ids.len().min(index * ROWS + ahead)..];
                    fetch(&next[..next.len().min(ROWS)]);
                    let rows = ids_now.map(|id| rows.add(id as usize * shape.stride));
                    [*out] = block::<S, F, 1, ROWS>([query], rows, shape.dimension);
                }
                for (out, &id) in rest.iter_mut().zip(id_rest) {
                    let row = rows.add(id as usize * shape.stride);
                    [[*out]] = block::<S, F, 1, 1>([query], [row], shape.dimension);
                }
            }
        }

        $(#[$features])*
        unsafe fn batch<S: Sums, F: Finish>(
            queries: *const u8,
            rows: *const u8,
            shape: Shape,
            count: usize,
            out: &mut [f32],
        ) {
            const Q: usize = $tile_queries;
            const R: usize = $tile_rows;
            let queries_count = if count == 0 { 0 } else { out.len() / count };
            // SAFETY: as the caller promises, there is a query for every `count` elements of `out`, and `count` rows.
            unsafe {
                let tiled = queries_count - queries_count % Q;
                let mut row = 0;
                while row + R <= count {
                    let mut at = [rows; R];
                    for (index, at) in at.iter_mut().enumerate() {
                        *at = rows.add((row + index) * shape.stride);
                    }
                    for first in (0..tiled).step_by(Q) {
                        let mut query = [queries; Q];
                        for (index, query) in query.iter_mut().enumerate() {
                            *query = queries.add((first + index) * shape.stride);
                        }
                        let found = block::<S, F, Q, R>(query, at, shape.dimension);
                        for (index, found) in found.iter().enumerate() {
                            let place = (first + index) * count + row;
                            out[place..place + R].copy_from_slice(found);
                        }
                    }
                    row += R;
                }
                for query in 0..queries_count {
                    // What the tiles left: rows after the last tile, or all rows of the last queries.
                    let from = if query < tiled { row } else { 0 };
                    let (query_at, rows_at) = (queries.add(query * shape.stride), rows.add(from * shape.stride));
                    many::<S, F>(query_at, rows_at, shape, &mut out[query * count + from..(query + 1) * count]);
                }
            }
        }

        /// The distance that sums and a finish make together.
        struct Distance<S, F>(std::marker::PhantomData<(S, F)>);

        impl<S: Sums, F: Finish> Distance<S, F> {
            const FORMS: Forms =
                Forms { pair: pair::<S, F>, many: many::<S, F>, gather: gather::<S, F>, batch: batch::<S, F> };
        }

        /// The forms of a space's distance.
        pub fn forms(metric: Metric, element: Element) -> &'static Forms {
            match (element, metric) {
                (Element::F32, Metric::L2) => &Distance::<SingleSquares, Same>::FORMS,
                (Element::F32, Metric::Cosine) => &Distance::<SingleProducts, Complement>::FORMS,
                (Element::F32, _) => &Distance::<SingleProducts, Negative>::FORMS,
                (Element::F16, Metric::L2) => &Distance::<HalfSquares, Same>::FORMS,
                (Element::F16, Metric::Cosine) => &Distance::<HalfProducts, Angle<2>>::FORMS,
                (Element::F16, _) => &Distance::<HalfProducts, Negative>::FORMS,
                (Element::I8, Metric::L2) => &Distance::<ByteSquares, Same>::FORMS,
                (Element::I8, Metric::Cosine) => &Distance::<ByteProducts, Angle<1>>::FORMS,
                (Element::I8, _) => &Distance::<ByteProducts, Negative>::FORMS,
                (Element::Bits, _) => &Distance::<BitDifferences, Same>::FORMS,
            }
        }
    };
}

/// In sums of `Q` queries and `R` rows: add the terms `T` of one register of elements.
macro_rules! step {
    ($load:expr, $term:ident, $queries:ident, $rows:ident, $sums:ident, $zero:expr) => {{
        let mut loaded = [$zero; Q];
        for (loaded, query) in loaded.iter_mut().zip($queries) {
            *loaded = $load(query);
        }
        for (index, row) in $rows.into_iter().enumerate() {
            let row = $load(row);
            for (sums, query) in $sums.iter_mut().zip(loaded) {
                sums[index] = T::$term(sums[index], query, row);
            }
        }
    }};
}

/// Offer a level's `sum_of_floats`, `sum_of_bytes` and `differences` as [`Sums`].
macro_rules! offer {
    ($(#[$features:meta])*) => {
        offer!($(#[$features])* SingleProducts by sum_of_floats::<Singles, Products, Q, R>);
        offer!($(#[$features])* SingleSquares by sum_of_floats::<Singles, Squares, Q, R>);
        offer!($(#[$features])* HalfProducts by sum_of_floats::<Halves, Products, Q, R>);
        offer!($(#[$features])* HalfSquares by sum_of_floats::<Halves, Squares, Q, R>);
        offer!($(#[$features])* ByteProducts by sum_of_bytes::<Products, Q, R>);
        offer!($(#[$features])* ByteSquares by sum_of_bytes::<Squares, Q, R>);
        offer!($(#[$features])* BitDifferences by differences);
    };
    ($(#[$features:meta])* $name:ident by $function:expr) => {
        #[doc = concat!("See [`Sums`]: ", stringify!($name))]
        pub struct $name;

        impl Sums for $name {
            #[inline]
            $(#[$features])*
            unsafe fn sums<const Q: usize, const R: usize>(
                queries: [*const u8; Q],
                rows: [*const u8; R],
                dimension: usize,
            ) -> [[f32; R]; Q] {
                // SAFETY: as the caller promises.
                unsafe { $function(queries, rows, dimension) }
            }
        }
    };
}

pub(super) use {forms, offer, step};
