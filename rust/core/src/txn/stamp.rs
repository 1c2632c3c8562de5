//! Entries that carry the number of their commit: eight bytes, big-endian, inside the key, the value, or both.
//!
//! The number is known only when the commit is sequenced. Until then these bytes are FF: so a transaction sees its
//! own stamped entries behind all committed ones, and no committed entry ever has them.
//!
//! Invariants
//! T1  What is stamped holds eight bytes of FF at that place until it is applied, and a commit number afterwards.
//! T2  A stamp in a key makes the key unique to its commit, so it needs no validation.

use crate::wire::{Put, Take};

/// Bytes of a commit number that is not known yet.
pub(crate) const PROVISIONAL: [u8; 8] = [0xff; 8];

/// Where an entry carries the number of its commit.
///
/// Offsets of eight bytes, given as FF in what is written. A value of 64 KiB and more lies outside the log and
/// cannot carry one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Offset in the key.
    pub key_at: Option<u16>,
    /// Offset in the value.
    pub value_at: Option<u16>,
}

impl Stamp {
    pub(crate) const NONE: Self = Self {
        key_at: None,
        value_at: None,
    };

    /// A stamp in the key alone.
    pub const fn key(at: u16) -> Self {
        Self {
            key_at: Some(at),
            value_at: None,
        }
    }

    /// A stamp in the value alone.
    pub const fn value(at: u16) -> Self {
        Self {
            key_at: None,
            value_at: Some(at),
        }
    }

    /// Nothing is stamped.
    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Is there room for the stamps, and is it FF (T1)? A value out of line is `None`.
    pub(crate) fn fits(self, key: &[u8], value: Option<&[u8]>) -> bool {
        let provisional = |bytes: &[u8], at: Option<u16>| {
            at.is_none_or(|at| {
                let at = usize::from(at);
                bytes.get(at..at + PROVISIONAL.len()) == Some(&PROVISIONAL)
            })
        };
        provisional(key, self.key_at) && provisional(value.unwrap_or(&[]), self.value_at)
    }

    pub(super) fn encode(self, out: &mut Vec<u8>) {
        for at in [self.key_at, self.value_at] {
            out.put_varint(at.map_or(0, |at| u64::from(at) + 1));
        }
    }

    pub(super) fn decode(take: &mut Take<'_>) -> Option<Self> {
        let mut at = || match take.varint()? {
            0 => Some(None),
            at => Some(Some(u16::try_from(at - 1).ok()?)),
        };
        Some(Self {
            key_at: at()?,
            value_at: at()?,
        })
    }
}

/// Puts the commit's number where `at` says.
pub(crate) fn stamped(bytes: &[u8], at: Option<u16>, seq: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(at) = at.map(usize::from) {
        bytes[at..at + PROVISIONAL.len()].copy_from_slice(&seq.to_be_bytes());
    }
    bytes
}
