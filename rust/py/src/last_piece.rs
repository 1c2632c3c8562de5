//! `LastPiece`: has a heap put in order by another thread than the one that it belongs to.

/// Taken on the loop's thread, and dropped by another one after everything else: glibc merges the small pieces that were freed
/// only when a large one of the same heap comes or goes, and after hundreds of thousands of them that takes many
/// milliseconds.
pub struct LastPiece(Vec<u8>);

impl LastPiece {
    /// Freeing so much has glibc put its heap in order; more than that it would not take from a heap.
    const BYTES: usize = 96 << 10;

    /// On the loop's thread.
    pub fn take() -> Self {
        Self(vec![0; Self::BYTES])
    }
}

impl Drop for LastPiece {
    fn drop(&mut self) {
        // Seen by something, so that it is not left out.
        std::hint::black_box(&mut self.0);
    }
}
