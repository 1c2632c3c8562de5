//! Pages as bytes: aligned buffers, slotted nodes, references between them, checksums.
//! Nothing here knows about files, caches or transactions.

mod arena;
mod buffer;
mod cell;
mod edit;
mod fill;
mod node;
mod refs;

pub(crate) use buffer::PageBuf;
pub(crate) use cell::{Cell, CellValue, encode_inline, encode_large};
pub(crate) use edit::NodeMut;
pub(crate) use fill::{Outline, Packed, fill};
pub(crate) use node::{HEADER_BYTES, Kind, Node, SLOT_COST};
pub(crate) use refs::{ChildRef, LargeRef, PageRef};
