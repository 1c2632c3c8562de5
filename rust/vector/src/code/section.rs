//! Coder and codes of a matrix as one run of bytes.
//!
//! ```text
//! section   length of the coder's bytes, u32 | coder | zeros to a multiple of 64 | codes
//! ```

use super::coder::Coder;
use crate::{Error, Space};

const ALIGN: usize = 64;

/// What stands before the codes.
#[must_use]
pub fn section_head(coder: &Coder) -> Vec<u8> {
    let head = coder.to_bytes();
    let mut out = (head.len() as u32).to_le_bytes().to_vec();
    out.extend_from_slice(&head);
    out.resize(out.len().next_multiple_of(ALIGN), 0);
    out
}

/// The coder in a section, and where the codes of `rows` rows begin.
pub fn of_section(space: &Space, section: &[u8], rows: usize) -> Result<(Coder, usize), Error> {
    let (length, rest) = section.split_first_chunk::<4>().ok_or(Error::Coder)?;
    let length = u32::from_le_bytes(*length) as usize;
    let coder = Coder::from_bytes(space, rest.get(..length).ok_or(Error::Coder)?)?;
    let start = (4 + length).next_multiple_of(ALIGN);
    if section.len() != start + coder.bytes(rows) {
        return Err(Error::Coder);
    }
    Ok((coder, start))
}
