//! A set of page numbers that gives its lowest one away: 64 numbers to a word, 64 words to a bit above them.

/// Single free pages.
#[derive(Default)]
pub(super) struct Lowest {
    words: Vec<u64>,
    /// Which words are not zero.
    summary: Vec<u64>,
    /// No summary word before it is other than zero.
    from: usize,
    count: usize,
}

impl Lowest {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds a number that is not in the set.
    pub(super) fn insert(&mut self, id: u64) {
        let (word, bit) = (id as usize / 64, 1 << (id % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
            self.summary.resize(word / 64 + 1, 0);
        }
        assert_eq!(self.words[word] & bit, 0, "S1: page {id} is free twice");
        self.words[word] |= bit;
        self.summary[word / 64] |= 1 << (word % 64);
        self.from = self.from.min(word / 64);
        self.count += 1;
    }

    /// The lowest number.
    pub(super) fn first(&mut self) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        while self.summary[self.from] == 0 {
            self.from += 1;
        }
        let word = self.from * 64 + self.summary[self.from].trailing_zeros() as usize;
        Some(word as u64 * 64 + u64::from(self.words[word].trailing_zeros()))
    }

    /// Takes the lowest number out.
    pub(super) fn pop(&mut self) -> Option<u64> {
        let id = self.first()?;
        let word = id as usize / 64;
        self.words[word] &= self.words[word] - 1;
        if self.words[word] == 0 {
            self.summary[word / 64] &= !(1 << (word % 64));
        }
        self.count -= 1;
        Some(id)
    }

    /// Every number, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(index as u64 * 64 + u64::from(bit))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_behaves_like_a_sorted_set() {
        let (mut set, mut model) = (Lowest::default(), BTreeSet::new());
        let mut state = 3u64;
        for _ in 0..50_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let id = (state >> 33) % 30_000;
            if state >> 62 == 0 {
                assert_eq!(set.first(), model.first().copied());
                assert_eq!(set.pop(), model.pop_first());
            } else if model.insert(id) {
                set.insert(id);
            }
            assert_eq!(set.len(), model.len());
        }
        assert!(set.iter().eq(model.iter().copied()));
    }
}
