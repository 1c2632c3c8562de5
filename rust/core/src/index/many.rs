//! Writing many items at once: what changes in the indexes is found out and checked first, then written in the order of each
//! index.
//!
//! A1  Nothing is written or claimed unless everything is. Where an item is refused, or has to do with another one of them,
//!     the answer is false: whoever asked writes them one after the other (`write`), and is told what is wrong with which.
//! A2  Items have to do with each other when they have one key, when one takes an entry of a unique index that another has or
//!     takes, or when one refers to another that is to come. All others end up the same in whatever order they are written.

use super::entry::{Entries, target_key};
use super::state::{State, state};
use super::write::{claim, claim_entry, claim_target, directions};
use crate::engine::{Access, Link, Links, Transaction};
use crate::error::{Error, Result};
use crate::key::Repeats;
use crate::mutants::mutant;

/// Which keys are refused: those that are there, those that are not, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// None of them is to be there.
    Add,
    /// All of them are; what rides along stays.
    Update,
    /// Whatever was there.
    Upsert,
}

/// An item that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewItem<'a> {
    /// Its key in its store.
    pub key: &'a [u8],
    /// What rides along.
    pub meta: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

/// Writes items to a store with indexes; false when they are to be written one after the other (A1). Values are short enough
/// for the log.
pub fn put_many<'i>(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    way: Way,
    items: impl Iterator<Item = NewItem<'i>> + Clone,
    access: Access,
) -> Result<bool> {
    let mut changes = Changes::of(store, links, access);
    if !decided(changes.look_at(tx, way, items.clone()))? {
        return Ok(false);
    }
    for (place, item) in items.enumerate() {
        let meta = changes.metas.get(place).map_or(item.meta, Vec::as_slice);
        claim(tx, store, item.key)?;
        tx.put(store, item.key, meta, item.value, true)?;
    }
    changes.write(tx)?;
    Ok(true)
}

/// Takes items away that nothing refers to, as `put_many` writes them.
pub fn delete_many<'i>(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    keys: impl Iterator<Item = &'i [u8]> + Clone,
    access: Access,
) -> Result<bool> {
    debug_assert!(links.referrers.is_empty(), "others may go with them");
    let mut changes = Changes::of(store, links, access);
    if !decided(changes.look_at_gone(tx, keys.clone()))? {
        return Ok(false);
    }
    for key in keys {
        claim(tx, store, key)?;
        tx.delete(store, key)?;
    }
    changes.write(tx)?;
    Ok(true)
}

/// What is wrong with an item is for the other way to tell (A1).
fn decided(looked: Result<bool>) -> Result<bool> {
    match looked {
        Err(Error::WouldBlock) => Err(Error::WouldBlock),
        looked => Ok(looked.unwrap_or(false)),
    }
}

/// What becomes of the entries of one index.
#[derive(Debug, Default)]
struct Changed {
    removed: Rows,
    added: Rows,
    /// The store it refers to, and the keys there.
    target_store: u64,
    targets: Vec<Vec<u8>>,
}

/// What changes with the items, in each index.
struct Changes<'l> {
    store: u64,
    links: &'l Links,
    /// Reads are claimed when everything is.
    access: Access,
    entries: Entries,
    indexes: Vec<Changed>,
    /// What rides along with items that are updated.
    metas: Vec<Vec<u8>>,
}

impl<'l> Changes<'l> {
    fn of(store: u64, links: &'l Links, access: Access) -> Self {
        Self {
            store,
            links,
            access: Access {
                track: false,
                ..access
            },
            entries: Entries::default(),
            indexes: links.indexes.iter().map(|_| Changed::default()).collect(),
            metas: Vec::new(),
        }
    }

