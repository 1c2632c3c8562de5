//! Joining stores: for each item of the first one, in its order, the items of others whose key or index has the same fields.
//!
//! A join is a row of steps. Each takes fields of an item found before and looks up the items of another store that have
//! them, by their key or through an index: one to one, one to many, many to one; two steps over a store of pairs are many to
//! many. Rows come in pages; between two of them the join remembers where it is.
//!
//! J1  What a join remembers changes only when a piece has been read whole, so that after `WouldBlock` it goes on.
//! J2  Memory is bounded by the page and one piece per step, however many items match.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use super::entry::{Entries, target_key};
use crate::engine::{Access, Link, ScanRange, Transaction};
use crate::error::{Error, Result};
use crate::key::prefix_end;
use crate::txn::{IndexDefinition, IndexField, KeyShape};

/// Items read at once.
const PIECE_ITEMS: usize = 512;
/// Their bytes, about.
const PIECE_BYTES: usize = 1 << 20;

/// An item in a row of a join. Clones are the same item.
#[derive(Clone, Debug)]
pub struct JoinItem {
    bytes: Arc<[u8]>,
    key_end: usize,
    meta_end: usize,
}

impl JoinItem {
    /// Its bytes go through `scratch`, so that there is one allocation for each item.
    fn of(scratch: &mut Vec<u8>, key: &[u8], meta: &[u8], value: &[u8]) -> Self {
        scratch.clear();
        scratch.extend_from_slice(key);
        scratch.extend_from_slice(meta);
        scratch.extend_from_slice(value);
        Self {
            bytes: Arc::from(&scratch[..]),
            key_end: key.len(),
            meta_end: key.len() + meta.len(),
        }
    }

    /// Is it the same item, found once?
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes)
    }

    /// Its key in its store.
    pub fn key(&self) -> &[u8] {
        &self.bytes[..self.key_end]
    }

    /// What rides along.
    pub fn meta(&self) -> &[u8] {
        &self.bytes[self.key_end..self.meta_end]
    }

    /// Its value.
    pub fn value(&self) -> &[u8] {
        &self.bytes[self.meta_end..]
    }
}

/// One place in a row: nothing where no item matched.
pub type JoinRow = Option<JoinItem>;

/// Where the items of a step are found.
#[derive(Debug)]
pub enum Probe {
    /// By the key, or its first fields.
    Key(KeyShape),
    /// By the first fields of an index.
    Index(Link),
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Which item of the row the fields are taken from.
    pub from: usize,
    /// How keys of that item's store are laid out.
    pub from_shape: KeyShape,
    /// The fields, in the directions in which the probe has them.
    pub fields: Vec<IndexField>,
    /// The store to look in.
    pub store: u64,
    /// How.
    pub probe: Probe,
    /// A row without a match is kept.
    pub outer: bool,
}

/// What is being gone through at one place of the row.
#[derive(Debug, Default)]
struct Level {
    items: VecDeque<JoinItem>,
    low: Option<Bound<Vec<u8>>>,
    high: Option<Vec<u8>>,
    /// The exact key that is looked for, of which there is one item or none.
    key: Vec<u8>,
    exact: bool,
    done: bool,
    matched: bool,
    /// The last exact key, and what was found.
    last: Option<(Vec<u8>, JoinRow)>,
}

/// A step, and what follows from it for every row.
#[derive(Debug)]
struct Planned {
    step: Step,
    /// The fields as an index of the item's store would have them.
    definition: IndexDefinition,
    directions: Vec<bool>,
    /// The fields are a whole key of a store where keys are there once.
    exact: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Join {
    store: u64,
    through: Option<Link>,
    reverse: bool,
    steps: Vec<Planned>,
    entries: Entries,
    scratch: Vec<u8>,
    levels: Vec<Level>,
    row: Vec<JoinRow>,
    at: usize,
    rows: Vec<JoinRow>,
    ended: bool,
}

impl Join {
    /// Begins with the items of `store` in a range of keys, or of the entries of one of its indexes.
    pub fn new(
        store: u64,
        through: Option<Link>,
        (low, high): (Bound<Vec<u8>>, Option<Vec<u8>>),
        reverse: bool,
        steps: Vec<Step>,
    ) -> Self {
        let places = steps.len() + 1;
        let mut levels: Vec<Level> = (0..places).map(|_| Level::default()).collect();
        levels[0].low = Some(low);
        levels[0].high = high;
        let steps = steps.into_iter().map(|mut step| {
            let definition = IndexDefinition {
                store: String::new(),
                name: "join".to_owned(),
                unique: true,
                key: step.from_shape.clone(),
                fields: std::mem::take(&mut step.fields),
                reference: None,
            };
            let directions: Vec<bool> = definition
                .fields
                .iter()
                .map(|field| field.ascending)
                .collect();
            let exact = match &step.probe {
                Probe::Key(shape) => {
                    let whole = shape.fields.as_ref().map_or(1, Vec::len);
                    shape.unique && whole == directions.len()
                }
                Probe::Index(_) => false,
            };
            Planned {
                step,
                definition,
                directions,
                exact,
            }
        });
        Self {
            store,
            through,
            reverse,
            steps: steps.collect(),
            entries: Entries::default(),
            scratch: Vec::new(),
            levels,
            row: vec![None; places],
            at: 0,
            rows: Vec::new(),
            ended: false,
        }
    }

