//! Sets of slots: a sorted list while they are few, a bitmap when they are many.
//!
//! S1 a list is sorted and distinct, and no slot of a set is at or above `slots`.
//! S2 bits at and above `slots` are zero; there are `slots / 64`, rounded up, words.
//! S3 `count` is exact.

/// A list takes no more memory than a bitmap up to one slot in so many.
const SLOTS_PER_LISTED: u32 = 32;

/// The slots that match a filter, of `slots()` numbered from zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    slots: u32,
    count: u32,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    List(Vec<u32>),
    Bits(Vec<u64>),
}

impl Selection {
    /// No slot.
    pub fn none(slots: u32) -> Self {
        Self::of_list(slots, Vec::new())
    }

    /// Every slot.
    pub fn all(slots: u32) -> Self {
        let mut words = vec![u64::MAX; words_for(slots)];
        clear_beyond(&mut words, slots);
        Self {
            slots,
            count: slots,
            form: Form::Bits(words),
        }
    }

    fn of_list(slots: u32, list: Vec<u32>) -> Self {
        debug_assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "S1");
        debug_assert!(list.last().is_none_or(|&slot| slot < slots), "S1");
        Self {
            slots,
            count: list.len() as u32,
            form: Form::List(list),
        }
    }

    fn of_words(slots: u32, words: Vec<u64>) -> Self {
        debug_assert_eq!(words.len(), words_for(slots), "S2");
        let count = words.iter().map(|word| word.count_ones()).sum();
        Self {
            slots,
            count,
            form: Form::Bits(words),
        }
    }

    /// How many slots there are to select from.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// How many are selected, exactly.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether a slot is selected.
    #[inline]
    pub fn contains(&self, slot: u32) -> bool {
        match &self.form {
            Form::List(list) => list.binary_search(&slot).is_ok(),
            Form::Bits(words) => words
                .get(slot as usize / 64)
                .is_some_and(|word| word >> (slot % 64) & 1 == 1),
        }
    }

    /// The selected slots in order, when they are few enough to be a list.
    pub fn as_list(&self) -> Option<&[u32]> {
        match &self.form {
            Form::List(list) => Some(list),
            Form::Bits(_) => None,
        }
    }

    /// The bitmap, bit `s % 64` of word `s / 64` for slot `s`, when it is one.
    pub fn as_words(&self) -> Option<&[u64]> {
        match &self.form {
            Form::List(_) => None,
            Form::Bits(words) => Some(words),
        }
    }

    /// The bitmap, made when it was a list.
    pub fn into_words(self) -> Vec<u64> {
        match self.form {
            Form::Bits(words) => words,
            Form::List(list) => {
                let mut words = vec![0; words_for(self.slots)];
                for slot in list {
                    set(&mut words, slot);
                }
                words
            }
        }
    }

    /// The selected slots in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (list, words): (&[u32], &[u64]) = match &self.form {
            Form::List(list) => (list, &[]),
            Form::Bits(words) => (&[], words),
        };
        let set_bits = words.iter().enumerate().flat_map(|(index, &word)| {
            std::iter::successors((word != 0).then_some(word), |&word| {
                let rest = word & (word - 1);
                (rest != 0).then_some(rest)
            })
            .map(move |word| index as u32 * 64 + word.trailing_zeros())
        });
        list.iter().copied().chain(set_bits)
    }

    /// The slots that are not selected.
    pub(crate) fn complement(self) -> Self {
        let slots = self.slots;
        let mut words = self.into_words();
        for word in &mut words {
            *word = !*word;
        }
        clear_beyond(&mut words, slots);
        Self::of_words(slots, words)
    }

    /// The slots in both.
    pub(crate) fn intersect(self, other: &Self) -> Self {
        debug_assert_eq!(self.slots, other.slots);
        match (self.form, &other.form) {
            (Form::Bits(mut words), Form::Bits(others)) => {
                for (word, other) in words.iter_mut().zip(others) {
                    *word &= other;
                }
                Self::of_words(self.slots, words)
            }
            (Form::Bits(words), Form::List(list)) => {
                let bits = Self {
                    slots: self.slots,
                    count: self.count,
                    form: Form::Bits(words),
                };
                let kept = list.iter().copied().filter(|&slot| bits.contains(slot));
                Self::of_list(self.slots, kept.collect())
            }
            (Form::List(mut list), _) => {
                list.retain(|&slot| other.contains(slot));
                Self::of_list(self.slots, list)
            }
        }
    }

    /// The slots in either.
    pub(crate) fn unite(self, other: Self) -> Self {
        debug_assert_eq!(self.slots, other.slots);
        let slots = self.slots;
        match (self.form, other.form) {
            (Form::Bits(mut words), Form::Bits(others)) => {
                for (word, other) in words.iter_mut().zip(others) {
                    *word |= other;
                }
                Self::of_words(slots, words)
            }
            (Form::Bits(mut words), Form::List(list))
            | (Form::List(list), Form::Bits(mut words)) => {
                for slot in list {
                    set(&mut words, slot);
                }
                Self::of_words(slots, words)
            }
            (Form::List(mut list), Form::List(others)) => {
                list.extend(others);
                let mut gathered = Gather::new(slots);
                list.into_iter().for_each(|slot| gathered.add(slot));
                gathered.finish()
            }
        }
    }
}

