//! Which words of a list are a few edits away from a word: the same answers as `fuzzy::Walk` gives, for words that are not too long, from a list
//! that knows what neighbours have in common.
//!
//! After each character of a word of the list, a set of bits says for each number of edits which beginnings of the word looked for can be
//! made of what was read (Wu and Manber, "Fast Text Searching: Allowing Errors", 1992), swapped neighbours included; a few operations
//! lead from one character to the next. When all sets are empty, no word with this beginning is near, and they are stepped over.

use crate::index::{Failure, Result, WordList};

/// Edits at most.
const MOST: usize = 2;
/// Characters of a word looked for: one bit for each of its beginnings.
const CHARACTERS_MAX: usize = 62;

/// Sets of beginnings, by edits.
type Sets = [u64; MOST + 1];

/// What is known behind a character.
#[derive(Clone, Copy, Debug)]
struct State {
    now: Sets,
    /// Before the last character, and where the word looked for has that.
    before: Sets,
    last: u64,
}

/// A word looked for.
pub(crate) struct Near {
    most: usize,
    /// Where it has each character: the common ones by their code, and the others.
    common: [u64; 128],
    others: Vec<(char, u64)>,
    /// The bit of the whole word, and all bits.
    whole: u64,
    all: u64,
}

impl Near {
    /// `None` when the word is too long, or may be too far away.
    pub(crate) fn new(word: &str, most: u8) -> Option<Self> {
        let length = word.chars().count();
        if length > CHARACTERS_MAX || usize::from(most) > MOST {
            return None;
        }
        let mut near = Self {
            most: most.into(),
            common: [0; 128],
            others: Vec::new(),
            whole: 1 << length,
            all: (2 << length) - 1,
        };
        for (at, c) in word.chars().enumerate() {
            match near.common.get_mut(c as usize) {
                Some(places) => *places |= 1 << at,
                None => match near.others.iter_mut().find(|other| other.0 == c) {
                    Some(other) => other.1 |= 1 << at,
                    None => near.others.push((c, 1 << at)),
                },
            }
        }
        Some(near)
    }

    /// Adds the words of a field that are near, with their distances.
    pub(crate) fn find(
        &self,
        words: &WordList,
        field: u8,
        found: &mut Vec<(Vec<u8>, u8)>,
    ) -> Result<()> {
        // By the number of bytes read; the field's number is the first.
        let mut states = vec![self.begin(); 2];
        let mut at = words.seek(0, &[field]);
        while let Some(word) = words.get(at).filter(|word| word.first() == Some(&field)) {
            match self.read(word, &mut states)? {
                Some(dead) => at = words.behind(at, dead),
                None => {
                    let state = &states[word.len()];
                    if let Some(distance) =
                        (0..=self.most).find(|edits| state.now[*edits] & self.whole != 0)
                    {
                        found.push((word.to_vec(), distance as u8));
                    }
                    at += 1;
                }
            }
            states.truncate(words.shared(at).max(1) + 1);
        }
        Ok(())
    }

    /// Reads a word of which the first bytes were read; after how many bytes it is too far away, if it is.
    fn read(&self, word: &[u8], states: &mut Vec<State>) -> Result<Option<usize>> {
        while states.len() <= word.len() {
            let at = states.len() - 1;
            let (places, length) = match word[at] {
                byte @ ..0x80 => (self.common[usize::from(byte)], 1),
                _ => self.other(&word[at..])?,
            };
            let next = self.next(&states[at], places);
            // A place within a character is never gone back to.
            states.resize(at + length + 1, next);
            if next.now[..=self.most].iter().all(|set| *set == 0) {
                return Ok(Some(at + length));
            }
        }
        Ok(None)
    }

    /// Where the word has a longer character, and its length in bytes.
    fn other(&self, bytes: &[u8]) -> Result<(u64, usize)> {
        let length = bytes[0].leading_ones() as usize;
        let c = bytes
            .get(..length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok());
        let c = c.and_then(|text| text.chars().next());
        let c = c.ok_or(Failure::Malformed("a term is no text"))?;
        let places = self.others.iter().find(|other| other.0 == c);
        Ok((places.map_or(0, |other| other.1), length))
    }

