//! Analysis: from a text to the terms that stand in the index.
//!
//! A word is cut out of its text (`words`), brought to one spelling (`fold`), left out when it is a stop word, and made
//! to its stem; accents go last, since stems are made of words as they are written.
//!
//! Invariants
//! 1. The same options and the same `ANALYSIS_VERSION` give the same terms for the same text, on every machine.
//! 2. Positions never fall; a word that is left out (a stop word) still takes its position.
//! 3. A term is never empty and never longer than `TERM_BYTES_MAX`.

mod cache;
mod fold;
pub mod language;
mod normal;
mod options;
mod unspaced;
mod words;

use std::sync::Arc;

use crate::error::Result;

use cache::Cache;
use normal::Normalizer;
pub use options::{AnalyzerOptions, Kind, StopWords};
use words::Piece;

/// Rises whenever some text becomes other terms than before (own rules, Unicode tables, stemmers).
pub const ANALYSIS_VERSION: u32 = 1;

/// Longer words are cut here, at a character: they are no language, and a key has to end somewhere.
pub const TERM_BYTES_MAX: usize = 255;

/// One term at one place of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The term as it stands in the index.
    pub text: &'a str,
    /// The number of the word in its text, from 0.
    pub position: u32,
    /// Where the word begins in the text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// Makes terms of texts, by one set of options. Cheap to clone, shared by threads.
#[derive(Clone, Debug)]
pub struct Analyzer {
    normalizer: Arc<Normalizer>,
}

/// Who asks for terms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A document: everything a query may look for.
    Document,
    /// A query: what decides.
    Query,
    /// The words of a query as they are spelled: no stems, no stop words.
    Spelling,
}

impl Analyzer {
    /// An analyzer with these options; refuses options that contradict each other.
    pub fn new(options: AnalyzerOptions) -> Result<Analyzer> {
        options.check()?;
        Ok(Analyzer {
            normalizer: Arc::new(Normalizer::new(options)?),
        })
    }

    /// Read options written as msgpack (see [`AnalyzerOptions`]).
    pub fn from_options(options: &[u8]) -> Result<Analyzer> {
        Analyzer::from_value(crate::wire::parse(options, "the options of an analyzer")?)
    }

    pub(crate) fn from_value(value: rmpv::Value) -> Result<Analyzer> {
        Analyzer::new(AnalyzerOptions::from_value(value)?)
    }

    /// What it was made from.
    pub fn options(&self) -> &AnalyzerOptions {
        &self.normalizer.options
    }

    /// The version of the rules: see [`ANALYSIS_VERSION`].
    pub fn version(&self) -> u32 {
        ANALYSIS_VERSION
    }

