//! Checks about a text as a whole, patterns, and characters that nobody sees.

mod common;

use common::{pass, rails, redacted};
use rstest::rstest;
use serde_json::{Value, json};

#[rstest]
#[case::tags("a\u{E0041}\u{E0042}b", "ab")]
#[case::bidi("x\u{202E}y\u{202C}", "xy")]
#[case::run("a\u{200B}\u{200C}\u{200B} b", "a b")]
#[case::selectors("\u{1F600}\u{FE01}\u{E0100}\u{E0101}", "\u{1F600}")]
#[case::inside_a_word("ig\u{200B}nore", "ignore")]
fn what_nobody_sees_is_removed(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(redacted(json!({"detector": "InvisibleUnicode"}), text), expected);
}

#[rstest]
#[case::family("\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}")]
#[case::heart("\u{2764}\u{FE0F}\u{200D}\u{1F525}")]
#[case::flag_of_scotland("\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}")]
#[case::persian("می\u{200C}خواهم")]
#[case::indic("क\u{94D}\u{200D}ष")]
#[case::thai("สวัสดี\u{200B}ครับ")]
#[case::right_to_left("עברית\u{200F}!")]
#[case::soft_hyphen("Donau\u{AD}dampfer")]
fn what_belongs_to_writing_stays(#[case] text: &str) {
    assert_eq!(redacted(json!({"detector": "InvisibleUnicode"}), text), text);
}

#[rstest]
#[case("(?i)project (?:falcon|owl)", "about PROJECT Owl.", "about [PATTERN].")]
#[case(r"\bsk-[a-z]+", "ask-me sk-abc", "ask-me [PATTERN]")]
#[case("[a-z]+x", "aaax aab", "[PATTERN] aab")]
#[case("a.*?b", "a1b2b", "[PATTERN]2b")]
#[case("(?s)BEGIN.*END", "x BEGIN\n1 END 2 END y", "x [PATTERN] y")]
#[case("ü+", "füür", "f[PATTERN]r")]
fn patterns_match_as_regular_expressions_do(#[case] pattern: &str, #[case] text: &str, #[case] expected: &str) {
    let check = json!({"detector": "Pattern", "pattern": pattern});
    assert_eq!(redacted(check, text), expected);
}

#[test]
fn length_is_counted_in_characters_over_all_texts() {
    let rails = rails(json!({"detector": "Length", "maxLength": 5}));
    let mut stream = rails.output.whole();
    let mut out = String::new();
    for text in ["äöü", "ab"] {
        stream.push(text, &mut out).unwrap();
        stream.finish(&mut out).unwrap();
    }
    let refusal = stream.push("c", &mut out).unwrap_err();
    assert_eq!((refusal.kind.as_str(), out.as_str()), ("LENGTH", "äöüab"));
}

#[rstest]
#[case("{\"a\": [1]}", None)]
#[case("", None)]
#[case("{\"a\": [1]", Some("JSON"))]
#[case("Sure! {}", Some("JSON"))]
fn what_is_no_json_is_refused(#[case] text: &str, #[case] kind: Option<&str>) {
    let (_, refusal, _) = pass(rails(json!({"detector": "Json"})).output.stream(), [text]);
    assert_eq!(refusal.map(|it| it.kind).as_deref(), kind);
}

#[rstest]
#[case(json!({"detector": "Length", "maxLength": 2}), "LENGTH")]
#[case(json!({"detector": "Json"}), "JSON")]
#[case(json!({"detector": "Secrets"}), "SECRET")]
fn what_is_annotated_passes_and_is_told(#[case] mut check: Value, #[case] kind: &str) {
    check["onViolation"] = json!("Annotate");
    let text = "my password=Tr0ub4dor&3 and";
    let (out, refusal, stream) = pass(rails(check).output.stream(), [text]);
    assert_eq!((out.as_str(), refusal), (text, None));
    let violations: Vec<_> = stream.report().violations(stream.guard()).collect();
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].kinds.get(kind), Some(&1));
}
