//! One spelling for one word: lower case, compatible forms (`ﬁ` is `fi`, `Ｆ` is `f`), no accents.
//!
//! Accents go where they are marks on a letter of an alphabet whose readers leave them out (Latin, Greek; points of
//! Hebrew, vowel signs of Arabic), never where the mark makes another letter (Cyrillic й, Japanese が, Hindi and Thai).

use unicode_normalization::UnicodeNormalization;

/// Put the compatible, composed form of `word` into `out`, in lower case if so wanted.
pub fn compose(word: &str, lower: bool, out: &mut String) {
    out.clear();
    let visible = word
        .chars()
        .filter(|&c| !is_invisible(c))
        .map(plain_apostrophe);
    if lower {
        out.extend(visible.nfkc().flat_map(char::to_lowercase).nfkc());
    } else {
        out.extend(visible.nfkc());
    }
}

/// Put `word` (composed) without its accents into `out`.
pub fn unaccent(word: &str, out: &mut String) {
    out.clear();
    let mut on_letter = false;
    let bare = word.nfd().filter(move |&c| {
        if is_mark(c) {
            return !on_letter;
        }
        on_letter = is_accented_script(c);
        !is_vowel_sign(c)
    });
    out.extend(bare.nfc());
    if out.chars().any(|c| replacement(c).is_some()) {
        let replaced: String = out.chars().flat_map(Spelled::of).collect();
        *out = replaced;
    }
}

/// Characters that are there for the typesetter: soft hyphen, joiners, direction marks, byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

fn plain_apostrophe(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{201B}' | '\u{2BC}' | '\u{FF07}' => '\'',
        _ => c,
    }
}

fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36F}').contains(&c)
}

fn is_accented_script(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{24F}' | '\u{250}'..='\u{2AF}' | '\u{370}'..='\u{3FF}'
        | '\u{1E00}'..='\u{1FFF}' | '\u{2C60}'..='\u{2C7F}' | '\u{A720}'..='\u{A7FF}')
}

fn is_vowel_sign(c: char) -> bool {
    matches!(c, '\u{591}'..='\u{5BD}' | '\u{5BF}' | '\u{5C1}' | '\u{5C2}' | '\u{5C4}' | '\u{5C5}' | '\u{5C7}'
        | '\u{640}' | '\u{64B}'..='\u{655}' | '\u{670}')
}

/// Letters that are no letter with a mark, and what people type for them.
fn replacement(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'ẞ' => "SS",
        'æ' => "ae",
        'Æ' => "AE",
        'œ' => "oe",
        'Œ' => "OE",
        'ø' => "o",
        'Ø' => "O",
        'ł' => "l",
        'Ł' => "L",
        'đ' | 'ð' => "d",
        'Đ' | 'Ð' => "D",
        'þ' => "th",
        'Þ' => "Th",
        'ħ' => "h",
        'Ħ' => "H",
        'ŧ' => "t",
        'Ŧ' => "T",
        'ı' => "i",
        'ŋ' => "n",
        'Ŋ' => "N",
        'ς' => "σ",
        'ё' => "е",
        'Ё' => "Е",
        _ => return None,
    })
}

/// A character, or what is written for it.
enum Spelled {
    One(Option<char>),
    More(std::str::Chars<'static>),
}

impl Spelled {
    fn of(c: char) -> Spelled {
        match replacement(c) {
            None => Spelled::One(Some(c)),
            Some(text) => Spelled::More(text.chars()),
        }
    }
}

impl Iterator for Spelled {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self {
            Spelled::One(c) => c.take(),
            Spelled::More(chars) => chars.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(word: &str) -> String {
        let (mut composed, mut out) = (String::new(), String::new());
        compose(word, true, &mut composed);
        unaccent(&composed, &mut out);
        out
    }

    #[test]
    fn case_and_accents_go() {
        for (word, plain) in [
            ("CAFÉ", "cafe"),
            ("cafe\u{301}", "cafe"),
            ("Straße", "strasse"),
            ("Łódź", "lodz"),
            ("İstanbul", "istanbul"),
            ("ΟΔΥΣΣΕΎΣ", "οδυσσευσ"),
            ("Ærøskøbing", "aeroskobing"),
            ("ｆｕｌｌ", "full"),
            ("ﬁn", "fin"),
            ("Việt", "viet"),
            ("co\u{AD}op", "coop"),
            ("don’t", "don't"),
            ("שָׁלוֹם", "שלום"),
            ("مُحَمَّد", "محمد"),
            ("ёлка", "елка"),
        ] {
            assert_eq!(folded(word), plain, "{word}");
        }
    }

    #[test]
    fn marks_that_make_another_letter_stay() {
        for word in ["й", "が", "ナ", "हिन्दी", "ไทย", "한국", "ї"] {
            assert_eq!(folded(word), word);
        }
        assert_eq!(folded("か\u{3099}"), "が");
        assert_eq!(folded("ﾊﾟ"), "パ");
    }
}
