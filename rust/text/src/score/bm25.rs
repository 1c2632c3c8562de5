//! BM25 and BM25F.
//!
//! A word that `df` of `N` documents have counts `idf = ln(1 + (N - df + 0.5) / (df + 0.5))` (as Lucene, tantivy, and bm25s' variant
//! "lucene"; it is never negative). In a document it scores
//!
//! ```text
//! boost * idf * x / (k1 + x),     x = sum over fields of  field boost * tf / (1 - b + b * length / average length)
//! ```
//!
//! which for one field of boost 1 is the plain `tf / (tf + k1 * (1 - b + b * length / average))`. There is no factor `k1 + 1`: it would
//! change no order. N, df and averages are those of the documents at the snapshot; `average` is over all documents,
//! those without the field too. The df of a word in several fields is the number of documents that have it in any.
//!
//! Invariant: a score rises with tf and falls with the length, but for rounding, which `SLACK` covers.

use crate::index::View;

/// Bounds are raised by this much, so that rounding never makes a bound lower than what it bounds.
pub(crate) const SLACK: f32 = 1.000_002;

/// The constants of a store.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// How soon more occurrences stop to count.
    pub k1: f32,
    /// How much the length counts, from 0 to 1.
    pub b: f32,
    /// Of each field.
    pub boosts: Vec<f32>,
}

/// What a posting of one field adds to `x`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm {
    pub(crate) boost: f32,
    pub(crate) fixed: f32,
    pub(crate) slope: f32,
}

impl Norm {
    pub(crate) fn new(parameters: &Parameters, view: &View, field: u8) -> Self {
        let total = view.lengths.get(usize::from(field)).copied().unwrap_or(0);
        let slope = if total == 0 {
            0.0
        } else {
            f64::from(parameters.b) * view.documents as f64 / total as f64
        };
        let boost = parameters
            .boosts
            .get(usize::from(field))
            .copied()
            .unwrap_or(1.0);
        Self {
            boost,
            fixed: 1.0 - parameters.b,
            slope: slope as f32,
        }
    }

    #[inline]
    pub(crate) fn x(&self, tf: f32, length: u32) -> f32 {
        let norm = self.fixed + self.slope * length as f32;
        // b = 1 and an empty field give no norm at all; such a field has no terms either.
        self.boost * tf / norm.max(f32::MIN_POSITIVE)
    }
}

pub(crate) fn idf(documents: u64, df: u64) -> f32 {
    let (documents, df) = (documents.max(df) as f64, df as f64);
    (1.0 + (documents - df + 0.5) / (df + 0.5)).ln() as f32
}

#[cfg(test)]
mod tests {
    use super::idf;

    #[test]
    fn rare_words_count_more_and_none_counts_less_than_nothing() {
        assert!((idf(1000, 10) - (1.0f32 + 990.5 / 10.5).ln()).abs() < 1e-6);
        assert!(idf(1000, 1) > idf(1000, 2) && idf(1000, 999) > idf(1000, 1000));
        assert!(idf(1000, 1000) > 0.0 && idf(0, 0) >= 0.0);
    }
}