    /// Give every term of a document's `text` to `emit`, in the order of positions.
    pub fn analyze(&self, text: &str, emit: &mut impl FnMut(Token<'_>)) {
        self.run(text, Purpose::Document, emit);
    }

    /// Give the terms that a document must have, at these distances, to contain `text`.
    pub fn analyze_query(&self, text: &str, emit: &mut impl FnMut(Token<'_>)) {
        self.run(text, Purpose::Query, emit);
    }

    /// Give the words of `text` in the index's spelling, but neither stemmed nor left out.
    pub fn spell(&self, text: &str, emit: &mut impl FnMut(Token<'_>)) {
        self.run(text, Purpose::Spelling, emit);
    }

    /// Whether a term of a query is shorter than what stands in the index, so that it has to be looked for as the
    /// beginning of terms: one character of a script without spaces, or fewer than an n-gram has.
    pub(crate) fn is_beginning(&self, term: &str) -> bool {
        match self.options().kind {
            Kind::Words => {
                unspaced::run_length(term) == term.len() && unspaced::characters(term).count() == 1
            }
            Kind::Ngrams => term.chars().count() < self.options().lengths.0,
            Kind::Whitespace | Kind::Raw => false,
        }
    }

    /// Whether a term is a pair (or one character) of a script without spaces.
    pub(crate) fn is_pair(&self, term: &str) -> bool {
        self.options().kind == Kind::Words && unspaced::run_length(term) == term.len()
    }

    /// The length in bytes of the first written character of a pair.
    pub(crate) fn first_character(&self, pair: &str) -> usize {
        unspaced::characters(pair).next().map_or(0, |(_, end)| end)
    }

    fn run(&self, text: &str, purpose: Purpose, emit: &mut impl FnMut(Token<'_>)) {
        Cache::with(|cache| {
            let mut writer = Writer {
                normalizer: &self.normalizer,
                cache,
                purpose,
                text,
                position: 0,
                word: String::new(),
                spare: String::new(),
                emit,
            };
            match self.normalizer.options.kind {
                Kind::Words => writer.words(),
                Kind::Whitespace => writer.spaced(),
                Kind::Raw => writer.raw(),
                Kind::Ngrams => writer.ngrams(),
            }
        });
    }
}

/// One pass over one text.
struct Writer<'a, F: FnMut(Token<'_>)> {
    normalizer: &'a Normalizer,
    cache: &'a mut Cache,
    purpose: Purpose,
    text: &'a str,
    position: u32,
    /// Room for spellings, kept from word to word.
    word: String,
    spare: String,
    emit: &'a mut F,
}

impl<F: FnMut(Token<'_>)> Writer<'_, F> {
    fn words(&mut self) {
        let text = self.text;
        words::pieces(
            text,
            self.normalizer.cuts_apostrophes,
            |piece, start, end| match piece {
                Piece::Ascii => self.ascii(start, end),
                Piece::Word => self.any(start, end),
                Piece::Run => self.pairs(start, end),
            },
        );
    }

    fn spaced(&mut self) {
        let text = self.text;
        for word in text.split_whitespace() {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            let end = start + word.len();
            if word.is_ascii() {
                self.ascii(start, end);
            } else {
                self.any(start, end);
            }
        }
    }

    fn raw(&mut self) {
        self.any(0, self.text.len());
    }

    /// A word of ASCII: the way nearly all words go.
    fn ascii(&mut self, start: usize, end: usize) {
        let bytes = &self.text.as_bytes()[start..end];
        let mut lower = [0; cache::WORD_BYTES_MAX];
        let Some(word) = lower.get_mut(..bytes.len()) else {
            return self.any(start, end);
        };
        word.copy_from_slice(bytes);
        if self.normalizer.options.ignore_case {
            word.make_ascii_lowercase();
        }
        let plain = self.normalizer.keeps_words || self.purpose == Purpose::Spelling;
        if plain {
            let text = std::str::from_utf8(word).unwrap_or_default();
            emit_at(self.emit, text, &mut self.position, start, end);
            return;
        }
        self.remembered(&lower[..end - start], start, end);
    }

    /// Any word, in any script.
    fn any(&mut self, start: usize, end: usize) {
        let bytes = &self.text.as_bytes()[start..end];
        if self.purpose == Purpose::Spelling || bytes.len() > cache::WORD_BYTES_MAX {
            let stem = self.purpose != Purpose::Spelling;
            let term = self.normalizer.term(
                &self.text[start..end],
                stem,
                &mut self.word,
                &mut self.spare,
            );
            emit_at(self.emit, term, &mut self.position, start, end);
            return;
        }
        let mut word = [0; cache::WORD_BYTES_MAX];
        word[..bytes.len()].copy_from_slice(bytes);
        self.remembered(&word[..bytes.len()], start, end);
    }

    fn remembered(&mut self, word: &[u8], start: usize, end: usize) {
        let analyzer = self.normalizer.number;
        match self.cache.look(analyzer, word) {
            cache::Remembered::Term(term) => {
                emit_at(self.emit, term, &mut self.position, start, end)
            }
            cache::Remembered::Nothing => self.position += 1,
            cache::Remembered::Unknown => {
                let text = std::str::from_utf8(word).unwrap_or_default();
                let term = self
                    .normalizer
                    .term(text, true, &mut self.word, &mut self.spare);
                self.cache.remember(analyzer, word, term);
                emit_at(self.emit, term, &mut self.position, start, end);
            }
        }
    }

    /// A run of a script without spaces: see `unspaced`.
    fn pairs(&mut self, start: usize, end: usize) {
        let run = &self.text[start..end];
        let mut characters = unspaced::characters(run).peekable();
        let mut first = true;
        while let Some((from, to)) = characters.next() {
            let next = characters.peek().copied();
            if next.is_none() && !first && self.purpose != Purpose::Document {
                break;
            }
            let to = next.map_or(to, |(_, to)| to);
            let term = self
                .normalizer
                .spelled(&run[from..to], &mut self.word, &mut self.spare);
            emit_at(
                self.emit,
                term,
                &mut self.position,
                start + from,
                start + to,
            );
            first = false;
        }
    }

    /// Every run of `min` to `max` characters between white space. A query asks for the longest ones, which lie on
    /// all others.
    fn ngrams(&mut self) {
        let text = self.text;
        let (min, max) = self.normalizer.options.lengths;
        for word in text.split_whitespace() {
            let offset = word.as_ptr() as usize - text.as_ptr() as usize;
            let ends: Vec<usize> = word
                .char_indices()
                .map(|(at, _)| at)
                .skip(1)
                .chain([word.len()])
                .collect();
            let shortest = match self.purpose {
                Purpose::Document => min,
                _ => max.min(ends.len()),
            };
            for first in 0..ends.len() {
                let from = if first == 0 { 0 } else { ends[first - 1] };
                for length in shortest..=max {
                    let Some(&to) = ends.get(first + length - 1) else {
                        break;
                    };
                    let term =
                        self.normalizer
                            .spelled(&word[from..to], &mut self.word, &mut self.spare);
                    emit_here(self.emit, term, self.position, offset + from, offset + to);
                }
                self.position += 1;
            }
            // Grams of one word are no neighbours of the next word's.
            self.position += 1;
        }
    }
}

fn emit_here(
    emit: &mut impl FnMut(Token<'_>),
    term: &str,
    position: u32,
    start: usize,
    end: usize,
) {
    if !term.is_empty() {
        emit(Token {
            text: term,
            position,
            start,
            end,
        });
    }
}

fn emit_at(
    emit: &mut impl FnMut(Token<'_>),
    term: &str,
    position: &mut u32,
    start: usize,
    end: usize,
) {
    emit_here(emit, term, *position, start, end);
    *position += 1;
}
