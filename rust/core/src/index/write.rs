//! Writing an item of a store that has indexes, or that others refer to (X2, X5).
//!
//! W1  Everything is read and checked before anything is written, so a refusal, or `WouldBlock`, has changed nothing; but for
//!     a removal that removes others with it, which is taken back.

use std::ops::Bound;

use super::entry::{Entries, target_key};
use crate::engine::{Access, Link, Links, ScanRange, Transaction};
use crate::error::{BrokenRelation, Error, Result};
use crate::key::prefix_end;
use crate::mutants::mutant;
use crate::txn::{OnDelete, Reference};

/// Items that go because those they refer to go: at most so deep.
const CASCADE_DEPTH_MAX: usize = 64;
/// Referring items looked at in one step.
const CASCADE_ITEMS: usize = 256;

/// A row of an index: which, its key, its value.
type Row = (u64, Vec<u8>, Vec<u8>);

/// The rows of an item as it was, one for each index; none at all when it was not there.
type OldRows = Vec<Option<(Vec<u8>, Vec<u8>)>>;

/// What changes in the indexes.
#[derive(Default)]
struct Plan {
    removed: Vec<Row>,
    added: Vec<Row>,
}

impl Plan {
    fn carry_out(&self, tx: &mut Transaction) -> Result<()> {
        for (index, key, _) in &self.removed {
            tx.delete(*index, key)?;
        }
        for (index, key, value) in &self.added {
            tx.put(*index, key, &[], value, true)?;
        }
        Ok(())
    }
}

/// Gives `key` a value, whatever was there, as `Transaction::put` does.
pub fn put(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    key: &[u8],
    (meta, value): (&[u8], &[u8]),
    access: Access,
) -> Result<()> {
    let old = old_rows(tx, store, links, key, access)?;
    replace(tx, store, links, key, old, (meta, value), access)
}

/// The same for a key that the transaction has found absent.
pub fn put_new(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    key: &[u8],
    new: (&[u8], &[u8]),
    access: Access,
) -> Result<()> {
    replace(tx, store, links, key, Vec::new(), new, access)
}

fn replace(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    key: &[u8],
    old: OldRows,
    (meta, value): (&[u8], &[u8]),
    access: Access,
) -> Result<()> {
    let plan = plan(tx, store, links, key, old, Some((meta, value)), access)?;
    tx.put(store, key, meta, value, access.may_wait)?;
    plan.carry_out(tx)
}

/// Changes the ride-along part of an entry that is there, as `Transaction::put_meta` does.
pub fn put_meta(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    key: &[u8],
    meta: &[u8],
    access: Access,
) -> Result<()> {
    if !links.indexes.is_empty() {
        let found = tx.visit(store, key, access, |_, value| value.to_vec())?;
        if let Some(value) = found {
            let old = old_rows(tx, store, links, key, access)?;
            let plan = plan(tx, store, links, key, old, Some((meta, &value)), access)?;
            tx.put_meta(store, key, meta)?;
            return plan.carry_out(tx);
        }
    }
    tx.put_meta(store, key, meta)
}

/// Takes `key` away, and what goes with it.
pub fn delete(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    key: &[u8],
    access: Access,
) -> Result<()> {
    if links.referrers.is_empty() {
        return delete_alone(tx, store, links, key, access);
    }
    let savepoint = tx.savepoint();
    let result = delete_with_referrers(tx, store, links, key, access, 0);
    if result.is_err() {
        tx.rollback_to(savepoint)?;
    }
    result
}

fn delete_alone(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    key: &[u8],
    access: Access,
) -> Result<()> {
    let old = old_rows(tx, store, links, key, access)?;
    let plan = plan(tx, store, links, key, old, None, access)?;
    tx.delete(store, key)?;
    plan.carry_out(tx)
}

