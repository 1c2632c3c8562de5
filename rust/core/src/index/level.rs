//! One place of the rows of a join: the piece that was read there, and the item that the row has.

use std::ops::Bound;

use xxhash_rust::xxh3::xxh3_64;

use super::column::{Column, Items, JoinItem, NOTHING};
use crate::engine::{Access, Link, ScanRange, Transaction};
use crate::error::Result;
use crate::key::prefix_end;

/// Items read at once.
const PIECE_ITEMS: usize = 512;
/// Their bytes, about.
const PIECE_BYTES: usize = 1 << 20;
/// How many exact keys of a page are remembered with what was found: a power of two.
const REMEMBERED: usize = 1024;

/// What is being gone through at one place of the row.
#[derive(Debug)]
pub(super) struct Level {
    items: Items,
    /// The item after the one that the row has.
    next: usize,
    /// Does the row have one?
    pub(super) present: bool,
    /// The number of the row's item in the column of the page, once it is in it.
    number: Option<u32>,
    /// The number of the only item that is to come, when the page has it already.
    found: Option<u32>,
    /// What is looked for: an exact key, of which there is one item or none, or what keys or entries begin with.
    pub(super) key: Vec<u8>,
    exact: bool,
    pub(super) low: Bound<Vec<u8>>,
    pub(super) high: Option<Vec<u8>>,
    pub(super) done: bool,
    pub(super) matched: bool,
    /// Numbers of items that were found by an exact key, at places the keys say; good for one `fill`.
    pub(super) remembered: Vec<u32>,
}

impl Level {
    pub(super) fn new() -> Self {
        Self {
            items: Items::default(),
            next: 0,
            present: false,
            number: None,
            found: None,
            key: Vec::new(),
            exact: false,
            low: Bound::Unbounded,
            high: None,
            done: true,
            matched: false,
            remembered: Vec::new(),
        }
    }

    /// Another item of the level before has come: nothing has been found for it yet, and nothing will be unless
    /// something is looked for.
    pub(super) fn open(&mut self) {
        self.used_up();
        self.found = None;
        self.matched = false;
        self.done = true;
    }

    /// Has the items with `key` found: what the page has of an exact one, or else what will be read.
    pub(super) fn look_for(&mut self, exact: bool, column: &Column) {
        self.exact = exact;
        if exact {
            self.found = self.remembered(column);
            self.done = self.found.is_some();
            return;
        }
        let mut low = match std::mem::replace(&mut self.low, Bound::Unbounded) {
            Bound::Included(low) | Bound::Excluded(low) => low,
            Bound::Unbounded => Vec::new(),
        };
        low.clear();
        low.extend_from_slice(&self.key);
        self.low = Bound::Included(low);
        self.high = prefix_end(&self.key);
        self.done = false;
    }

    /// The row has the next item, if there is one.
    pub(super) fn take_item(&mut self) -> bool {
        if let Some(number) = self.found.take() {
            self.number = Some(number);
        } else if self.next < self.items.len() {
            self.next += 1;
            self.number = None;
        } else {
            return false;
        }
        self.present = true;
        self.matched = true;
        true
    }

    /// The column goes: what the level has only there it takes along.
    pub(super) fn leave(&mut self, column: &Column) {
        self.remembered.clear();
        let (number, taken) = match self.found.take() {
            Some(number) => (Some(number), 0),
            None => (self.number.take(), 1),
        };
        if let Some(number) = number
            && self.items.len() == 0
        {
            self.items.push_from(&column.items, number as usize);
            self.next = taken;
        }
    }

    /// Nothing is left of what was read.
    fn used_up(&mut self) {
        self.items.clear();
        self.next = 0;
        self.present = false;
        self.number = None;
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.found.is_none() && self.next == self.items.len()
    }

    /// The item that the row has.
    pub(super) fn item<'i>(&'i self, column: &'i Column) -> JoinItem<'i> {
        match self.number {
            Some(number) => column.items.get(number as usize),
            None => self.items.get(self.next - 1),
        }
    }

    /// Its number in the column; it is put there when it is not yet.
    pub(super) fn number_in(&mut self, column: &mut Column) -> u32 {
        if let Some(number) = self.number {
            return number;
        }
        let number = u32::try_from(column.items.len()).expect("a page has fewer rows");
        assert!(number != NOTHING, "a page has fewer rows");
        column.items.push_from(&self.items, self.next - 1);
        self.number = Some(number);
        if self.exact {
            self.remembered.resize(REMEMBERED, NOTHING);
            self.remembered[place_of(&self.key)] = number;
        }
        number
    }

    /// The number of the item with this very key, if it was found not long ago.
    fn remembered(&self, column: &Column) -> Option<u32> {
        let number = *self.remembered.get(place_of(&self.key))?;
        let same = number != NOTHING && column.items.get(number as usize).key == self.key;
        same.then_some(number)
    }

    pub(super) fn read(
        &mut self,
        tx: &mut Transaction,
        store: u64,
        through: Option<&Link>,
        reverse: bool,
        access: Access,
    ) -> Result<()> {
        self.used_up();
        let read = if self.exact {
            self.read_exact(tx, store, access)
        } else {
            self.read_piece(tx, store, through, reverse, access)
        };
        read.inspect_err(|_| self.items.clear())
    }

    fn read_exact(&mut self, tx: &mut Transaction, store: u64, access: Access) -> Result<()> {
        let (items, key) = (&mut self.items, &self.key[..]);
        tx.visit(store, key, access, |meta, value| {
            items.push(JoinItem { key, meta, value });
        })?;
        self.done = true;
        Ok(())
    }

    fn read_piece(
        &mut self,
        tx: &mut Transaction,
        store: u64,
        through: Option<&Link>,
        reverse: bool,
        access: Access,
    ) -> Result<()> {
        let range = ScanRange {
            low: self.low.as_ref().map(Vec::as_slice),
            high: self
                .high
                .as_deref()
                .map_or(Bound::Unbounded, Bound::Excluded),
            reverse,
            limit: PIECE_ITEMS,
            limit_bytes: PIECE_BYTES,
            keys_only: false,
        };
        let items = &mut self.items;
        let mut push = |key: &[u8], meta: &[u8], value: Option<&[u8]>| {
            let value = value.unwrap_or_default();
            items.push(JoinItem { key, meta, value });
        };
        let next = match through {
            None => tx.scan(store, &range, access, &mut push)?,
            Some(link) => super::read::scan(
                tx,
                store,
                link,
                &range,
                access,
                &mut |_, key, meta, value| push(key, meta, value),
            )?,
        };
        self.done = next.is_none();
        match next {
            Some(last) if reverse => self.high = Some(last),
            Some(last) => self.low = Bound::Excluded(last),
            None => {}
        }
        Ok(())
    }
}

/// Where an exact key is remembered.
fn place_of(key: &[u8]) -> usize {
    xxh3_64(key) as usize % REMEMBERED
}
