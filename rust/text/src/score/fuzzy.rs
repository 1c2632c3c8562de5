//! Which terms of a dictionary in order are a few edits away from a word, looking at as few as possible.
//!
//! The distance is that of `query::distance`. For the term at hand there is a row of distances for every character; a
//! prefix whose row is above the limit everywhere can be left behind whole, and the characters of the word say which prefix can be the next good one.

/// Walks along terms in ascending order.
pub(crate) struct Walk {
    word: Vec<char>,
    most: u8,
    /// Characters of the word, ascending.
    alphabet: Vec<char>,
    /// The term at hand; the row before its first and after each character, one behind the other; the least of each row.
    term: Vec<char>,
    rows: Vec<u8>,
    least: Vec<u8>,
    /// After each character, once it was asked for: which characters may follow.
    living: Vec<Option<Living>>,
}

/// Characters that may follow a prefix: those of the word, by their places in the alphabet; and all others, which are alike.
#[derive(Clone, Copy, Debug)]
struct Living {
    own: u128,
    other: bool,
}

/// What to do after a term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It is so far away, at most the limit.
    Match(u8),
    /// It is no match; the term behind it may be one.
    Follow,
    /// No term below this one can match.
    Skip(Vec<u8>),
    /// No further term can match.
    End,
}

/// Distances beyond this are alike.
const FAR: u8 = 100;

impl Walk {
    pub(crate) fn new(word: &str, most: u8) -> Self {
        let word: Vec<char> = word.chars().collect();
        let mut alphabet = word.clone();
        alphabet.sort_unstable();
        alphabet.dedup();
        Self {
            rows: (0..=word.len())
                .map(|at| at.min(FAR.into()) as u8)
                .collect(),
            least: vec![0],
            living: vec![None],
            word,
            most,
            alphabet,
            term: Vec::new(),
        }
    }

    /// Looks at a term, which is above all it was shown before.
    pub(crate) fn look(&mut self, term: &str) -> Next {
        let mut common = 0;
        let mut characters = term.chars();
        let mut rest = characters.clone();
        while let Some(c) = characters.next() {
            if self.term.get(common) != Some(&c) {
                break;
            }
            common += 1;
            rest = characters.clone();
        }
        while self.term.len() > common {
            self.pop();
        }
        for c in rest {
            self.push(c);
            if self.is_dead() {
                return self.after_dead();
            }
        }
        let distance = self.rows.last().copied().unwrap_or(FAR);
        if distance <= self.most {
            return Next::Match(distance);
        }
        Next::Follow
    }

    fn push(&mut self, c: char) {
        let (width, depth) = (self.word.len() + 1, self.term.len());
        let at = self.rows.len();
        self.rows.resize(at + width, 0);
        let (before, row) = self.rows.split_at_mut(at);
        let last = &before[at - width..];
        row[0] = (last[0] + 1).min(FAR);
        let mut least = row[0];
        for j in 1..width {
            let replaced = last[j - 1] + u8::from(self.word[j - 1] != c);
            let mut distance = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if depth > 0
                && j > 1
                && self.word[j - 2] == c
                && self.word[j - 1] == self.term[depth - 1]
            {
                distance = distance.min(before[at - 2 * width + j - 2] + 1);
            }
            row[j] = distance.min(FAR);
            least = least.min(row[j]);
        }
        self.least.push(least);
        self.living.push(None);
        self.term.push(c);
    }

    fn pop(&mut self) -> Option<char> {
        let c = self.term.pop()?;
        self.least.pop();
        self.living.pop();
        self.rows.truncate(self.rows.len() - self.word.len() - 1);
        Some(c)
    }

    /// Whether nothing that begins with the term at hand can match. A swap may still repair what the last row alone
    /// calls lost, so the row before counts too, one edit nearer.
    fn is_dead(&self) -> bool {
        let depth = self.term.len();
        self.least[depth] > self.most && (depth == 0 || self.least[depth - 1] + 1 > self.most)
    }

