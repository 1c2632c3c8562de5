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
    /// The term at hand, and the row before its first and after each character.
    term: Vec<char>,
    rows: Vec<Vec<u8>>,
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

impl Walk {
    pub(crate) fn new(word: &str, most: u8) -> Self {
        let word: Vec<char> = word.chars().collect();
        let mut alphabet = word.clone();
        alphabet.sort_unstable();
        alphabet.dedup();
        let first = (0..=word.len()).map(|at| at.min(100) as u8).collect();
        Self {
            word,
            most,
            alphabet,
            term: Vec::new(),
            rows: vec![first],
        }
    }

    /// Looks at a term, which is above all it was shown before.
    pub(crate) fn look(&mut self, term: &str) -> Next {
        let mut common = 0;
        let mut characters = term.chars();
        let mut rest = characters.clone();
        while let Some(c) = characters.next() {
            if self.term.get(common) != Some(&c) || common + 1 >= self.rows.len() {
                break;
            }
            common += 1;
            rest = characters.clone();
        }
        self.term.truncate(common);
        self.rows.truncate(common + 1);
        for c in rest {
            self.push(c);
            if self.is_dead() {
                return self.after_dead();
            }
        }
        let distance = self
            .rows
            .last()
            .and_then(|row| row.last())
            .copied()
            .unwrap_or(u8::MAX);
        if distance <= self.most {
            return Next::Match(distance);
        }
        Next::Follow
    }

    fn push(&mut self, c: char) {
        let (word, depth) = (&self.word, self.rows.len());
        let last = &self.rows[depth - 1];
        let mut row = Vec::with_capacity(last.len());
        row.push(last[0].saturating_add(1).min(100));
        for j in 1..last.len() {
            let replaced = last[j - 1] + u8::from(word[j - 1] != c);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if depth > 1 && j > 1 && word[j - 2] == c && word[j - 1] == self.term[depth - 2] {
                least = least.min(self.rows[depth - 2][j - 2] + 1);
            }
            row.push(least.min(100));
        }
        self.rows.push(row);
        self.term.push(c);
    }

    /// Whether nothing that begins with the term at hand can match. A swap may still repair what the last row alone
    /// calls lost, so the row before counts too, one edit nearer.
    fn is_dead(&self) -> bool {
        let least = |row: &Vec<u8>| row.iter().min().copied().unwrap_or(u8::MAX);
        let depth = self.rows.len() - 1;
        least(&self.rows[depth]) > self.most
            && (depth == 0 || least(&self.rows[depth - 1]) + 1 > self.most)
    }

    /// The least prefix above the dead one at hand that is alive.
    fn after_dead(&mut self) -> Next {
        while let Some(c) = self.pop() {
            let behind = self.alphabet.partition_point(|other| *other <= c);
            for at in behind..self.alphabet.len() {
                let next = self.alphabet[at];
                self.push(next);
                let dead = self.is_dead();
                if !dead {
                    let prefix: String = self.term.iter().collect();
                    self.pop();
                    return self.nearest(c, prefix.into_bytes());
                }
                self.pop();
            }
            if let Some(prefix) = self.other(c) {
                return Next::Skip(prefix);
            }
        }
        Next::End
    }

    /// Between `c` and the next good character of the word there may be others, which are all alike.
    fn nearest(&mut self, c: char, found: Vec<u8>) -> Next {
        match self.other(c) {
            Some(other) if other < found => Next::Skip(other),
            _ => Next::Skip(found),
        }
    }

    /// The prefix with the next character that is not in the word, if such a prefix is alive.
    fn other(&mut self, c: char) -> Option<Vec<u8>> {
        let mut code = u32::from(c) + 1;
        let next = loop {
            match char::from_u32(code) {
                Some(next) if self.alphabet.binary_search(&next).is_err() => break next,
                _ if code > u32::from(char::MAX) => return None,
                _ => code += 1,
            }
        };
        self.push(next);
        let dead = self.is_dead();
        let prefix: String = self.term.iter().collect();
        self.pop();
        (!dead).then(|| prefix.into_bytes())
    }

    fn pop(&mut self) -> Option<char> {
        let c = self.term.pop()?;
        self.rows.pop();
        Some(c)
    }
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
