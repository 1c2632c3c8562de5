//! Maintenance of text stores: each step of the index is one transaction, and so is each step on the way to an index with other rules.

use sopasync_text::index::{self, Policy, View};

use super::index::Index;
use super::rebuild::{self, Rebuild};
use super::rows::TransactionRows;
use super::rules::{Rules, RulesRow};
use crate::engine::{Database, Isolation, Maintainer, Step, Transaction, TransactionOptions};
use crate::error::Result;
use crate::txn::StoreInfo;

/// Maintains text stores.
#[derive(Debug, Default)]
pub struct TextMaintainer;

impl Maintainer for TextMaintainer {
    fn step(&self, db: &Database, store: &StoreInfo) -> Result<Step> {
        let mut tx = db.begin(TransactionOptions {
            isolation: Isolation::Snapshot,
            read_only: false,
        })?;
        let index = Index::open(&tx, store)?;
        let rules = index.rules(&mut tx, store.id, true)?;
        let row = RulesRow::read(&mut tx, store.id, true)?;
        let step = step(&mut tx, store.id, &index, &rules, row)?;
        if step == index::Step::Idle {
            return Ok(Step::Idle);
        }
        tx.commit()?;
        Ok(Step::Again)
    }
}

fn step(
    tx: &mut Transaction,
    store: u64,
    index: &Index,
    rules: &Rules,
    row: RulesRow,
) -> Result<index::Step> {
    if row.clearing {
        rebuild::clear(tx, store, index, row)?;
        return Ok(index::Step::Again);
    }
    let policy = *index.policy.lock();
    // Without texts there is nothing to make it of; what is deleted from it is known by its words.
    let wanted = match row.wanted.is_empty() {
        false => Some(row.wanted.clone()),
        true if rules.schema.stored && is_stale(tx, store, rules)? => {
            Some(index.options_of(&row).to_vec())
        }
        true => None,
    };
    let Some(wanted) = wanted else {
        return ordinary(tx, store, rules, &policy);
    };
    // While the next index is made, documents of this one keep their slots: deltas are combined, not folded.
    let still = Policy {
        fold_documents: u64::MAX,
        compact_postings: u64::MAX,
        ..policy
    };
    if ordinary(tx, store, rules, &still)? == index::Step::Again {
        return Ok(index::Step::Again);
    }
    let rebuild = Rebuild {
        tx,
        store,
        index,
        old: rules,
        row,
        wanted,
    };
    rebuild.step(&policy)?;
    Ok(index::Step::Again)
}

fn ordinary(
    tx: &mut Transaction,
    store: u64,
    rules: &Rules,
    policy: &Policy,
) -> Result<index::Step> {
    let rows = TransactionRows::new(tx, store, rules.generation, true);
    let step = index::step(&rows, &rules.cache, rules.shape(), policy);
    step.map_err(|failure| rows.error(&failure))
}

fn is_stale(tx: &mut Transaction, store: u64, rules: &Rules) -> Result<bool> {
    let rows = TransactionRows::new(tx, store, rules.generation, true);
    let view = View::open(&rows, &rules.cache, rules.fields(), &[]);
    Ok(view
        .map_err(|failure| rows.error(&failure))?
        .is_stale(rules.fingerprint))
}
