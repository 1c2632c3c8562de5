//! A growing set of page numbers, one bit each.

/// Which base pages are in the set.
#[derive(Clone, Default)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    /// Adds a run; none of it may be in the set.
    pub(crate) fn insert(&mut self, start: u64, span: u64) {
        for id in start..start + span {
            let (word, bit) = (id as usize / 64, 1 << (id % 64));
            if word >= self.words.len() {
                self.words.resize(word + 1, 0);
            }
            assert_eq!(self.words[word] & bit, 0, "S1: page {id} is in use twice");
            self.words[word] |= bit;
        }
    }

    /// Adds a page; false when it is in the set already.
    pub(crate) fn insert_new(&mut self, id: u64) -> bool {
        let new = !self.contains(id);
        if new {
            self.insert(id, 1);
        }
        new
    }

    /// Takes a run away; all of it must be in the set.
    pub(crate) fn remove(&mut self, start: u64, span: u64) {
        for id in start..start + span {
            assert!(self.contains(id), "S1: page {id} was not in use");
            self.words[id as usize / 64] &= !(1 << (id % 64));
        }
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.words
            .get(id as usize / 64)
            .is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    pub(crate) fn len(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    /// The set as ascending runs of (start, length).
    pub(crate) fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (index, mut word) in self.words.iter().copied().enumerate() {
            let mut base = index as u64 * 64;
            while word != 0 {
                let skip = word.trailing_zeros();
                word >>= skip;
                base += u64::from(skip);
                let length = u64::from(word.trailing_ones());
                match runs.last_mut() {
                    Some((start, span)) if *start + *span == base => *span += length,
                    _ => runs.push((base, length)),
                }
                word = if length == 64 { 0 } else { word >> length };
                base += length;
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_give_back_what_was_inserted() {
        let mut set = Bitmap::default();
        for (start, span) in [(0, 1), (3, 64), (67, 1), (127, 130), (1000, 2)] {
            set.insert(start, span);
        }
        set.remove(200, 3);
        assert_eq!(
            set.runs(),
            [(0, 1), (3, 65), (127, 73), (203, 54), (1000, 2)]
        );
        assert_eq!(set.len(), 1 + 65 + 73 + 54 + 2);
        assert!(set.contains(199) && !set.contains(200) && set.contains(203));
    }
}