/// Collects slots in any order into the form that suits their number.
pub(crate) struct Gather {
    slots: u32,
    list: Vec<u32>,
    bits: Option<Vec<u64>>,
    sorted: bool,
}

impl Gather {
    pub fn new(slots: u32) -> Self {
        Self {
            slots,
            list: Vec::new(),
            bits: None,
            sorted: true,
        }
    }

    /// For about so many slots.
    pub fn expecting(slots: u32, count: usize) -> Self {
        let mut gather = Self::new(slots);
        if count > (slots / SLOTS_PER_LISTED) as usize {
            gather.bits = Some(vec![0; words_for(slots)]);
        } else {
            gather.list.reserve_exact(count);
        }
        gather
    }

    /// Adds a slot, which must be below `slots` (S1).
    #[inline]
    pub fn add(&mut self, slot: u32) {
        if let Some(bits) = &mut self.bits {
            return set(bits, slot);
        }
        self.sorted &= self.list.last().is_none_or(|&last| last < slot);
        self.list.push(slot);
        if self.list.len() > (self.slots / SLOTS_PER_LISTED) as usize {
            let mut bits = vec![0; words_for(self.slots)];
            for slot in self.list.drain(..) {
                set(&mut bits, slot);
            }
            self.bits = Some(bits);
        }
    }

    pub fn finish(mut self) -> Selection {
        if let Some(bits) = self.bits {
            return Selection::of_words(self.slots, bits);
        }
        if !self.sorted {
            self.list.sort_unstable();
            self.list.dedup();
        }
        Selection::of_list(self.slots, self.list)
    }
}

fn words_for(slots: u32) -> usize {
    slots.div_ceil(64) as usize
}

#[inline]
fn set(words: &mut [u64], slot: u32) {
    words[slot as usize / 64] |= 1 << (slot % 64);
}

fn clear_beyond(words: &mut [u64], slots: u32) {
    if let (Some(last), 1..) = (words.last_mut(), slots % 64) {
        *last &= (1 << (slots % 64)) - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(slots: u32, chosen: &[u32]) -> Selection {
        let mut gather = Gather::new(slots);
        chosen.iter().for_each(|&slot| gather.add(slot));
        gather.finish()
    }

    #[test]
    fn sets_behave_as_sets_in_every_form() {
        for slots in [0, 1, 63, 64, 65, 200, 1000] {
            for (a, b) in [(2, 3), (1, 5), (97, 2), (500, 300), (1, 1)] {
                let first: Vec<u32> = (0..slots).rev().filter(|slot| slot % a == 0).collect();
                let second: Vec<u32> = (0..slots).filter(|slot| slot % b == 0).collect();
                let (x, y) = (of(slots, &first), of(slots, &second));
                let expect = |test: &dyn Fn(u32) -> bool| -> Vec<u32> {
                    (0..slots).filter(|&slot| test(slot)).collect()
                };
                let same = |selection: &Selection, expected: Vec<u32>| {
                    assert_eq!(selection.iter().collect::<Vec<_>>(), expected);
                    assert_eq!(selection.count() as usize, expected.len());
                    for slot in 0..slots + 70 {
                        assert_eq!(selection.contains(slot), expected.contains(&slot));
                    }
                };
                same(&x, expect(&|slot| slot % a == 0));
                same(&x.clone().complement(), expect(&|slot| slot % a != 0));
                same(
                    &x.clone().intersect(&y),
                    expect(&|slot| slot % a == 0 && slot % b == 0),
                );
                same(&x.unite(y), expect(&|slot| slot % a == 0 || slot % b == 0));
            }
        }
    }

    #[test]
    fn a_slot_added_twice_counts_once() {
        assert_eq!(of(1000, &[7, 3, 7]).count(), 2);
    }
}
