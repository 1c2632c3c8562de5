//! The payload of a leaf entry: the part that rides along with the key, and the value.
//!
//! ```text
//! flags:8 | meta length:16, meta   (when flags & META) | value bytes, or LargeRef (flags & LARGE)
//! ```

use super::refs::LargeRef;

const META: u8 = 1;
const LARGE: u8 = 2;

/// A leaf entry's payload, borrowed from its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell<'a> {
    pub(crate) meta: &'a [u8],
    pub(crate) value: CellValue<'a>,
}

/// Where the value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellValue<'a> {
    Inline(&'a [u8]),
    Large(LargeRef),
}

impl<'a> Cell<'a> {
    #[inline]
    pub(crate) fn decode(payload: &'a [u8]) -> Self {
        let flags = payload[0];
        let (meta, rest) = if flags & META == 0 {
            (&payload[..0], &payload[1..])
        } else {
            let length = usize::from(u16::from_le_bytes([payload[1], payload[2]]));
            (&payload[3..3 + length], &payload[3 + length..])
        };
        let value = if flags & LARGE == 0 {
            CellValue::Inline(rest)
        } else {
            CellValue::Large(LargeRef::decode(rest))
        };
        Self { meta, value }
    }

    /// Why these bytes are no payload, if they are none: `decode` takes only what passes here.
    pub(crate) fn fault(payload: &[u8]) -> Option<&'static str> {
        let Some((&flags, mut rest)) = payload.split_first() else {
            return Some("it is empty");
        };
        if flags & !(META | LARGE) != 0 {
            return Some("it has flags this version does not know");
        }
        if flags & META != 0 {
            let Some((length, after)) = rest.split_first_chunk::<2>() else {
                return Some("it ends within a length");
            };
            let Some(after) = after.get(usize::from(u16::from_le_bytes(*length))..) else {
                return Some("its ride-along part is longer than it");
            };
            rest = after;
        }
        if flags & LARGE != 0 && rest.len() != LargeRef::BYTES {
            return Some("its reference to a large value has another length");
        }
        None
    }

    /// The large value this payload owns, if any.
    pub(crate) fn large(&self) -> Option<LargeRef> {
        match self.value {
            CellValue::Inline(_) => None,
            CellValue::Large(large) => Some(large),
        }
    }
}

fn start(out: &mut Vec<u8>, flags: u8, meta: &[u8]) {
    out.clear();
    if meta.is_empty() {
        out.push(flags);
    } else {
        out.push(flags | META);
        let length = u16::try_from(meta.len()).expect("meta is within META_BYTES_MAX");
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(meta);
    }
}

/// Writes the payload of an entry whose value stays in the leaf.
pub(crate) fn encode_inline(out: &mut Vec<u8>, meta: &[u8], value: &[u8]) {
    start(out, 0, meta);
    out.extend_from_slice(value);
}

/// Writes the payload of an entry whose value lies in a run of its own.
pub(crate) fn encode_large(out: &mut Vec<u8>, meta: &[u8], large: LargeRef) {
    start(out, LARGE, meta);
    out.extend_from_slice(&large.encode());
}
