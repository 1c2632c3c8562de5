//! What a transaction holds of one store: the tree it reads, its writes, and what it has seen.

use std::ops::Bound;
use std::sync::Arc;

use crossbeam_epoch::Guard;

use super::transaction::{Links, PendingWork};
use crate::error::Result;
use crate::page::{Cell, CellValue, ChildRef};
use crate::pager::Pager;
use crate::tree::{Reader, get};
use crate::txn::{NewValue, ReadSet, StoreInfo, Write, WriteSet, merge};

/// One store in one transaction.
pub(super) struct Part {
    pub(super) info: Arc<StoreInfo>,
    pub(super) root: Option<ChildRef>,
    pub(super) created: bool,
    pub(super) removed: bool,
    pub(super) writes: WriteSet,
    pub(super) reads: ReadSet,
    /// Numbers given out to stamped entries.
    pub(super) ordinals: u32,
    pub(super) pending: Option<PendingWork>,
    /// The indexes that concern it, once somebody has asked.
    pub(super) links: Option<Option<Arc<Links>>>,
}

impl Part {
    pub(super) fn new(info: Arc<StoreInfo>, root: Option<ChildRef>, created: bool) -> Self {
        Self {
            info,
            root,
            created,
            removed: false,
            writes: WriteSet::default(),
            reads: ReadSet::default(),
            ordinals: 0,
            pending: None,
            links: None,
        }
    }

    /// Takes back pending work that came after `mark`.
    pub(super) fn rollback_pending(&mut self, mark: usize) {
        if let Some(pending) = &mut self.pending {
            pending.rollback_to(mark);
        }
    }
}

/// Hands an entry as the transaction sees it to `visit`; `None` when there is none.
pub(super) fn visit_entry<R>(
    reader: &Reader<'_>,
    root: Option<ChildRef>,
    key: &[u8],
    own: Option<&Write>,
    visit: impl FnOnce(&[u8], &[u8]) -> R,
) -> Result<Option<R>> {
    match own {
        Some(Write::Delete) => Ok(None),
        Some(Write::Put { meta, value, .. }) => {
            visit_new(reader.pager, reader.guard, meta, value, visit).map(Some)
        }
        Some(edit @ Write::Edit { .. }) => {
            let base = get(reader, root, key)?;
            Ok(edited(reader, base, edit)?.map(|(meta, value)| visit(&meta, &value)))
        }
        None => match get(reader, root, key)? {
            None => Ok(None),
            Some(cell) => visit_cell(reader, cell, visit).map(Some),
        },
    }
}

pub(super) fn visit_cell<R>(
    reader: &Reader<'_>,
    cell: Cell<'_>,
    visit: impl FnOnce(&[u8], &[u8]) -> R,
) -> Result<R> {
    match cell.value {
        CellValue::Inline(value) => Ok(visit(cell.meta, value)),
        CellValue::Large(large) => {
            let value = reader.pager.large(large, reader.wait, reader.guard)?;
            Ok(visit(cell.meta, &value))
        }
    }
}

pub(super) fn visit_new<R>(
    pager: &Pager,
    guard: &Guard,
    meta: &[u8],
    value: &NewValue,
    visit: impl FnOnce(&[u8], &[u8]) -> R,
) -> Result<R> {
    match value {
        NewValue::Inline(value) => Ok(visit(meta, value)),
        NewValue::Extent(extent) => {
            // Written just now by this transaction: it is in the operating system's cache.
            Ok(visit(meta, &pager.large(*extent, true, guard)?))
        }
    }
}

/// An entry after the transaction's own changes to whatever is there; nothing to change is nothing.
pub(super) fn edited(
    reader: &Reader<'_>,
    base: Option<Cell<'_>>,
    edit: &Write,
) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let Write::Edit {
        meta: new_meta,
        merges,
    } = edit
    else {
        unreachable!("only edits build on what is there")
    };
    let (mut meta, mut value) = (Vec::new(), None);
    if let Some(cell) = base {
        (meta, value) = visit_cell(reader, cell, |meta, value| {
            (meta.to_vec(), Some(value.to_vec()))
        })?;
    }
    let there = value.is_some();
    for (op, operand) in merges {
        value = Some(merge(*op, value.as_deref(), operand)?);
    }
    if let Some(new_meta) = new_meta
        && (there || new_meta.after_merges)
    {
        meta = new_meta.bytes.to_vec();
    }
    Ok(value.map(|value| (meta, value)))
}

/// The first key above `key`.
pub(super) fn after(key: &[u8]) -> Vec<u8> {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next
}

/// A lower bound as the first key inside.
pub(super) fn low_key(bound: Bound<&[u8]>) -> Vec<u8> {
    match bound {
        Bound::Unbounded => Vec::new(),
        Bound::Included(key) => key.to_vec(),
        Bound::Excluded(key) => after(key),
    }
}

/// An upper bound as the first key outside.
pub(super) fn high_key(bound: Bound<&[u8]>) -> Option<Vec<u8>> {
    match bound {
        Bound::Unbounded => None,
        Bound::Included(key) => Some(after(key)),
        Bound::Excluded(key) => Some(key.to_vec()),
    }
}
