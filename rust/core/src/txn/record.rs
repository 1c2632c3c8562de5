//! One transaction as the log has it.
//!
//! ```text
//! record := op*
//! op     := 1 id:varint kind:8 name:bytes options:bytes          a store is created
//!         | 2 id:varint                                          a store is removed (read, no longer written)
//!         | 3 id:varint                                          the entries after this are its
//!         | 4 key:bytes meta:bytes value:bytes                   put
//!         | 5 key:bytes                                          delete
//!         | 6 key:bytes meta:bytes                               another ride-along part
//!         | 7 key:bytes operation:8 operand:bytes                commutative operation
//!         | 8 key:bytes meta:bytes page:varint length:varint hash:64    put, value already in the page file
//!         | 9 id:varint root:24 runs:varint run*                 an empty store gets a whole tree
//!         | 10 key:bytes stamp meta:bytes value:bytes            put, stamped with the commit's number
//!         | 11 key:bytes stamp meta:bytes page:varint length:varint hash:64    the same, value in the page file
//!         | 12 id:varint kind:8 name:bytes options:bytes         a store is removed; the rest is for readers of changes
//! stamp  := key_at:varint value_at:varint                        0 for none, or the offset of the stamp plus one
//! run    := gap:varint length:varint                             its pages, as distances from the run before
//! bytes  := length:varint byte*
//! ```
//!
//! The same bytes are applied when the transaction commits and when the log is replayed, alone or gathered with others
//! (`Gathered`).

use super::merge::MergeOp;
use super::stamp::Stamp;
use super::stores::StoreInfo;
use crate::page::{ChildRef, LargeRef};
use crate::wire::{Put, Take};

const CREATE: u8 = 1;
const REMOVE: u8 = 2;
const STORE: u8 = 3;
const PUT: u8 = 4;
const DELETE: u8 = 5;
const META: u8 = 6;
const MERGE: u8 = 7;
const EXTENT: u8 = 8;
const LOAD: u8 = 9;
const STAMPED: u8 = 10;
const STAMPED_EXTENT: u8 = 11;
const REMOVE_NAMED: u8 = 12;

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op<'a> {
    Create(StoreInfo),
    /// With what it was, where the log says so.
    Remove(u64, Option<StoreInfo>),
    /// The entries that follow belong to this store.
    Store(u64),
    /// A tree built beforehand becomes this store's.
    Load(LoadedTree),
    Entry(&'a [u8], EntryOp<'a>),
}

/// A tree whose pages were all written and synced before its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoadedTree {
    pub(crate) store: u64,
    pub(crate) root: ChildRef,
    /// Every run its nodes and its large values lie on, ascending.
    pub(crate) runs: Vec<(u64, u64)>,
}

/// What happens to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryOp<'a> {
    Put {
        stamp: Stamp,
        meta: &'a [u8],
        value: &'a [u8],
    },
    Delete,
    Meta(&'a [u8]),
    Merge(MergeOp, &'a [u8]),
    /// The extent's stamp is given when it is applied.
    PutExtent {
        stamp: Stamp,
        meta: &'a [u8],
        extent: LargeRef,
    },
}

impl<'a> EntryOp<'a> {
    fn inline_value(&self) -> Option<&'a [u8]> {
        match self {
            Self::Put { value, .. } => Some(value),
            _ => None,
        }
    }
}

/// Writes a record.
#[derive(Default)]
pub(crate) struct RecordWriter {
    out: Vec<u8>,
}

