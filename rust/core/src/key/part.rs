//! One step of a key: a scalar, or the beginning or end of a tuple.

use std::borrow::Cow;

/// What a `KeyWriter` takes and a `KeyReader` gives.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyPart<'a> {
    /// The absence of a value; sorts first.
    Null,
    /// False sorts before true, both before every number.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer of any size: sign and big-endian magnitude. Reading gives it only for what `Int` cannot hold.
    BigInt {
        /// Below zero.
        negative: bool,
        /// Absolute value, most significant byte first.
        magnitude: Cow<'a, [u8]>,
    },
    /// A double; NaN is refused. An integral one reads back as an integer.
    Float(f64),
    /// Text, in the order of its code points.
    Str(Cow<'a, str>),
    /// Bytes, in their own order.
    Bytes(Cow<'a, [u8]>),
    /// The 16 bytes of a UUID, most significant first.
    Uuid([u8; 16]),
    /// A moment: microseconds since 1970-01-01T00:00:00 UTC.
    DateTime(i64),
    /// A reading of a calendar and clock without a zone, as if it were UTC.
    NaiveDateTime(i64),
    /// Days since 1970-01-01.
    Date(i32),
    /// Elements of a tuple follow, up to its `TupleEnd`.
    TupleStart,
    /// The tuple is over.
    TupleEnd,
}
