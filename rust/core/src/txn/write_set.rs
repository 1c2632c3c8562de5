//! What a transaction will write to one store, in key order.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use super::merge::{MergeOp, merge};
use super::record::{EntryOp, RecordWriter};
use crate::error::Result;
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
    },
    Delete,
    /// Changes to whatever is there at commit.
    Edit {
        meta: Option<Box<[u8]>>,
        merges: Vec<(MergeOp, Box<[u8]>)>,
    },
}

/// What stood under a key before a write, for undoing it.
pub(crate) type Before = Option<Write>;

/// The writes of a transaction to one store.
#[derive(Debug, Default)]
pub(crate) struct WriteSet {
    entries: BTreeMap<Box<[u8]>, Write>,
}

impl WriteSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Write> {
        if self.entries.is_empty() {
            None
        } else {
            self.entries.get(key)
        }
    }

    pub(crate) fn set(&mut self, key: &[u8], write: Write) -> Before {
        self.entries.insert(key.into(), write)
    }

    /// Sets a key back to how it was.
    pub(crate) fn restore(&mut self, key: &[u8], before: Before) -> Before {
        match before {
            Some(write) => self.entries.insert(key.into(), write),
            None => self.entries.remove(key),
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = (&[u8], &Write)> {
        self.entries.iter().map(|(key, write)| (&**key, write))
    }

    pub(crate) fn range(
        &self,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
    ) -> Range<'_, Box<[u8]>, Write> {
        self.entries.range::<[u8], _>((low, high))
    }

    /// Writes the entries of a record.
    pub(crate) fn record(&self, record: &mut RecordWriter) {
        for (key, write) in &self.entries {
            match write {
                Write::Put {
                    meta,
                    value: NewValue::Inline(value),
                } => {
                    record.entry(key, EntryOp::Put { meta, value });
                }
                Write::Put {
                    meta,
                    value: NewValue::Extent(extent),
                } => {
                    record.entry(
                        key,
                        EntryOp::PutExtent {
                            meta,
                            extent: *extent,
                        },
                    );
                }
                Write::Delete => record.entry(key, EntryOp::Delete),
                Write::Edit { meta, merges } => {
                    if let Some(meta) = meta {
                        record.entry(key, EntryOp::Meta(meta));
                    }
                    for (op, operand) in merges {
                        record.entry(key, EntryOp::Merge(*op, operand));
                    }
                }
            }
        }
    }
}

impl Write {
    /// This write with another commutative operation after it.
    pub(crate) fn then_merge(self, op: MergeOp, operand: &[u8]) -> Result<Self> {
        Ok(match self {
            Self::Put {
                meta,
                value: NewValue::Inline(value),
            } => {
                let value = merge(op, Some(&value), operand)?.into();
                Self::Put {
                    meta,
                    value: NewValue::Inline(value),
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
            Self::Put { value, .. } => Self::Put {
                meta: new.into(),
                value,
            },
            Self::Delete => Self::Delete,
            Self::Edit { merges, .. } => Self::Edit {
                meta: Some(new.into()),
                merges,
            },
        }
    }
}
