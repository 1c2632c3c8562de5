//! Filters over payloads: msgpack records that ride along with vectors and documents.
//!
//! A `Filter` is parsed once and then asked in two ways that always agree: about one packed payload (`matches`), or
//! about the columns of many (`select`), which answer with the set of slots that match and their exact number.
//! `Columns` grow by `push`; `SealedColumns` are read from bytes where they lie, such as a section of a mapped file.
//!
//! What a filter sees of a payload:
//!
//! 1. Its *fields*: every key of the map, and of the maps in it, joined by dots (`{"a": {"b": 1}}` has `a` and `a.b`).
//!    Maps in a list are seen through: `{"a": [{"b": 1}, {"b": 2}]}` has `a.b` with two values. A list in a list is not.
//! 2. A field's *values*: the scalar, or every scalar of the list (tuple, set). A comparison holds when one value does.
//! 3. Values of different classes are never equal and never in order. Numbers are one class, compared exactly: ints
//!    of any size, floats, Decimals and numpy's scalars. NaN, arrays and unknown extensions are equal to nothing.
//! 4. `ne` and `not` are exact complements: they hold for payloads without the field too.
//! 5. Texts and bytes over `KEY_PREFIX_BYTES` are compared by that prefix and a 128-bit hash: equality is right
//!    but for a collision, and bounds of ranges are at most that long, so that order is exact.

mod columns;
mod error;
mod evaluate;
mod field;
mod filter;
mod msgpack;
mod number;
mod scalar;
mod sealed;
mod selection;
mod walk;

pub use columns::Columns;
pub use error::{Error, Result};
pub use evaluate::{Fields, check_fields};
pub use field::field;
pub use filter::Filter;
pub use msgpack::{Item, Reader, extension};
pub use scalar::KEY_PREFIX_BYTES;
pub use sealed::{DROPPED, Part, Plan, Renumber, Sealable, SealedColumns, seal};
pub use selection::Selection;
