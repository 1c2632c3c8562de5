//! The first byte of every element. Its value is its place in the order of types; gaps are left for types to come.

/// Ends a tuple: below every tag, so that a shorter tuple comes first.
pub const END: u8 = 0x00;
pub const NULL: u8 = 0x02;
pub const FALSE: u8 = 0x04;
pub const TRUE: u8 = 0x05;
pub const MINUS_INFINITY: u8 = 0x0A;
pub const NEGATIVE_LONG: u8 = 0x0B;
pub const ZERO: u8 = 0x14;
pub const POSITIVE_LONG: u8 = 0x1D;
pub const PLUS_INFINITY: u8 = 0x1E;
pub const STR: u8 = 0x20;
pub const BYTES: u8 = 0x22;
pub const UUID: u8 = 0x24;
pub const DATETIME: u8 = 0x28;
pub const NAIVE_DATETIME: u8 = 0x2A;
pub const DATE: u8 = 0x2C;
pub const TUPLE: u8 = 0x30;

/// Longest magnitude whose length is part of the tag.
pub const SHORT_MAGNITUDE_BYTES: usize = 8;
/// After the magnitude: the number is an integer.
pub const WHOLE: u8 = 0x01;
/// After the magnitude: a fraction follows.
pub const FRACTION: u8 = 0x02;
/// What a zero byte inside str or bytes is followed by.
pub const ZERO_ESCAPE: u8 = 0xFF;
/// What the zero byte that ends str or bytes is followed by; below `ZERO_ESCAPE`, so that a prefix comes first.
pub const TEXT_END: u8 = 0x01;
