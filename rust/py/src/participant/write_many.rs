//! Writing many keys: all of them or, when one is refused, none.
//!
//! M1 nothing has changed when a call ends in an error or names a refused key.
//! M2 the result is that of doing the keys one after the other.
//!
//! Where only small values go into a unique store, or keys of one go that nothing refers to, everything is looked up first; writing
//! cannot fail after that. Else a savepoint takes back what was done.

use sopasync_core::index::{self, NewItem, Way};
use sopasync_core::key::Repeats;
use sopasync_core::limits::EXTENT_BYTES_MIN;
use sopasync_core::{Access, Result, Transaction};

use super::answer::Answer;
use super::batch::Batch;
use super::operation::Content;
use super::scope::Scope;

pub fn write_many(
    tx: &mut Transaction,
    scope: Scope,
    way: Way,
    (keys, values): (&Batch, &[Content<'_>]),
    access: Access,
) -> Result<Answer> {
    if scope.unique && are_small(keys, values) {
        let links = tx.links(scope.store)?;
        let Some(links) = links.filter(|links| !links.indexes.is_empty()) else {
            return match way {
                Way::Add => add_many(tx, scope, keys, values, access),
                Way::Update => update_many(tx, scope, keys, values, access),
                Way::Upsert => insert_all(tx, scope, keys, values, access),
            };
        };
        let items = keys.iter().zip(values);
        let items = items.map(|((key, meta), value)| NewItem { key, meta, value });
        if index::put_many(tx, scope.store, &links, way, items, access)? {
            return Ok(Answer::Refused(None));
        }
    }
    one_by_one(tx, keys, |tx, index, key, meta| {
        let value = &values[index];
        match way {
            Way::Add => scope.add(tx, key, meta, value, access),
            Way::Update => scope.update(tx, key, value, access),
            Way::Upsert => scope.upsert(tx, key, meta, value, access).map(|()| true),
        }
    })
}

fn add_many(
    tx: &mut Transaction,
    scope: Scope,
    keys: &Batch,
    values: &[Content<'_>],
    access: Access,
) -> Result<Answer> {
    let mut repeats = Repeats::of(keys.iter().map(|(key, _)| key));
    for (index, (key, _)) in keys.iter().enumerate() {
        if repeats.again(key) || tx.contains(scope.store, key, access)? {
            return Ok(Answer::Refused(Some(index)));
        }
    }
    insert_all(tx, scope, keys, values, access)
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
    if scope.unique {
        let Some(links) = tx.links(scope.store)? else {
            return remove_plain(tx, scope, keys, access);
        };
        let keys = keys.iter().map(|(key, _)| key);
        if links.referrers.is_empty() && index::delete_many(tx, scope.store, &links, keys, access)?
        {
            return Ok(Answer::Refused(None));
        }
    }
    one_by_one(tx, keys, |tx, _, key, _| scope.remove(tx, key, access))
}

fn remove_plain(
    tx: &mut Transaction,
    scope: Scope,
    keys: &Batch,
    access: Access,
) -> Result<Answer> {
    let mut repeats = Repeats::of(keys.iter().map(|(key, _)| key));
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
