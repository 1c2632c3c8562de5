//! Joining stores: for each item of the first one, in its order, the items of others whose key or index has the same fields.
//!
//! A join is a row of steps. Each takes fields of an item found before and looks up the items of another store that have
//! them, by their key or through an index: one to one, one to many, many to one; two steps over a store of pairs are many to
//! many. Rows come in pages; between two of them the join remembers where it is.
//!
//! J1  What a join remembers changes only when a piece has been read whole, so that after `WouldBlock` it goes on.
//! J2  Memory is bounded by the page and one piece per step, however many items match.
//! J3  So is the time of one call: it gives up with what it has, be that no row at all, when few items match.

use std::ops::Bound;

use super::column::{Column, NOTHING};
use super::entry::{Entries, push_target_key};
use super::level::Level;
use crate::engine::{Access, Link, Transaction};
use crate::error::{Error, Result};
use crate::txn::{IndexDefinition, IndexField, KeyShape};

/// Bytes of the items of a page, about.
const PAGE_BYTES: usize = 4 << 20;
/// Items taken and left again for one row of a page that was asked for (J3), and at least.
const STEPS_PER_ROW: usize = 8;
const STEPS_MIN: usize = 512;

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
    levels: Vec<Level>,
    columns: Vec<Column>,
    at: usize,
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
        let mut levels: Vec<Level> = (0..places).map(|_| Level::new()).collect();
        levels[0].low = low;
        levels[0].high = high;
        levels[0].done = false;
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
            levels,
            columns: (0..places).map(|_| Column::default()).collect(),
            at: 0,
            ended: false,
        }
    }

    /// Items in a row.
    pub fn width(&self) -> usize {
        self.levels.len()
    }

    /// Makes up to `limit` rows for `take`, fewer when that takes long: see `has_ended`. After `WouldBlock` it is to be
    /// called again.
    pub fn fill(&mut self, tx: &mut Transaction, limit: usize, access: Access) -> Result<()> {
        // The transaction may have written since.
        self.levels
            .iter_mut()
            .for_each(|level| level.remembered.clear());
        let mut steps = limit.saturating_mul(STEPS_PER_ROW).max(STEPS_MIN);
        let mut full = self.is_full(limit);
        while !self.ended && steps > 0 && !full {
            let at = self.at;
            let level = &mut self.levels[at];
            if level.is_used_up() && !level.done {
                self.read(tx, at, access)?;
                continue;
            }
            steps -= 1;
            if level.take_item() {
                full = self.go_on(at)? && self.is_full(limit);
            } else if at == 0 {
                self.ended = true;
            } else if !level.matched && self.steps[at - 1].step.outer {
                level.matched = true;
                level.present = false;
                full = self.go_on(at)? && self.is_full(limit);
            } else {
                self.at -= 1;
            }
        }
        Ok(())
    }

    /// Have all rows been made? Until then a page may be empty.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The page has all rows that were asked for, or as many bytes as it may.
    fn is_full(&self, limit: usize) -> bool {
        let bytes = self.columns.iter().map(|column| column.items.bytes());
        self.columns[0].rows.len() >= limit || bytes.sum::<usize>() >= PAGE_BYTES
    }

    /// The rows that were made, a column for each store.
    pub fn take(&mut self) -> Vec<Column> {
        let next = |column: &Column| match self.ended {
            true => Column::default(),
            false => column.next(),
        };
        let empty = self.columns.iter().map(next).collect();
        let taken = std::mem::replace(&mut self.columns, empty);
        for (level, column) in self.levels.iter_mut().zip(&taken) {
            level.leave(column);
        }
        taken
    }

    /// The row has its item at `level`: completes it, or opens the next level. Is it complete?
    fn go_on(&mut self, level: usize) -> Result<bool> {
        if level + 1 == self.levels.len() {
            for (level, column) in self.levels.iter_mut().zip(&mut self.columns) {
                let number = if level.present {
                    level.number_in(column)
                } else {
                    NOTHING
                };
                column.rows.push(number);
            }
            return Ok(true);
        }
        self.at = level + 1;
        let (before, next) = self.levels.split_at_mut(level + 1);
        let next = &mut next[0];
        next.open();
        let Planned {
            step,
            definition,
            directions,
            exact,
        } = &self.steps[level];
        let from = &before[step.from];
        if !from.present {
            return Ok(false);
        }
        let from = from.item(&self.columns[step.from]);
        let fields = &mut self.entries;
        let elements = match fields.fields(definition, from.key, from.meta, from.value) {
            Ok(Some(elements)) => elements,
            // What cannot be a key has no partner.
            Ok(None) | Err(Error::NotIndexable { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        next.key.clear();
        match &step.probe {
            Probe::Index(_) => next.key.extend_from_slice(elements),
            Probe::Key(shape) => {
                if !push_target_key(&mut next.key, elements, directions, shape)? {
                    return Ok(false);
                }
            }
        }
        next.look_for(*exact, &self.columns[level + 1]);
        Ok(false)
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
        self.levels[level].read(tx, store, through, reverse, access)
    }
}
