//! Writing many keys: all of them or, when one is refused, none.
//!
//! M1 nothing has changed when a call ends in an error or names a refused key.
//! M2 the result is that of doing the keys one after the other.
//!
//! Where only small values go into a unique store without indexes, or are added where indexes refuse nothing then, everything is
//! looked up first; writing cannot fail after that. Else a savepoint takes back what was done.

use std::collections::HashSet;

use sopasync_core::index::NewEntries;
use sopasync_core::limits::EXTENT_BYTES_MIN;
use sopasync_core::{Access, Links, Result, Transaction};

use super::answer::Answer;
use super::batch::Batch;
use super::operation::Content;
use super::scope::Scope;

/// Which keys are refused: those that are there, those that are not, or none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Add,
    Update,
    Upsert,
}

pub fn write_many(
    tx: &mut Transaction,
    scope: Scope,
    way: Way,
    (keys, values): (&Batch, &[Content<'_>]),
    access: Access,
) -> Result<Answer> {
    let is_plain = scope.is_plain(tx)?;
    if way == Way::Add
        && scope.unique
        && !is_plain
        && are_small(keys, values)
        && let Some(links) = tx.links(scope.store)?
        && let Some(entries) = NewEntries::of(&links)
    {
        return add_indexed(tx, scope, keys, values, (&links, entries), access);
    }
    if !(is_plain && are_small(keys, values)) {
        return one_by_one(tx, keys, |tx, index, key, meta| {
            let value = &values[index];
            match way {
                Way::Add => scope.add(tx, key, meta, value, access),
                Way::Update => scope.update(tx, key, value, access),
                Way::Upsert => scope.upsert(tx, key, meta, value, access).map(|()| true),
            }
        });
    }
    match way {
        Way::Add => add_many(tx, scope, keys, values, access),
        Way::Update => update_many(tx, scope, keys, values, access),
        Way::Upsert => insert_all(tx, scope, keys, values, access),
    }
}

fn add_many(
    tx: &mut Transaction,
    scope: Scope,
    keys: &Batch,
    values: &[Content<'_>],
    access: Access,
) -> Result<Answer> {
    let mut repeats = Repeats::of(keys);
    for (index, (key, _)) in keys.iter().enumerate() {
        if repeats.again(key) || tx.contains(scope.store, key, access)? {
            return Ok(Answer::Refused(Some(index)));
        }
    }
    insert_all(tx, scope, keys, values, access)
}

/// `add_many` where indexes have a say, but refuse nothing of what was found to have entries.
fn add_indexed(
    tx: &mut Transaction,
    scope: Scope,
    keys: &Batch,
    values: &[Content<'_>],
    (links, mut entries): (&Links, NewEntries),
    access: Access,
) -> Result<Answer> {
    let mut repeats = Repeats::of(keys);
    for (index, ((key, meta), value)) in keys.iter().zip(values).enumerate() {
        if repeats.again(key) || tx.contains(scope.store, key, access)? {
            return Ok(Answer::Refused(Some(index)));
        }
        entries.make(tx, scope.store, links, key, (meta, value))?;
    }
    for ((key, meta), value) in keys.iter().zip(values) {
        tx.put(scope.store, key, meta, value, access.may_wait)?;
    }
    entries.write(tx, links)?;
    Ok(Answer::Refused(None))
}

fn update_many(
    tx: &mut Transaction,
    scope: Scope,
    keys: &Batch,
    values: &[Content<'_>],
    access: Access,
) -> Result<Answer> {
    let mut metas = Vec::with_capacity(keys.len());
    for (index, (key, _)) in keys.iter().enumerate() {
        match scope.meta_raw(tx, key, access)? {
            Some(meta) => metas.push(meta),
            None => return Ok(Answer::Refused(Some(index))),
        }
    }
    for ((key, _), (meta, value)) in keys.iter().zip(metas.iter().zip(values)) {
        scope.put(tx, key, meta, value, access)?;
    }
    Ok(Answer::Refused(None))
}

pub fn remove_many(
    tx: &mut Transaction,
    scope: Scope,
    keys: &Batch,
    access: Access,
) -> Result<Answer> {
    if !scope.is_plain(tx)? {
        return one_by_one(tx, keys, |tx, _, key, _| scope.remove(tx, key, access));
    }
    let mut repeats = Repeats::of(keys);
    for (index, (key, _)) in keys.iter().enumerate() {
        if repeats.again(key) || !tx.contains(scope.store, key, access)? {
            return Ok(Answer::Refused(Some(index)));
        }
    }
    for (key, _) in keys.iter() {
        tx.delete(scope.store, key)?;
    }
    Ok(Answer::Refused(None))
}

/// Nothing in it can be refused for its size, or has to be written to a file before the commit.
fn are_small(keys: &Batch, values: &[Content<'_>]) -> bool {
    values.iter().all(|value| value.len() < EXTENT_BYTES_MIN) && keys.metas_fit()
}

fn insert_all(
    tx: &mut Transaction,
    scope: Scope,
    keys: &Batch,
    values: &[Content<'_>],
    access: Access,
) -> Result<Answer> {
    for ((key, meta), value) in keys.iter().zip(values) {
        scope.put(tx, key, meta, value, access)?;
    }
    Ok(Answer::Refused(None))
}

fn one_by_one(
    tx: &mut Transaction,
    keys: &Batch,
    mut one: impl FnMut(&mut Transaction, usize, &[u8], &[u8]) -> Result<bool>,
) -> Result<Answer> {
    let savepoint = tx.savepoint();
    for (index, (key, meta)) in keys.iter().enumerate() {
        match one(tx, index, key, meta) {
            Ok(true) => {}
            Ok(false) => {
                tx.rollback_to(savepoint)?;
                return Ok(Answer::Refused(Some(index)));
            }
            Err(error) => {
                tx.rollback_to(savepoint)?;
                return Err(error);
            }
        }
    }
    Ok(Answer::Refused(None))
}

/// Tells which keys came before. Remembers nothing when the keys ascend.
struct Repeats<'k> {
    seen: Option<HashSet<&'k [u8]>>,
}

impl<'k> Repeats<'k> {
    fn of(keys: &'k Batch) -> Self {
        let ascends = keys
            .iter()
            .zip(keys.iter().skip(1))
            .all(|((key, _), (next, _))| key < next);
        Self {
            seen: (!ascends).then(|| HashSet::with_capacity(keys.len())),
        }
    }

    fn again(&mut self, key: &'k [u8]) -> bool {
        self.seen.as_mut().is_some_and(|seen| !seen.insert(key))
    }
}
