//! What layers above read in ways of their own, and what of it must still hold when the transaction commits.

use std::ops::Bound;

use super::{Access, Transaction};
use crate::engine::part::{high_key, low_key};
use crate::error::Result;

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
}
