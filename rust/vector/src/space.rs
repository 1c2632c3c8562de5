//! What the vectors of a store are: which numbers, how many, and what "near" means.
//!
//! ```text
//! a row        f32, f16: dimension little-endian numbers     i8: dimension bytes
//!              bits: ceil(dimension / 8) bytes, element i is bit i % 8 of byte i / 8, unused bits are 0
//! a prepared   cosine over f32: the row scaled to length 1 (a zero vector stays zero)
//! row          cosine over f16 and i8: the row, then 1 / length as a little-endian f32 (0 for a zero vector)
//!              otherwise: the row
//! ```
//!
//! Invariants:
//! S1. A valid row has only finite elements.
//! S2. Distances of valid rows, and every partial sum on the way, are finite: rows over [`LENGTH_MAX`] are refused
//!     where the length matters, and by Cauchy-Schwarz no sum exceeds (2 * LENGTH_MAX)^2 = 2^126.
//! S3. Sums of products of i8 fit 32 bits, since 255^2 * DIMENSION_MAX < 2^32.

use std::fmt;

use crate::error::Error;
use crate::half;

/// The largest dimension of a space.
pub const DIMENSION_MAX: usize = 1 << 16;

/// The longest vector, where the metric depends on lengths: S2.
pub const LENGTH_MAX: f64 = (1_u64 << 62) as f64;

/// What "near" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The angle: 1 - cosine. A zero vector has the cosine 0 with every other.
    Cosine,
    /// The larger the inner product, the nearer.
    InnerProduct,
    /// Euclidean distance.
    L2,
    /// The number of bits that differ.
    Hamming,
}

/// The numbers a vector is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// Whole numbers from -128 to 127.
    I8,
    /// Single bits.
    Bits,
}

/// Metric, element and dimension of a store's vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Space {
    metric: Metric,
    element: Element,
    dimension: usize,
}

/// What users see of an internal distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// Smaller is nearer: 1 - cosine, -inner product, Euclidean distance, differing bits.
    pub distance: f32,
    /// Larger is nearer: cosine, inner product, -Euclidean distance, -differing bits.
    pub score: f32,
}

impl Space {
    /// A space, when there is a kernel for it.
    pub fn new(metric: Metric, element: Element, dimension: usize) -> Result<Self, Error> {
        if !(1..=DIMENSION_MAX).contains(&dimension) {
            return Err(Error::Dimension { dimension });
        }
        if (metric == Metric::Hamming) != (element == Element::Bits) {
            return Err(Error::Combination { metric, element });
        }
        Ok(Self {
            metric,
            element,
            dimension,
        })
    }

    /// What "near" means.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The numbers of a vector.
    #[must_use]
    pub fn element(&self) -> Element {
        self.element
    }

