//! Where words begin and end: Unicode's rules (UAX 29), cut further where people do not see one word.
//!
//! The rules join `sys.path`, `snake_case` and `l'homme` to one word each. Here a full stop or colon cuts unless it
//! stands between two digits (`3.14` is one), a low line always does, and an apostrophe cuts when the caller says so.
//!
//! Invariants
//! 1. For text without unspaced scripts, the words are the parts of what `unicode-segmentation` gives (tested).
//! 2. ASCII white space ends everything, so what stands between is looked at alone: ASCII by a table, the rest by Unicode.

use unicode_segmentation::UnicodeSegmentation;

use super::unspaced;

/// A word, or a run of a script without spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A word of ASCII letters and digits alone (and what joins them).
    Ascii,
    /// Any other word.
    Word,
    /// A run: see [`unspaced`].
    Run,
}

const OTHER: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
/// Joins two letters or two digits.
const APOSTROPHE: u8 = 3;
/// Joins two digits.
const POINT: u8 = 4;
const SPACE: u8 = 5;
const BEYOND: u8 = 6;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'A'..=b'Z' | b'a'..=b'z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b'\'' => APOSTROPHE,
            b'.' | b',' | b';' => POINT,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C => SPACE,
            0x80.. => BEYOND,
            _ => OTHER,
        };
        byte += 1;
    }
    table
}

/// Give each piece of `text` with its beginning and end in bytes.
pub fn pieces(text: &str, cut_apostrophes: bool, mut emit: impl FnMut(Piece, usize, usize)) {
    let bytes = text.as_bytes();
    let class = |at: usize| {
        bytes
            .get(at)
            .map_or(SPACE, |&byte| CLASSES[usize::from(byte)])
    };
    let mut at = 0;
    while at < bytes.len() {
        match class(at) {
            LETTER | DIGIT => {}
            BEYOND => {
                at = unicode_until_space(text, at, cut_apostrophes, &mut emit);
                continue;
            }
            _ => {
                at += 1;
                continue;
            }
        }
        let start = at;
        at += 1;
        let complete = loop {
            let joins = match class(at) {
                LETTER | DIGIT => {
                    at += 1;
                    continue;
                }
                BEYOND => break false,
                // What follows may be a mark on the sign, or join it: Unicode decides.
                APOSTROPHE | POINT | OTHER if class(at + 1) == BEYOND => break false,
                APOSTROPHE => {
                    let neighbours = (class(at - 1), class(at + 1));
                    neighbours == (DIGIT, DIGIT)
                        || !cut_apostrophes && neighbours == (LETTER, LETTER)
                }
                POINT => class(at - 1) == DIGIT && class(at + 1) == DIGIT,
                _ => false,
            };
            if !joins {
                break true;
            }
            at += 2;
        };
        if complete {
            emit(Piece::Ascii, start, at);
        } else {
            at = unicode_until_space(text, start, cut_apostrophes, &mut emit);
        }
    }
}

/// The pieces from `start` up to ASCII white space; returns where that is.
fn unicode_until_space(
    text: &str,
    start: usize,
    cut_apostrophes: bool,
    emit: &mut impl FnMut(Piece, usize, usize),
) -> usize {
    let rest = &text.as_bytes()[start..];
    let end = start
        + rest
            .iter()
            .position(|&byte| CLASSES[usize::from(byte)] == SPACE)
            .unwrap_or(rest.len());
    let mut from = start;
    while from < end {
        let run = unspaced::run_length(&text[from..end]);
        if run > 0 {
            emit(Piece::Run, from, from + run);
            from += run;
            continue;
        }
        let spaced = text[from..end]
            .find(unspaced::is_unspaced)
            .unwrap_or(end - from);
        let part = &text[from..from + spaced];
        for (offset, word) in part.split_word_bound_indices() {
            if word.chars().any(char::is_alphanumeric) {
                cut(word, from + offset, cut_apostrophes, emit);
            }
        }
        from += spaced;
    }
    end
}

/// Cut a word of UAX 29 where a sign does not stand between digits.
fn cut(
    word: &str,
    start: usize,
    cut_apostrophes: bool,
    emit: &mut impl FnMut(Piece, usize, usize),
) {
    let mut give = |from: usize, to: usize| {
        // A mark on the sign before belongs to no word.
        if let Some(letter) = word[from..to].find(char::is_alphanumeric) {
            emit(Piece::Word, start + from + letter, start + to);
        }
    };
    let mut from = 0;
    let mut before = None;
    let mut chars = word.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if is_low_line(c) || is_sign(c) || cut_apostrophes && is_apostrophe(c) {
            let after = chars.peek().map(|&(_, c)| c);
            let between_digits =
                before.is_some_and(char::is_numeric) && after.is_some_and(char::is_numeric);
            if is_low_line(c) || !between_digits {
                give(from, at);
                from = at + c.len_utf8();
            }
        }
        before = Some(c);
    }
    give(from, word.len());
}

/// Full stops and colons in all their forms.
fn is_sign(c: char) -> bool {
    matches!(
        c,
        '.' | ':' | '\u{2024}' | '\u{FE52}' | '\u{FF0E}' | '\u{FE13}' | '\u{FE55}' | '\u{FF1A}'
    )
}

fn is_low_line(c: char) -> bool {
    matches!(
        c,
        '_' | '\u{203F}' | '\u{2040}' | '\u{2054}' | '\u{FE33}' | '\u{FE34}' | '\u{FE4D}'
            ..='\u{FE4F}' | '\u{FF3F}'
    )
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{FF07}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str, cut_apostrophes: bool) -> Vec<&str> {
        let mut found = Vec::new();
        pieces(text, cut_apostrophes, |_, start, end| {
            found.push(&text[start..end])
        });
        found
    }

    #[test]
    fn signs_cut_words_but_not_numbers() {
        assert_eq!(
            words("sys.path snake_case a:b", false),
            ["sys", "path", "snake", "case", "a", "b"]
        );
        assert_eq!(
            words("3.14, 1,000; v2.0 e.g.", false),
            ["3.14", "1,000", "v2.0", "e", "g"]
        );
        assert_eq!(
            words("don't 'tis l'homme l’homme", false),
            ["don't", "tis", "l'homme", "l’homme"]
        );
        assert_eq!(words("don't l’homme", true), ["don", "t", "l", "homme"]);
        assert_eq!(
            words("naïve—café über_alles", false),
            ["naïve", "café", "über", "alles"]
        );
        assert_eq!(
            words("東京tower 한국의", false),
            ["東京", "tower", "한국의"]
        );
        assert!(words("... -- ' _ — … 🙂", false).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn words_are_those_of_unicode(text in "([a-zA-Z0-9 .,;:'_\"\\-\n/]|[éß’·\u{301}\u{AD}\u{200D}—٣אЖα\u{2019}]){0,24}") {
            let mut expected = Vec::new();
            for (offset, word) in text.split_word_bound_indices() {
                if word.chars().any(char::is_alphanumeric) {
                    cut(word, offset, false, &mut |_, start, end| expected.push(&text[start..end]));
                }
            }
            prop_assert_eq!(words(&text, false), expected);
        }
    }
}
