//! What a transaction will write to one store, in key order.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use super::effects::{Counted, Effects, WasThere};
use super::merge::{MergeOp, merge};
use super::record::{EntryOp, RecordWriter};
use super::stamp::Stamp;
use super::write_key::WriteKey;
use crate::error::{Error, Result};
use crate::page::LargeRef;

/// A value on its way in.
#[derive(Clone, Debug)]
pub(crate) enum NewValue {
    Inline(Box<[u8]>),
    /// Written to the page file already.
    Extent(LargeRef),
}

/// What happens to one key.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put {
        meta: Box<[u8]>,
        value: NewValue,
        stamp: Stamp,
    },
    Delete,
    /// Changes to whatever is there at commit.
    Edit {
        meta: Option<NewMeta>,
        merges: Vec<(MergeOp, Box<[u8]>)>,
    },
}

/// Another ride-along part for whatever is there at commit.
#[derive(Clone, Debug)]
pub(crate) struct NewMeta {
    pub(crate) bytes: Box<[u8]>,
    /// It came after a commutative operation, so there is an entry for it in any case.
    pub(crate) after_merges: bool,
}

/// What stood under a key before a write, for undoing it.
pub(crate) type Before = Option<Write>;

/// The writes of a transaction to one store.
#[derive(Debug, Default)]
pub(crate) struct WriteSet {
    entries: BTreeMap<WriteKey<'static>, Write>,
    /// Once somebody has counted among them.
    effects: Option<Effects>,
}

impl WriteSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    pub(crate) fn get<'s>(&'s self, key: &'s [u8]) -> Option<&'s Write> {
        if self.entries.is_empty() {
            return None;
        }
        // Shortened, so that a borrowed key can be looked up in it.
        let entries: &BTreeMap<WriteKey<'s>, Write> = &self.entries;
        entries.get(&WriteKey::borrowed(key))
    }

    pub(crate) fn set(&mut self, key: &[u8], write: Write) -> Before {
        self.touch(key);
        self.entries.insert(WriteKey::owned(key), write)
    }

    /// Sets a key back to how it was.
    pub(crate) fn restore(&mut self, key: &[u8], before: Before) -> Before {
        self.touch(key);
        match before {
            Some(write) => self.entries.insert(WriteKey::owned(key), write),
            None => self.entries.remove(&WriteKey::owned(key)),
        }
    }

    #[inline]
    fn touch(&mut self, key: &[u8]) {
        if let Some(effects) = &mut self.effects {
            effects.touch(key);
        }
    }

    /// Finds out by how many entries the writes change what was there, for the next two functions. What was found out is
    /// kept when it ends in an error.
    pub(crate) fn count_effects(&mut self, may_wait: bool, was_there: WasThere<'_>) -> Result<()> {
        if self.entries.is_empty() {
            self.effects = None;
            return Ok(());
        }
        let effects = self.effects.get_or_insert_default();
        effects.count(&self.entries, may_wait, was_there)
    }

    /// By how many entries the writes to keys below `key`, or all of them, change what was there.
    pub(crate) fn change_below(&self, key: Option<&[u8]>, was_there: WasThere<'_>) -> Result<i64> {
        match &self.effects {
            Some(effects) => effects.below(&self.entries, key, was_there),
            None => Ok(0),
        }
    }

    /// Keys some writes apart from the first one on, with what the writes below them change.
    pub(crate) fn counted(&self) -> Vec<Counted<'_>> {
        match &self.effects {
            Some(effects) => effects.blocks().collect(),
            None => vec![Counted::START],
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = (&[u8], &Write)> {
        self.entries.iter().map(|(key, write)| (&**key, write))
    }

    pub(crate) fn range<'s>(
        &'s self,
        low: Bound<&'s [u8]>,
        high: Bound<&'s [u8]>,
    ) -> Range<'s, WriteKey<'s>, Write> {
        let entries: &BTreeMap<WriteKey<'s>, Write> = &self.entries;
        entries.range((low.map(WriteKey::borrowed), high.map(WriteKey::borrowed)))
    }

    /// Writes the entries of a record.
    pub(crate) fn record(&self, record: &mut RecordWriter) {
        for (key, write) in &self.entries {
            match write {
                Write::Put {
                    meta,
                    value: NewValue::Inline(value),
                    stamp,
                } => {
                    let stamp = *stamp;
                    record.entry(key, EntryOp::Put { stamp, meta, value });
                }
                Write::Put {
                    meta,
                    value: NewValue::Extent(extent),
                    stamp,
                } => {
                    record.entry(
                        key,
                        EntryOp::PutExtent {
                            stamp: *stamp,
                            meta,
                            extent: *extent,
                        },
                    );
                }
                Write::Delete => {
                    record.entry(key, EntryOp::Delete);
                }
                Write::Edit { meta, merges } => {
                    let meta_at = |after| meta.iter().filter(move |m| m.after_merges == after);
                    for meta in meta_at(false) {
                        record.entry(key, EntryOp::Meta(&meta.bytes));
                    }
                    for (op, operand) in merges {
                        record.entry(key, EntryOp::Merge(*op, operand));
                    }
                    for meta in meta_at(true) {
                        record.entry(key, EntryOp::Meta(&meta.bytes));
                    }
                }
            }
        }
    }
}

