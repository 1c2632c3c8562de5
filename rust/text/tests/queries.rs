//! What queries become, where they go wrong, and that no garbage stops the parser.

use proptest::prelude::*;
use rmpv::Value;
use sopasync_text::{FieldPhrase, FieldTerm, Joined, PhraseTerm, Query, QueryError, Schema};

/// Two fields: English texts, and names as they are.
fn schema() -> Schema {
    let analyzer = |language: Option<&str>| {
        let language = language.map_or(Value::Nil, Value::from);
        Value::Map(vec![
            ("kind".into(), "words".into()),
            ("language".into(), language),
        ])
    };
    let field =
        |name: &str, language| Value::Array(vec![name.into(), 1.0.into(), analyzer(language)]);
    schema_of(vec![field("body", Some("english")), field("name", None)])
}

fn schema_of(fields: Vec<Value>) -> Schema {
    let options = Value::Map(vec![
        ("format".into(), 1.into()),
        ("description".into(), "".into()),
        ("k1".into(), 1.2.into()),
        ("b".into(), 0.75.into()),
        ("stored".into(), true.into()),
        ("fields".into(), Value::Array(fields)),
    ]);
    Schema::from_options(&bytes(&options)).expect("options")
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).expect("in memory");
    bytes
}

/// A query in one line: `body:fox|name:foxes` are the fields of one leaf.
fn shown(query: &Query) -> String {
    let fields = ["body", "name"];
    let terms = |terms: &[FieldTerm]| {
        let each: Vec<_> = terms
            .iter()
            .map(|it| format!("{}:{}", fields[usize::from(it.field)], it.term))
            .collect();
        each.join("|")
    };
    let factor = |boost: f32| {
        if boost == 1.0 {
            String::new()
        } else {
            format!("^{boost}")
        }
    };
    match query {
        Query::Nothing => "nothing".into(),
        Query::Everything => "everything".into(),
        Query::Term {
            terms: found,
            boost,
        } => terms(found) + &factor(*boost),
        Query::Prefix { prefixes, boost } => format!("{}*{}", terms(prefixes), factor(*boost)),
        Query::Fuzzy {
            terms: found,
            distance,
            boost,
        } => format!("{}~{distance}{}", terms(found), factor(*boost)),
        Query::Phrase {
            phrases,
            slop,
            boost,
        } => {
            let term = |it: &PhraseTerm| format!("{}@{}", it.term, it.offset);
            let phrase = |it: &FieldPhrase| {
                let words: Vec<_> = it.terms.iter().map(term).collect();
                format!("{}:\"{}\"", fields[usize::from(it.field)], words.join(" "))
            };
            let each: Vec<_> = phrases.iter().map(phrase).collect();
            format!("{}~{slop}{}", each.join("|"), factor(*boost))
        }
        Query::Boolean {
            must,
            should,
            must_not,
        } => {
            let marked = |mark: &str, queries: &[Query]| {
                queries
                    .iter()
                    .map(|it| format!("{mark}{}", shown(it)))
                    .collect::<Vec<_>>()
            };
            let parts = [marked("+", must), marked("", should), marked("-", must_not)].concat();
            format!("({})", parts.join(" "))
        }
    }
}

fn parsed(text: &str) -> String {
    shown(&Query::parse(text, &schema()).unwrap_or_else(|error| panic!("{text}: {error}")))
}

fn refused(text: &str) -> QueryError {
    Query::parse(text, &schema()).expect_err(text)
}

#[test]
fn words_go_through_the_analyzer_of_each_field() {
    assert_eq!(parsed("Foxes"), "body:fox|name:foxes");
    assert_eq!(parsed("body:Foxes name:Foxes"), "(body:fox name:foxes)");
    assert_eq!(parsed("the"), "name:the");
    assert_eq!(parsed("body:the"), "nothing");
    assert_eq!(parsed(""), "nothing");
    assert_eq!(parsed(" — ... - + && () "), "nothing");
    assert_eq!(parsed("name:wi-fi"), "name:\"wi@0 fi@1\"~0");
    assert_eq!(parsed("name:東京都"), "name:\"東京@0 京都@1\"~0");
    assert_eq!(parsed("name:東"), "name:東*");
}

