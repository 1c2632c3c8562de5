//! Scripts that are written without spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) or whose words
//! carry endings a reader looks past (Korean): runs of them become pairs of neighbours.
//!
//! A run `abcd` gives `ab bc cd d`, each at the position of its first character; a query leaves out the last single
//! one. So a run of two or more is found as a phrase wherever it stands, and one character as a prefix.

use unicode_normalization::char::is_combining_mark;

/// Whether a character belongs to such a script (and is a letter of it).
pub fn is_unspaced(c: char) -> bool {
    if c < '\u{E01}' {
        return false;
    }
    matches!(c,
        '\u{E01}'..='\u{E3A}' | '\u{E40}'..='\u{E4E}'               // Thai
        | '\u{E81}'..='\u{ECD}' | '\u{EDC}'..='\u{EDF}'             // Lao
        | '\u{1000}'..='\u{103F}' | '\u{1050}'..='\u{108F}'         // Burmese
        | '\u{1780}'..='\u{17D3}' | '\u{17DC}'                      // Khmer
        | '\u{1100}'..='\u{11FF}' | '\u{3131}'..='\u{318E}' | '\u{A960}'..='\u{A97C}'
        | '\u{AC00}'..='\u{D7A3}' | '\u{D7B0}'..='\u{D7FB}' | '\u{FFA0}'..='\u{FFDC}'      // Korean
        | '\u{3041}'..='\u{309F}' | '\u{30A1}'..='\u{30FA}' | '\u{30FC}'..='\u{30FF}'
        | '\u{31F0}'..='\u{31FF}' | '\u{FF66}'..='\u{FF9F}' | '\u{1B000}'..='\u{1B16F}'    // Japanese
        | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3105}'..='\u{312F}' | '\u{31A0}'..='\u{31BF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{323AF}')                                // Chinese
        && c != '\u{3006}'
}

/// Whether a character stands on or in the one before it.
pub fn continues(c: char) -> bool {
    matches!(c, '\u{3099}' | '\u{309A}' | '\u{FF9E}' | '\u{FF9F}' | '\u{1160}'..='\u{11FF}' | '\u{200B}'..='\u{200D}')
        || is_combining_mark(c)
}

/// The length in bytes of the run at the beginning of `text`, 0 when there is none.
pub fn run_length(text: &str) -> usize {
    let mut begun = false;
    for (at, c) in text.char_indices() {
        if !(is_unspaced(c) || begun && continues(c)) {
            return at;
        }
        begun = true;
    }
    text.len()
}

/// Give the beginning and end of each written character of a run: a letter with all that stands on it.
pub fn characters(run: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        for (offset, c) in run[start..].char_indices() {
            if offset > 0 && !continues(c) {
                at = start + offset;
                return Some((start, at));
            }
        }
        at = run.len();
        (start < at).then_some((start, at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_where_another_script_begins() {
        assert_eq!(run_length("東京tower"), 6);
        assert_eq!(run_length("tower東京"), 0);
        assert_eq!(run_length("ภาษาไทย"), "ภาษาไทย".len());
    }

    #[test]
    fn marks_stay_with_their_letter() {
        let text = "ที่นี่";
        let parts: Vec<&str> = characters(text).map(|(a, b)| &text[a..b]).collect();
        assert_eq!(parts, ["ที่", "นี่"]);
        assert_eq!(characters("ﾊﾟﾝ").count(), 2);
        assert_eq!(characters("").count(), 0);
    }
}
