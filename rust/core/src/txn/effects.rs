//! By how many entries the writes of a transaction change what was there: what positions and counts among its own writes
//! need. Summed up block by block once somebody asks; after that only blocks with new writes are looked at again.
//!
//! Invariants
//! E1  The blocks follow one another from the empty key on and leave nothing out.
//! E2  The sum of a block is that of its writes, or is not known; it is unknown from the moment one of them changes.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::write_key::WriteKey;
use super::write_set::Write;
use crate::error::{Error, Result};

/// Writes of a block when it is made; later ones may join them.
const BLOCK_WRITES: usize = 64;
/// Writes looked at in one go where nobody may wait.
const LOOKED_AT_MAX: usize = 2048;

type Entries = BTreeMap<WriteKey<'static>, Write>;

/// Was there an entry of this key before the transaction?
pub(crate) type WasThere<'w> = &'w mut dyn FnMut(&[u8]) -> Result<bool>;

#[derive(Debug)]
struct Block {
    start: Box<[u8]>,
    change: Option<i64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Effects {
    blocks: Vec<Block>,
}

/// Where a block begins, and the sum of those before it.
pub(crate) struct Counted<'e> {
    pub(crate) start: &'e [u8],
    pub(crate) before: i64,
}

impl Counted<'_> {
    /// Before everything.
    pub(crate) const START: Self = Self {
        start: &[],
        before: 0,
    };
}

impl Default for Effects {
    fn default() -> Self {
        let all = Block {
            start: Box::default(),
            change: None,
        };
        Self { blocks: vec![all] }
    }
}

impl Effects {
    /// The write of `key` changed (E2).
    pub(super) fn touch(&mut self, key: &[u8]) {
        let at = self.place(key);
        self.blocks[at].change = None;
    }

    fn place(&self, key: &[u8]) -> usize {
        self.blocks.partition_point(|block| *block.start <= *key) - 1
    }

    /// Makes all sums known. What was found is kept when it ends in an error.
    pub(super) fn count(
        &mut self,
        entries: &Entries,
        may_wait: bool,
        was_there: WasThere<'_>,
    ) -> Result<()> {
        let mut left = if may_wait { usize::MAX } else { LOOKED_AT_MAX };
        let mut at = 0;
        while at < self.blocks.len() {
            if self.blocks[at].change.is_some() {
                at += 1;
                continue;
            }
            let end = self.blocks.get(at + 1).map(|block| block.start.clone());
            let (made, result) = counted(
                entries,
                std::mem::take(&mut self.blocks[at].start),
                end.as_deref(),
                &mut left,
                was_there,
            );
            let count = made.len();
            self.blocks.splice(at..=at, made);
            result?;
            at += count;
        }
        Ok(())
    }

    /// The blocks, whose sums are known.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Counted<'_>> {
        self.blocks.iter().scan(0, |sum, block| {
            let before = *sum;
            *sum += block.change.expect("counted before");
            let start = &*block.start;
            Some(Counted { start, before })
        })
    }

    /// The sum of the writes below `key`, or of all.
    pub(super) fn below(
        &self,
        entries: &Entries,
        key: Option<&[u8]>,
        was_there: WasThere<'_>,
    ) -> Result<i64> {
        let at = key.map_or(self.blocks.len(), |key| self.place(key));
        let whole = self.blocks[..at].iter().map(|block| block.change);
        let mut sum: i64 = whole.map(|change| change.expect("counted before")).sum();
        let Some(key) = key else { return Ok(sum) };
        for (write_key, write) in range(entries, &self.blocks[at].start, Some(key)) {
            sum += write.effect(was_there(write_key)?);
        }
        Ok(sum)
    }
}

/// The blocks that the writes from `start` up to `end` make, and whether all of them were looked at: if not, the last block is
/// unknown.
fn counted(
    entries: &Entries,
    mut start: Box<[u8]>,
    end: Option<&[u8]>,
    left: &mut usize,
    was_there: WasThere<'_>,
) -> (Vec<Block>, Result<()>) {
    let (mut made, mut sum, mut writes) = (Vec::new(), 0, 0);
    let mut result = Ok(());
    for (key, write) in range(entries, &start.clone(), end) {
        if writes == BLOCK_WRITES {
            let next = std::mem::replace(&mut start, key.into());
            made.push(Block {
                start: next,
                change: Some(sum),
            });
            (sum, writes) = (0, 0);
        }
        let found = match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                was_there(key).map(|was_there| write.effect(was_there))
            }
            None => Err(Error::WouldBlock),
        };
        match found {
            Ok(change) => sum += change,
            Err(error) => {
                result = Err(error);
                break;
            }
        }
        writes += 1;
    }
    made.push(Block {
        start,
        change: result.is_ok().then_some(sum),
    });
    (made, result)
}

fn range<'e>(
    entries: &'e Entries,
    start: &'e [u8],
    end: Option<&'e [u8]>,
) -> impl Iterator<Item = (&'e [u8], &'e Write)> {
    let end = end.map_or(Bound::Unbounded, Bound::Excluded);
    // Shortened, so that borrowed keys can be looked up in it.
    let entries: &BTreeMap<WriteKey<'e>, Write> = entries;
    let range = (
        Bound::Included(WriteKey::borrowed(start)),
        end.map(WriteKey::borrowed),
    );
    entries.range(range).map(|(key, write)| (&**key, write))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::write_set::WriteSet;

    #[test]
    fn after_a_write_only_its_block_is_looked_at() {
        let mut writes = WriteSet::default();
        let key = |number: u32| number.to_be_bytes();
        (0..10_000).for_each(|number| drop(writes.set(&key(number), Write::Delete)));
        let mut looks = 0;
        let mut even = |key: &[u8]| {
            looks += 1;
            Ok(key[3] % 2 == 0)
        };
        writes.count_effects(true, &mut even).unwrap();
        assert_eq!(writes.change_below(None, &mut even).unwrap(), -5000);
        assert_eq!(looks, 10_000);
        for number in 0..100 {
            writes.set(&key(97 * number), Write::Delete);
            let mut looks = 0;
            let mut even = |key: &[u8]| {
                looks += 1;
                Ok(key[3] % 2 == 0)
            };
            writes.count_effects(false, &mut even).unwrap();
            let below = writes.change_below(Some(&key(9000)), &mut even).unwrap();
            assert_eq!(below, -4500);
            assert!(looks <= 2 * BLOCK_WRITES, "{looks} writes were looked at");
        }
    }
}
