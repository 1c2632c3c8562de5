//! How one page names another.
//!
//! ```text
//! PageRef   16 bytes   id:48 | span:16      stamp:64
//! ChildRef  24 bytes   PageRef              count:64      entries in the subtree
//! LargeRef  32 bytes   id:64  length:64  stamp:64  hash:64
//! ```
//!
//! Invariants
//! R1  An id is the number of the first base page of a contiguous run; `span` is how many.
//! R2  `(id, stamp)` names one content for ever: a reader that finds another stamp in the page
//!     has met a lost or misdirected write, or a page that was reused under it.

/// Where a node lives and in which group it was born.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRef {
    pub(crate) id: u64,
    pub(crate) span: u16,
    pub(crate) stamp: u64,
}

/// An inner node's payload: a child and how many entries lie below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChildRef {
    pub(crate) page: PageRef,
    pub(crate) count: u64,
}

/// A value kept out of line in a run of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LargeRef {
    pub(crate) id: u64,
    pub(crate) length: u64,
    pub(crate) stamp: u64,
    /// xxh3-64 of the value's bytes.
    pub(crate) hash: u64,
}

pub(super) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl ChildRef {
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        debug_assert!(self.page.id < 1 << 48, "R1: page id fits 48 bits");
        let mut out = [0; Self::BYTES];
        let packed = self.page.id | u64::from(self.page.span) << 48;
        out[..8].copy_from_slice(&packed.to_le_bytes());
        out[8..16].copy_from_slice(&self.page.stamp.to_le_bytes());
        out[16..].copy_from_slice(&self.count.to_le_bytes());
        out
    }

    #[inline]
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let packed = read_u64(bytes, 0);
        let page = PageRef {
            id: packed & ((1 << 48) - 1),
            span: (packed >> 48) as u16,
            stamp: read_u64(bytes, 8),
        };
        Self {
            page,
            count: read_u64(bytes, 16),
        }
    }
}

impl LargeRef {
    pub(crate) const BYTES: usize = 32;

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        for (slot, field) in
            out.chunks_exact_mut(8)
                .zip([self.id, self.length, self.stamp, self.hash])
        {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Self {
        Self {
            id: read_u64(bytes, 0),
            length: read_u64(bytes, 8),
            stamp: read_u64(bytes, 16),
            hash: read_u64(bytes, 24),
        }
    }

    /// Base pages the run takes.
    pub(crate) fn span(&self, page_bytes: usize) -> u64 {
        self.length.div_ceil(page_bytes as u64)
    }
}
