//! Analysis: from a text to the terms that stand in the index.
//!
//! Invariants
//! 1. The same options and the same `ANALYSIS_VERSION` give the same terms for the same text, on every machine.
//! 2. Positions never fall; a word that is left out (a stop word) still takes its position.
//! 3. A term is never empty and never longer than `TERM_BYTES_MAX`.

mod options;

pub use options::AnalyzerOptions;

use crate::error::Result;

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

/// Makes terms of texts, by one set of options. Shared by threads.
#[derive(Clone, Debug)]
pub struct Analyzer {
    options: AnalyzerOptions,
}

impl Analyzer {
    /// An analyzer with these options.
    pub fn new(options: AnalyzerOptions) -> Result<Analyzer> {
        Ok(Analyzer { options })
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
        &self.options
    }

    /// The version of the rules: see [`ANALYSIS_VERSION`].
    pub fn version(&self) -> u32 {
        ANALYSIS_VERSION
    }

    /// Give every term of `text` to `emit`, in the order of positions.
    pub fn analyze(&self, text: &str, emit: &mut impl FnMut(Token<'_>)) {
        let mut position = 0;
        for word in text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
        {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            let lower = word.to_lowercase();
            emit(Token {
                text: &lower,
                position,
                start,
                end: start + word.len(),
            });
            position += 1;
        }
    }
}
