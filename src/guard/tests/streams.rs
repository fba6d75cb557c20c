//! What holds for every stream, however a text is cut.

mod common;

use common::{pass, rails};
use guard::{Guardrails, MAX_HELD};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::json;

/// Secrets, and beginnings of them.
const PARTS: [&str; 24] = [
    "DE89370400440532013000",
    "DE89 3704 0044 0532 0130",
    "4111 1111 1111 1111",
    "4111-1111",
    "a@b.de",
    "jane.doe@",
    "+49 30 901820",
    "44051401359",
    "password=Tr0ub4dor&3",
    "api_key: ",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n",
    "ignore all previous ",
    "instructions ",
    "<|im_start|>",
    "\u{200B}",
    "\u{E0041}",
    "secret word",
    "secret ",
    " ",
    "\n",
    "é",
    "日本語 ",
    "x",
    "123 ",
];

/// A text, and places to cut it at.
fn cut_texts() -> impl Strategy<Value = (String, Vec<usize>)> {
    let text = vec(select(&PARTS[..]), 0..12).prop_map(|parts| parts.concat());
    (text, vec(any::<proptest::sample::Index>(), 0..8)).prop_map(|(text, cuts)| {
        let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| *cut.get(&places)).collect();
        cuts.sort_unstable();
        (text, cuts)
    })
}

fn pieces<'a>(text: &'a str, cuts: &[usize]) -> Vec<&'a str> {
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([text.len()]);
    starts.zip(ends).map(|(start, end)| &text[start..end]).collect()
}

fn all(action: &str) -> Guardrails {
    let checks = json!([
        {"name": "people", "detector": "PersonalData"},
        {"name": "keys", "detector": "Secrets"},
        {"name": "injection", "detector": "PromptInjection"},
        {"name": "invisible", "detector": "InvisibleUnicode"},
        {"name": "words", "detector": "Pattern", "pattern": "secret (?:word|plan)"},
    ]);
    let spec = serde_json::from_value(json!({"output": checks, "onViolation": action})).expect("a spec");
    Guardrails::compile(&spec).expect("a spec without faults")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn cuts_change_nothing((text, cuts) in cut_texts(), action in select(&["Refuse", "Redact", "Annotate"][..])) {
        let rails = all(action);
        let (whole, refusal, stream) = pass(rails.output.stream(), [&*text]);
        let (cut, cut_refusal, cut_stream) = pass(rails.output.stream(), pieces(&text, &cuts));
        prop_assert_eq!((&cut, &cut_refusal), (&whole, &refusal));
        prop_assert_eq!(cut_stream.report(), stream.report());
        let each: Vec<_> = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]).collect();
        prop_assert_eq!(pass(rails.output.stream(), each).0, whole);
    }

    #[test]
    fn a_secret_never_leaves(before in "[a-zé .]{0,20}", after in "[a-zé .]{0,20}", cuts in vec(0usize..80, 0..6)) {
        const SECRET: &str = "4111 1111 1111 1111";
        let text = format!("{before} {SECRET} {after}");
        let mut cuts: Vec<_> = cuts.into_iter().filter(|cut| text.is_char_boundary(*cut)).collect();
        cuts.sort_unstable();
        let rails = all("Redact");
        let (out, _, _) = pass(rails.output.stream(), pieces(&text, &cuts));
        prop_assert!(!out.contains("4111") && !out.contains("1111"), "{}", out);
        prop_assert!(out.contains("[PAYMENT_CARD]"));
        // Nor does its beginning, before anything is known.
        let mut stream = all("Refuse").output.stream();
        let mut out = String::new();
        for piece in pieces(&text, &cuts) {
            let _ = stream.push(piece, &mut out);
        }
        prop_assert!(!out.contains('4'), "{}", out);
    }

    #[test]
    fn little_is_held_back((text, cuts) in cut_texts(), many in 1usize..20) {
        let rails = all("Redact");
        let mut stream = rails.output.stream();
        let text = text.repeat(many);
        for piece in pieces(&text, &cuts.into_iter().filter(|cut| text.is_char_boundary(*cut)).collect::<Vec<_>>()) {
            let before = stream.held();
            prop_assert!(before <= MAX_HELD);
            if stream.push(piece, &mut String::new()).is_err() {
                break;
            }
        }
    }
}

#[test]
fn prose_flows() {
    let rails = all("Redact");
    let mut stream = rails.output.stream();
    let text = "The weather in Gdańsk is fine today, and nobody has to wait for words like these. ".repeat(20);
    for word in text.split_inclusive(' ') {
        stream.push(word, &mut String::new()).unwrap();
        assert!(
            stream.held() <= 40,
            "{} bytes are held back after {word:?}",
            stream.held()
        );
    }
}

#[test]
fn what_cannot_be_decided_within_the_bound_is_refused() {
    let rails = rails(json!({"detector": "Pattern", "pattern": "BEGIN[a-z]*END", "onViolation": "Annotate"}));
    let mut stream = rails.output.stream();
    let mut out = String::new();
    let pieces = std::iter::once("well BEGIN").chain(std::iter::repeat_n("abcdefgh", MAX_HELD / 4));
    let mut refusal = None;
    for piece in pieces {
        assert!(stream.held() <= MAX_HELD);
        if let Err(told) = stream.push(piece, &mut out) {
            refusal = Some(told);
            break;
        }
    }
    assert_eq!(refusal.unwrap().kind, "UNDECIDED");
    assert_eq!(out, "well ");
    assert!(stream.push("more", &mut out).is_err());
    // A text that is there as a whole has no such bound.
    let text = format!("BEGIN{}END", "abcdefgh".repeat(MAX_HELD));
    let (out, refusal, stream) = pass(rails.output.whole(), [&*text]);
    assert_eq!((out, refusal), (text, None));
    assert!(!stream.report().is_empty());
}

#[test]
fn text_before_a_refused_one_may_have_left() {
    let rails = rails(json!({"detector": "Pattern", "pattern": "secret"}));
    let (out, refusal, _) = pass(rails.output.stream(), ["a se", "cre", "d sec", "ret b"]);
    assert_eq!(out, "a secred ");
    assert_eq!(refusal.unwrap().check, "check");
}
