//! The next generation of an index, made of the documents' texts when the rules have changed, while the old one answers and grows.
//!
//! Step by step, each a transaction: documents are taken in the order of their slots in the old index, which does not fold meanwhile, so
//! that a slot says how far the work is; each step writes one delta of the new index, and what was deleted in the
//! old one since is removed from the new one. When nothing is left the store is *closing*: whoever begins to write now is told to begin
//! again, and whoever began before fails when he commits. So the last step has all there is, and with it the new
//! generation takes over. The old one's rows go afterwards.
//!
//! Invariants
//! G1  Nobody but maintenance reads or writes rows of the next generation before it takes over.
//! G2  A killed step has done nothing; the row 12 has what the steps before it did.
//! G3  When a generation takes over it has exactly the documents the old one shows.

use sopasync_text::index::{self, DocumentId, Policy, RowsMut, View, combined_key, found};

use super::index::{Index, malformed};
use super::pending::analyze;
use super::record::{name_row, named};
use super::rows::TransactionRows;
use super::rules::{REBUILD, Rules, RulesRow, family_bit};
use super::store::{Want, aside, read};
use crate::engine::{ScanRange, Transaction};
use crate::error::Result;
use crate::mutants::mutant;
use crate::wire::{Put, Take};

/// Documents, and deletions, of a step at most; by a policy of smaller steps fewer.
const DOCUMENTS_MAX: usize = 4000;
/// Rows of the old generation that go in one step.
const ROWS_MAX: usize = 5000;
/// Families of an index's rows, without the bit of the generation.
const FAMILIES: std::ops::Range<u8> = 0x30..0x50;

/// How far it is: the row 12.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Progress {
    generation: u64,
    /// Of the rules it is made by: a row of other rules is of no use.
    fingerprint: u64,
    /// The first slot of the old index that was not looked at.
    slot: u32,
    /// Deltas written.
    steps: u64,
    /// The last commit of which they have documents.
    seq: u64,
}

/// See the module.
pub(super) struct Rebuild<'t> {
    pub(super) tx: &'t mut Transaction,
    pub(super) store: u64,
    pub(super) index: &'t Index,
    /// The rules that are in force, and the row they stand in.
    pub(super) old: &'t Rules,
    pub(super) row: RulesRow,
    /// Options of the rules that are wanted.
    pub(super) wanted: Vec<u8>,
}

