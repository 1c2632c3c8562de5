//! Distances of prepared rows, by the widest instructions the machine has.
//!
//! ```text
//! plain     any machine
//! ```
//!
//! Invariants:
//! K1. All forms of one kernel (one pair, many rows, gathered rows, many queries) give the same bits for the same pair.
//! K2. Rows are read at any alignment, and never a byte outside of them.

mod plain;

use crate::space::{Element, Metric, Space};

/// Which instructions a kernel uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every machine has.
    Plain,
}

impl Level {
    /// The widest this machine has.
    #[must_use]
    pub fn best() -> Self {
        Self::Plain
    }

    /// All this machine has.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Plain].into_iter()
    }
}

type Pair = fn(&[u8], &[u8], usize) -> f32;

/// The distance of a space, with the instructions chosen.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    space: Space,
    level: Level,
    row_bytes: usize,
    pair: Pair,
}

impl Kernel {
    /// The fastest kernel of a space on this machine.
    #[must_use]
    pub fn of(space: &Space) -> Self {
        Self::at(space, Level::best())
    }

    /// The kernel of a space with certain instructions, for tests.
    #[must_use]
    pub fn at(space: &Space, level: Level) -> Self {
        let pair = match (space.element(), space.metric()) {
            (Element::F32, Metric::L2) => plain::f32_l2,
            (Element::F32, Metric::Cosine) => plain::f32_cosine,
            (Element::F32, _) => plain::f32_inner as Pair,
            (Element::F16, Metric::L2) => plain::f16_l2,
            (Element::F16, Metric::Cosine) => plain::f16_cosine,
            (Element::F16, _) => plain::f16_inner,
            (Element::I8, Metric::L2) => plain::i8_l2,
            (Element::I8, Metric::Cosine) => plain::i8_cosine,
            (Element::I8, _) => plain::i8_inner,
            (Element::Bits, _) => plain::hamming,
        };
        Self {
            space: *space,
            level,
            row_bytes: space.prepared_bytes(),
            pair,
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
        self.row_bytes
    }

    /// The internal distance of two prepared rows.
    ///
    /// # Panics
    /// When one of them does not have the bytes of a prepared row.
    #[must_use]
    pub fn distance(&self, one: &[u8], other: &[u8]) -> f32 {
        assert!(
            one.len() == self.row_bytes && other.len() == self.row_bytes,
            "K2: rows of another space"
        );
        (self.pair)(one, other, self.space.dimension())
    }

    /// The distances of a prepared query to rows that lie one after the other.
    ///
    /// # Panics
    /// When `rows` has not exactly the bytes of `out.len()` rows.
    pub fn many(&self, query: &[u8], rows: &[u8], out: &mut [f32]) {
        assert!(
            query.len() == self.row_bytes && rows.len() == out.len() * self.row_bytes,
            "K2: rows of another space"
        );
        for (row, out) in rows.chunks_exact(self.row_bytes).zip(out) {
            *out = (self.pair)(query, row, self.space.dimension());
        }
    }

    /// The distances of a prepared query to the rows at certain places.
    ///
    /// # Panics
    /// When there is no row at one of the places.
    pub fn gather(&self, query: &[u8], rows: &[u8], ids: &[u32], out: &mut [f32]) {
        assert!(
            query.len() == self.row_bytes && ids.len() == out.len(),
            "K2: a query of another space"
        );
        for (&id, out) in ids.iter().zip(out) {
            let at = id as usize * self.row_bytes;
            *out = (self.pair)(
                query,
                &rows[at..at + self.row_bytes],
                self.space.dimension(),
            );
        }
    }
}
