//! What a participant can be asked, on encoded keys: run inline with borrowed bytes, or later with owned ones.
//!
//! O1 an operation that ends in `WouldBlock` has changed nothing, so it can be run again from its beginning.

use std::borrow::Cow;
use std::ops::Bound;
use std::sync::Arc;

use sopasync_core::index::Way;
use sopasync_core::{Access, Result, ScanRange, Transaction};

use super::answer::{Answer, Item};
use super::batch::Batch;
use super::scope::Scope;
use super::write_many::{remove_many, write_many};
use crate::kept::Kept;
use crate::memory::{Lent, Mapped};

/// Borrowed inline, owned while it waits for its retry.
pub type Content<'a> = Cow<'a, [u8]>;

pub enum Operation<'a> {
    Get {
        key: Content<'a>,
    },
    GetItem {
        key: Content<'a>,
    },
    GetRaw {
        raw: Content<'a>,
    },
    /// The value where it lies, of a unique store.
    Map {
        key: Content<'a>,
        verify: bool,
    },
    /// The value, to be read later, of a unique store.
    Keep {
        key: Content<'a>,
    },
    GetMany {
        keys: Batch,
    },
    Contains {
        key: Content<'a>,
    },
    Add {
        key: Content<'a>,
        meta: Content<'a>,
        value: Content<'a>,
    },
    Update {
        key: Content<'a>,
        value: Content<'a>,
    },
    Upsert {
        key: Content<'a>,
        meta: Content<'a>,
        value: Content<'a>,
    },
    /// A value in parts, into a unique store without ride-along fields.
    PutParts {
        key: Content<'a>,
        parts: Arc<Lent>,
    },
    Remove {
        key: Content<'a>,
    },
    UpdateRaw {
        raw: Content<'a>,
        value: Content<'a>,
    },
    RemoveRaw {
        raw: Content<'a>,
    },
    UpdateKey {
        key: Content<'a>,
        meta: Content<'a>,
    },
    WriteMany {
        way: Way,
        keys: Batch,
        values: Vec<Content<'a>>,
    },
    RemoveMany {
        keys: Batch,
    },
    Scan {
        range: Range<'a>,
    },
    Skip {
        range: Range<'a>,
        count: u64,
    },
    Count,
}

/// A part of the store, in key order or against it.
pub struct Range<'a> {
    pub low: Bound<Content<'a>>,
    pub high: Bound<Content<'a>>,
    pub reverse: bool,
    pub limit: usize,
    pub keys_only: bool,
}

/// Bytes of keys and values in one page of a scan, about; a larger item comes alone.
const SCAN_BYTES_MAX: usize = 4 << 20;

impl Range<'_> {
    pub fn borrow(&self) -> ScanRange<'_> {
        ScanRange {
            low: self.low.as_ref().map(|key| &**key),
            high: self.high.as_ref().map(|key| &**key),
            reverse: self.reverse,
            limit: self.limit,
            limit_bytes: SCAN_BYTES_MAX,
            keys_only: self.keys_only,
        }
    }

    fn into_owned(self) -> Range<'static> {
        let Self {
            low,
            high,
            reverse,
            limit,
            keys_only,
        } = self;
        Range {
            low: low.map(own),
            high: high.map(own),
            reverse,
            limit,
            keys_only,
        }
    }
}

