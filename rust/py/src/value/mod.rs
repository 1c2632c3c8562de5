//! Untyped values as msgpack, exactly: what goes in comes out, whatever it nests.
//!
//! Plain msgpack for None, bool, int of 64 bits, float (always 64 bits), str, bytes, list and dict (keys of any type that
//! is hashable). Everything else is an extension type; integers in them are big-endian:
//!
//! ```text
//!  1 int          two's complement, as short as it can be          (beyond 64 bits)
//!  2 tuple        a msgpack array
//!  3 set          a msgpack array
//!  4 frozenset    a msgpack array
//!  5 datetime     i64 local microseconds since 1970, i64 offset from UTC in microseconds
//!  6 datetime     i64 microseconds since 1970, u8 fold              (naive)
//!  7 date         i32 days since 1970
//!  8 time         i64 microseconds since midnight, u8 fold, then i64 offset in microseconds if aware
//!  9 timedelta    i32 days, u32 seconds, u32 microseconds
//! 10 UUID         16 bytes
//! 11 Decimal      its str
//! 12 array        u8 padding, zero bytes, msgpack dtype (numpy's descr), msgpack array of the shape, elements in C order
//! 13 scalar       msgpack dtype, its bytes                         (of numpy)
//! ```
//!
//! The padding of an array puts its elements at a multiple of 16 bytes from the beginning of a value that is nothing else.
//! V1 containers nest at most `DEPTH_MAX` deep, in both directions.

mod decode;
mod encode;
mod extension;
mod failure;
mod form;
mod msgpack;
mod names;
mod numpy;
mod reader;
mod time;

pub use decode::{decode_slice, decode_value};
pub use encode::{encode_into, encode_value};
pub use form::{Form, ValueForm, not_bytes};
pub use numpy::is_masked;

/// V1.
const DEPTH_MAX: usize = 256;
