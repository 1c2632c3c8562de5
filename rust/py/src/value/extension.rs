//! Codes of the extension types.

pub const BIG_INT: i8 = 1;
pub const TUPLE: i8 = 2;
pub const SET: i8 = 3;
pub const FROZENSET: i8 = 4;
pub const DATETIME: i8 = 5;
pub const NAIVE_DATETIME: i8 = 6;
pub const DATE: i8 = 7;
pub const TIME: i8 = 8;
pub const TIMEDELTA: i8 = 9;
pub const UUID: i8 = 10;
pub const DECIMAL: i8 = 11;
pub const ARRAY: i8 = 12;
pub const SCALAR: i8 = 13;
