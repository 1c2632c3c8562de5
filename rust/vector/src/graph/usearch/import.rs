//! Keys and vectors of a `.usearch` file.
//!
//! Its graph is not used: whoever imports has an index of their own to build.

use std::fmt;

use super::file::{
    FREE_KEY, GRAPH_BYTES, HEAD_BYTES, MAGIC, NODE_BYTES, VERSION, metric_of, scalar,
};
use crate::error::Error;
use crate::space::{Element, Space};

/// A `.usearch` file, read in place.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    space: Space,
    scalar: u8,
    row: usize,
    vectors: &'a [u8],
    /// Where each node begins.
    nodes: Vec<usize>,
    file: &'a [u8],
    deleted: usize,
}

/// Why a file cannot be imported.
#[derive(Clone, Debug, PartialEq)]
pub enum ImportError {
    /// It is no such file, or only a part of one.
    Damaged {
        /// What does not hold.
        what: &'static str,
    },
    /// It was written by another generation of the library.
    Version {
        /// The version of the library that wrote it.
        found: [u16; 3],
    },
    /// Its vectors are of a kind that a store does not have.
    Kind {
        /// What is of that kind.
        what: &'static str,
        /// The library's number of it.
        code: u8,
    },
    /// Metric, elements and dimensions make no space.
    Space(Error),
}

impl fmt::Display for ImportError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { what } => write!(
                formatter,
                "the .usearch file cannot be read: {what}; save it again with the usearch library"
            ),
            Self::Version {
                found: [major, minor, patch],
            } => write!(
                formatter,
                "the .usearch file was written by version {major}.{minor}.{patch} of the library, and only files of version {} are read: \
                 load and save it with that",
                VERSION[0]
            ),
            Self::Kind { what, code } => write!(
                formatter,
                "the {what} of the .usearch file is number {code} of the library, which has no counterpart here: \
                 convert it to cosine, inner product, squared L2 or Hamming over f64, f32, bf16, f16, i8 or b1"
            ),
            Self::Space(error) => write!(
                formatter,
                "the vectors of the .usearch file fit no store: {error}"
            ),
        }
    }
}

impl std::error::Error for ImportError {}

fn damaged(what: &'static str) -> ImportError {
    ImportError::Damaged { what }
}

/// Takes bytes from the front of a file.
struct Reader<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], ImportError> {
        let end = self
            .at
            .checked_add(bytes)
            .filter(|&end| end <= self.file.len());
        let end = end.ok_or(damaged("it ends too early"))?;
        let taken = &self.file[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ImportError> {
        Ok(*self.take(N)?.first_chunk().unwrap_or(&[0; N]))
    }

    fn small(&mut self) -> Result<usize, ImportError> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn large(&mut self) -> Result<usize, ImportError> {
        usize::try_from(u64::from_le_bytes(self.array()?))
            .map_err(|_| damaged("a number in it is too large"))
    }
}

impl<'a> Import<'a> {
    /// Look through a file.
    pub fn open(file: &'a [u8]) -> Result<Self, ImportError> {
        let mut reader = Reader { file, at: 0 };
        let (count, row) = (reader.small()?, reader.small()?);
        let bytes = count
            .checked_mul(row)
            .ok_or(damaged("a number in it is too large"))?;
        let vectors = reader.take(bytes)?;
        let mut head = Reader {
            file: reader.take(HEAD_BYTES)?,
            at: 0,
        };
        if head.array()? != *MAGIC {
            return Err(damaged("its head is not where its vectors end"));
        }
        let mut found = [0; 3];
        for part in &mut found {
            *part = u16::from_le_bytes(head.array()?);
        }
        if found[0] != VERSION[0] {
            return Err(ImportError::Version { found });
        }
        let [metric, scalar, key, slot] = head.array()?;
        if (key, slot) != (scalar::U64, scalar::U32) {
            return Err(ImportError::Kind {
                what: "key or slot",
                code: key,
            });
        }
        let (present, deleted, dimensions) = (head.large()?, head.large()?, head.large()?);
        if present.checked_add(deleted) != Some(count) {
            return Err(damaged("it counts other vectors than it has"));
        }
        let space = space_of(metric, scalar, dimensions)?;
        if bytes_of(scalar, dimensions) != row {
            return Err(damaged(
                "its vectors have another length than its head says",
            ));
        }
        Ok(Self {
            space,
            scalar,
            row,
            vectors,
            nodes: nodes(&mut reader, count)?,
            file,
            deleted,
        })
    }

