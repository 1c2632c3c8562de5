//! Order-preserving key encoding: comparing encoded keys byte by byte compares the keys.
//!
//! Order of types: none < bool < numbers < str < bytes < UUID < datetime < naive datetime < date < tuple.
//! Numbers compare by value whatever their type: integers of any size and doubles, exactly.
//!
//! ```text
//! element form                                            tags are in tag.rs
//!   none, false, true     tag
//!   number                tag, magnitude, 01                        an integer; an integral double is one
//!                         tag, magnitude, 02, fraction              floor, then the exact binary fraction
//!                         tag                                       an infinity
//!     tag                 14 + n: positive of n <= 8 bytes; 14 - n: negative; 1D, 0B: longer, 2-byte length first
//!     magnitude           big-endian, no leading zero byte; every bit inverted for a negative number
//!     fraction            7 bits per byte in the high bits; the low bit says that another byte follows
//!   str, bytes            tag, content with 00 -> 00 FF, 00 01
//!   UUID                  tag, 16 bytes
//!   datetime              tag, microseconds since 1970 as 8 bytes, sign bit inverted (aware: in UTC; naive: as read)
//!   date                  tag, days since 1970 as 4 bytes, sign bit inverted
//!   tuple                 tag, elements, 00
//! bare form               only for a key that is one str or bytes: tag, content as it is
//! ```
//!
//! Invariants:
//! - K1 order of bytes is order of values, within each form.
//! - K2 no element is a proper prefix of another; so elements can be concatenated, and inverting every byte of an
//!   element reverses its order without disturbing what follows.
//! - K3 one value has one encoding; reading refuses every other one.
//! - K4 reading gives back what was written, except that an integral double reads as the integer it equals.
//! - K5 an encoded key is at most `KEY_BYTES_MAX` long.

mod number;
mod part;
mod prefix;
mod reader;
mod repeats;
mod tag;
mod writer;

pub use part::KeyPart;
pub use prefix::prefix_end;
pub use reader::KeyReader;
pub use repeats::Repeats;
pub(crate) use tag::{BYTES, STR};
pub use writer::KeyWriter;
