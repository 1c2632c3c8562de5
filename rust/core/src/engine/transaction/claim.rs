//! What layers above read in ways of their own, and what of it must still hold when the transaction commits.

use std::ops::Bound;

use crossbeam_epoch as epoch;

use super::{Access, Transaction};
use crate::engine::part::{high_key, low_key};
use crate::engine::scan::ScanRange;
use crate::error::Result;
use crate::tree::{Reader, get, rank};

impl Transaction {
    /// Has this transaction written to the store?
    pub fn wrote_to(&self, store: u64) -> bool {
        let part = self.index.get(&store).map(|place| &self.parts[*place]);
        part.is_some_and(|part| !part.writes.is_empty())
    }

    /// Everything in the range was seen, in an index over it: the commit fails when others change it. As with reads, only
    /// under serializable isolation.
    pub fn claim_range(
        &mut self,
        store: u64,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
        access: Access,
    ) -> Result<()> {
        let place = self.part(store)?;
        if self.tracks(access) {
            let reads = &mut self.parts[place].reads;
            reads.range_once(low_key(low), high_key(high));
        }
        Ok(())
    }

    /// The commit fails when others change this entry, whatever the isolation: for entries that others belong to, such
    /// as a vector to its key.
    pub fn claim_point(&mut self, store: u64, key: &[u8]) -> Result<()> {
        self.ensure_writable()?;
        let place = self.part(store)?;
        self.parts[place].reads.point(key);
        Ok(())
    }

    /// Everything in the range was seen, and the commit fails when others change it, whatever the isolation: for ranges that
    /// decide whether an entry may go.
    pub fn claim_range_firmly(
        &mut self,
        store: u64,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
    ) -> Result<()> {
        self.ensure_writable()?;
        let place = self.part(store)?;
        self.parts[place].reads.range(low_key(low), high_key(high));
        Ok(())
    }

    /// How many entries of the snapshot lie in the range, without those this transaction wrote. A few page reads; remembers
    /// nothing.
    pub fn count_committed(
        &mut self,
        store: u64,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
        may_wait: bool,
    ) -> Result<u64> {
        self.engine.ensure_open()?;
        let place = self.part(store)?;
        let root = self.parts[place].root;
        let guard = epoch::pin();
        let reader = Reader {
            pager: &self.engine.pager,
            guard: &guard,
            wait: may_wait,
        };
        let first = rank(&reader, root, Bound::Included(&low_key(low)))?;
        let end = match high_key(high) {
            Some(high) => rank(&reader, root, Bound::Included(&high))?,
            None => root.map_or(0, |root| root.count),
        };
        Ok(end.saturating_sub(first))
    }

    /// The number of entries in the range as the transaction sees it.
    pub fn count_range(
        &mut self,
        store: u64,
        low: Bound<&[u8]>,
        high: Bound<&[u8]>,
        access: Access,
    ) -> Result<u64> {
        let range = ScanRange {
            low,
            high,
            ..ScanRange::default()
        };
        if range.is_empty() {
            return Ok(0);
        }
        let mut count = self.count_committed(store, low, high, access.may_wait)?;
        let place = self.part(store)?;
        let track = self.tracks(access);
        let part = &mut self.parts[place];
        let guard = epoch::pin();
        let reader = Reader {
            pager: &self.engine.pager,
            guard: &guard,
            wait: access.may_wait,
        };
        for (key, write) in part.writes.range(low, high) {
            let before = get(&reader, part.root, key)?.is_some();
            match (before, write.leaves_entry(before)) {
                (false, true) => count += 1,
                (true, false) => count -= 1,
                _ => {}
            }
        }
        if track {
            part.reads.range_once(low_key(low), high_key(high));
        }
        Ok(count)
    }
}