    /// The space of the vectors, as a store can hold them: bf16 and f64 become f32.
    #[must_use]
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// How many vectors there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.nodes.len() - self.deleted
    }

    /// Every key with its vector, as the bytes of a row. A key may come more than once when the file allows it.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Vec<u8>)> + '_ {
        let rows = self.vectors.chunks_exact(self.row);
        (self.nodes.iter().zip(rows))
            .map(|(&node, row)| {
                (
                    self.file[node..]
                        .first_chunk()
                        .map_or(FREE_KEY, |key| u64::from_le_bytes(*key)),
                    row,
                )
            })
            .filter(|&(key, _)| key != FREE_KEY || self.deleted == 0)
            .map(|(key, row)| (key, self.converted(row)))
    }

    fn converted(&self, row: &[u8]) -> Vec<u8> {
        match self.scalar {
            scalar::BF16 => (row.as_chunks::<2>().0.iter())
                .flat_map(|&[low, high]| [0, 0, low, high])
                .collect(),
            scalar::F64 => (row.as_chunks().0.iter())
                .flat_map(|bytes| (f64::from_le_bytes(*bytes) as f32).to_le_bytes())
                .collect(),
            _ => row.to_vec(),
        }
    }
}

fn space_of(metric: u8, scalar: u8, dimensions: usize) -> Result<Space, ImportError> {
    let metric = metric_of(metric).ok_or(ImportError::Kind {
        what: "metric",
        code: metric,
    })?;
    let element = match scalar {
        scalar::B1 => Element::Bits,
        scalar::BF16 | scalar::F32 | scalar::F64 => Element::F32,
        scalar::F16 => Element::F16,
        scalar::I8 => Element::I8,
        code => {
            return Err(ImportError::Kind {
                what: "kind of numbers",
                code,
            });
        }
    };
    Space::new(metric, element, dimensions).map_err(ImportError::Space)
}

fn bytes_of(scalar: u8, dimensions: usize) -> usize {
    match scalar {
        scalar::B1 => dimensions.div_ceil(8),
        scalar::I8 => dimensions,
        scalar::BF16 | scalar::F16 => dimensions * 2,
        scalar::F64 => dimensions * 8,
        _ => dimensions * 4,
    }
}

/// Where each node begins.
fn nodes(reader: &mut Reader<'_>, count: usize) -> Result<Vec<usize>, ImportError> {
    let mut about = Reader {
        file: reader.take(GRAPH_BYTES)?,
        at: 0,
    };
    let size = about.large()?;
    if size != count {
        return Err(damaged("its graph has other vectors than the file"));
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let (upper, base) = (about.large()?, about.large()?);
    let list_bytes = |links: usize| links.checked_mul(4).and_then(|bytes| bytes.checked_add(4));
    let sizes = list_bytes(upper).zip(list_bytes(base));
    let (upper, base) = sizes.ok_or(damaged("a number in it is too large"))?;
    let levels = reader.take(count * 2)?;
    let mut nodes = Vec::with_capacity(count);
    for level in levels.as_chunks().0 {
        let level = u16::from_le_bytes(*level) as usize;
        let bytes = upper
            .checked_mul(level)
            .and_then(|bytes| bytes.checked_add(base));
        nodes.push(reader.at);
        reader.take(NODE_BYTES)?;
        reader.take(bytes.ok_or(damaged("a number in it is too large"))?)?;
    }
    Ok(nodes)
}
