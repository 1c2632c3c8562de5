//! The root slots.
pub(crate) const RESERVED_BYTES: usize = 16_384;