impl RecordWriter {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
        }
    }

    pub(crate) fn create(&mut self, info: &StoreInfo) {
        self.info(CREATE, info);
    }

    pub(crate) fn remove(&mut self, info: &StoreInfo) {
        self.info(REMOVE_NAMED, info);
    }

    fn info(&mut self, tag: u8, info: &StoreInfo) {
        self.out.push(tag);
        self.out.put_varint(info.id);
        self.out.push(info.kind);
        self.out.put_bytes(info.name.as_bytes());
        self.out.put_bytes(&info.options);
    }

    pub(crate) fn store(&mut self, id: u64) {
        self.out.push(STORE);
        self.out.put_varint(id);
    }

    pub(crate) fn load(&mut self, tree: &LoadedTree) {
        self.out.push(LOAD);
        self.out.put_varint(tree.store);
        self.out.extend_from_slice(&tree.root.encode());
        self.out.put_varint(tree.runs.len() as u64);
        let mut end = 0;
        for (start, span) in &tree.runs {
            self.out.put_varint(start - end);
            self.out.put_varint(*span);
            end = start + span;
        }
    }

    /// Writes what happens to a key, and says where the key stands.
    pub(crate) fn entry(&mut self, key: &[u8], op: EntryOp<'_>) -> usize {
        let out = &mut self.out;
        let tag = match op {
            EntryOp::Put { stamp, .. } if stamp.is_none() => PUT,
            EntryOp::Put { .. } => STAMPED,
            EntryOp::Delete => DELETE,
            EntryOp::Meta(_) => META,
            EntryOp::Merge(..) => MERGE,
            EntryOp::PutExtent { stamp, .. } if stamp.is_none() => EXTENT,
            EntryOp::PutExtent { .. } => STAMPED_EXTENT,
        };
        out.push(tag);
        out.put_varint(key.len() as u64);
        let key_at = out.len();
        out.extend_from_slice(key);
        match op {
            EntryOp::Put { stamp, meta, value } => {
                if !stamp.is_none() {
                    stamp.encode(out);
                }
                out.put_bytes(meta);
                out.put_bytes(value);
            }
            EntryOp::Delete => {}
            EntryOp::Meta(meta) => out.put_bytes(meta),
            EntryOp::Merge(merge, operand) => {
                out.push(merge.code());
                out.put_bytes(operand);
            }
            EntryOp::PutExtent {
                stamp,
                meta,
                extent,
            } => {
                if !stamp.is_none() {
                    stamp.encode(out);
                }
                out.put_bytes(meta);
                out.put_varint(extent.id);
                out.put_varint(extent.length);
                out.put_u64(extent.hash);
            }
        }
        key_at
    }

    /// Copies an entry that another writer wrote.
    pub(super) fn copy(&mut self, entry: &[u8]) {
        self.out.extend_from_slice(entry);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Forgets what was written after the first `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.out.truncate(length);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// Reads a record. Yields `None` inside once when the bytes make no sense, and ends.
pub(crate) struct Record<'a> {
    take: Take<'a>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            take: Take::new(bytes),
        }
    }

    fn op(&mut self) -> Option<Op<'a>> {
        let take = &mut self.take;
        let tag = take.byte()?;
        Some(match tag {
            CREATE => Op::Create(Self::info(take)?),
            REMOVE => Op::Remove(take.varint()?, None),
            REMOVE_NAMED => {
                let info = Self::info(take)?;
                Op::Remove(info.id, Some(info))
            }
            STORE => Op::Store(take.varint()?),
            LOAD => Op::Load(Self::tree(take)?),
            _ => {
                let key = take.bytes()?;
                let stamp = match tag {
                    STAMPED | STAMPED_EXTENT => Stamp::decode(take)?,
                    _ => Stamp::NONE,
                };
                let op = Self::entry(tag, stamp, take)?;
                stamp.fits(key, op.inline_value()).then_some(())?;
                Op::Entry(key, op)
            }
        })
    }

    fn info(take: &mut Take<'a>) -> Option<StoreInfo> {
        Some(StoreInfo {
            id: take.varint()?,
            kind: take.byte()?,
            name: String::from_utf8(take.bytes()?.to_vec()).ok()?,
            options: take.bytes()?.to_vec(),
        })
    }

    fn tree(take: &mut Take<'a>) -> Option<LoadedTree> {
        let store = take.varint()?;
        let root = ChildRef::decode(take.raw(ChildRef::BYTES)?);
        let mut runs = Vec::new();
        let mut end = 0u64;
        for _ in 0..take.varint()? {
            let start = end.checked_add(take.varint()?)?;
            let span = take.varint()?;
            end = start.checked_add(span)?;
            runs.push((start, span));
        }
        Some(LoadedTree { store, root, runs })
    }

    fn entry(tag: u8, stamp: Stamp, take: &mut Take<'a>) -> Option<EntryOp<'a>> {
        Some(match tag {
            PUT | STAMPED => EntryOp::Put {
                stamp,
                meta: take.bytes()?,
                value: take.bytes()?,
            },
            DELETE => EntryOp::Delete,
            META => EntryOp::Meta(take.bytes()?),
            MERGE => EntryOp::Merge(MergeOp::from_code(take.byte()?)?, take.bytes()?),
            EXTENT | STAMPED_EXTENT => {
                let meta = take.bytes()?;
                let (id, length) = (take.varint()?, take.varint()?);
                let extent = LargeRef {
                    id,
                    length,
                    stamp: 0,
                    hash: take.u64()?,
                };
                EntryOp::PutExtent {
                    stamp,
                    meta,
                    extent,
                }
            }
            _ => return None,
        })
    }
}

impl<'a> Iterator for Record<'a> {
    type Item = Option<Op<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.take.is_empty() {
            return None;
        }
        let op = self.op();
        if op.is_none() {
            self.take = Take::new(&[]);
        }
        Some(op)
    }
}
