//! Columns that grow: of payloads that are not in a sealed segment yet.
//!
//! Per field the slots that have it, and per value (as the key that `scalar.rs` makes) the slots that hold it.
//!
//! C1 slots are given in order, so every list of slots is sorted; a slot stands in a list once.

use std::collections::BTreeMap;
use std::ops::Bound;

use rustc_hash::FxHashMap;

use crate::error::Result;
use crate::evaluate::{Fields, Source, select};
use crate::filter::Filter;
use crate::scalar::key_of;
use crate::selection::{Gather, Selection};
use crate::walk::{Found, fields};

/// What a node of a tree, an allocation and its header take, about.
const ENTRY_BYTES: usize = 64;

/// Columns of payloads, in memory; slots are numbered by `push` from zero.
#[derive(Debug, Default)]
pub struct Columns {
    slots: u32,
    fields: FxHashMap<Box<[u8]>, Column>,
    memory_bytes: usize,
    /// Scratch of `push`.
    path: Vec<u8>,
    key: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Column {
    pub present: Vec<u32>,
    pub values: BTreeMap<Box<[u8]>, Slots>,
}

/// Most values of a field with many stand in one slot.
#[derive(Debug)]
pub(crate) enum Slots {
    One(u32),
    Many(Vec<u32>),
}

impl Slots {
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }

    /// False when the slot is there already (C1).
    fn push(&mut self, slot: u32) -> bool {
        match self {
            Self::One(only) if *only == slot => false,
            Self::One(only) => {
                *self = Self::Many(vec![*only, slot]);
                true
            }
            Self::Many(slots) if slots.last() == Some(&slot) => false,
            Self::Many(slots) => {
                slots.push(slot);
                true
            }
        }
    }
}

impl Columns {
    /// Empty columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of payloads.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// Memory taken, about.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Adds the payload of the next slot. Of malformed bytes the fields before the damage are kept; the slot is taken
    /// in any case.
    pub fn push(&mut self, payload: &[u8]) -> Result<()> {
        let slot = self.slots;
        self.slots += 1;
        let Self {
            fields: columns,
            memory_bytes,
            path,
            key,
            ..
        } = self;
        fields(payload, path, &mut |name, found| {
            if !columns.contains_key(name) {
                columns.insert(name.into(), Column::default());
                *memory_bytes += ENTRY_BYTES * 2 + name.len();
            }
            let Some(column) = columns.get_mut(name) else {
                return;
            };
            match found {
                Found::Field => {
                    if column.present.last() != Some(&slot) {
                        column.present.push(slot);
                        *memory_bytes += 4;
                    }
                }
                Found::Value(item) => {
                    if key_of(key, item) {
                        *memory_bytes += column.add(key, slot);
                    }
                }
            }
        })
    }

    /// The slots that match. A field that no payload has matches nothing; see `check_fields`.
    pub fn select(&self, filter: &Filter) -> Result<Selection> {
        select(self, filter)
    }

    pub(crate) fn column(&self, name: &[u8]) -> Option<&Column> {
        self.fields.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.keys().map(|name| &**name)
    }
}

impl Column {
    /// Adds a value; the memory it took.
    fn add(&mut self, key: &[u8], slot: u32) -> usize {
        if let Some(slots) = self.values.get_mut(key) {
            return usize::from(slots.push(slot)) * 4;
        }
        self.values.insert(key.into(), Slots::One(slot));
        ENTRY_BYTES + key.len()
    }
}

impl Fields for Columns {
    fn has_field(&self, field: &str) -> bool {
        self.fields.contains_key(field.as_bytes())
    }

    fn field_names(&self) -> Vec<String> {
        self.names()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    fn is_empty(&self) -> bool {
        self.slots == 0
    }
}

impl Source for Columns {
    fn slots(&self) -> u32 {
        self.slots
    }

    fn present(&self, field: &str) -> Result<Selection> {
        let present = self
            .column(field.as_bytes())
            .map_or(&[][..], |column| &column.present);
        let mut gather = Gather::expecting(self.slots, present.len());
        present.iter().for_each(|&slot| gather.add(slot));
        Ok(gather.finish())
    }

    fn any_of(&self, field: &str, keys: &[Box<[u8]>]) -> Result<Selection> {
        let mut gather = Gather::new(self.slots);
        if let Some(column) = self.column(field.as_bytes()) {
            let lists: Vec<&[u32]> = keys
                .iter()
                .filter_map(|key| column.values.get(key))
                .map(Slots::as_slice)
                .collect();
            gather = Gather::expecting(self.slots, lists.iter().map(|list| list.len()).sum());
            for &slot in lists.into_iter().flatten() {
                gather.add(slot);
            }
        }
        Ok(gather.finish())
    }

    fn range(
        &self,
        field: &str,
        low: &Bound<Box<[u8]>>,
        high: &Bound<Box<[u8]>>,
    ) -> Result<Selection> {
        let mut gather = Gather::new(self.slots);
        let as_slices = (
            low.as_ref().map(|key| &**key),
            high.as_ref().map(|key| &**key),
        );
        let column = self.column(field.as_bytes());
        if let Some(column) = column.filter(|_| !is_inverted(as_slices)) {
            for slots in column.values.range::<[u8], _>(as_slices) {
                slots.1.as_slice().iter().for_each(|&slot| gather.add(slot));
            }
        }
        Ok(gather.finish())
    }
}

/// Whether no key can lie between; a tree refuses such bounds.
pub(crate) fn is_inverted((low, high): (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
        | (Bound::Excluded(low), Bound::Included(high)) => low >= high,
        _ => false,
    }
}