fn old_rows(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    key: &[u8],
    access: Access,
) -> Result<OldRows> {
    if links.indexes.is_empty() {
        return Ok(Vec::new());
    }
    let mut entries = Entries::default();
    let found = tx.visit(store, key, access, |meta, value| {
        let rows = links.indexes.iter().map(|link| {
            // What could not be indexed has no entry: it was written before there was an index that cannot be built.
            let row = entries.row(&link.definition, key, meta, value);
            row.unwrap_or_default()
        });
        rows.collect::<Vec<_>>()
    })?;
    Ok(found.unwrap_or_default())
}

/// What an item's change makes of the index entries; checks what must hold.
fn plan(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    key: &[u8],
    old: OldRows,
    new: Option<(&[u8], &[u8])>,
    access: Access,
) -> Result<Plan> {
    let mut plan = Plan::default();
    if links.indexes.is_empty() {
        return Ok(plan);
    }
    claim(tx, store, key)?;
    let mut entries = Entries::default();
    let mut old = old.into_iter();
    for link in &links.indexes {
        let old = old.next().flatten();
        let new = match new {
            Some((meta, value)) => entries.row(&link.definition, key, meta, value)?,
            None => None,
        };
        if old.as_ref().map(|(entry, _)| entry) == new.as_ref().map(|(entry, _)| entry) {
            continue;
        }
        if let Some((entry, _)) = &new {
            check_unique(tx, link, entry, key, access)?;
            check_target(tx, store, link, entry, key, access)?;
        }
        // An index that cannot be complete may give the entry to another item with the same fields.
        if let Some((entry, value)) = old
            && is_own(tx, link, &entry, key, access)?
            && !mutant("index-keep-old-entry")
        {
            plan.removed.push((link.id, entry, value));
        }
        if let Some((entry, value)) = new {
            plan.added.push((link.id, entry, value));
        }
    }
    Ok(plan)
}

/// An item is claimed as it was by whoever changes it (X2).
pub(super) fn claim(tx: &mut Transaction, store: u64, key: &[u8]) -> Result<()> {
    if mutant("index-skip-claim") {
        return Ok(());
    }
    tx.claim_point(store, key)
}

/// Whoever takes an entry of a unique index has seen that it is free.
pub(super) fn claim_entry(tx: &mut Transaction, link: &Link, entry: &[u8]) -> Result<()> {
    if mutant("index-skip-unique-claim") {
        return Ok(());
    }
    tx.claim_point(link.id, entry)
}

/// An item is claimed by whoever refers to it (X5).
pub(super) fn claim_target(tx: &mut Transaction, store: u64, target: &[u8]) -> Result<()> {
    if mutant("relation-skip-target-claim") {
        return Ok(());
    }
    tx.claim_point(store, target)
}

fn is_own(
    tx: &mut Transaction,
    link: &Link,
    entry: &[u8],
    key: &[u8],
    access: Access,
) -> Result<bool> {
    if !link.definition.unique {
        return Ok(true);
    }
    tx.claim_point(link.id, entry)?;
    let held_by = tx.visit(link.id, entry, access, |_, held_by| held_by == key)?;
    Ok(held_by.unwrap_or(false))
}

fn check_unique(
    tx: &mut Transaction,
    link: &Link,
    entry: &[u8],
    key: &[u8],
    access: Access,
) -> Result<()> {
    if !link.definition.unique {
        return Ok(());
    }
    let held_by = tx.visit(link.id, entry, access, |_, held_by| held_by.to_vec())?;
    claim_entry(tx, link, entry)?;
    match held_by {
        Some(held_by) if held_by != key => Err(Error::NotUnique {
            index: link.definition.name.clone(),
            key: key.to_vec(),
            held_by,
        }),
        _ => Ok(()),
    }
}

