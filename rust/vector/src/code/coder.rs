//! What all codes of a matrix share, and how a row becomes a code.
//!
//! ```text
//! a coder's bytes   "VC" | version 1 | coding (1 int8, 2 bits) | seed u64 | centre, one f32 per element
//! ```
//!
//! The space is not in them: it belongs to the store.

use super::rotation::Rotation;
use super::{BLOCK_ROWS, bits, int8};
use crate::space::{Element, Metric, Space, halves, singles};
use crate::{Error, half};

/// How many bits an element is coded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Eight, times a scale of each row's own.
    Int8,
    /// One, of the rotated row.
    Bits,
}

/// Makes codes of rows, and reads them: centre, and rotation for bits.
#[derive(Debug)]
pub struct Coder {
    pub(super) space: Space,
    pub(super) coding: Coding,
    seed: u64,
    /// What is subtracted from every row.
    pub(super) centre: Vec<f32>,
    /// For bits.
    pub(super) rotation: Option<Rotation>,
}

const MAGIC: [u8; 3] = *b"VC\x01";
const HEADER_BYTES: usize = 12;

impl Coder {
    /// A coder for rows like these prepared ones, a sample of at least some hundred where there are as many: their
    /// mean becomes the centre. The same sample and seed give the same coder.
    ///
    /// # Panics
    /// When the sample are not whole rows.
    pub fn of(space: &Space, coding: Coding, seed: u64, sample: &[u8]) -> Result<Self, Error> {
        let bytes = space.prepared_bytes();
        assert!(
            sample.len().is_multiple_of(bytes),
            "the sample are not whole rows of {bytes} bytes"
        );
        let (mut sums, mut values) = (vec![0.0_f64; space.dimension()], Vec::new());
        for row in sample.chunks_exact(bytes) {
            elements(space, row, &mut values);
            for (sum, value) in sums.iter_mut().zip(&values) {
                *sum += f64::from(*value);
            }
        }
        let count = (sample.len() / bytes).max(1) as f64;
        Self::with(
            space,
            coding,
            seed,
            sums.iter().map(|sum| (sum / count) as f32).collect(),
        )
    }

    fn with(space: &Space, coding: Coding, seed: u64, centre: Vec<f32>) -> Result<Self, Error> {
        match (space.element(), coding) {
            (Element::F32 | Element::F16, _) | (Element::I8, Coding::Bits) => {}
            (element, _) => return Err(Error::Coding { coding, element }),
        }
        let rotation = (coding == Coding::Bits)
            .then(|| Rotation::new(space.dimension().next_multiple_of(8), seed));
        Ok(Self {
            space: *space,
            coding,
            seed,
            centre,
            rotation,
        })
    }

    /// The coder as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(match self.coding {
            Coding::Int8 => 1,
            Coding::Bits => 2,
        });
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        bytes.extend(self.centre.iter().flat_map(|element| element.to_le_bytes()));
        bytes
    }

    /// The coder that [`to_bytes`](Self::to_bytes) made the bytes of.
    pub fn from_bytes(space: &Space, bytes: &[u8]) -> Result<Self, Error> {
        let coding = match bytes.get(3) {
            Some(1) => Coding::Int8,
            Some(2) => Coding::Bits,
            _ => return Err(Error::Coder),
        };
        if !bytes.starts_with(&MAGIC) || bytes.len() != HEADER_BYTES + space.dimension() * 4 {
            return Err(Error::Coder);
        }
        let (head, centre) = bytes.split_at(HEADER_BYTES);
        let seed = u64::from_le_bytes(*head.last_chunk().expect("a header of twelve bytes"));
        let centre: Vec<f32> = singles(centre).collect();
        if centre.iter().any(|element| !element.is_finite()) {
            return Err(Error::Coder);
        }
        Self::with(space, coding, seed, centre)
    }

    /// How many bits per element.
    #[must_use]
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// How many candidates a search for the `k` nearest among so many rows should measure exactly.
    #[must_use]
    pub fn candidates(&self, k: usize, rows: usize) -> usize {
        match self.coding {
            Coding::Int8 => k.saturating_add(k.max(10)),
            // Ten for each, and as many again whenever there are ten times as many rows.
            Coding::Bits => {
                let tens = (rows / 100_000)
                    .checked_ilog10()
                    .map_or(1, |tens| tens as usize + 1);
                k.max(10).saturating_mul(10 * tens)
            }
        }
    }

    /// Bytes of a row's code, without factor and constant.
    pub(super) fn code_bytes(&self) -> usize {
        match self.coding {
            Coding::Int8 => self.space.dimension(),
            Coding::Bits => self.space.dimension().div_ceil(8),
        }
    }

    /// Bytes of a block of 32 rows.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        BLOCK_ROWS * (self.code_bytes() + 8)
    }

    /// Bytes of the codes of so many rows.
    #[must_use]
    pub fn bytes(&self, rows: usize) -> usize {
        rows.div_ceil(BLOCK_ROWS) * self.block_bytes()
    }

    /// Append the codes of prepared rows to those of `count` rows before them.
    ///
    /// # Panics
    /// When `codes` are not those of `count` rows, or `rows` are not whole ones.
    pub fn push(&self, codes: &mut Vec<u8>, count: usize, rows: &[u8]) {
        let bytes = self.space.prepared_bytes();
        assert!(
            rows.len().is_multiple_of(bytes),
            "the rows are not whole ones of {bytes} bytes"
        );
        assert_eq!(
            codes.len(),
            self.bytes(count),
            "the codes are not those of {count} rows"
        );
        codes.resize(self.bytes(count + rows.len() / bytes), 0);
        let mut values = Vec::with_capacity(self.space.dimension().next_multiple_of(8));
        for (row, slot) in rows.chunks_exact(bytes).zip(count..) {
            elements(&self.space, row, &mut values);
            for (value, centre) in values.iter_mut().zip(&self.centre) {
                *value -= centre;
            }
            let block = &mut codes[slot / BLOCK_ROWS * self.block_bytes()..][..self.block_bytes()];
            let (code, numbers) = block.split_at_mut(BLOCK_ROWS * self.code_bytes());
            let place = slot % BLOCK_ROWS;
            let squared = values.iter().map(|value| value * value).sum::<f32>();
            let factor = match &self.rotation {
                None => int8::encode(&values, &mut code[place * values.len()..][..values.len()]),
                Some(rotation) => bits::encode(rotation, &mut values, squared, place, code),
            };
            let constant = if self.space.metric() == Metric::L2 {
                squared
            } else {
                0.0
            };
            numbers[place * 4..][..4].copy_from_slice(&factor.to_le_bytes());
            numbers[(BLOCK_ROWS + place) * 4..][..4].copy_from_slice(&constant.to_le_bytes());
        }
    }
}

/// The vector of a prepared row, as the metric sees it: of length 1 for the cosine.
pub(super) fn elements(space: &Space, row: &[u8], out: &mut Vec<f32>) {
    out.clear();
    match space.element() {
        Element::F32 => out.extend(singles(row)),
        Element::F16 => out.extend(halves(&row[..space.row_bytes()]).map(half::to_f32)),
        Element::I8 => out.extend(
            row[..space.row_bytes()]
                .iter()
                .map(|&byte| f32::from(byte as i8)),
        ),
        Element::Bits => unreachable!("bits are not coded"),
    }
    if space.keeps_norm() {
        let scale = f32::from_le_bytes(*row.last_chunk().expect("a length after the elements"));
        for element in out {
            *element *= scale;
        }
    }
}
