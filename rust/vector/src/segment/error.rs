//! What can be wrong with a segment file, as sentences.

use std::fmt;

use super::format::{FORMAT, Section};
use crate::graph::DamagedGraph;

/// A segment file cannot be used. Everything in it can be built again from its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SegmentError {
    /// It does not begin as a segment does.
    NoSegment,
    /// It was written in a format that is not known here.
    Format {
        /// The number of its format.
        found: u32,
    },
    /// It ends before its end.
    Truncated {
        /// Bytes there are.
        found: usize,
    },
    /// The head, the table of sections or the tail is damaged, or they contradict each other.
    Frame {
        /// What does not hold.
        what: &'static str,
    },
    /// A section is not what was written, or its numbers make no sense.
    Section {
        /// Which.
        section: Section,
        /// Where it begins in the file.
        offset: u64,
        /// What does not hold.
        what: &'static str,
    },
    /// The graph cannot be read although its bytes are those that were written.
    Graph(DamagedGraph),
    /// The library that made the graph cannot read it, or is not there.
    Library(String),
}

impl fmt::Display for SegmentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSegment => formatter.write_str("this is no segment file of a vector store")?,
            Self::Format { found } => {
                return write!(
                    formatter,
                    "the segment file has format {found}, and this release reads format {FORMAT}: use the release that wrote it, \
                     or let the segment be built again"
                );
            }
            Self::Truncated { found } => write!(
                formatter,
                "the segment file was cut off after {found} bytes"
            )?,
            Self::Frame { what } => write!(formatter, "the segment file is damaged: {what}")?,
            Self::Section {
                section,
                offset,
                what,
            } => write!(
                formatter,
                "the segment file is damaged in its section {section}, which begins at byte {offset}: {what}"
            )?,
            Self::Graph(damage) => write!(formatter, "the segment file is not usable: {damage}")?,
            Self::Library(why) => write!(formatter, "the segment file is not usable: {why}")?,
        }
        formatter.write_str("; it can be built again from its store")
    }
}

impl std::error::Error for SegmentError {}

impl From<DamagedGraph> for SegmentError {
    fn from(damage: DamagedGraph) -> Self {
        Self::Graph(damage)
    }
}
