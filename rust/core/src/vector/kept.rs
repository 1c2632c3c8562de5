//! Which vectors of a part go into a new segment, and under which slots.

use std::ops::Range;

use sopasync_payload::Renumber;

use super::part::Part;

/// See the module. Only what is left out is written down, so this is small while little is.
pub(super) struct Kept {
    /// How many there were.
    count: u32,
    /// The new slot of the first that is kept.
    first: u32,
    /// Slots that are left out, ascending.
    gone: Vec<u32>,
    /// The newest deletion among these.
    pub(super) dropped: u64,
}

impl Kept {
    /// What snapshots from `oldest` on can see (V4), from the new slot `first` on.
    pub(super) fn of(part: &Part<'_>, oldest: u64, first: u32) -> Self {
        let count = part.count() as u32;
        let (mut gone, mut dropped) = (Vec::new(), 0);
        if part.dead > 0 {
            for slot in 0..count {
                let deleted = part.deleted_at(slot);
                if deleted <= oldest {
                    gone.push(slot);
                    dropped = dropped.max(deleted);
                }
            }
        }
        Self {
            count,
            first,
            gone,
            dropped,
        }
    }

    /// The same of parts that follow each other.
    pub(super) fn of_all<'p>(parts: impl Iterator<Item = Part<'p>>, oldest: u64) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for part in parts {
            let first = all.last().map_or(0, |kept| kept.new_slots().end);
            all.push(Self::of(&part, oldest, first));
        }
        all
    }

    /// How many there were.
    pub(super) fn before(&self) -> usize {
        self.count as usize
    }

    /// How many are kept.
    pub(super) fn count(&self) -> usize {
        self.count as usize - self.gone.len()
    }

    /// The new slots.
    pub(super) fn new_slots(&self) -> Range<u32> {
        self.first..self.first + self.count() as u32
    }

    /// The old slots of what is kept, as far as they follow each other.
    pub(super) fn runs(&self) -> impl Iterator<Item = Range<u32>> + Clone {
        let starts = std::iter::once(0).chain(self.gone.iter().map(|slot| slot + 1));
        let ends = self.gone.iter().copied().chain(std::iter::once(self.count));
        starts.zip(ends).map(|(start, end)| start..end)
    }

    /// The old slots of what is kept.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> + Clone {
        self.runs().flatten()
    }
}

/// The newest deletion among what several parts leave out.
pub(super) fn newest(all: &[Kept]) -> u64 {
    all.iter().map(|kept| kept.dropped).max().unwrap_or(0)
}

impl Renumber for Kept {
    fn slots(&self) -> u32 {
        self.count
    }

    fn renumber(&self, slot: u32) -> Option<u32> {
        match self.gone.binary_search(&slot) {
            Ok(_) => None,
            Err(gone) => Some(self.first + slot - gone as u32),
        }
    }

    fn end(&self) -> u32 {
        self.new_slots().end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_no_new_slot_and_the_rest_follow_each_other() {
        for gone in [vec![], vec![0], vec![9], vec![0, 1, 5, 8, 9]] {
            let kept = Kept {
                count: 10,
                first: 100,
                gone: gone.clone(),
                dropped: 0,
            };
            let slots: Vec<u32> = (0..10).filter(|slot| !gone.contains(slot)).collect();
            assert_eq!(kept.slots().collect::<Vec<_>>(), slots);
            assert_eq!(kept.count(), slots.len());
            let new: Vec<u32> = (0..10).filter_map(|slot| kept.renumber(slot)).collect();
            assert_eq!(new, kept.new_slots().collect::<Vec<_>>());
        }
    }
}
