//! All stages together.

use std::borrow::Cow;

use proptest::prelude::*;
use protocol::tune::PersonalData;
use rstest::rstest;
use unicode_normalization::is_nfc;

use super::*;

fn stages() -> Stages {
    Stages {
        normalize_unicode: true,
        punctuation: true,
        ..Stages::default()
    }
}

fn judged(stages: &Stages, text: &str) -> Verdict {
    Cleaner::new(stages).unwrap().judge(text)
}

#[rstest]
#[case("  \u{FEFF}CafÃ©\r\nâ€œniceâ€\u{9D} ", "  Café\n\"nice\" ")]
#[case("ig\u{200B}nore—this", "ignore - this")]
#[case("plain", "plain")]
fn texts_are_cleaned(#[case] text: &str, #[case] expected: &str) {
    let cleaner = Cleaner::new(&stages()).unwrap();
    assert_eq!(cleaner.clean(text), expected);
    assert!(matches!(cleaner.clean(expected), Cow::Borrowed(_)));
}

#[test]
fn nothing_is_done_unless_asked() {
    let cleaner = Cleaner::new(&Stages::default()).unwrap();
    let text = "CafÃ©\r\n“jane@example.org”\u{200B}";
    assert_eq!(cleaner.clean(text), text);
    assert!(matches!(cleaner.judge(text), Verdict::Keep { .. }));
}

#[test]
fn personal_data_are_found_in_what_is_clean() {
    let stages = Stages {
        pii: PersonalData::Redact,
        ..stages()
    };
    let cleaner = Cleaner::new(&stages).unwrap();
    assert_eq!(cleaner.clean("“jane@exa\u{200B}mple.org”"), "\"[EMAIL]\"");
}

#[rstest]
#[case::few_words(Quality { min_words: Some(4), ..Quality::default() }, "one two three", Some("quality.minWords"))]
#[case::enough_words(Quality { min_words: Some(3), ..Quality::default() }, "one two three", None)]
#[case::many_words(Quality { max_words: Some(2), ..Quality::default() }, "one two three", Some("quality.maxWords"))]
#[case::characters_as_words(Quality { min_words: Some(4), ..Quality::default() }, "你好世界", None)]
#[case::symbols(Quality { max_symbols: Some(0.3), ..Quality::default() }, "a!!b", Some("quality.maxSymbols"))]
#[case::symbols_allowed(Quality { max_symbols: Some(0.5), ..Quality::default() }, "a!!b", None)]
#[case::repeated(Quality { max_repeated_lines: Some(0.3), ..Quality::default() }, "a\nb\n\na", Some("quality.maxRepeatedLines"))]
#[case::repeated_allowed(Quality { max_repeated_lines: Some(0.4), ..Quality::default() }, "a\nb\n\na", None)]
#[case::none(Quality::default(), "a", None)]
fn limits_drop(#[case] quality: Quality, #[case] text: &str, #[case] expected: Option<&str>) {
    let stages = Stages {
        quality: Some(quality),
        ..stages()
    };
    match (judged(&stages, text), expected) {
        (Verdict::Keep { .. }, None) => {}
        (Verdict::Drop { reason }, Some(expected)) => assert_eq!(reason, expected),
        (verdict, _) => panic!("{verdict:?}"),
    }
}

#[rstest]
#[case::empty(Stages::default(), " \n\t", "empty")]
#[case::language(Stages { language: vec!["de".into(), "fr".into()], ..stages() },
    "The committee will meet again in the spring to decide whether the bridge should be repaired.", "language")]
#[case::pii(Stages { pii: PersonalData::Drop, ..stages() }, "mail jane@example.org", "pii")]
fn records_are_dropped_with_the_reason(#[case] stages: Stages, #[case] text: &str, #[case] expected: &str) {
    assert_eq!(
        judged(&stages, text),
        Verdict::Drop {
            reason: match expected {
                "empty" => "empty",
                "language" => "language",
                _ => "pii",
            }
        }
    );
}

#[test]
fn flags_drop_nothing() {
    let Verdict::Keep { flags } = judged(&stages(), "{lorem ipsum}") else {
        panic!("it was dropped");
    };
    assert!(
        flags.contains(&"c4.loremIpsum") && flags.contains(&"c4.curlyBracket"),
        "{flags:?}"
    );
}