#[test]
fn phrases_keep_the_places_of_stop_words() {
    assert_eq!(
        parsed("body:\"state of the art\"~2"),
        "body:\"state@0 art@3\"~2"
    );
    assert_eq!(parsed("body:\"the fox\""), "body:fox");
    assert_eq!(parsed(r#"name:"say \"a\"""#), "name:\"say@0 a@1\"~0");
}

#[test]
fn operators_bind_as_one_reads_them() {
    assert_eq!(
        parsed("name:a AND name:b OR name:c"),
        "((+name:a +name:b) name:c)"
    );
    assert_eq!(
        parsed("name:a name:b AND name:c"),
        "(name:a (+name:b +name:c))"
    );
    assert_eq!(
        parsed("name:(a OR b) AND name:c"),
        "(+(name:a name:b) +name:c)"
    );
    assert_eq!(parsed("+name:a name:b -name:c"), "(+name:a name:b -name:c)");
    assert_eq!(parsed("name:a NOT name:b"), "(name:a -name:b)");
    assert_eq!(parsed("name:a AND NOT name:b"), "(+name:a -name:b)");
    assert_eq!(
        parsed("name:a OR NOT name:b"),
        "(name:a (+everything -name:b))"
    );
    assert_eq!(parsed("-name:b"), "(+everything -name:b)");
    assert_eq!(parsed("NOT NOT name:b"), "name:b");
    assert_eq!(parsed("*"), "everything");
    assert_eq!(parsed("* -name:b"), "(everything -name:b)");
    assert_eq!(
        parsed("name:x86-64 name:and"),
        "(name:\"x86@0 64@1\"~0 name:and)"
    );
    assert_eq!(
        parsed("body:the -body:fox"),
        "nothing",
        "what was looked for is left out, so nothing is found"
    );
    assert_eq!(parsed("-body:the"), "everything");
    assert_eq!(parsed("+body:the body:fox"), "body:fox");
}

#[test]
fn words_may_all_be_required() {
    let all = |text: &str| shown(&Query::parse_with(text, &schema(), Joined::All).expect(text));
    assert_eq!(all("name:a name:b -name:c"), "(+name:a +name:b -name:c)");
    assert_eq!(all("name:a OR name:b name:c"), "(+(name:a name:b) +name:c)");
    assert_eq!(all("name:(a b)"), "(+name:a +name:b)");
}

#[test]
fn prefixes_and_fuzzy_words_meet_stems() {
    assert_eq!(parsed("name:Ru*"), "name:ru*");
    assert_eq!(parsed("body:running*"), "(body:running* body:run)");
    assert_eq!(parsed("name:sys.pa*"), "(+name:sys +name:pa*)");
    assert_eq!(parsed("name:helo~"), "name:helo~1");
    assert_eq!(parsed("body:runing~2"), "body:runing|body:rune~2");
    assert_eq!(parsed("name:東京*"), "name:東京");
}

#[test]
fn boosts_multiply_down_to_the_words() {
    assert_eq!(parsed("name:(a b^2)^3"), "(name:a^3 name:b^6)");
    assert_eq!(parsed("name:\"a b\"~1^0.5"), "name:\"a@0 b@1\"~1^0.5");
    assert_eq!(parsed("name:a*^2 name:b~2^2"), "(name:a*^2 name:b~2^2)");
}

#[test]
fn a_backslash_takes_the_meaning_from_a_character() {
    assert_eq!(parsed(r"name:12\:30"), "name:\"12@0 30@1\"~0");
    assert_eq!(
        parsed(r"name:\-a \AND name:x\*"),
        "(name:a name:and name:x)"
    );
    assert_eq!(parsed(r"name:c\^2"), "name:\"c@0 2@1\"~0");
}

#[test]
fn errors_point_at_the_place() {
    for (text, at, part) in [
        ("fox (dog", 4, "not closed"),
        ("fox \"dog", 4, "not closed"),
        ("fox) dog", 3, "closes nothing"),
        (
            "été titel:fox",
            4,
            "no field 'titel'; the fields are body, name",
        ),
        ("fox AND", 7, "should stand here"),
        ("fox AND OR dog", 8, "OR needs a word"),
        ("AND fox", 0, "AND needs a word"),
        ("fox NOT", 7, "should stand here"),
        ("f*x", 1, "end of a word"),
        ("fox~3", 5, "1 or 2"),
        ("fox^", 3, "a number"),
        ("fox^0", 3, "above 0"),
        ("\"a b\"~99999999999", 17, "how many places"),
        ("fox ~2", 4, "stand after a word"),
        ("name:", 5, "what to look for"),
        ("(name: )", 7, "what to look for"),
        ("fox\\", 3, "after \\"),
    ] {
        let error = refused(text);
        assert_eq!(error.at, Some(at), "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
    assert!(refused(&"(".repeat(100_000)).message.contains("at most"));
    assert!(refused(&"(".repeat(1_000)).message.contains("nested"));
    assert!(refused(&"NOT ".repeat(1_000)).message.contains("nested"));
    assert!(refused(&"name:".repeat(1_000)).message.contains("nested"));
    assert!(refused(&"a ".repeat(30_000)).message.contains("at most"));
}

#[test]
fn expressions_say_the_same() {
    let list = Value::Array;
    let names = || list(vec!["name".into()]);
    let term = |text: &str| list(vec!["term".into(), text.into(), names()]);
    let read =
        |value: Value| Query::from_msgpack(&bytes(&value), &schema()).map(|query| shown(&query));
    for (value, text) in [
        (Value::from("name:a -name:b"), "name:a -name:b"),
        (term("a b"), "name:\"a b\""),
        (
            list(vec!["phrase".into(), "a b".into(), names(), 2.into()]),
            "name:\"a b\"~2",
        ),
        (
            list(vec!["prefix".into(), "ab".into(), names()]),
            "name:ab*",
        ),
        (
            list(vec!["fuzzy".into(), "ab".into(), names(), 2.into()]),
            "name:ab~2",
        ),
        (
            list(vec![
                "all".into(),
                list(vec![
                    term("a"),
                    list(vec!["none".into(), list(vec![term("b")])]),
                ]),
            ]),
            "name:a AND NOT name:b",
        ),
        (
            list(vec!["any".into(), list(vec![term("a"), term("b")])]),
            "name:a OR name:b",
        ),
        (
            list(vec!["boost".into(), term("a"), 2.5.into()]),
            "name:a^2.5",
        ),
        (list(vec!["everything".into()]), "*"),
        (
            list(vec!["text".into(), "a b".into(), names(), true.into()]),
            "name:a AND name:b",
        ),
        (list(vec!["any".into(), list(vec![])]), ""),
        (list(vec!["none".into(), list(vec![])]), ""),
    ] {
        assert_eq!(read(value), Ok(parsed(text)), "{text}");
    }
    for (value, part) in [
        (Value::Nil, "cannot be part"),
        (list(vec!["near".into()]), "no query expression 'near'"),
        (
            list(vec!["term".into(), "a".into(), list(vec!["x".into()])]),
            "no field 'x'",
        ),
        (list(vec!["term".into(), "a".into()]), "missing"),
        (
            list(vec!["fuzzy".into(), "a".into(), Value::Nil, 3.into()]),
            "1 or 2",
        ),
        (
            list(vec!["boost".into(), term("a"), (-1.0).into()]),
            "above 0",
        ),
        (list(vec!["everything".into(), 1.into()]), "cannot be part"),
    ] {
        let error = read(value).expect_err(part);
        assert!(
            error.message.contains(part) && error.at.is_none(),
            "{error}"
        );
    }
    assert_eq!(read(Value::from("(")).expect_err("open").at, Some(0));
}

/// I3 of the query module.
fn check(query: &Query) -> Result<(), TestCaseError> {
    match query {
        Query::Nothing | Query::Everything => {}
        Query::Term { terms, boost }
        | Query::Prefix {
            prefixes: terms,
            boost,
        }
        | Query::Fuzzy { terms, boost, .. } => {
            prop_assert!(!terms.is_empty() && terms.iter().all(|it| !it.term.is_empty()));
            prop_assert!(boost.is_finite() && *boost > 0.0);
        }
        Query::Phrase { phrases, boost, .. } => {
            prop_assert!(boost.is_finite() && *boost > 0.0 && !phrases.is_empty());
            for phrase in phrases {
                prop_assert!(phrase.terms.len() > 1 && phrase.terms[0].offset == 0);
                prop_assert!(phrase.terms.is_sorted_by_key(|it| it.offset));
            }
        }
        Query::Boolean {
            must,
            should,
            must_not,
        } => {
            prop_assert!(!must.is_empty() || !should.is_empty());
            for part in must.iter().chain(should).chain(must_not) {
                check(part)?;
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn garbage_is_a_query_or_an_error_at_a_place(text in any::<String>()) {
        match Query::parse(&text, &schema()) {
            Ok(query) => check(&query)?,
            Err(error) => prop_assert!(error.at.is_some_and(|at| at <= text.chars().count())),
        }
    }

    #[test]
    fn scraps_of_the_language_are_a_query_or_an_error_at_a_place(
        parts in prop::collection::vec(prop::sample::select(vec![
            "a", "the", "fox", "running", "東京", "東", "\"", "(", ")", " ", " ", "AND", "OR", "NOT", "+", "-", "*", "~", "~2",
            "^", "^2", "^1e9", "name:", "body:", "x:", "\\", "—", ".", "é\u{301}", "\u{AD}", "wi-fi", "0.5", ":",
        ]), 0..24),
        all in any::<bool>(),
    ) {
        let text = parts.concat();
        let joined = if all { Joined::All } else { Joined::Any };
        match Query::parse_with(&text, &schema(), joined) {
            Ok(query) => check(&query)?,
            Err(error) => prop_assert!(error.at.is_some_and(|at| at <= text.chars().count())),
        }
    }

    #[test]
    fn any_bytes_are_an_expression_or_an_error(data in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(query) = Query::from_msgpack(&data, &schema()) {
            check(&query)?;
        }
        let _ = Schema::from_options(&data);
    }
}