    /// Items in a row.
    pub fn width(&self) -> usize {
        self.levels.len()
    }

    /// Makes up to `limit` rows for `take`; none at the end only. After `WouldBlock` it is to be called again.
    pub fn fill(&mut self, tx: &mut Transaction, limit: usize, access: Access) -> Result<()> {
        // The transaction may have written since.
        self.levels.iter_mut().for_each(|level| level.last = None);
        let width = self.width();
        let mut bytes = 0;
        while !self.ended
            && self.rows.len() < limit.saturating_mul(width)
            && bytes < PIECE_BYTES * 4
        {
            let level = self.at;
            if self.levels[level].items.is_empty() && !self.levels[level].done {
                self.read(tx, level, access)?;
            }
            match self.levels[level].items.pop_front() {
                Some(item) => {
                    bytes += item.bytes.len();
                    self.levels[level].matched = true;
                    self.row[level] = Some(item);
                    self.go_on(level)?;
                }
                None if !self.levels[level].done => {}
                None if level == 0 => self.ended = true,
                None if !self.levels[level].matched && self.steps[level - 1].step.outer => {
                    self.levels[level].matched = true;
                    self.row[level] = None;
                    self.go_on(level)?;
                }
                None => self.at -= 1,
            }
        }
        Ok(())
    }

    /// The rows that were made, the items of one after those of the other.
    pub fn take(&mut self) -> Vec<JoinRow> {
        std::mem::take(&mut self.rows)
    }

    /// The row has its item at `level`: emits it, or opens the next level.
    fn go_on(&mut self, level: usize) -> Result<()> {
        if level + 1 == self.levels.len() {
            self.rows.extend(self.row.iter().cloned());
            return Ok(());
        }
        let next = &mut self.levels[level + 1];
        next.items.clear();
        next.matched = false;
        next.done = true;
        self.at = level + 1;
        let Planned {
            step,
            definition,
            directions,
            exact,
        } = &self.steps[level];
        let Some(from) = &self.row[step.from] else {
            return Ok(());
        };
        let fields = &mut self.entries;
        let elements = match fields.fields(definition, from.key(), from.meta(), from.value()) {
            Ok(Some(elements)) => elements,
            // What cannot be a key has no partner.
            Ok(None) | Err(Error::NotIndexable { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let prefix = match &step.probe {
            Probe::Index(_) => elements.to_vec(),
            Probe::Key(shape) => match target_key(elements, directions, shape)? {
                Some(key) => key,
                None => return Ok(()),
            },
        };
        next.exact = *exact;
        if next.exact {
            next.key = prefix;
            next.done = false;
            return Ok(());
        }
        next.high = prefix_end(&prefix);
        next.low = Some(Bound::Included(prefix));
        next.done = false;
        Ok(())
    }

    /// Reads the next piece of a level (J1).
    fn read(&mut self, tx: &mut Transaction, level: usize, access: Access) -> Result<()> {
        let (store, through, reverse) = match level {
            0 => (self.store, self.through.as_ref(), self.reverse),
            _ => {
                let step = &self.steps[level - 1].step;
                let through = match &step.probe {
                    Probe::Index(link) => Some(link),
                    Probe::Key(_) => None,
                };
                (step.store, through, false)
            }
        };
        let level = &mut self.levels[level];
        if level.exact {
            return level.read_exact(tx, store, access, &mut self.scratch);
        }
        let low = level.low.as_ref().unwrap_or(&Bound::Unbounded);
        let range = ScanRange {
            low: low.as_ref().map(Vec::as_slice),
            high: level
                .high
                .as_deref()
                .map_or(Bound::Unbounded, Bound::Excluded),
            reverse,
            limit: PIECE_ITEMS,
            limit_bytes: PIECE_BYTES,
            keys_only: false,
        };
        let scratch = &mut self.scratch;
        let mut items = VecDeque::new();
        let next = match through {
            None => tx.scan(store, &range, access, &mut |key, meta, value| {
                items.push_back(JoinItem::of(scratch, key, meta, value.unwrap_or_default()));
            })?,
            Some(link) => super::read::scan(
                tx,
                store,
                link,
                &range,
                access,
                &mut |_, key, meta, value| {
                    items.push_back(JoinItem::of(scratch, key, meta, value.unwrap_or_default()));
                },
            )?,
        };
        level.items = items;
        level.done = next.is_none();
        match next {
            Some(last) if reverse => level.high = Some(last),
            Some(last) => level.low = Some(Bound::Excluded(last)),
            None => {}
        }
        Ok(())
    }
}

impl Level {
    fn read_exact(
        &mut self,
        tx: &mut Transaction,
        store: u64,
        access: Access,
        scratch: &mut Vec<u8>,
    ) -> Result<()> {
        let key = &self.key;
        let found = match &self.last {
            Some((last, found)) if last == key => found.clone(),
            _ => {
                let found = tx.visit(store, key, access, |meta, value| {
                    JoinItem::of(scratch, key, meta, value)
                })?;
                self.last = Some((std::mem::take(&mut self.key), found.clone()));
                found
            }
        };
        self.items.extend(found);
        self.done = true;
        Ok(())
    }
}
