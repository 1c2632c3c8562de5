//! What words became, remembered per thread: texts repeat their words, and making a stem costs ten times a look here.
//!
//! A direct-mapped table of one cache line per word. An entry belongs to one analyzer (by its number) and to the exact
//! bytes of the word, so it can be wrong for nobody; a newer word takes its place.

use std::cell::Cell;

use rustc_hash::FxHasher;
use std::hash::Hasher;

/// Longer words are not remembered.
pub const WORD_BYTES_MAX: usize = 28;

const ENTRIES: usize = 4096;

/// What is remembered of a word.
pub enum Remembered<'a> {
    /// Nothing.
    Unknown,
    /// That it is left out.
    Nothing,
    /// Its term.
    Term(&'a str),
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Entry {
    analyzer: u32,
    word_len: u8,
    term_len: u8,
    word: [u8; WORD_BYTES_MAX],
    term: [u8; WORD_BYTES_MAX],
}

/// The table.
pub struct Cache {
    entries: Box<[Entry]>,
}

thread_local! {
    static OF_THREAD: Cell<Option<Cache>> = const { Cell::new(None) };
}

impl Cache {
    /// Use this thread's table. An analysis within an analysis gets a table of its own.
    pub fn with<T>(work: impl FnOnce(&mut Cache) -> T) -> T {
        let mut cache = OF_THREAD.take().unwrap_or_else(Cache::new);
        let result = work(&mut cache);
        OF_THREAD.set(Some(cache));
        result
    }

    fn new() -> Cache {
        let empty = Entry {
            analyzer: 0,
            word_len: 0,
            term_len: 0,
            word: [0; WORD_BYTES_MAX],
            term: [0; WORD_BYTES_MAX],
        };
        Cache {
            entries: vec![empty; ENTRIES].into_boxed_slice(),
        }
    }

    /// Look for a word of at most `WORD_BYTES_MAX` bytes. Analyzers are numbered from 1.
    pub fn look(&self, analyzer: u32, word: &[u8]) -> Remembered<'_> {
        let entry = &self.entries[place(analyzer, word)];
        if entry.analyzer != analyzer || entry.word[..usize::from(entry.word_len)] != *word {
            return Remembered::Unknown;
        }
        match std::str::from_utf8(&entry.term[..usize::from(entry.term_len)]) {
            Ok("") | Err(_) => Remembered::Nothing,
            Ok(term) => Remembered::Term(term),
        }
    }

    /// Remember what a word became; "" when it is left out.
    pub fn remember(&mut self, analyzer: u32, word: &[u8], term: &str) {
        if term.len() > WORD_BYTES_MAX {
            return;
        }
        let entry = &mut self.entries[place(analyzer, word)];
        entry.analyzer = analyzer;
        entry.word_len = word.len() as u8;
        entry.term_len = term.len() as u8;
        entry.word[..word.len()].copy_from_slice(word);
        entry.term[..term.len()].copy_from_slice(term.as_bytes());
    }
}

fn place(analyzer: u32, word: &[u8]) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write_u32(analyzer);
    hasher.write(word);
    (hasher.finish() >> 40) as usize % ENTRIES
}
