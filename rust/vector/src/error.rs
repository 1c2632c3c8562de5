//! What can be wrong with vectors and spaces, as sentences.

use std::fmt;

use crate::code::Coding;
use crate::space::{DIMENSION_MAX, Element, Metric};

/// A refusal; nothing was changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The dimension of a space is zero or too large.
    Dimension {
        /// What was asked for.
        dimension: usize,
    },
    /// No kernel makes sense of this metric over these elements.
    Combination {
        /// What was asked for.
        metric: Metric,
        /// Over which elements.
        element: Element,
    },
    /// A vector does not have the bytes that its space says.
    Length {
        /// Bytes of a vector of the space.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// An element is NaN or infinite.
    NotFinite {
        /// Its place in the vector, from 0.
        at: usize,
    },
    /// The vector is so long that distances to others would not be finite.
    TooLong {
        /// Its Euclidean length.
        length: f64,
    },
    /// Bits after the last element are set.
    Padding,
    /// These elements have as few bits as the coding.
    Coding {
        /// What was asked for.
        coding: Coding,
        /// Of which elements.
        element: Element,
    },
    /// The bytes of a coder are damaged or of another space.
    Coder,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dimension { dimension } => {
                write!(
                    formatter,
                    "a dimension of {dimension} is not possible: give one of 1 to {DIMENSION_MAX}"
                )
            }
            Self::Combination { metric, element } => write!(
                formatter,
                "the metric {metric} is not defined for elements {element}: hamming goes with bits, and bits with hamming"
            ),
            Self::Length { expected, found } => {
                write!(
                    formatter,
                    "the vector has {found} bytes where its store takes {expected}: check dimension and element type"
                )
            }
            Self::NotFinite { at } => {
                write!(
                    formatter,
                    "element {at} of the vector is NaN or infinite: only finite numbers have a distance"
                )
            }
            Self::TooLong { length } => write!(
                formatter,
                "the vector's length of {length:e} is over {:e}, so that distances would overflow: scale the vectors down",
                crate::space::LENGTH_MAX
            ),
            Self::Coding { coding, element } => {
                write!(
                    formatter,
                    "codes of {coding:?} are no shorter than elements {element}: search without codes"
                )
            }
            Self::Coder => {
                write!(
                    formatter,
                    "the description of the codes is damaged or of another space: make the codes again"
                )
            }
            Self::Padding => {
                write!(
                    formatter,
                    "bits after the last element are set: clear the unused bits of the last byte"
                )
            }
        }
    }
}

impl std::error::Error for Error {}