    fn begin(&self) -> State {
        let mut now = [0; MOST + 1];
        for (edits, set) in now.iter_mut().enumerate() {
            // The first characters left out.
            *set = ((2 << edits) - 1) & self.all;
        }
        State {
            now,
            before: [0; MOST + 1],
            last: 0,
        }
    }

    /// A character follows that the word has at `places`.
    #[inline]
    fn next(&self, state: &State, places: u64) -> State {
        let mut now = [0; MOST + 1];
        now[0] = (state.now[0] & places) << 1;
        for edits in 1..=self.most {
            let fewer = edits - 1;
            let same = (state.now[edits] & places) << 1;
            let put_in = state.now[fewer];
            let replaced = state.now[fewer] << 1;
            let left_out = now[fewer] << 1;
            let swapped = (state.before[fewer] & places & (state.last >> 1)) << 2;
            now[edits] = (same | put_in | replaced | left_out | swapped) & self.all;
        }
        State {
            now,
            before: state.now,
            last: places,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::expand;
    use super::*;
    use crate::index::{MemoryRows, RowsMut, TERM, with};
    use crate::query::distance::within;
    use proptest::prelude::*;

    /// Those of field 1 that are at most so many edits away, and how many these are, by looking at each.
    fn brute(dictionary: &[(u8, String)], word: &str, most: u8) -> Vec<(Vec<u8>, u8)> {
        let own = dictionary.iter().filter(|(field, _)| *field == 1);
        let near = own.filter_map(|(_, term)| {
            let distance = (0..=most).find(|edits| within(word, term, *edits))?;
            Some(([&[1], term.as_bytes()].concat(), distance))
        });
        near.collect()
    }

    fn check(dictionary: &std::collections::BTreeSet<(u8, String)>, word: &str, most: u8) {
        let rows = MemoryRows::default();
        for (field, term) in dictionary {
            rows.put(&with(TERM, &[&[*field], term.as_bytes()].concat()), b"")
                .unwrap();
        }
        let words = WordList::read(&rows).unwrap().unwrap();
        let dictionary: Vec<(u8, String)> = dictionary.iter().cloned().collect();
        let expected = brute(&dictionary, word, most);
        let mut found = Vec::new();
        expand::walk_list(&words, 1, word, most, &mut found).unwrap();
        assert_eq!(found, expected, "{most} edits from '{word}'");
    }

    proptest! {
        #[test]
        fn the_words_found_are_those_of_brute_force(
            dictionary in prop::collection::btree_set((0u8..3, "[abż]{0,7}|[a-dżあ]{1,9}"), 1..150),
            word in "[abcżあ]{0,8}",
            most in 1u8..=2,
        ) {
            check(&dictionary, &word, most);
        }

        #[test]
        fn long_words_are_found_too(
            beginnings in prop::collection::vec("[ab]{60,64}|[ab]{124,128}|[ab]{253,257}", 1..4),
            ends in prop::collection::vec("[abż]{0,3}", 1..8),
            most in 1u8..=2,
        ) {
            let all = beginnings.iter().flat_map(|begin| ends.iter().map(move |end| (1, format!("{begin}{end}"))));
            let dictionary = all.collect();
            check(&dictionary, &format!("{}{}", beginnings[0], ends[0]), most);
        }
    }

    #[test]
    fn each_word_of_a_dictionary_misspelled_is_found_as_brute_force_finds_it() {
        let mut state = 1u64;
        let mut below = |limit: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695);
            (state >> 33) % limit
        };
        let syllables = ["ka", "lo", "mi", "ren", "st", "u", "ing", "ed"];
        let mut dictionary = std::collections::BTreeSet::new();
        for _ in 0..1500 {
            let word: String = (0..1 + below(4))
                .map(|_| syllables[below(8) as usize])
                .collect();
            dictionary.insert((1, word));
        }
        let words: Vec<String> = dictionary.iter().map(|word| word.1.clone()).collect();
        for number in 0..40 {
            let mut word = words[below(words.len() as u64) as usize]
                .clone()
                .into_bytes();
            let at = below(word.len() as u64) as usize;
            match number % 4 {
                0 => word[at] = b'x',
                1 => drop(word.remove(at)),
                2 => word.insert(at, b'k'),
                _ => {
                    let last = word.len() - 1;
                    word.swap(at, last);
                }
            }
            check(
                &dictionary,
                &String::from_utf8(word).unwrap(),
                1 + number % 2,
            );
        }
    }
}
