//! Rows as whole numbers of 8 bits in equal steps: a quarter of the bytes of f32 rows, so more of them stay in the cache.
//!
//! ```text
//! codec    choosing the steps, and making codes
//! view     codes that are read in place
//! nearest  the exact nearest, of which codes leave most others out
//! section  codes of a flat segment in its file
//! ```
//!
//! One step for all elements of all rows, around the mean of each element: `row = origin + step * code + error`. Then the
//! Euclidean distance of codes orders like that of rows (and like the angle, since prepared cosine rows have length 1), and
//! without an origin so does the inner product; the kernels of i8 serve. Graphs are walked over such codes, which choose the way;
//! hits carry distances of rows.
//!
//! S1. Codes are made only where the error is small against the distances of near rows, in a sample.
//! S2. A query that its code stands badly for goes by rows.
//! S3. How far each row lies from its code, its *reach*, is kept, in steps, and is never too little.

mod codec;
mod nearest;
mod section;
mod view;

pub use codec::Codec;
pub(crate) use codec::{length, space_of_codes};
pub use section::{open_section, write_section};
pub use view::StepCodes;
pub(crate) use view::{Bounds, Words, is_step};
