//! `KeyCodec`: how the keys of one store become bytes, and back.

mod codec;
mod python_codec;
mod read;
mod record;
mod refusal;
mod scalar;

pub use codec::Codec;
pub use python_codec::{KeyCodec, prefix_end};
pub use read::{date, uuid};
