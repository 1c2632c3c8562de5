//! Making, finding and dropping an index.

use std::ops::Bound;
use std::sync::Arc;

use super::entry::Entries;
use super::state;
use super::write::check_target;
use crate::engine::{Access, Link, ScanRange, Transaction};
use crate::error::{Error, Result};
use crate::txn::{FieldSource, INDEX_FIELDS_MAX, INDEX_KIND, IndexDefinition};

/// Longest name of an index, in bytes of UTF-8.
const NAME_BYTES_MAX: usize = 200;
/// Longest path to a field.
const PATH_BYTES_MAX: usize = 1024;

/// Declares an index. Of a store that this transaction made it is complete at once; of another it is built in the background
/// after the commit. Making it again with the same fields does nothing.
pub fn create(tx: &mut Transaction, definition: &IndexDefinition) -> Result<()> {
    let Some((store, index)) = declare(tx, definition)? else {
        return Ok(());
    };
    if tx.has_made(store) {
        // Everything in it is this transaction's own.
        let taken_in = take_in(tx, store, index, definition);
        if taken_in.is_err() {
            tx.remove_store(index)?;
        }
        taken_in
    } else {
        state::set_building(tx, index)
    }
}

/// Declares an index that is complete with the commit: the caller calls `fill` until it has seen the whole store.
/// Making it again with the same fields does nothing.
pub fn create_to_fill(tx: &mut Transaction, definition: &IndexDefinition) -> Result<()> {
    declare(tx, definition).map(drop)
}

/// Makes the index's own store, with nothing in it; the numbers of the store and of that. `None` when it was there.
fn declare(tx: &mut Transaction, definition: &IndexDefinition) -> Result<Option<(u64, u64)>> {
    check(definition)?;
    let store = tx
        .known_store(&definition.store)
        .ok_or_else(|| Error::StoreNotFound {
            store: definition.store.clone(),
        })?;
    if let Some(reference) = &definition.reference
        && tx.known_store(&reference.store).is_none()
    {
        return Err(Error::StoreNotFound {
            store: reference.store.clone(),
        });
    }
    if let Some(link) = find(tx, store.id, &definition.name)? {
        if *link.definition == *definition {
            return Ok(None);
        }
        return Err(Error::invalid(format!(
            "store '{}' has an index '{}' already, with other fields or options. Drop it first, or take another name",
            definition.store, definition.name
        )));
    }
    let info = tx.create_store(
        &definition.catalogue_name(),
        INDEX_KIND,
        &definition.encode(),
    )?;
    Ok(Some((store.id, info.id)))
}

fn check(definition: &IndexDefinition) -> Result<()> {
    let IndexDefinition { name, fields, .. } = definition;
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
        return Err(Error::invalid(format!(
            "the name of an index has 1 to {NAME_BYTES_MAX} bytes and no NUL; got '{}'",
            name.escape_default()
        )));
    }
    if fields.is_empty() || fields.len() > INDEX_FIELDS_MAX {
        return Err(Error::invalid(format!(
            "an index has 1 to {INDEX_FIELDS_MAX} fields; '{name}' has {}",
            fields.len()
        )));
    }
    for (place, field) in fields.iter().enumerate() {
        if fields[..place]
            .iter()
            .any(|other| other.source == field.source)
        {
            return Err(Error::invalid(format!(
                "index '{name}' names a field twice"
            )));
        }
        if let FieldSource::Value(path) | FieldSource::Ride(path) = &field.source
            && (path.is_empty() || path.len() > PATH_BYTES_MAX)
        {
            return Err(Error::invalid(format!(
                "the path of a field has 1 to {PATH_BYTES_MAX} bytes; one of index '{name}' has {}",
                path.len()
            )));
        }
    }
    Ok(())
}

/// Makes the entries of what a transaction wrote before.
fn take_in(
    tx: &mut Transaction,
    store: u64,
    index: u64,
    definition: &IndexDefinition,
) -> Result<()> {
    let mut entries = Entries::default();
    let mut rows = Vec::new();
    let mut failure = None;
    let range = ScanRange {
        limit: usize::MAX,
        limit_bytes: usize::MAX,
        ..ScanRange::default()
    };
    tx.scan(
        store,
        &range,
        Access::default(),
        &mut |key, meta, value| match entries.row(definition, key, meta, value.unwrap_or_default())
        {
            Ok(Some((entry, content))) => rows.push((entry, content, key.to_vec())),
            Ok(None) => {}
            Err(error) => failure = Some(error),
        },
    )?;
    if let Some(error) = failure {
        return Err(error);
    }
    rows.sort_unstable();
    for pair in rows.windows(2) {
        if definition.unique && pair[0].0 == pair[1].0 {
            return Err(Error::NotUnique {
                index: definition.name.clone(),
                key: pair[1].2.clone(),
                held_by: pair[0].2.clone(),
            });
        }
    }
    let link = Link {
        id: index,
        definition: Arc::new(definition.clone()),
    };
    for (entry, content, key) in rows {
        check_target(tx, store, &link, &entry, &key, Access::default())?;
        tx.put(index, &entry, &[], &content, true)?;
    }
    Ok(())
}

/// The index of that name.
pub fn find(tx: &mut Transaction, store: u64, name: &str) -> Result<Option<Link>> {
    let Some(links) = tx.links(store)? else {
        return Ok(None);
    };
    let mut indexes = links.indexes.iter();
    Ok(indexes.find(|link| link.definition.name == name).cloned())
}

/// Drops an index; false when there is none of that name.
pub fn drop_index(tx: &mut Transaction, store: u64, name: &str) -> Result<bool> {
    let Some(link) = find(tx, store, name)? else {
        return Ok(false);
    };
    tx.remove_store(link.id)?;
    Ok(true)
}

/// What an index is called in messages.
pub(super) fn describe(store: &str, name: &str) -> String {
    format!("index '{name}' of store '{store}'")
}

/// The part of an index that holds entries, within these bounds.
pub(super) fn entry_range<'a>(
    low: Bound<&'a [u8]>,
    high: Bound<&'a [u8]>,
) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    let low = match low {
        Bound::Unbounded => Bound::Included(&state::FIRST_ENTRY[..]),
        low => low,
    };
    (low, high)
}