impl Rebuild<'_> {
    /// Does a piece of it.
    pub(super) fn step(mut self, policy: &Policy) -> Result<()> {
        let next = RulesRow {
            generation: self.row.generation + 1,
            ..RulesRow::default()
        };
        let new = Rules::new(&next, &self.wanted, self.index.cache(next.generation))?;
        let begun = Progress {
            generation: next.generation,
            fingerprint: new.fingerprint,
            ..Progress::default()
        };
        let read = |_: &[u8], row: &[u8]| Progress::decode(row);
        let there = self.tx.visit(self.store, &REBUILD, aside(true), read)?;
        let mut progress = there.transpose()?.unwrap_or_else(|| begun.clone());
        if (progress.generation, progress.fingerprint) != (begun.generation, begun.fingerprint) {
            // It was begun by rules that nobody wants any more.
            self.row.clearing = true;
            return self.row.write(self.tx, self.store);
        }
        let most = DOCUMENTS_MAX.min(policy.step_bytes / 256 + 1);
        let mut work = index::Pending::new(new.fields(), new.fingerprint);
        self.add(&mut progress, &new, most, &mut work)?;
        self.remove_dead(&new, most, &mut work)?;
        let early = mutant("text-rebuild-too-early") && progress.steps > 0;
        if early || work.is_empty() && self.row.closing {
            return self.take_over(progress, &new);
        }
        if work.is_empty() {
            self.row.closing = true;
            self.row.write(self.tx, self.store)?;
        } else {
            progress.steps += 1;
            let key = combined_key(progress.seq, progress.steps);
            let rows = TransactionRows::new(self.tx, self.store, new.generation, true);
            let put = rows.put(&key, &work.delta());
            put.map_err(|failure| rows.error(&failure))?;
        }
        let progress = progress.encode();
        self.tx.put(self.store, &REBUILD, &[], &progress, true)
    }

    fn view(&mut self, rules: &Rules) -> Result<std::sync::Arc<View>> {
        let rows = TransactionRows::new(self.tx, self.store, rules.generation, true);
        let view = View::open(&rows, &rules.cache, rules.fields(), &[]);
        view.map_err(|failure| rows.error(&failure))
    }

    /// Takes in the next documents of the old index.
    fn add(
        &mut self,
        progress: &mut Progress,
        new: &Rules,
        most: usize,
        work: &mut index::Pending,
    ) -> Result<()> {
        let (old, mut called) = (self.view(self.old)?, Vec::new());
        let want = Want {
            payload: false,
            texts: Some(new.fields()),
        };
        while progress.slot < old.end() && work.savepoint() < most {
            let slot = progress.slot;
            progress.slot += 1;
            if old.is_dead(slot) {
                continue;
            }
            let rows = TransactionRows::new(self.tx, self.store, self.old.generation, true);
            let document = old
                .name(&rows, slot, &mut called)
                .and_then(|()| old.document(&rows, slot));
            let document = document.map_err(|failure| rows.error(&failure))?;
            let row = name_row(named(&called)?.0);
            let found = read(self.tx, self.store, &row, want, aside(true))?;
            let found = found.filter(|found| found.document == document);
            let found =
                found.ok_or_else(|| malformed("the index has a document that is not there"))?;
            progress.seq = document.seq;
            work.add_again(document, &called);
            analyze(&new.schema, &found.texts.unwrap_or_default(), work);
        }
        Ok(())
    }

    /// Removes documents that were taken in, and have gone from the old index since.
    fn remove_dead(&mut self, new: &Rules, most: usize, work: &mut index::Pending) -> Result<()> {
        let gone: Vec<DocumentId> = self.view(self.old)?.removed().collect();
        if gone.is_empty() || mutant("text-rebuild-keeps-dead") {
            return Ok(());
        }
        let view = self.view(new)?;
        let there = |document: &DocumentId| view.has(*document);
        for document in gone.into_iter().filter(there) {
            if work.savepoint() >= most {
                break;
            }
            let rows = TransactionRows::new(self.tx, self.store, new.generation, true);
            let words = view.words(&rows, document);
            let words = words.map_err(|failure| rows.error(&failure))?;
            work.remove_words(document, &words);
        }
        Ok(())
    }

    /// G3: the store is closing and nothing is left.
    fn take_over(mut self, progress: Progress, new: &Rules) -> Result<()> {
        let rows = TransactionRows::new(self.tx, self.store, new.generation, true);
        let founded = found(&rows, new.fields(), progress.steps + 1, new.fingerprint);
        founded.map_err(|failure| rows.error(&failure))?;
        self.tx.delete(self.store, &REBUILD)?;
        if !self.row.wanted.is_empty() {
            self.row.current = std::mem::take(&mut self.row.wanted);
        }
        self.row.generation = new.generation;
        (self.row.closing, self.row.clearing) = (false, true);
        self.row.write(self.tx, self.store)
    }
}

/// Takes rows of the other generation away: the one that was replaced, or one that was begun and is not wanted any more.
pub(super) fn clear(
    tx: &mut Transaction,
    store: u64,
    index: &Index,
    mut row: RulesRow,
) -> Result<()> {
    index.forget(row.generation + 1);
    let bit = family_bit(row.generation + 1);
    let (low, high) = ([FAMILIES.start | bit], [FAMILIES.end | bit]);
    let mut keys = Vec::new();
    let range = ScanRange {
        low: std::ops::Bound::Included(&low),
        high: std::ops::Bound::Excluded(&high),
        limit: ROWS_MAX,
        keys_only: true,
        ..ScanRange::default()
    };
    tx.scan(store, &range, aside(true), &mut |key, _, _| {
        keys.push(key.to_vec());
    })?;
    for key in &keys {
        tx.delete(store, key)?;
    }
    if keys.len() < ROWS_MAX {
        tx.delete(store, &REBUILD)?;
        row.clearing = false;
        row.write(tx, store)?;
    }
    Ok(())
}

impl Progress {
    fn encode(&self) -> Vec<u8> {
        let mut row = Vec::new();
        row.put_varint(self.generation);
        row.put_u64(self.fingerprint);
        row.put_varint(u64::from(self.slot));
        row.put_varint(self.steps);
        row.put_varint(self.seq);
        row
    }

    fn decode(row: &[u8]) -> Result<Self> {
        let mut take = Take::new(row);
        let mut read = || {
            Some(Self {
                generation: take.varint()?,
                fingerprint: take.u64()?,
                slot: u32::try_from(take.varint()?).ok()?,
                steps: take.varint()?,
                seq: take.varint()?,
            })
        };
        read().ok_or_else(|| malformed("the row of a rebuild is not well formed"))
    }
}
