//! What is marked is what was found.

use proptest::prelude::*;
use sopasync_text::analysis::{AnalyzerOptions, Kind};
use sopasync_text::highlight::{Fragment, FragmentOptions, Highlighter};
use sopasync_text::{Analyzer, Field, Query, Schema};

fn schema() -> Schema {
    let field = |name: &str, options| Field {
        name: name.into(),
        boost: 1.0,
        analyzer: Analyzer::new(options).expect("options"),
    };
    let grams = AnalyzerOptions {
        kind: Kind::Ngrams,
        ..AnalyzerOptions::default()
    };
    Schema {
        fields: vec![
            field("body", AnalyzerOptions::of_language("en").expect("english")),
            field("name", AnalyzerOptions::default()),
            field("grams", grams),
        ],
        k1: 1.2,
        b: 0.75,
        stored: true,
        description: String::new(),
    }
}

/// The text with its marks as brackets.
fn marked(query: &str, field: &str, text: &str) -> String {
    let schema = schema();
    let query = Query::parse(query, &schema).expect(query);
    let marks = Highlighter::new(&query, &schema).marks(schema.field(field).expect(field), text);
    let mut out = String::new();
    let mut from = 0;
    for (start, end) in marks {
        out += &text[from..start];
        out += &format!("[{}]", &text[start..end]);
        from = end;
    }
    out + &text[from..]
}

fn fragments(query: &str, text: &str, count: usize, length: usize) -> Vec<Fragment> {
    let schema = schema();
    let query = Query::parse(query, &schema).expect(query);
    Highlighter::new(&query, &schema).fragments(1, text, &FragmentOptions { count, length })
}

#[test]
fn stems_prefixes_and_near_spellings_are_marked() {
    assert_eq!(
        marked("jumping foxes", "body", "The fox jumped; a Fox's jump."),
        "The [fox] [jumped]; a [Fox's] [jump]."
    );
    assert_eq!(
        marked("fox", "name", "FOX, fóx; foxes"),
        "[FOX], [fóx]; foxes"
    );
    assert_eq!(
        marked("name:ju*", "name", "jump over June"),
        "[jump] over [June]"
    );
    assert_eq!(
        marked("name:jmup~", "name", "jump over jumps"),
        "[jump] over jumps"
    );
    assert_eq!(
        marked("name:fox", "body", "a fox"),
        "a fox",
        "another field's words are not marked"
    );
    assert_eq!(marked("fox -dog", "name", "fox and dog"), "[fox] and dog");
    assert_eq!(marked("grams:rain", "grams", "Brainstorm"), "B[rain]storm");
}

#[test]
fn words_of_a_phrase_are_marked_where_they_stand_together() {
    assert_eq!(
        marked("\"big cat\"", "name", "big dog, big cat, cat"),
        "big dog, [big] [cat], cat"
    );
    assert_eq!(
        marked("\"big cat\"~1", "name", "big dog big fat cat cat"),
        "big dog [big] fat [cat] cat"
    );
    assert_eq!(marked("\"a a\"", "name", "a b a a a"), "a b [a] [a] [a]");
    assert_eq!(
        marked("\"a a\"~1", "name", "b a b"),
        "b a b",
        "one word is not two"
    );
    assert_eq!(marked("\"big cat\" dog", "name", "big dog"), "big [dog]");
}

#[test]
fn pairs_are_marked_as_one_and_single_characters_alone() {
    assert_eq!(
        marked("name:東京都", "name", "私は東京都に"),
        "私は[東京都]に"
    );
    assert_eq!(marked("name:京", "name", "東京都"), "東[京]都");
}

#[test]
fn fragments_are_whole_words_around_the_marks() {
    let text = format!(
        "{} needle in {} the needle and the thread {}",
        "hay ".repeat(50),
        "straw ".repeat(50),
        "end ".repeat(50)
    );
    let found = fragments("needle thread", &text, 2, 40);
    assert_eq!(found.len(), 2);
    assert!(found[0].text.contains("needle in") && found[0].text.starts_with("hay"));
    assert!(found[1].text.contains("needle and the thread"));
    assert_eq!(
        fragments("needle thread", &text, 1, 40),
        found[1..],
        "the piece with more of the words comes first"
    );
    let short = fragments("été", "L'été — été.", 3, 160);
    assert_eq!(
        short,
        [Fragment {
            text: "L'été — été.".into(),
            start: 0,
            marks: vec![(2, 5), (8, 11)]
        }]
    );
    assert!(fragments("nothing", &text, 3, 40).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn any_text_is_cut_and_marked_within_its_bounds(
        text in "([abc ]{0,12}|[é東京ab\u{301} \n]{0,8}|\\PC{0,6}){0,12}",
        query in "(a|b|ab|\"a b\"~3|c\\*|abc~2|東|東京| ){1,6}",
        count in 0_usize..4,
        length in 0_usize..30,
    ) {
        let schema = schema();
        let Ok(query) = Query::parse(&query, &schema) else { return Ok(()); };
        let highlighter = Highlighter::new(&query, &schema);
        for field in 0..3 {
            let marks = highlighter.marks(field, &text);
            for pair in marks.windows(2) {
                prop_assert!(pair[0].1 <= pair[1].0);
            }
            prop_assert!(marks.iter().all(|&(start, end)| start < end && text.get(start..end).is_some()));
            let fragments = highlighter.fragments(field, &text, &FragmentOptions { count, length });
            prop_assert!(fragments.len() <= count);
            prop_assert_eq!(fragments.is_empty(), marks.is_empty() || count == 0);
            let chars: Vec<char> = text.chars().collect();
            let mut from = 0;
            for fragment in fragments {
                let size = fragment.text.chars().count();
                prop_assert!(fragment.start >= from);
                from = fragment.start + size;
                let there: String = chars[fragment.start..from].iter().collect();
                prop_assert_eq!(&there, &fragment.text);
                prop_assert!(!fragment.marks.is_empty());
                for &(start, end) in &fragment.marks {
                    prop_assert!(start < end && end <= size);
                    let marked: String = chars[fragment.start + start..fragment.start + end].iter().collect();
                    let byte: usize = chars[..fragment.start + start].iter().map(|c| c.len_utf8()).sum();
                    prop_assert!(marks.contains(&(byte, byte + marked.len())));
                }
            }
        }
    }
}
