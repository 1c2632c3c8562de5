//! Codes of a flat segment as one run of bytes.
//!
//! ```text
//! section   "VS" 01 00 | bytes of a code, u32 | rows, u32 | step, f32 | tolerance, f32
//!           then, each from the next multiple of 64 bytes, with zeros between:
//!           origin   f32 of each element         codes    one byte of each element, row after row
//!           reaches  f32 of each row             longest  f32
//! ```

use std::io;

use super::codec::{Codec, length, space_of_codes};
use super::view::{Bounds, StepCodes, Words, is_step};
use crate::{Error, Space};

const MAGIC: [u8; 4] = *b"VS\x01\0";
const ALIGN: usize = 64;
/// Bytes that are written at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Writes the section of `count` prepared rows, which are gone through twice.
pub fn write_section<'r>(
    space: &Space,
    codec: &Codec,
    count: usize,
    rows: impl Iterator<Item = &'r [u8]> + Clone,
    write: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = Aligned {
        write,
        buffer: Vec::with_capacity(BUFFER_BYTES),
        written: 0,
    };
    out.put(&MAGIC)?;
    out.put(&(codec.origin.len() as u32).to_le_bytes())?;
    out.put(&(count as u32).to_le_bytes())?;
    out.put(&codec.step.to_le_bytes())?;
    out.put(&codec.tolerance.to_le_bytes())?;
    out.align()?;
    for element in &codec.origin {
        out.put(&element.to_le_bytes())?;
    }
    out.align()?;
    let (mut buffer, mut code, mut longest) = (Vec::new(), Vec::new(), 0.0_f32);
    for row in rows.clone() {
        code.clear();
        codec.encode(space, row, &mut buffer, &mut code);
        longest = longest.max(length(&code));
        out.put(&code)?;
    }
    out.align()?;
    for row in rows {
        code.clear();
        let reach = codec.encode(space, row, &mut buffer, &mut code);
        out.put(&reach.to_le_bytes())?;
    }
    out.align()?;
    out.put(&longest.to_le_bytes())?;
    out.flush()
}

/// The codes in a section of `rows` rows.
pub fn open_section<'a>(
    space: &Space,
    section: &'a [u8],
    rows: usize,
) -> Result<StepCodes<'a>, Error> {
    let space = space_of_codes(space).ok_or(Error::Coder)?;
    let code = space.prepared_bytes();
    let mut rest = section;
    let head: Words<'_> = take(&mut rest, 20)?.as_chunks().0;
    let [bytes, count] = [1, 2].map(|at: usize| u32::from_le_bytes(head[at]) as usize);
    let [step, tolerance] = [3, 4].map(|at: usize| f32::from_le_bytes(head[at]));
    if head[0] != MAGIC || bytes != code || count != rows || !is_step(step) {
        return Err(Error::Coder);
    }
    let origin = take(&mut rest, code * 4)?.as_chunks().0;
    let codes = take(&mut rest, code.checked_mul(rows).ok_or(Error::Coder)?)?;
    let reaches = take(&mut rest, rows * 4)?.as_chunks().0;
    let longest = <[u8; 4]>::try_from(rest).map_err(|_| Error::Coder)?;
    Ok(StepCodes {
        space,
        origin,
        step,
        tolerance,
        rows: codes,
        bounds: Some(Bounds {
            reaches,
            longest: f32::from_le_bytes(longest),
        }),
    })
}

/// Takes an array and the zeros behind it.
fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Result<&'a [u8], Error> {
    let padded = bytes.checked_next_multiple_of(ALIGN).ok_or(Error::Coder)?;
    let (array, behind) = rest.split_at_checked(padded).ok_or(Error::Coder)?;
    *rest = behind;
    Ok(&array[..bytes])
}

struct Aligned<W> {
    write: W,
    buffer: Vec<u8>,
    written: usize,
}

impl<W: FnMut(&[u8]) -> io::Result<()>> Aligned<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        self.written += bytes.len();
        Ok(())
    }

    fn align(&mut self) -> io::Result<()> {
        let missing = self.written.next_multiple_of(ALIGN) - self.written;
        self.put(&[0; ALIGN][..missing])
    }

    fn flush(&mut self) -> io::Result<()> {
        (self.write)(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::scan::{All, Among};
    use crate::{Element, Kernel, Metric, TopK, scan};

    #[test]
    fn codes_come_back_and_what_is_no_section_is_refused() {
        let mut random = Random::new(9);
        let space = Space::new(Metric::L2, Element::F32, 37).unwrap();
        for count in [2, 700] {
            let numbers = (0..count * 37).map(|_| random.normal() as f32);
            let rows: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
            let codec = Codec::fit(&space, &rows).expect("codes suit them");
            let mut section = Vec::new();
            let each = rows.chunks_exact(space.prepared_bytes());
            write_section(&space, &codec, count, each, |bytes| {
                section.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
            let codes = open_section(&space, &section, count).unwrap();
            assert_eq!(codes.code_bytes(), 37);
            let kernel = Kernel::of(&space);
            let query = &rows[..space.prepared_bytes()];
            let (mut found, mut expected) = (TopK::new(3), TopK::new(3));
            assert!(codes.nearest(&kernel, (&rows, query), &Among::Kept(&All), &mut found));
            scan(&kernel, query, &rows, &All, &mut expected);
            assert_eq!(found.into_sorted(), expected.into_sorted());

            let other = Space::new(Metric::L2, Element::F32, 38).unwrap();
            assert!(open_section(&other, &section, count).is_err());
            for rows in [count - 1, count + 64, usize::MAX / 2] {
                assert!(open_section(&space, &section, rows).is_err(), "{rows} rows");
            }
            for length in [0, 3, 63, section.len() - 4, section.len() - 1] {
                assert!(open_section(&space, &section[..length], count).is_err());
            }
            for (at, byte) in [(0, b'x'), (4, 36), (15, 0xff)] {
                let mut changed = section.clone();
                changed[at] = byte;
                assert!(open_section(&space, &changed, count).is_err(), "byte {at}");
            }
        }
    }
}
