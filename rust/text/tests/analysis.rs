//! What texts become, and that nothing they contain can stop it.

use proptest::prelude::*;
use sopasync_text::Analyzer;
use sopasync_text::analysis::language::LANGUAGES;
use sopasync_text::analysis::{AnalyzerOptions, Kind, StopWords, TERM_BYTES_MAX};

fn analyzer(options: AnalyzerOptions) -> Analyzer {
    Analyzer::new(options).expect("options")
}

fn of_language(name: &str) -> Analyzer {
    analyzer(AnalyzerOptions::of_language(name).expect("language"))
}

fn of_kind(kind: Kind) -> Analyzer {
    analyzer(AnalyzerOptions {
        kind,
        ..AnalyzerOptions::default()
    })
}

fn terms(analyzer: &Analyzer, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    analyzer.analyze(text, &mut |token| found.push(token.text.to_owned()));
    found
}

fn query_terms(analyzer: &Analyzer, text: &str) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    analyzer.analyze_query(text, &mut |token| {
        found.push((token.text.to_owned(), token.position))
    });
    found
}

#[test]
fn english_words_become_stems_and_stop_words_leave_gaps() {
    let english = of_language("en");
    let mut found = Vec::new();
    english.analyze("The foxes’ dens weren't JUMPING over", &mut |token| {
        found.push((
            token.text.to_owned(),
            token.position,
            token.start,
            token.end,
        ));
    });
    let expected = [("fox", 1, 4, 9), ("den", 2, 13, 17), ("jump", 4, 26, 33)];
    let found: Vec<_> = found
        .iter()
        .map(|(text, at, start, end)| (text.as_str(), *at, *start, *end))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_language_brings_forms_of_a_word_together() {
    for (language, one, other) in [
        ("arabic", "الكتاب", "كتاب"),
        ("danish", "husene", "huset"),
        ("dutch", "huizen", "huis"),
        ("english", "connection", "connected"),
        ("finnish", "talossa", "talot"),
        ("french", "continuellement", "continuelle"),
        ("german", "Häuser", "Hauses"),
        ("greek", "άνθρωποι", "ανθρωπος"),
        ("hungarian", "házak", "háznak"),
        ("indonesian", "membaca", "bacaan"),
        ("italian", "abbandonata", "abbandonare"),
        ("norwegian", "husene", "huset"),
        ("polish", "kotami", "kota"),
        ("portuguese", "meninas", "menina"),
        ("romanian", "caselor", "casele"),
        ("russian", "книгами", "книга"),
        ("spanish", "niños", "niñas"),
        ("swedish", "husen", "huset"),
        ("tamil", "வீடுகள்", "வீடுகளை"),
        ("turkish", "kitaplar", "kitap"),
        ("hindi", "लड़कियाँ", "लड़कियों"),
    ] {
        let analyzer = of_language(language);
        assert_eq!(terms(&analyzer, one), terms(&analyzer, other), "{language}");
        assert_eq!(terms(&analyzer, one).len(), 1, "{language}");
    }
}

#[test]
fn scripts_without_spaces_become_pairs_and_queries_leave_out_the_last_single() {
    let plain = of_kind(Kind::Words);
    assert_eq!(
        terms(&plain, "東京都 tower"),
        ["東京", "京都", "都", "tower"]
    );
    assert_eq!(
        query_terms(&plain, "東京都"),
        [("東京".to_owned(), 0), ("京都".to_owned(), 1)]
    );
    assert_eq!(query_terms(&plain, "東"), [("東".to_owned(), 0)]);
    assert_eq!(terms(&plain, "ｶﾞｲﾄﾞ"), ["ガイ", "イド", "ド"]);
    assert_eq!(terms(&plain, "한국어"), ["한국", "국어", "어"]);
    assert_eq!(terms(&plain, "ที่นี่"), ["ที่นี่", "นี่"]);
}

#[test]
fn other_kinds_cut_as_they_say() {
    assert_eq!(
        terms(&of_kind(Kind::Whitespace), " C++ x86-64\tÉt "),
        ["c++", "x86-64", "et"]
    );
    assert_eq!(terms(&of_kind(Kind::Raw), "A b, C"), ["a b, c"]);
    assert!(terms(&of_kind(Kind::Raw), "").is_empty());
    let grams = analyzer(AnalyzerOptions {
        kind: Kind::Ngrams,
        lengths: (2, 3),
        ..AnalyzerOptions::default()
    });
    assert_eq!(terms(&grams, "Übel a"), ["ub", "ube", "be", "bel", "el"]);
    assert_eq!(
        query_terms(&grams, "Übel"),
        [("ube".to_owned(), 0), ("bel".to_owned(), 1)]
    );
    assert_eq!(query_terms(&grams, "be"), [("be".to_owned(), 0)]);
}

#[test]
fn case_and_accents_stay_when_asked() {
    let exact = analyzer(AnalyzerOptions {
        ignore_case: false,
        ignore_accents: false,
        stop_words: StopWords::These(vec!["the".into()]),
        ..AnalyzerOptions::default()
    });
    assert_eq!(
        terms(&exact, "The the Café cafe\u{301}"),
        ["The", "Café", "café"]
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let refused =
        |options: AnalyzerOptions| Analyzer::new(options).expect_err("refused").to_string();
    let plain = AnalyzerOptions::default;
    assert!(
        refused(AnalyzerOptions {
            stem: true,
            ..plain()
        })
        .contains("need a language")
    );
    assert!(
        refused(AnalyzerOptions {
            stop_words: StopWords::OfLanguage,
            ..plain()
        })
        .contains("needs a language")
    );
    let raw = AnalyzerOptions {
        kind: Kind::Raw,
        ..AnalyzerOptions::of_language("de").expect("german")
    };
    assert!(refused(raw).contains("for words"));
    assert!(
        AnalyzerOptions::of_language("klingon")
            .expect_err("unknown")
            .message()
            .contains("english")
    );
}

#[test]
fn languages_have_stems_or_stop_words() {
    let with_stems = LANGUAGES.iter().filter(|it| it.stemmer().is_some()).count();
    let with_stop_words = LANGUAGES
        .iter()
        .filter(|it| it.stop_words().is_some())
        .count();
    assert!(
        with_stems >= 30 && with_stop_words >= 25,
        "{with_stems} {with_stop_words}"
    );
    for language in LANGUAGES {
        assert!(
            language.stemmer().is_some() || language.stop_words().is_some(),
            "{}",
            language.name
        );
        of_language(language.code);
    }
}

/// The terms of a text in many scripts under every language. When this fails, texts became other terms than in a
/// released version: raise `ANALYSIS_VERSION`, so that stores are indexed anew, and only then change the number.
#[test]
fn terms_do_not_change_without_a_new_version() {
    let text = "The quick brown foxes' naïve déjà-vu façades — 3.14 km, jumping generalizations running happily; \
        Die schönen Häuser, die Straßen; les chevaux réellement; los niños corriendo; красивые книги читаются; \
        όμορφα σπίτια; güzel evlerimizden; 東京都の美しい建物; 한국어를 공부합니다; ภาษาไทยสวย; البيوت الجميلة; सुंदर लड़कियाँ";
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut count = 0;
    for language in LANGUAGES {
        for term in terms(&of_language(language.name), text) {
            count += 1;
            for byte in term.bytes().chain([0]) {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    assert_eq!(sopasync_text::analysis::ANALYSIS_VERSION, 1);
    assert_eq!((count, state), (2743, 11_806_739_324_410_125_272));
}

fn check(analyzer: &Analyzer, text: &str) -> Result<(), TestCaseError> {
    let mut last = 0;
    let mut failed = None;
    analyzer.analyze(text, &mut |token| {
        let good = !token.text.is_empty()
            && token.text.len() <= TERM_BYTES_MAX
            && token.position >= last
            && token.start < token.end
            && text.is_char_boundary(token.start)
            && text.is_char_boundary(token.end);
        if !good {
            failed = Some(format!("{token:?}"));
        }
        last = token.position;
    });
    prop_assert_eq!(failed, None);
    let first = terms(analyzer, text);
    prop_assert_eq!(
        first,
        terms(analyzer, text),
        "what is remembered is what is made"
    );
    analyzer.analyze_query(text, &mut |_| {});
    analyzer.spell(text, &mut |_| {});
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_keeps_the_invariants(text in any::<String>(), language in 0..LANGUAGES.len()) {
        check(&of_language(LANGUAGES[language].name), &text)?;
        for kind in [Kind::Words, Kind::Whitespace, Kind::Raw, Kind::Ngrams] {
            check(&of_kind(kind), &text)?;
        }
    }

    #[test]
    fn any_word_of_a_script_has_a_stem(
        text in "[a-zß-ÿğışœ']{1,20}|[а-яёіїў]{1,20}|[α-ωά-ώ]{1,20}|[ء-يً-ٟ]{1,20}|[ऀ-ॿ]{1,20}|[஀-௿]{1,20}|[ա-ֆ]{1,20}|[א-ת]{1,20}|[ก-๛]{1,20}",
        language in 0..LANGUAGES.len(),
    ) {
        check(&of_language(LANGUAGES[language].name), &text)?;
    }
}

#[test]
fn endless_words_are_cut() {
    for text in [
        "x".repeat(100_000),
        "é".repeat(100_000),
        "a\u{301}".repeat(50_000),
        "東".repeat(10_000),
        "か\u{3099}".repeat(9_000),
        "\u{301}".repeat(100_000),
    ] {
        for language in ["en", "fr", "ar", "ta"] {
            check(&of_language(language), &text).expect("invariants");
        }
    }
}

#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "what it is for")]
fn measure() {
    let path = std::env::var("GLOSSES").expect("GLOSSES names a file with a text per line");
    let glosses = std::fs::read_to_string(path).expect("glosses");
    let lines: Vec<&str> = glosses.lines().collect();
    let bytes: usize = lines.iter().map(|line| line.len()).sum();
    for (name, analyzer) in [
        ("plain", of_kind(Kind::Words)),
        ("english", of_language("en")),
        ("ngrams", of_kind(Kind::Ngrams)),
    ] {
        let mut best = f64::MAX;
        let mut count = 0_usize;
        for _ in 0..5 {
            let began = std::time::Instant::now();
            count = 0;
            for line in &lines {
                analyzer.analyze(line, &mut |token| count += token.text.len());
            }
            best = best.min(began.elapsed().as_secs_f64());
        }
        let each = best / lines.len() as f64 * 1e6;
        println!(
            "{name}: {each:.2} us a text, {:.0} MB/s, {count}",
            bytes as f64 / best / 1e6
        );
    }
}
