//! `AnalyzerOptions`, and how they are written in the catalogue:
//!
//! ```text
//! {"kind": "words" | "whitespace" | "raw" | "ngrams",
//!  "language": str | nil                 of stop words and stems: its English name or its code
//!  "stem": bool, "stop_words": bool | [str],   true: those of the language; a list: these and no others
//!  "ignore_case": bool, "ignore_accents": bool,
//!  "min": int, "max": int}               lengths of n-grams, in characters
//! ```
//!
//! What is missing or nil has its default: words, no language, stems and stop words when there is a language, case
//! and accents ignored, 3 and 3.

use rmpv::Value;

use crate::error::{Error, Result};
use crate::wire::Map;

use super::language;

const WHAT: &str = "the options of an analyzer";

/// The longest n-gram, in characters.
const NGRAM_MAX: u64 = 16;

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
    /// The language of stems and stop words, by its English name.
    pub language: Option<&'static str>,
    /// Whether words become their stems.
    pub stem: bool,
    /// Words that are left out.
    pub stop_words: StopWords,
    /// `Fox` is `fox`.
    pub ignore_case: bool,
    /// `café` is `cafe`.
    pub ignore_accents: bool,
    /// Shortest and longest n-gram, in characters.
    pub lengths: (usize, usize),
}

/// Words that are left out of the index and of queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopWords {
    /// None.
    None,
    /// Those of the language.
    OfLanguage,
    /// These.
    These(Vec<String>),
}

impl Default for AnalyzerOptions {
    fn default() -> AnalyzerOptions {
        AnalyzerOptions {
            kind: Kind::Words,
            language: None,
            stem: false,
            stop_words: StopWords::None,
            ignore_case: true,
            ignore_accents: true,
            lengths: (3, 3),
        }
    }
}

impl AnalyzerOptions {
    /// Words of a language, with its stems and without its stop words.
    pub fn of_language(name: &str) -> Result<AnalyzerOptions> {
        let language = language::find(name)?;
        Ok(AnalyzerOptions {
            language: Some(language.name),
            stem: language.stemmer().is_some(),
            stop_words: match language.stop_words() {
                Some(_) => StopWords::OfLanguage,
                None => StopWords::None,
            },
            ..AnalyzerOptions::default()
        })
    }

    pub(crate) fn from_value(value: Value) -> Result<AnalyzerOptions> {
        let mut map = Map::of(value, WHAT)?;
        let kind = match map.text_or("kind", "words")?.as_str() {
            "words" => Kind::Words,
            "whitespace" => Kind::Whitespace,
            "raw" => Kind::Raw,
            "ngrams" => Kind::Ngrams,
            other => {
                return Err(Error::new(format!(
                    "there is no analyzer '{other}': choose words, whitespace, raw or ngrams"
                )));
            }
        };
        let mut options = match map.text_or("language", "")?.as_str() {
            "" => AnalyzerOptions::default(),
            name => AnalyzerOptions::of_language(name)?,
        };
        options.kind = kind;
        options.stem = map.boolean_or("stem", options.stem)?;
        options.ignore_case = map.boolean_or("ignore_case", true)?;
        options.ignore_accents = map.boolean_or("ignore_accents", true)?;
        match map.take("stop_words") {
            None => {}
            Some(Value::Boolean(true)) => options.stop_words = StopWords::OfLanguage,
            Some(Value::Boolean(false)) => options.stop_words = StopWords::None,
            Some(Value::Array(words)) => options.stop_words = StopWords::These(texts(words)?),
            Some(other) => {
                return Err(Error::new(format!(
                    "'stop_words' in {WHAT} should be true, false or a list of words, and is {other}"
                )));
            }
        }
        let min = map.integer_or("min", 3)?;
        let max = map.integer_or("max", min.max(3))?;
        if !(1 <= min && min <= max && max <= NGRAM_MAX) {
            return Err(Error::new(format!(
                "n-grams of {min} to {max} characters cannot be: give 1 <= min <= max <= {NGRAM_MAX}"
            )));
        }
        options.lengths = (min as usize, max as usize);
        map.finish()?;
        options.check()?;
        Ok(options)
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::new(what));
        let language = self.language.map(language::find).transpose()?;
        if self.stem {
            match language {
                None => return wrong("stems need a language: give one, or leave stem out".into()),
                Some(language) if language.stemmer().is_none() => {
                    return wrong(format!(
                        "there are no stems for {}: give stem=false",
                        language.name
                    ));
                }
                Some(_) if !self.ignore_case => {
                    return wrong("stems are made of lower case: leave ignore_case at true".into());
                }
                Some(_) => {}
            }
        }
        if self.stop_words == StopWords::OfLanguage {
            match language {
                None => {
                    return wrong("stop_words=true needs a language: give one, or a list".into());
                }
                Some(language) if language.stop_words().is_none() => {
                    return wrong(format!(
                        "there is no list of stop words for {}: give your own",
                        language.name
                    ));
                }
                Some(_) => {}
            }
        }
        if matches!(self.kind, Kind::Raw | Kind::Ngrams)
            && (self.stem || self.stop_words != StopWords::None)
        {
            return wrong(
                "stems and stop words are for words: a raw or n-gram analyzer has no language"
                    .into(),
            );
        }
        Ok(())
    }
}

fn texts(words: Vec<Value>) -> Result<Vec<String>> {
    let text = |word: Value| match word.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::new(format!(
            "a stop word should be a text, and is {word}"
        ))),
    };
    words.into_iter().map(text).collect()
}
