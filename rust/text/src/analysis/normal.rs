//! `Normalizer`: from a word as it stands in a text to its term, by the options of one analyzer.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use frostem::Stemmer;
use rustc_hash::FxHashSet;

use crate::error::Result;

use super::options::{AnalyzerOptions, Kind, StopWords};
use super::{TERM_BYTES_MAX, fold, language};

/// Longer words have no stem: they are no words of a language.
const STEM_BYTES_MAX: usize = 64;

static NEXT_NUMBER: AtomicU32 = AtomicU32::new(1);

/// What an analyzer does to one word.
pub struct Normalizer {
    pub options: AnalyzerOptions,
    /// Tells its words from those of other analyzers in the cache.
    pub number: u32,
    /// Neither stems nor stop words: a word of ASCII only changes its case.
    pub keeps_words: bool,
    /// Whether an apostrophe ends a word.
    pub cuts_apostrophes: bool,
    stemmer: Option<Stemmer>,
    /// In the spelling of `fold::compose`.
    stop_words: FxHashSet<String>,
}

impl Normalizer {
    pub fn new(options: AnalyzerOptions) -> Result<Normalizer> {
        let language = options.language.map(language::find).transpose()?;
        let given: Vec<&str> = match &options.stop_words {
            StopWords::None => Vec::new(),
            StopWords::OfLanguage => language
                .and_then(|it| it.stop_words())
                .unwrap_or_default()
                .to_vec(),
            StopWords::These(words) => words.iter().map(String::as_str).collect(),
        };
        let mut stop_words = FxHashSet::default();
        for word in given {
            let mut spelled = String::new();
            fold::compose(word, options.ignore_case, &mut spelled);
            stop_words.insert(spelled);
        }
        let stemmer = if options.stem {
            language.and_then(|it| it.stemmer())
        } else {
            None
        };
        Ok(Normalizer {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            keeps_words: stemmer.is_none() && stop_words.is_empty(),
            // A language whose words have apostrophes within keeps them; for texts of no known language the parts are
            // the surer words (`dog's` is found by `dog`).
            cuts_apostrophes: options.kind == Kind::Words && language.is_none_or(|it| it.elides()),
            stemmer,
            stop_words,
            options,
        })
    }

    /// The term of a word, "" when it is left out. `word` and `spare` are room to write in.
    pub fn term<'a>(
        &self,
        text: &'a str,
        stem: bool,
        word: &'a mut String,
        spare: &'a mut String,
    ) -> &'a str {
        self.compose(text, word);
        if stem {
            if self.stop_words.contains(word.as_str()) {
                return "";
            }
            self.stem(word);
        }
        self.bare(word, spare)
    }

    /// The spelling of some characters that are no word of a language.
    pub fn spelled<'a>(&self, text: &str, word: &'a mut String, spare: &'a mut String) -> &'a str {
        self.compose(text, word);
        self.bare(word, spare)
    }

    fn compose(&self, text: &str, word: &mut String) {
        if !text.is_ascii() {
            return fold::compose(text, self.options.ignore_case, word);
        }
        word.clear();
        word.push_str(text);
        if self.options.ignore_case {
            word.make_ascii_lowercase();
        }
    }

    fn stem(&self, word: &mut String) {
        let Some(stemmer) = &self.stemmer else {
            return;
        };
        if word.len() > STEM_BYTES_MAX {
            return;
        }
        if let Cow::Owned(stem) = stemmer.stem(word)
            && !stem.is_empty()
        {
            *word = stem;
        }
    }

    fn bare<'a>(&self, word: &'a str, spare: &'a mut String) -> &'a str {
        if !self.options.ignore_accents || word.is_ascii() {
            return cut(word);
        }
        fold::unaccent(word, spare);
        cut(spare)
    }
}

impl fmt::Debug for Normalizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

fn cut(term: &str) -> &str {
    if term.len() <= TERM_BYTES_MAX {
        return term;
    }
    let mut end = TERM_BYTES_MAX;
    while !term.is_char_boundary(end) {
        end -= 1;
    }
    &term[..end]
}
