//! Maintenance of text stores: each step of the index is one transaction; and making the index anew when terms are made by other
//! rules than before (another version of the analysis).

use std::ops::Bound;

use sopasync_text::index::{self, View};

use super::index::{Index, malformed};
use super::pending::analyze;
use super::record::{Body, DOCUMENTS, decode_body, document_of_row, head};
use super::rows::TransactionRows;
use super::store::aside;
use crate::engine::{
    Database, Isolation, Maintainer, ScanRange, Step, Transaction, TransactionOptions,
};
use crate::error::Result;
use crate::txn::StoreInfo;

/// Maintains text stores.
#[derive(Debug, Default)]
pub struct TextMaintainer;

/// A delta of an index made anew has so many documents, and the rest of the last commit's.
const AGAIN_DOCUMENTS: usize = 20_000;

impl Maintainer for TextMaintainer {
    fn step(&self, db: &Database, store: &StoreInfo) -> Result<Step> {
        let mut tx = db.begin(TransactionOptions {
            isolation: Isolation::Snapshot,
            read_only: false,
        })?;
        let index = Index::open(&tx, store)?;
        // Without texts there is nothing to make it of; what is deleted from it is known by its words.
        let again = index.schema.stored && is_stale(&mut tx, store.id, &index)?;
        if again {
            make_anew(&mut tx, store.id, &index)?;
        } else {
            let rows = TransactionRows::new(&mut tx, store.id, true);
            let policy = *index.policy.lock();
            let step = index::step(&rows, &index.cache, index.fields(), &policy);
            if step.map_err(|failure| rows.error(&failure))? == index::Step::Idle {
                return Ok(Step::Idle);
            }
        }
        tx.commit()?;
        Ok(Step::Again)
    }
}

fn is_stale(tx: &mut Transaction, store: u64, index: &Index) -> Result<bool> {
    let rows = TransactionRows::new(tx, store, true);
    let view = View::open(&rows, &index.cache, index.fields(), None);
    Ok(view
        .map_err(|failure| rows.error(&failure))?
        .is_stale(index.fingerprint))
}

/// Replaces the whole index by deltas made of the documents' texts, in one transaction: a reader sees the old index or the new
/// one. Documents of one commit stay in one delta, so that a document is found by its number.
fn make_anew(tx: &mut Transaction, store: u64, index: &Index) -> Result<()> {
    let version = {
        let rows = TransactionRows::new(tx, store, true);
        index::clear(&rows, index.fields()).map_err(|failure| rows.error(&failure))?
    };
    let begin = || index::Pending::new(index.fields(), index.fingerprint);
    let mut deltas: Vec<(u64, Vec<u8>)> = Vec::new();
    let (mut work, mut seq, mut result) = (begin(), 0, Ok(()));
    let (low, high) = DOCUMENTS;
    let range = ScanRange {
        low: Bound::Included(&low),
        high: Bound::Excluded(&high),
        ..ScanRange::default()
    };
    let mut visit = |key: &[u8], meta: &[u8], value: &[u8]| {
        let document = document_of_row(key)?;
        if document.seq != seq && work.savepoint() >= AGAIN_DOCUMENTS {
            deltas.push((seq, std::mem::replace(&mut work, begin()).delta()));
        }
        seq = document.seq;
        let (_, _, body) = head(meta, value)?;
        work.add_again(document);
        match decode_body(&value[body..], index.fields())? {
            Body::Texts(texts) => analyze(index, &texts, &mut work),
            Body::Words(..) => {
                return Err(malformed("a store that keeps texts has a document without"));
            }
        }
        Ok(())
    };
    tx.scan(store, &range, aside(true), &mut |key, meta, value| {
        if result.is_ok() {
            result = visit(key, meta, value.unwrap_or_default());
        }
    })?;
    result?;
    if !work.is_empty() {
        deltas.push((seq, work.delta()));
    }
    for (seq, delta) in deltas {
        tx.put(store, &index::combined_key(seq, version), &[], &delta, true)?;
    }
    Ok(())
}
