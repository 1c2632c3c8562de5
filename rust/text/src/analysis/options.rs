//! `AnalyzerOptions`, and how they are written in the catalogue:
//!
//! ```text
//! {"kind": "words" | "whitespace" | "raw" | "ngrams",
//!  "language": str | nil          the language of stop words and stems, in English or as its code
//!  "stem": bool, "fold": bool,    fold: lower case, no accents; false keeps texts as they are
//!  "stop_words": bool | [str],    true: those of the language; a list: these
//!  "min": int, "max": int}        lengths of n-grams, in characters
//! ```
//! Missing entries have their defaults: words, no language, stem and stop words when there is a language, fold, 3, 3.

use crate::error::Result;
use crate::wire::Map;

/// What texts are cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Kind {
    /// Words by Unicode's rules; Chinese, Japanese, Korean and Thai as pairs of characters.
    #[default]
    Words,
    /// What stands between white space.
    Whitespace,
    /// The whole text is one term.
    Raw,
    /// All runs of `min` to `max` characters between white space.
    Ngrams,
}

/// Everything that decides which terms a text becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalyzerOptions {
    /// What texts are cut into.
    pub kind: Kind,
    /// Lower case and no accents.
    pub fold: bool,
    /// Shortest and longest n-gram.
    pub lengths: (usize, usize),
}

impl AnalyzerOptions {
    pub(crate) fn from_value(value: rmpv::Value) -> Result<AnalyzerOptions> {
        let mut map = Map::of(value, "the options of an analyzer")?;
        let _ = map.text_or("kind", "words")?;
        Ok(AnalyzerOptions::default())
    }
}

impl Default for AnalyzerOptions {
    fn default() -> AnalyzerOptions {
        AnalyzerOptions {
            kind: Kind::Words,
            fold: true,
            lengths: (3, 3),
        }
    }
}
