//! The languages: their names and codes, stems (Snowball) and stop words (Snowball's lists as NLTK keeps them).

use frostem::{Algorithm, Stemmer};

use crate::error::{Error, Result};

/// A language with stems or stop words or both.
#[derive(Debug)]
pub struct Language {
    /// Its English name, in lower case.
    pub name: &'static str,
    /// Its ISO 639-1 code.
    pub code: &'static str,
}

macro_rules! languages {
    ($($name:literal $code:literal),* $(,)?) => {
        /// All of them, by name.
        pub static LANGUAGES: &[Language] = &[$(Language { name: $name, code: $code }),*];
    };
}

languages! {
    "albanian" "sq", "arabic" "ar", "armenian" "hy", "azerbaijani" "az", "basque" "eu", "belarusian" "be",
    "bengali" "bn", "catalan" "ca", "chinese" "zh", "czech" "cs", "danish" "da", "dutch" "nl", "english" "en",
    "esperanto" "eo", "estonian" "et", "finnish" "fi", "french" "fr", "german" "de", "greek" "el", "hebrew" "he",
    "hindi" "hi", "hungarian" "hu", "indonesian" "id", "irish" "ga", "italian" "it", "kazakh" "kk",
    "lithuanian" "lt", "nepali" "ne", "norwegian" "no", "persian" "fa", "polish" "pl", "portuguese" "pt",
    "romanian" "ro", "russian" "ru", "serbian" "sr", "slovenian" "sl", "spanish" "es", "swedish" "sv",
    "tajik" "tg", "tamil" "ta", "turkish" "tr", "uzbek" "uz", "yiddish" "yi",
}

/// The language of this name or code, whatever its case.
pub fn find(name: &str) -> Result<&'static Language> {
    let wanted = name.trim().to_ascii_lowercase();
    LANGUAGES
        .iter()
        .find(|language| language.name == wanted || language.code == wanted)
        .ok_or_else(|| {
            let known: Vec<_> = LANGUAGES.iter().map(|language| language.name).collect();
            Error::new(format!(
                "there are neither stems nor stop words for the language '{name}'; there are for {}. \
                 Leave the language out to have words as they are",
                known.join(", ")
            ))
        })
}

impl Language {
    /// What makes stems of its words.
    pub fn stemmer(&self) -> Option<Stemmer> {
        Algorithm::from_name(self.name).ok().map(Stemmer::new)
    }

    /// Words too frequent to be looked for.
    pub fn stop_words(&self) -> Option<&'static [&'static str]> {
        stop_words::lookup(self.code)
    }

    /// Whether an apostrophe ends a word (`l'homme` is `l` and `homme`).
    pub(super) fn elides(&self) -> bool {
        matches!(self.name, "french" | "italian" | "catalan" | "esperanto")
    }
}
