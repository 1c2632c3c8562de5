//! Rows and tombstones that nobody needs any more go.
//!
//! A vector that was deleted before the oldest snapshot is seen by nobody. Its row and its tombstone go together, once no
//! segment holds the vector: until then the tombstone is what keeps it from being found.

use std::ops::Bound;

use super::maintain::{Care, begin, tombstones};
use super::pull::{aside, first_of};
use super::rows::{Number, TOMBSTONE, VECTOR, number_of_row, number_of_value, numbered_row};
use super::seal::note_purged;
use crate::engine::{ScanRange, Transaction};
use crate::error::Result;

/// Tombstones that are looked at in one transaction.
const BATCH: usize = 4096;

impl Care<'_> {
    /// Removes what can go, a batch at a time; false when there is nothing that is worth it.
    pub(super) fn purge(&self, tx: &mut Transaction) -> Result<bool> {
        let store = self.store.id;
        let oldest = self.oldest;
        let there = tombstones(tx, store, oldest)?;
        let left = self.index().upkeep.lock().tombstones_left;
        if there <= left + self.limits.tombstones_max {
            return Ok(false);
        }
        let (mut low, mut kept) = (first_of(TOMBSTONE, 0).to_vec(), 0);
        let high = first_of(TOMBSTONE, oldest + 1);
        loop {
            let mut batch: Vec<Result<(Number, Number)>> = Vec::new();
            let range = ScanRange {
                low: Bound::Included(&low),
                high: Bound::Excluded(&high),
                limit: BATCH,
                ..ScanRange::default()
            };
            let last = tx.scan(store, &range, aside(true), &mut |key, _, value| {
                let value = value.expect("values were asked for");
                batch.push(number_of_row(key).and_then(|by| Ok((by, number_of_value(value)?))));
            })?;
            let mut gone = Vec::new();
            for pair in batch {
                let (by, number) = pair?;
                if self.is_sealed(number) {
                    kept += 1;
                } else {
                    gone.push((by, number));
                }
            }
            if !gone.is_empty() {
                self.remove(&gone)?;
                self.forget_dead(tx)?;
                return Ok(true);
            }
            match last {
                Some(last) => low = [&last[..], &[0]].concat(),
                None => break,
            }
        }
        self.index().upkeep.lock().tombstones_left = kept;
        Ok(false)
    }

    fn is_sealed(&self, number: Number) -> bool {
        let mut segments = self.view.segments.iter();
        segments
            .any(|segment| segment.covers(number) && segment.part().numbers.slot(number).is_some())
    }

    fn remove(&self, gone: &[(Number, Number)]) -> Result<()> {
        let mut tx = begin(self.db, false)?;
        let mut newest = 0;
        for (by, number) in gone {
            tx.delete(self.store.id, &numbered_row(TOMBSTONE, *by))?;
            tx.delete(self.store.id, &numbered_row(VECTOR, *number))?;
            newest = newest.max(by.seq);
        }
        note_purged(&mut tx, self.store.id, newest)?;
        tx.commit()?;
        Ok(())
    }

    /// Vectors in memory of which most are deleted for good are read anew.
    fn forget_dead(&self, _tx: &mut Transaction) -> Result<()> {
        let (mut rows, mut dead) = (0, 0);
        for held in &self.view.chunks {
            let chunk = held.chunk.read();
            rows += chunk.count();
            dead += chunk.part().dead;
        }
        if dead * 2 > rows {
            let mut fresh = begin(self.db, true)?;
            self.index().reload(&mut fresh, self.store.id)?;
        }
        Ok(())
    }
}
