//! Distances of prepared rows, by the widest instructions the machine has.
//!
//! ```text
//! level     which instructions there are
//! form      one pair, many rows, gathered rows, many queries: the loops around a level's sums
//! lookup    sums of table entries, for codes of one bit
//! plain     sums on any machine
//! avx2, avx512, neon
//!           sums by the instructions of that name
//! ```
//!
//! Invariants:
//! K1. All forms of one kernel (one pair, many rows, gathered rows, many queries) give the same bits for the same pair.
//! K2. Rows are read at any alignment, and never a byte outside of them.
//! K3. The distance of valid rows is a finite number.
//!
//! All numbers are little-endian, also in memory: this crate does not compile for other machines.

#[cfg(target_endian = "big")]
compile_error!("the kernels of sopasync-vector read little-endian rows as they lie in memory");

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod form;
mod level;
mod lookup;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
#[cfg(test)]
mod tests;

pub use level::Level;
pub(crate) use lookup::Lookup;

use form::{Forms, Shape};

use crate::space::Space;

/// The distance of a space, with the instructions chosen.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    space: Space,
    level: Level,
    shape: Shape,
    forms: &'static Forms,
}

impl Kernel {
    /// The fastest kernel of a space on this machine.
    #[must_use]
    pub fn of(space: &Space) -> Self {
        Self::at(space, Level::best())
    }

    /// The kernel of a space with certain instructions, for tests.
    ///
    /// # Panics
    /// When this machine does not have them.
    #[must_use]
    pub fn at(space: &Space, level: Level) -> Self {
        Self {
            space: *space,
            level,
            shape: Shape {
                dimension: space.dimension(),
                stride: space.prepared_bytes(),
            },
            forms: level.forms(space.metric(), space.element()),
        }
    }

    /// The space whose distance it is.
    #[must_use]
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The instructions it uses.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Bytes of a prepared row.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        self.shape.stride
    }

    /// The internal distance of two prepared rows.
    ///
    /// # Panics
    /// When one of them does not have the bytes of a prepared row.
    #[inline]
    #[must_use]
    pub fn distance(&self, one: &[u8], other: &[u8]) -> f32 {
        let bytes = self.shape.stride;
        assert!(
            one.len() == bytes && other.len() == bytes,
            "K2: a row has {bytes} bytes"
        );
        // SAFETY: K2 as just asserted; `at` has seen that the instructions are here.
        unsafe { (self.forms.pair)(one.as_ptr(), other.as_ptr(), self.shape.dimension) }
    }

    /// [`distance`](Self::distance) where only the addresses are known: what a graph of another library calls.
    ///
    /// # Safety
    /// Both addresses lead to the bytes of a prepared row.
    #[inline]
    #[must_use]
    pub unsafe fn distance_at(&self, one: *const u8, other: *const u8) -> f32 {
        // SAFETY: as the caller promises; `at` has seen that the instructions are here.
        unsafe { (self.forms.pair)(one, other, self.shape.dimension) }
    }

    /// The distances of a prepared query to rows that lie one after the other.
    ///
    /// # Panics
    /// When `rows` has not exactly the bytes of `out.len()` rows.
    pub fn many(&self, query: &[u8], rows: &[u8], out: &mut [f32]) {
        let bytes = self.shape.stride;
        assert!(
            query.len() == bytes && rows.len() == out.len() * bytes,
            "K2: a row has {bytes} bytes"
        );
        // SAFETY: K2 as just asserted; `at` has seen that the instructions are here.
        unsafe { (self.forms.many)(query.as_ptr(), rows.as_ptr(), self.shape, out) }
    }

    /// The distances of a prepared query to the rows at certain places; the next are fetched from memory
    /// while those before them are measured.
    ///
    /// # Panics
    /// When there is no row at one of the places, or `out` has not as many elements as `ids`.
    #[inline]
    pub fn gather(&self, query: &[u8], rows: &[u8], ids: &[u32], out: &mut [f32]) {
        let bytes = self.shape.stride;
        assert!(
            query.len() == bytes && ids.len() == out.len(),
            "K2: a row has {bytes} bytes"
        );
        let last = ids.iter().fold(0, |last, &id| last.max(id));
        assert!(
            ids.is_empty() || (last as usize + 1) * bytes <= rows.len(),
            "K2: there is no row {last}"
        );
        // SAFETY: K2 as just asserted; `at` has seen that the instructions are here.
        unsafe { (self.forms.gather)(query.as_ptr(), rows.as_ptr(), self.shape, ids, out) }
    }

    /// The distances of every query to every row, both one after the other: `out[query * rows + row]`.
    ///
    /// # Panics
    /// When `queries` or `rows` are not whole rows, or `out` has not one element for every pair.
    pub fn batch(&self, queries: &[u8], rows: &[u8], out: &mut [f32]) {
        let bytes = self.shape.stride;
        assert!(
            queries.len() % bytes == 0 && rows.len() % bytes == 0,
            "K2: a row has {bytes} bytes"
        );
        let (queries_count, count) = (queries.len() / bytes, rows.len() / bytes);
        assert!(
            out.len() == queries_count * count,
            "K2: a distance for every pair"
        );
        // SAFETY: K2 as just asserted; `at` has seen that the instructions are here.
        unsafe { (self.forms.batch)(queries.as_ptr(), rows.as_ptr(), self.shape, count, out) }
    }
}