/// The item an entry refers to must be there, and stay.
pub(super) fn check_target(
    tx: &mut Transaction,
    store: u64,
    link: &Link,
    entry: &[u8],
    key: &[u8],
    access: Access,
) -> Result<()> {
    let Some(reference) = &link.definition.reference else {
        return Ok(());
    };
    let target = target_of(link, reference, entry)?;
    let found = match tx.known_store(&reference.store) {
        // An item may refer to itself.
        Some(info) if info.id == store && target == key => true,
        Some(info) => {
            let found = tx.contains(info.id, &target, access)?;
            claim_target(tx, info.id, &target)?;
            found
        }
        None => false,
    };
    if found {
        return Ok(());
    }
    Err(Error::NoTarget(Box::new(BrokenRelation {
        index: link.definition.name.clone(),
        store: link.definition.store.clone(),
        key: key.to_vec(),
        other_store: reference.store.clone(),
        other_key: target,
    })))
}

fn target_of(link: &Link, reference: &Reference, entry: &[u8]) -> Result<Vec<u8>> {
    let directions = directions(link);
    let target = target_key(entry, &directions, &reference.key)?;
    target.ok_or_else(|| Error::invalid("a relation does not fit the keys it refers to"))
}

pub(super) fn directions(link: &Link) -> Vec<bool> {
    let fields = link.definition.fields.iter();
    fields.map(|field| field.ascending).collect()
}

fn delete_with_referrers(
    tx: &mut Transaction,
    store: u64,
    links: &Links,
    key: &[u8],
    access: Access,
    depth: usize,
) -> Result<()> {
    if depth > CASCADE_DEPTH_MAX {
        return Err(Error::invalid(format!(
            "an item is not removed: what refers to it goes with it, and that goes on more than {CASCADE_DEPTH_MAX} deep"
        )));
    }
    // First the item itself, so that items that refer to each other end.
    delete_alone(tx, store, links, key, access)?;
    for link in &links.referrers {
        remove_referrers(tx, link, key, access, depth)?;
    }
    Ok(())
}

fn remove_referrers(
    tx: &mut Transaction,
    link: &Link,
    key: &[u8],
    access: Access,
    depth: usize,
) -> Result<()> {
    let definition = &link.definition;
    let reference = definition
        .reference
        .as_ref()
        .expect("it refers to the store");
    let Some(prefix) = referring_prefix(link, reference, key)? else {
        return Ok(());
    };
    let end = prefix_end(&prefix);
    let low = Bound::Included(&prefix[..]);
    let high = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    if !mutant("relation-skip-referrer-claim") {
        tx.claim_range_firmly(link.id, low, high)?;
    }
    // An index that is being built does not know every item yet: what it has not come to keeps nobody, and is told when it
    // comes there (`build`).
    let Some(owner) = tx.known_store(&definition.store) else {
        return Ok(());
    };
    loop {
        let range = ScanRange {
            low,
            high,
            limit: CASCADE_ITEMS,
            ..ScanRange::default()
        };
        let mut referring = Vec::new();
        super::read::scan(
            tx,
            owner.id,
            link,
            &ScanRange {
                keys_only: true,
                ..range
            },
            access,
            &mut |_, key, _, _| referring.push(key.to_vec()),
        )?;
        let Some(first) = referring.first() else {
            return Ok(());
        };
        if reference.on_delete == OnDelete::Restrict {
            return Err(Error::Referred(Box::new(BrokenRelation {
                index: definition.name.clone(),
                store: reference.store.clone(),
                key: key.to_vec(),
                other_store: definition.store.clone(),
                other_key: first.clone(),
            })));
        }
        let links = tx.links(owner.id)?.expect("it has this index");
        for referring in referring {
            delete_with_referrers(tx, owner.id, &links, &referring, access, depth + 1)?;
        }
    }
}

/// What the entries that refer to `key` begin with.
fn referring_prefix(link: &Link, reference: &Reference, key: &[u8]) -> Result<Option<Vec<u8>>> {
    super::entry::elements_of_key(&reference.key, key, &directions(link))
}