fn own(content: Content<'_>) -> Content<'static> {
    Content::Owned(content.into_owned())
}

impl Operation<'_> {
    /// Runs it; may be run again after `WouldBlock` (O1).
    pub fn run(&self, tx: &mut Transaction, scope: Scope, access: Access) -> Result<Answer> {
        Ok(match self {
            Self::Get { key } => {
                Answer::Value(scope.visit(tx, key, access, |_, _, value| value.to_vec())?)
            }
            Self::GetItem { key } => Answer::Item(scope.visit(tx, key, access, Item::of)?),
            Self::GetRaw { raw } => {
                Answer::Item(tx.visit(scope.store, raw, access, |meta, value| {
                    Item::of(raw, meta, value)
                })?)
            }
            Self::GetMany { keys } => {
                let mut one = |(key, _)| scope.visit(tx, key, access, |_, _, value| value.to_vec());
                Answer::Values(keys.iter().map(&mut one).collect::<Result<_>>()?)
            }
            Self::Contains { key } => Answer::Truth(scope.contains(tx, key, access)?),
            Self::Add { key, meta, value } => {
                Answer::Truth(scope.add(tx, key, meta, value, access)?)
            }
            Self::Update { key, value } => Answer::Truth(scope.update(tx, key, value, access)?),
            Self::Upsert { key, meta, value } => {
                scope.upsert(tx, key, meta, value, access)?;
                Answer::Done
            }
            Self::Map { key, verify } => Answer::Other(Box::new(Mapped(tx.map_value(
                scope.store,
                key,
                access,
                *verify,
            )?))),
            Self::Keep { key } => {
                Answer::Other(Box::new(Kept(tx.pin_value(scope.store, key, access)?)))
            }
            Self::PutParts { key, parts } => {
                tx.put_parts(scope.store, key, &parts.slices(), access.may_wait)?;
                Answer::Done
            }
            Self::Remove { key } => Answer::Truth(scope.remove(tx, key, access)?),
            Self::UpdateRaw { raw, value } => {
                Answer::Truth(scope.update_raw(tx, raw, value, access)?)
            }
            Self::RemoveRaw { raw } => Answer::Truth(scope.remove_raw(tx, raw, access)?),
            Self::UpdateKey { key, meta } => {
                Answer::Truth(scope.update_key(tx, key, meta, access)?)
            }
            Self::WriteMany { way, keys, values } => {
                write_many(tx, scope, *way, (keys, values), access)?
            }
            Self::RemoveMany { keys } => remove_many(tx, scope, keys, access)?,
            Self::Scan { range } => {
                let mut items = Vec::new();
                let next = tx.scan(
                    scope.store,
                    &range.borrow(),
                    access,
                    &mut |key, meta, value| {
                        items.push(Item::of(key, meta, value.unwrap_or_default()));
                    },
                )?;
                Answer::Page(items, next)
            }
            Self::Skip { range, count } => {
                Answer::RawKey(tx.skip(scope.store, &range.borrow(), *count, access)?)
            }
            Self::Count => Answer::Count(tx.count(scope.store, access)?),
        })
    }

    /// The same with bytes of its own.
    pub fn into_owned(self) -> Operation<'static> {
        match self {
            Self::Get { key } => Operation::Get { key: own(key) },
            Self::GetItem { key } => Operation::GetItem { key: own(key) },
            Self::GetRaw { raw } => Operation::GetRaw { raw: own(raw) },
            Self::GetMany { keys } => Operation::GetMany { keys },
            Self::Contains { key } => Operation::Contains { key: own(key) },
            Self::Add { key, meta, value } => Operation::Add {
                key: own(key),
                meta: own(meta),
                value: own(value),
            },
            Self::Update { key, value } => Operation::Update {
                key: own(key),
                value: own(value),
            },
            Self::Upsert { key, meta, value } => Operation::Upsert {
                key: own(key),
                meta: own(meta),
                value: own(value),
            },
            Self::Map { key, verify } => Operation::Map {
                key: own(key),
                verify,
            },
            Self::Keep { key } => Operation::Keep { key: own(key) },
            Self::PutParts { key, parts } => Operation::PutParts {
                key: own(key),
                parts,
            },
            Self::Remove { key } => Operation::Remove { key: own(key) },
            Self::UpdateRaw { raw, value } => Operation::UpdateRaw {
                raw: own(raw),
                value: own(value),
            },
            Self::RemoveRaw { raw } => Operation::RemoveRaw { raw: own(raw) },
            Self::UpdateKey { key, meta } => Operation::UpdateKey {
                key: own(key),
                meta: own(meta),
            },
            Self::WriteMany { way, keys, values } => Operation::WriteMany {
                way,
                keys,
                values: values.into_iter().map(own).collect(),
            },
            Self::RemoveMany { keys } => Operation::RemoveMany { keys },
            Self::Scan { range } => Operation::Scan {
                range: range.into_owned(),
            },
            Self::Skip { range, count } => Operation::Skip {
                range: range.into_owned(),
                count,
            },
            Self::Count => Operation::Count,
        }
    }
}