    /// How many of them.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Bytes of a row as the user gave it.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        match self.element {
            Element::F32 => self.dimension * 4,
            Element::F16 => self.dimension * 2,
            Element::I8 => self.dimension,
            Element::Bits => self.dimension.div_ceil(8),
        }
    }

    /// Bytes of a prepared row.
    #[must_use]
    pub fn prepared_bytes(&self) -> usize {
        self.row_bytes() + if self.keeps_norm() { 4 } else { 0 }
    }

    /// Whether a prepared row ends with the inverse of its length.
    pub(crate) fn keeps_norm(&self) -> bool {
        self.metric == Metric::Cosine && matches!(self.element, Element::F16 | Element::I8)
    }

    /// Refuse a row that breaks an invariant.
    pub fn validate(&self, row: &[u8]) -> Result<(), Error> {
        if row.len() != self.row_bytes() {
            return Err(Error::Length {
                expected: self.row_bytes(),
                found: row.len(),
            });
        }
        match self.element {
            Element::F32 => self.validate_singles(row),
            Element::F16 => match halves(row).position(|half| half & 0x7c00 == 0x7c00) {
                Some(at) => Err(Error::NotFinite { at }),
                None => Ok(()), // 65504^2 * DIMENSION_MAX < 2^126
            },
            Element::I8 => Ok(()),
            Element::Bits => match self.dimension % 8 {
                used @ 1.. if row[row.len() - 1] >> used != 0 => Err(Error::Padding),
                _ => Ok(()),
            },
        }
    }

    fn validate_singles(&self, row: &[u8]) -> Result<(), Error> {
        // The sum of squares is finite in f64 exactly when every element is finite.
        let squared = squared_length_of_singles(row);
        if !squared.is_finite() {
            let at = singles(row).position(|element| !element.is_finite());
            return Err(Error::NotFinite {
                at: at.expect("S1: a finite sum of squares in f64"),
            });
        }
        if self.metric != Metric::Cosine && squared > LENGTH_MAX * LENGTH_MAX {
            return Err(Error::TooLong {
                length: squared.sqrt(),
            });
        }
        Ok(())
    }

    /// Append the prepared form of a valid row.
    ///
    /// # Panics
    /// When the row does not have the length of the space's rows.
    pub fn prepare(&self, row: &[u8], out: &mut Vec<u8>) {
        assert_eq!(row.len(), self.row_bytes(), "a row of another space");
        if self.metric != Metric::Cosine {
            out.extend_from_slice(row);
            return;
        }
        match self.element {
            Element::F32 => {
                let scale = inverse(squared_length_of_singles(row));
                out.extend(
                    singles(row)
                        .flat_map(|element| ((f64::from(element) * scale) as f32).to_le_bytes()),
                );
            }
            Element::F16 => {
                let elements = halves(row).map(|element| f64::from(half::to_f32(element)));
                let scale = inverse(squared_length(elements));
                out.extend_from_slice(row);
                out.extend_from_slice(&(scale as f32).to_le_bytes());
            }
            Element::I8 => {
                let elements = row.iter().map(|&element| f64::from(element as i8));
                let scale = inverse(squared_length(elements));
                out.extend_from_slice(row);
                out.extend_from_slice(&(scale as f32).to_le_bytes());
            }
            Element::Bits => unreachable!("bits go with hamming alone"),
        }
    }

    /// What users see of an internal distance.
    #[must_use]
    pub fn shown(&self, internal: f32) -> Shown {
        let distance = match self.metric {
            Metric::L2 => internal.max(0.0).sqrt(),
            Metric::Cosine | Metric::InnerProduct | Metric::Hamming => internal,
        };
        let score = match self.metric {
            Metric::Cosine => 1.0 - distance,
            Metric::InnerProduct | Metric::L2 | Metric::Hamming => 0.0 - distance,
        };
        Shown { distance, score }
    }

    /// The internal distance of what users call a distance: what a range query is limited by.
    #[must_use]
    pub fn internal(&self, distance: f32) -> f32 {
        match self.metric {
            Metric::L2 if distance >= 0.0 => distance * distance,
            Metric::L2 => -1.0, // nothing is nearer than 0
            Metric::Cosine | Metric::InnerProduct | Metric::Hamming => distance,
        }
    }
}

/// The elements of a row of f32.
pub(crate) fn singles(row: &[u8]) -> impl Iterator<Item = f32> + '_ {
    row.as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
}

/// The elements of a row of f16, as bits.
pub(crate) fn halves(row: &[u8]) -> impl Iterator<Item = u16> + '_ {
    row.as_chunks()
        .0
        .iter()
        .map(|bytes| u16::from_le_bytes(*bytes))
}

fn squared_length(elements: impl Iterator<Item = f64>) -> f64 {
    elements.map(|element| element * element).sum()
}

/// The same of a row of f32, in eight sums: each addition of one alone would wait for the one before.
fn squared_length_of_singles(row: &[u8]) -> f64 {
    let (eights, rest) = row.as_chunks::<32>();
    let mut sums = [0.0; 8];
    for eight in eights {
        for (sum, element) in sums.iter_mut().zip(singles(eight)) {
            *sum += f64::from(element) * f64::from(element);
        }
    }
    sums.iter().sum::<f64>() + squared_length(singles(rest).map(f64::from))
}

/// One over the length of a row; 0 for a zero vector.
fn inverse(squared: f64) -> f64 {
    if squared == 0.0 {
        0.0
    } else {
        squared.sqrt().recip()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cosine => "cosine",
            Self::InnerProduct => "inner_product",
            Self::L2 => "l2",
            Self::Hamming => "hamming",
        })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I8 => "int8",
            Self::Bits => "bits",
        })
    }
}