impl Write {
    /// Changes nothing yet.
    pub(crate) fn new_edit() -> Self {
        Self::Edit {
            meta: None,
            merges: Vec::new(),
        }
    }

    /// Is there an entry after this write, given whether there was one before?
    pub(crate) fn leaves_entry(&self, before: bool) -> bool {
        match self {
            Self::Put { .. } => true,
            Self::Delete => false,
            Self::Edit { merges, .. } => before || !merges.is_empty(),
        }
    }

    /// By how many entries it changes what was there.
    pub(crate) fn effect(&self, was_there: bool) -> i64 {
        i64::from(self.leaves_entry(was_there)) - i64::from(was_there)
    }

    /// This write with another commutative operation after it.
    pub(crate) fn then_merge(self, op: MergeOp, operand: &[u8]) -> Result<Self> {
        Ok(match self {
            Self::Put { stamp, .. } if !stamp.is_none() => {
                return Err(Error::BadMerge {
                    reason: "the entry is to carry the number of its commit".to_owned(),
                });
            }
            Self::Put {
                meta,
                value: NewValue::Inline(value),
                stamp,
            } => {
                let value = merge(op, Some(&value), operand)?.into();
                Self::Put {
                    meta,
                    value: NewValue::Inline(value),
                    stamp,
                }
            }
            Self::Put {
                value: NewValue::Extent(_),
                ..
            } => {
                // Refused like every operation on a value of that size.
                return merge(op, Some(&[]), operand).map(|_| self);
            }
            Self::Delete => {
                let value = merge(op, None, operand)?.into();
                Self::Put {
                    meta: Box::default(),
                    value: NewValue::Inline(value),
                    stamp: Stamp::NONE,
                }
            }
            Self::Edit { meta, mut merges } => {
                match merges.last_mut() {
                    Some((last, before)) if *last == op => {
                        *before = merge(op, Some(before), operand)?.into();
                    }
                    _ => {
                        merge(op, None, operand)?;
                        merges.push((op, operand.into()));
                    }
                }
                Self::Edit { meta, merges }
            }
        })
    }

    /// This write with another ride-along part.
    pub(crate) fn then_meta(self, new: &[u8]) -> Self {
        match self {
            Self::Put { value, stamp, .. } => Self::Put {
                meta: new.into(),
                value,
                stamp,
            },
            Self::Delete => Self::Delete,
            Self::Edit { merges, .. } => Self::Edit {
                meta: Some(NewMeta {
                    bytes: new.into(),
                    after_merges: !merges.is_empty(),
                }),
                merges,
            },
        }
    }
}
