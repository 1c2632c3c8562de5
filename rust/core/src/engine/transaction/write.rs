//! Writing: entries, commutative operations, savepoints.

use super::Transaction;
use crate::error::{Error, Result};
use crate::limits::{EXTENT_BYTES_MIN, KEY_BYTES_MAX, META_BYTES_MAX, VALUE_BYTES_MAX};
use crate::page::LargeRef;
use crate::txn::{Before, MergeOp, NewValue, Stamp, Write};

/// A moment inside a transaction to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    journal: usize,
}

/// One change, with what was there before.
pub(super) enum Change {
    Entry {
        part: usize,
        key: Box<[u8]>,
        before: Before,
    },
    Created(usize),
    Removed(usize),
    /// How far the pending work of a store was when a savepoint was set.
    Pending {
        part: usize,
        mark: usize,
    },
}

impl Transaction {
    pub(in crate::engine) fn check_key(key: &[u8]) -> Result<()> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Error::KeyTooLong {
                length: key.len(),
                limit: KEY_BYTES_MAX,
            });
        }
        Ok(())
    }

    pub(in crate::engine) fn check_meta(meta: &[u8]) -> Result<()> {
        if meta.len() > META_BYTES_MAX {
            return Err(Error::ValueTooLarge {
                length: meta.len(),
                limit: META_BYTES_MAX,
            });
        }
        Ok(())
    }

    /// Gives `key` a value, whatever was there. Reads nothing. Values of 64 KiB and more are
    /// written to the page file at once: with `may_wait` false they are `WouldBlock`.
    pub fn put(
        &mut self,
        store: u64,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
        may_wait: bool,
    ) -> Result<()> {
        self.put_entry(store, key, meta, value, Stamp::NONE, may_wait)
    }

    /// The same for an entry that carries the number of its commit, in eight bytes that are FF until
    /// then (see `Stamp`). A key that is stamped is unique to its commit: nothing about it is validated.
    ///
    /// Until the commit the transaction itself sees the entry with those FF, behind every committed one; after
    /// it, `CommitInfo::seq` tells what stands there.
    pub fn put_stamped(
        &mut self,
        store: u64,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
        stamp: Stamp,
        may_wait: bool,
    ) -> Result<()> {
        let inline = (value.len() < EXTENT_BYTES_MIN).then_some(value);
        if !stamp.fits(key, inline) {
            return Err(Error::invalid(
                "a stamped entry needs eight bytes of FF where the commit's number is to stand, \
                 and a value of 64 KiB and more cannot carry it",
            ));
        }
        self.put_entry(store, key, meta, value, stamp, may_wait)
    }

    /// The next number for an entry of this transaction in that store: from 0, never given twice, whatever is
    /// rolled back. Behind a stamp it tells the entries of one commit apart.
    pub fn next_ordinal(&mut self, store: u64) -> Result<u32> {
        self.ensure_writable()?;
        let place = self.part(store)?;
        let ordinal = self.parts[place].ordinals;
        if ordinal == u32::MAX {
            return Err(Error::invalid(
                "a transaction writes at most 4,294,967,295 numbered entries to one store. Commit earlier",
            ));
        }
        self.parts[place].ordinals += 1;
        Ok(ordinal)
    }

    /// Forgets what this transaction would do to `key`, as if it had never touched it.
    pub fn forget(&mut self, store: u64, key: &[u8]) -> Result<()> {
        self.ensure_writable()?;
        let place = self.part(store)?;
        let before = self.parts[place].writes.restore(key, None);
        if before.is_some() && self.journal.is_some() {
            self.note(Change::Entry {
                part: place,
                key: key.into(),
                before,
            });
        }
        Ok(())
    }

    /// `put` of a value that lies in parts, which follow one another: a large one is written from where they are,
    /// without being put together first.
    pub fn put_parts(
        &mut self,
        store: u64,
        key: &[u8],
        parts: &[&[u8]],
        may_wait: bool,
    ) -> Result<()> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        if !(EXTENT_BYTES_MIN..=VALUE_BYTES_MAX).contains(&length) {
            return self.put(store, key, &[], &parts.concat(), may_wait);
        }
        self.ensure_writable()?;
        Self::check_key(key)?;
        if !may_wait {
            return Err(Error::WouldBlock);
        }
        let place = self.part(store)?;
        let value = NewValue::Extent(self.write_extent(parts)?);
        self.write_bytes += key.len() + length;
        let write = Write::Put {
            meta: Box::default(),
            value,
            stamp: Stamp::NONE,
        };
        self.set(place, key, write);
        Ok(())
    }

    fn put_entry(
        &mut self,
        store: u64,
        key: &[u8],
        meta: &[u8],
        value: &[u8],
        stamp: Stamp,
        may_wait: bool,
    ) -> Result<()> {
        self.ensure_writable()?;
        Self::check_key(key)?;
        Self::check_meta(meta)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(Error::ValueTooLarge {
                length: value.len(),
                limit: VALUE_BYTES_MAX,
            });
        }
        if value.len() >= EXTENT_BYTES_MIN && !may_wait {
            return Err(Error::WouldBlock);
        }
        let place = self.part(store)?;
        let new = if value.len() < EXTENT_BYTES_MIN {
            NewValue::Inline(value.into())
        } else {
            NewValue::Extent(self.write_extent(&[value])?)
        };
        self.write_bytes += key.len() + meta.len() + value.len();
        self.set(
            place,
            key,
            Write::Put {
                meta: meta.into(),
                value: new,
                stamp,
            },
        );
        Ok(())
    }

    fn write_extent(&mut self, parts: &[&[u8]]) -> Result<LargeRef> {
        let extent = self.engine.pager.write_large(parts)?;
        self.extents.push(extent);
        Ok(extent)
    }

    /// Changes the ride-along part of an entry, if it is there at commit. Reads nothing.
    pub fn put_meta(&mut self, store: u64, key: &[u8], meta: &[u8]) -> Result<()> {
        self.ensure_writable()?;
        Self::check_key(key)?;
        Self::check_meta(meta)?;
        let place = self.part(store)?;
        self.write_bytes += key.len() + meta.len();
        let write = match self.parts[place].writes.get(key).cloned() {
            Some(write) => write.then_meta(meta),
            None => Write::new_edit().then_meta(meta),
        };
        self.set(place, key, write);
        Ok(())
    }

    /// Takes `key` away, if it is there at commit. Reads nothing.
    pub fn delete(&mut self, store: u64, key: &[u8]) -> Result<()> {
        self.ensure_writable()?;
        Self::check_key(key)?;
        let place = self.part(store)?;
        self.write_bytes += key.len();
        self.set(place, key, Write::Delete);
        Ok(())
    }

    /// Applies a commutative operation at commit. It reads nothing, so it conflicts with nothing.
    pub fn merge(&mut self, store: u64, key: &[u8], op: MergeOp, operand: &[u8]) -> Result<()> {
        self.ensure_writable()?;
        Self::check_key(key)?;
        let place = self.part(store)?;
        let before = self.parts[place].writes.get(key).cloned();
        let write = before
            .unwrap_or_else(Write::new_edit)
            .then_merge(op, operand)?;
        self.write_bytes += key.len() + operand.len();
        self.set(place, key, write);
        Ok(())
    }

    fn set(&mut self, part: usize, key: &[u8], write: Write) {
        let before = self.parts[part].writes.set(key, write);
        if self.journal.is_some() {
            self.note(Change::Entry {
                part,
                key: key.into(),
                before,
            });
        }
    }

    pub(super) fn note(&mut self, change: Change) {
        if let Some(journal) = &mut self.journal {
            journal.push(change);
        }
    }

    /// Marks this moment.
    pub fn savepoint(&mut self) -> Savepoint {
        let journal = self.journal.get_or_insert_default().len();
        self.mark_pending();
        Savepoint { journal }
    }

    /// How many changes `rollback_to` would take back.
    pub fn changes_since(&self, savepoint: Savepoint) -> usize {
        let journal = self.journal.as_ref().map_or(0, Vec::len);
        journal.saturating_sub(savepoint.journal)
    }

    /// Takes back every write since `savepoint`. What was read since stays read.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        let journal = self.journal.get_or_insert_default();
        if savepoint.journal > journal.len() {
            return Err(Error::invalid("the savepoint was rolled back already"));
        }
        let mut stores_changed = false;
        for change in journal.drain(savepoint.journal..).rev() {
            match change {
                Change::Entry { part, key, before } => {
                    self.parts[part].writes.restore(&key, before);
                }
                Change::Created(part) => {
                    self.parts[part].created = false;
                    self.parts[part].removed = true;
                    stores_changed = true;
                }
                Change::Removed(part) => {
                    self.parts[part].removed = false;
                    stores_changed = true;
                }
                Change::Pending { part, mark } => self.parts[part].rollback_pending(mark),
            }
        }
        if stores_changed {
            self.forget_links();
        }
        // The savepoint can be gone back to again.
        self.mark_pending();
        Ok(())
    }
}
