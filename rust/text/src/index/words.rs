//! `Words`: every distinct (field, term) of a transaction, by number.
//!
//! They are found by many small tables instead of a large one: a table that has to grow is built anew, and whoever adds a word waits for
//! that, which may be an event loop.

use std::hash::Hasher;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// A power of two.
const TABLES: usize = 256;

#[derive(Clone, Copy, Debug)]
struct Word {
    at: u32,
    length: u32,
    hash: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Words {
    tables: Vec<HashTable<u32>>,
    words: Vec<Word>,
    bytes: Vec<u8>,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            tables: (0..TABLES).map(|_| HashTable::new()).collect(),
            words: Vec::new(),
            bytes: Vec::new(),
        }
    }
}

impl Words {
    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// Bytes they take, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.words.len() * 20
    }

    /// A field's number and a term.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> &[u8] {
        let word = self.words[number as usize];
        &self.bytes[word.at as usize..(word.at + word.length) as usize]
    }

    /// These words, as numbers, in the order of their bytes.
    pub(crate) fn sorted(&self, numbers: impl Iterator<Item = u32>) -> Vec<u32> {
        let head = |number: u32| {
            let (mut head, word) = ([0; 8], self.get(number));
            let length = word.len().min(8);
            head[..length].copy_from_slice(&word[..length]);
            u64::from_be_bytes(head)
        };
        // The first eight bytes decide nearly always, without a look at the words.
        let mut order: Vec<(u64, u32)> = numbers.map(|number| (head(number), number)).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.get(a.1).cmp(self.get(b.1))));
        order.into_iter().map(|(_, number)| number).collect()
    }

    #[inline]
    pub(crate) fn number(&mut self, field: u8, term: &[u8]) -> u32 {
        let mut hasher = FxHasher::default();
        hasher.write_u8(field);
        hasher.write(term);
        let hash = hasher.finish();
        let short = (hash >> 32) as u32;
        let (words, bytes) = (&self.words, &self.bytes);
        let same = |number: &u32| {
            let word = words[*number as usize];
            let at = word.at as usize;
            word.hash == short
                && word.length as usize == term.len() + 1
                && bytes[at] == field
                && &bytes[at + 1..at + 1 + term.len()] == term
        };
        // The place in a table is taken from the same 32 bits, so that growing needs no second look at the bytes.
        let wide = spread(short);
        // Tables look at the highest and the lowest bits.
        let table = &mut self.tables[(wide >> 40) as usize % TABLES];
        if let Some(number) = table.find(wide, same) {
            return *number;
        }
        let number = self.words.len() as u32;
        self.words.push(Word {
            at: self.bytes.len() as u32,
            length: term.len() as u32 + 1,
            hash: short,
        });
        self.bytes.push(field);
        self.bytes.extend_from_slice(term);
        let words = &self.words;
        table.insert_unique(wide, number, |number| spread(words[*number as usize].hash));
        number
    }
}

fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_numbers_and_no_table_has_many_of_them() {
        let mut words = Words::default();
        let term = |number: u32| format!("term{number}");
        for number in 0..40_000 {
            assert_eq!(words.number(1, term(number).as_bytes()), number);
        }
        for number in (0..40_000).rev() {
            assert_eq!(words.number(1, term(number).as_bytes()), number);
            assert_eq!(words.get(number)[1..], *term(number).as_bytes());
        }
        assert_eq!(words.number(2, b"term1"), 40_000);
        let largest = words.tables.iter().map(HashTable::len).max();
        assert!(
            largest < Some(40_000 / TABLES * 2),
            "{largest:?} words in one table"
        );
    }
}
