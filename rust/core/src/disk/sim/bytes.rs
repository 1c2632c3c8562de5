//! The content of a simulated file: chunks shared between copies until one of them writes.

use std::sync::Arc;

const CHUNK_BYTES: usize = 4096;
type Chunk = Arc<[u8; CHUNK_BYTES]>;

/// Bytes with a length; copying is cheap, and chunks of zeros take no memory until written.
///
/// Invariant: bytes beyond `len` are zeros, so that growing shows zeros.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedBytes {
    len: u64,
    chunks: Vec<Option<Chunk>>,
}

impl SharedBytes {
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Copies from `offset` into `buf`; what lies beyond the end is zeros.
    pub fn read(&self, buf: &mut [u8], offset: u64) {
        buf.fill(0);
        for_each_piece(offset, buf.len(), |index, within, range| {
            if let Some(Some(chunk)) = self.chunks.get(index) {
                let count = range.len();
                buf[range].copy_from_slice(&chunk[within..within + count]);
            }
        });
    }

    /// Writes `bytes` at `offset`, growing as needed; no bytes change nothing.
    pub fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len() as u64;
        if end > self.len {
            self.set_len(end);
        }
        for_each_piece(offset, bytes.len(), |index, within, range| {
            let chunk = self.chunks[index].get_or_insert_with(|| Arc::new([0; CHUNK_BYTES]));
            let count = range.len();
            Arc::make_mut(chunk)[within..within + count].copy_from_slice(&bytes[range]);
        });
    }

    /// Cuts or grows.
    pub fn set_len(&mut self, len: u64) {
        let count = len.div_ceil(CHUNK_BYTES as u64) as usize;
        let within = (len % CHUNK_BYTES as u64) as usize;
        if len < self.len
            && within > 0
            && let Some(chunk) = &mut self.chunks[count - 1]
        {
            Arc::make_mut(chunk)[within..].fill(0);
        }
        self.chunks.resize(count, None);
        self.len = len;
    }

    /// All of it.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        self.read(&mut bytes, 0);
        bytes
    }
}

/// Calls `each(chunk index, offset within the chunk, range of the buffer)` for the chunks of a range.
fn for_each_piece(
    offset: u64,
    count: usize,
    mut each: impl FnMut(usize, usize, std::ops::Range<usize>),
) {
    let mut done = 0;
    while done < count {
        let at = offset + done as u64;
        let within = (at % CHUNK_BYTES as u64) as usize;
        let step = (CHUNK_BYTES - within).min(count - done);
        each(
            (at / CHUNK_BYTES as u64) as usize,
            within,
            done..done + step,
        );
        done += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SplitMix64;

    #[test]
    fn it_behaves_like_a_vector_of_bytes() {
        let mut random = SplitMix64::new(1);
        let (mut bytes, mut model) = (SharedBytes::default(), Vec::<u8>::new());
        for step in 0..2000 {
            let copy = (bytes.clone(), model.clone());
            let offset = random.below(20_000);
            if random.chance(1, 5) {
                bytes.set_len(offset as u64);
                model.resize(offset, 0);
            } else {
                let data = vec![step as u8 | 1; 1 + random.below(9000)];
                bytes.write(&data, offset as u64);
                let end = offset + data.len();
                model.resize(model.len().max(end), 0);
                model[offset..end].copy_from_slice(&data);
            }
            assert!(bytes.to_vec() == model, "step {step}");
            assert!(copy.0.to_vec() == copy.1, "a copy changed in step {step}");
        }
    }
}