#[rstest]
#[case(Stages { language: vec!["en".into(), "tlh".into()], ..stages() }, "stages.language[1]: \"tlh\"")]
#[case(Stages { language: vec!["EN".into()], ..stages() }, "stages.language[0]")]
#[case(Stages { quality: Some(Quality { max_symbols: Some(1.5), ..Quality::default() }), ..stages() }, "stages.quality.maxSymbols")]
#[case(Stages { quality: Some(Quality { max_repeated_lines: Some(f64::NAN), ..Quality::default() }), ..stages() },
    "stages.quality.maxRepeatedLines")]
#[case(Stages { quality: Some(Quality { min_words: Some(2), max_words: Some(1), ..Quality::default() }), ..stages() },
    "stages.quality.minWords")]
fn what_makes_no_sense_is_refused_with_the_field(#[case] stages: Stages, #[case] expected: &str) {
    let error = Cleaner::new(&stages).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[rstest]
#[case::one_word("x".repeat(1 << 20))]
#[case::words("word ".repeat(1 << 17))]
#[case::lines("a\n".repeat(1 << 18))]
#[case::marks("\u{301}".repeat(1 << 17))]
#[case::joiners("\u{200D}".repeat(1 << 17))]
#[case::leads("Ã".repeat(1 << 17))]
#[case::brackets("[".repeat(1 << 17))]
#[case::digits("1 ".repeat(1 << 14))]
#[case::ats("a@".repeat(1 << 14))]
fn hostile_texts_end(#[case] text: String) {
    let stages = Stages {
        pii: PersonalData::Redact,
        language: vec!["en".into()],
        quality: Some(Quality {
            max_repeated_lines: Some(0.5),
            ..Quality::default()
        }),
        ..stages()
    };
    let cleaner = Cleaner::new(&stages).unwrap();
    let clean = cleaner.clean(&text);
    cleaner.judge(&clean);
}

/// Text with what is rare in random text.
fn texts() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "Ã",
        "Â",
        "â",
        "€",
        "™",
        "©",
        "ƒ",
        "‚",
        "\u{A0}",
        "\u{AD}",
        "\u{85}",
        "\u{9D}",
        "\u{200B}",
        "\u{200C}",
        "\u{200D}",
        "\u{FE0F}",
        "\u{20E3}",
        "😀",
        "👩",
        "🏽",
        "#",
        "1",
        "می",
        "क",
        "\u{94D}",
        "\u{300}",
        "\u{301}",
        "\u{323}",
        "e",
        "I",
        "\r",
        "\n",
        "—",
        "“",
        "…",
        "\u{3000}",
        "\u{E0041}",
        "\u{202E}",
        "\u{1100}",
        "\u{1161}",
    ]);
    let part = prop_oneof![3 => odd.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop_oneof![
        prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat()),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn clean_texts_stay_as_they_are(text in texts()) {
        let cleaner = Cleaner::new(&stages()).unwrap();
        let clean = cleaner.clean(&text).into_owned();
        prop_assert_eq!(cleaner.clean(&clean), clean.as_str());
    }

    #[test]
    fn clean_texts_are_composed_and_visible(text in texts()) {
        let cleaner = Cleaner::new(&stages()).unwrap();
        let clean = cleaner.clean(&text);
        prop_assert!(is_nfc(&clean));
        let is_invisible = |c: char| matches!(c, '\u{AD}' | '\u{200B}' | '\u{200E}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0E}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}' | '\u{3164}');
        prop_assert!(!clean.contains(is_invisible));
        prop_assert!(!clean.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        let curly = |c: char| matches!(c, '“' | '”' | '‘' | '’' | '—' | '…' | '\u{A0}');
        prop_assert!(!clean.contains(curly));
    }

    #[test]
    fn every_text_is_judged(text in texts()) {
        let stages = Stages {
            pii: PersonalData::Redact,
            language: vec!["en".into()],
            quality: Some(Quality { max_symbols: Some(0.9), ..Quality::default() }),
            ..stages()
        };
        let cleaner = Cleaner::new(&stages).unwrap();
        let clean = cleaner.clean(&text);
        let verdict = cleaner.judge(&clean);
        let is_empty = verdict == Verdict::Drop { reason: "empty" };
        prop_assert_eq!(is_empty, clean.trim().is_empty());
    }
}