    /// Whether what begins with the term at hand and `c` may match.
    fn lives_with(&mut self, c: char) -> bool {
        self.push(c);
        let alive = !self.is_dead();
        self.pop();
        alive
    }

    /// The characters that may follow the prefix at hand; worked out once while it stays.
    fn living(&mut self) -> Living {
        let depth = self.term.len();
        if let Some(living) = self.living[depth] {
            return living;
        }
        let mut living = Living {
            own: 0,
            other: false,
        };
        for at in 0..self.alphabet.len().min(128) {
            living.own |= u128::from(self.lives_with(self.alphabet[at])) << at;
        }
        let other = following('\0', |next| self.alphabet.binary_search(&next).is_err());
        living.other = other.is_some_and(|other| self.lives_with(other));
        self.living[depth] = Some(living);
        living
    }

    /// The least prefix above the dead one at hand that is alive.
    fn after_dead(&mut self) -> Next {
        while let Some(c) = self.pop() {
            let living = self.living();
            let behind = self.alphabet.partition_point(|own| *own <= c);
            let own = living.own.checked_shr(behind as u32).unwrap_or(0);
            let own = (own != 0).then(|| self.alphabet[behind + own.trailing_zeros() as usize]);
            // Of the 129th different character on nothing is known but that it may be the next one.
            let own = own.or_else(|| self.alphabet.get(behind.max(128)).copied());
            let other = following(c, |next| self.alphabet.binary_search(&next).is_err());
            let other = other.filter(|_| living.other);
            let next = match (own, other) {
                (Some(own), Some(other)) => Some(own.min(other)),
                (own, other) => own.or(other),
            };
            if let Some(next) = next {
                let mut prefix: String = self.term.iter().collect();
                prefix.push(next);
                return Next::Skip(prefix.into_bytes());
            }
        }
        Next::End
    }
}

/// The first character above `c` that is `wanted`.
fn following(c: char, wanted: impl Fn(char) -> bool) -> Option<char> {
    let above = u32::from(c) + 1..=u32::from(char::MAX);
    above.filter_map(char::from_u32).find(|next| wanted(*next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::distance::within;
    use proptest::prelude::*;

    fn all(
        dictionary: &std::collections::BTreeSet<String>,
        word: &str,
        most: u8,
    ) -> (Vec<String>, usize) {
        let (mut walk, mut found, mut looks) = (Walk::new(word, most), Vec::new(), 0);
        let mut at = dictionary.iter().next();
        while let Some(term) = at {
            looks += 1;
            let from = match walk.look(term) {
                Next::Match(_) => {
                    found.push(term.clone());
                    format!("{term}\0")
                }
                Next::Follow => format!("{term}\0"),
                Next::Skip(from) => {
                    let from = String::from_utf8(from).unwrap();
                    assert!(from > *term, "{from} is not behind {term}");
                    from
                }
                Next::End => break,
            };
            at = dictionary.range(from..).next();
        }
        (found, looks)
    }

    proptest! {
        #[test]
        fn the_walk_finds_what_is_near(
            dictionary in prop::collection::btree_set("[abcż]{0,6}", 1..120), word in "[abcdż]{0,6}", most in 1u8..=2,
        ) {
            let expected: Vec<String> = dictionary.iter().filter(|term| within(&word, term, most)).cloned().collect();
            prop_assert_eq!(all(&dictionary, &word, most).0, expected);
        }
    }

    #[test]
    fn most_of_a_dictionary_is_not_looked_at() {
        let letters = "abcdefghijklmnopqrstuvwxyz";
        let dictionary = letters.chars().flat_map(|a| {
            letters
                .chars()
                .flat_map(move |b| letters.chars().map(move |c| format!("{a}{b}{c}tail")))
        });
        let (found, looks) = all(&dictionary.collect(), "quxtail", 1);
        // One letter replaced, and two swaps.
        assert_eq!(found.len(), 26 * 3 - 2 + 2);
        assert!(looks < 400, "{looks} looks at 17576 terms");
    }
}