    /// May all of them be written in any order?
    fn look_at<'i>(
        &mut self,
        tx: &mut Transaction,
        way: Way,
        items: impl Iterator<Item = NewItem<'i>> + Clone,
    ) -> Result<bool> {
        let (store, access) = (self.store, self.access);
        let mut repeats = Repeats::of(items.clone().map(|item| item.key));
        for NewItem { key, meta, value } in items {
            if repeats.again(key) {
                return Ok(false);
            }
            if way == Way::Add {
                if tx.contains(store, key, access)? {
                    return Ok(false);
                }
                self.change(key, None, Some((meta, value)))?;
                continue;
            }
            let found = tx.visit(store, key, access, |old_meta, old_value| {
                let meta = if way == Way::Update {
                    self.metas.push(old_meta.to_vec());
                    old_meta
                } else {
                    meta
                };
                self.change(key, Some((old_meta, old_value)), Some((meta, value)))
            })?;
            match found {
                Some(changed) => changed?,
                None if way == Way::Update => return Ok(false),
                None => self.change(key, None, Some((meta, value)))?,
            }
        }
        self.are_free(tx)
    }

    /// May all items with these keys be taken away?
    fn look_at_gone<'i>(
        &mut self,
        tx: &mut Transaction,
        keys: impl Iterator<Item = &'i [u8]> + Clone,
    ) -> Result<bool> {
        let mut repeats = Repeats::of(keys.clone());
        for key in keys {
            let found = tx.visit(self.store, key, self.access, |meta, value| {
                self.change(key, Some((meta, value)), None)
            })?;
            match found {
                Some(changed) if !repeats.again(key) => changed?,
                _ => return Ok(false),
            }
        }
        self.are_free(tx)
    }

    /// Notes which entries go and come with an item.
    fn change(
        &mut self,
        key: &[u8],
        old: Option<(&[u8], &[u8])>,
        new: Option<(&[u8], &[u8])>,
    ) -> Result<()> {
        for (link, changed) in self.links.indexes.iter().zip(&mut self.indexes) {
            let definition = &link.definition;
            let mut had = false;
            if let Some((meta, value)) = old {
                // What could not be indexed has no entry.
                let fields = self.entries.fields(definition, key, meta, value);
                if let Some(fields) = fields.unwrap_or_default() {
                    changed.removed.push(fields, key);
                    had = true;
                }
            }
            if let Some((meta, value)) = new
                && let Some(fields) = self.entries.fields(definition, key, meta, value)?
            {
                if had && changed.removed.last_fields() == fields {
                    changed.removed.pop();
                } else {
                    changed.added.push(fields, key);
                }
            }
        }
        Ok(())
    }

    /// Is every entry that is to come free, and what it refers to there? Are all that are to go their items'?
    fn are_free(&mut self, tx: &mut Transaction) -> Result<bool> {
        for (link, changed) in self.links.indexes.iter().zip(&mut self.indexes) {
            changed.removed.sort();
            changed.added.sort();
            if link.definition.unique && !changed.are_unique(tx, link.id, self.access)? {
                return Ok(false);
            }
            if !changed.find_targets(tx, self.store, link, self.access)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Carries out what was noted, and claims what was read for it.
    fn write(&self, tx: &mut Transaction) -> Result<()> {
        for (link, changed) in self.links.indexes.iter().zip(&self.indexes) {
            let unique = link.definition.unique;
            for row in changed.removed.iter() {
                if unique {
                    tx.claim_point(link.id, row.fields)?;
                }
                if !mutant("index-keep-old-entry") {
                    tx.delete(link.id, row.entry(unique))?;
                }
            }
            for target in &changed.targets {
                claim_target(tx, changed.target_store, target)?;
            }
            for row in changed.added.iter() {
                if unique {
                    claim_entry(tx, link, row.fields)?;
                }
                let value = if unique { row.key } else { &[] };
                tx.put(link.id, row.entry(unique), &[], value, true)?;
            }
        }
        Ok(())
    }
}

impl Changed {
    fn are_unique(&self, tx: &mut Transaction, index: u64, access: Access) -> Result<bool> {
        let mut before: Option<Row<'_>> = None;
        for row in self.added.iter() {
            let twice = before.is_some_and(|before| before.fields == row.fields);
            let held_by = |_: &[u8], held_by: &[u8]| held_by == row.key;
            if twice || tx.visit(index, row.fields, access, held_by)? == Some(false) {
                return Ok(false);
            }
            before = Some(row);
        }
        // One that is not complete may lack an entry that is to go, or have it of another item.
        Ok(self.removed.places.is_empty() || state(tx, index, access)? == State::Ready)
    }

    /// Finds what new entries refer to, once for all that refer to the same.
    fn find_targets(
        &mut self,
        tx: &mut Transaction,
        store: u64,
        link: &Link,
        access: Access,
    ) -> Result<bool> {
        let Some(reference) = &link.definition.reference else {
            return Ok(true);
        };
        let Some(info) = tx.known_store(&reference.store) else {
            return Ok(false);
        };
        self.target_store = info.id;
        let directions = directions(link);
        let mut last: Option<(&[u8], Vec<u8>, bool)> = None;
        for row in self.added.iter() {
            let (_, target, there) = match last.take() {
                Some(last) if last.0 == row.fields => last,
                _ => {
                    let Some(target) = target_key(row.fields, &directions, &reference.key)? else {
                        return Ok(false);
                    };
                    let there = tx.contains(info.id, &target, access)?;
                    if there {
                        self.targets.push(target.clone());
                    }
                    (row.fields, target, there)
                }
            };
            // An item may refer to itself.
            if !there && (info.id != store || target != row.key) {
                return Ok(false);
            }
            last = Some((row.fields, target, there));
        }
        Ok(true)
    }
}

/// An entry in its parts: fields, then the key in the store.
#[derive(Clone, Copy)]
struct Row<'a> {
    both: &'a [u8],
    fields: &'a [u8],
    key: &'a [u8],
}

impl<'a> Row<'a> {
    /// The key it has in the index.
    fn entry(&self, unique: bool) -> &'a [u8] {
        if unique { self.fields } else { self.both }
    }
}

/// Entries in one buffer.
#[derive(Debug, Default)]
struct Rows {
    bytes: Vec<u8>,
    /// Where each begins, where its key does, and where that ends.
    places: Vec<(usize, usize, usize)>,
}

impl Rows {
    fn push(&mut self, fields: &[u8], key: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(fields);
        self.bytes.extend_from_slice(key);
        let key_start = start + fields.len();
        self.places.push((start, key_start, self.bytes.len()));
    }

    fn last_fields(&self) -> &[u8] {
        self.row(self.places.len() - 1).fields
    }

    fn pop(&mut self) {
        if let Some((start, _, _)) = self.places.pop() {
            self.bytes.truncate(start);
        }
    }

    /// By fields, then by keys.
    fn sort(&mut self) {
        let bytes = &self.bytes;
        let both = |place: &(usize, usize, usize)| &bytes[place.0..place.2];
        self.places.sort_unstable_by(|a, b| both(a).cmp(both(b)));
    }

    fn row(&self, index: usize) -> Row<'_> {
        let (start, key, end) = self.places[index];
        Row {
            both: &self.bytes[start..end],
            fields: &self.bytes[start..key],
            key: &self.bytes[key..end],
        }
    }

    fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.places.len()).map(|index| self.row(index))
    }
}
