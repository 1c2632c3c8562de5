//! The manifest: what the merged index holds, and how far the maintenance that is under way has come.
//!
//! ```text
//! manifest := format:u8 (3)  version:varint  fingerprint:u64  slots:varint  documents:varint  postings:varint  dead:varint
//!             merged:varint  buried:varint  fields:varint (length:varint)*  pass
//! pass     := 0 | kind:u8 (1 fold, 2 compact)  upto:varint  added:varint  dropped:varint  negative:varint  filled:varint  next:bytes
//! ```
//!
//! Invariants
//! 1. Every delta with a commit number up to `merged` is in the merged index and has no row.
//! 2. While a fold is under way, the words (field, term) below `next` have what the deltas up to `upto` say about them; these
//!    deltas still count for all other words and for everything else: documents, lengths, deletions.
//!    The names and words of documents are written up to the slot `filled`: first those of a fold, last those of a compaction.
//! 3. `version` rises with every change of the merged index; `buried` with every change of the dead slots.
//! 4. `documents` and `lengths` count what is not deleted; `slots` is above every slot given.

use super::bytes::{Put, Take};
use super::failure::{Failure, Result};
use super::keys::MANIFEST;
use super::rows::{Rows, RowsMut};

const FORMAT: u8 = 3;

/// What maintenance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Fold,
    Compact,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) kind: Kind,
    pub(crate) upto: u64,
    pub(crate) added: u64,
    pub(crate) dropped: u64,
    pub(crate) negative: u64,
    pub(crate) filled: u32,
    pub(crate) next: Vec<u8>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) version: u64,
    pub(crate) fingerprint: u64,
    pub(crate) slots: u32,
    pub(crate) documents: u64,
    pub(crate) postings: u64,
    pub(crate) dead: u64,
    pub(crate) merged: u64,
    pub(crate) buried: u64,
    pub(crate) lengths: Vec<u64>,
    pub(crate) pass: Option<Pass>,
}

impl Manifest {
    /// Of these rows; of a new index when there is none.
    pub(crate) fn read(rows: &dyn Rows, fields: usize) -> Result<Self> {
        let mut manifest = Ok(Self {
            lengths: vec![0; fields],
            ..Self::default()
        });
        rows.get(&[MANIFEST], &mut |row| manifest = Self::decode(row, fields))?;
        manifest
    }

    pub(crate) fn write(&self, rows: &dyn RowsMut) -> Result<()> {
        rows.put(&[MANIFEST], &self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.put_varint(self.version);
        out.extend_from_slice(&self.fingerprint.to_le_bytes());
        out.put_varint(u64::from(self.slots));
        for number in [
            self.documents,
            self.postings,
            self.dead,
            self.merged,
            self.buried,
        ] {
            out.put_varint(number);
        }
        out.put_varint(self.lengths.len() as u64);
        self.lengths
            .iter()
            .for_each(|length| out.put_varint(*length));
        match &self.pass {
            None => out.push(0),
            Some(pass) => {
                out.push(match pass.kind {
                    Kind::Fold => 1,
                    Kind::Compact => 2,
                });
                for number in [pass.upto, pass.added, pass.dropped, pass.negative] {
                    out.put_varint(number);
                }
                out.put_varint(u64::from(pass.filled));
                out.put_bytes(&pass.next);
            }
        }
        out
    }

    fn decode(row: &[u8], fields: usize) -> Result<Self> {
        let mut take = Take::new(row);
        if take.byte()? != FORMAT {
            return Err(Failure::Malformed("the manifest has an unknown format"));
        }
        let version = take.varint()?;
        let fingerprint = u64::from_le_bytes(take.raw(8)?.try_into().expect("eight bytes"));
        let slots = take.number()?;
        let mut next = || take.varint();
        let (documents, postings, dead, merged, buried) =
            (next()?, next()?, next()?, next()?, next()?);
        if take.count()? != fields {
            return Err(Failure::Malformed(
                "the manifest has another number of fields than the store",
            ));
        }
        let lengths = (0..fields).map(|_| take.varint()).collect::<Result<_>>()?;
        let kind = match take.byte()? {
            0 => None,
            1 => Some(Kind::Fold),
            2 => Some(Kind::Compact),
            _ => return Err(Failure::Malformed("the manifest names an unknown work")),
        };
        let pass = match kind {
            None => None,
            Some(kind) => Some(Pass {
                kind,
                upto: take.varint()?,
                added: take.varint()?,
                dropped: take.varint()?,
                negative: take.varint()?,
                filled: take.number()?,
                next: take.bytes()?.to_vec(),
            }),
        };
        take.end()?;
        Ok(Self {
            version,
            fingerprint,
            slots,
            documents,
            postings,
            dead,
            merged,
            buried,
            lengths,
            pass,
        })
    }
}
