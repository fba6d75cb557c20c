use rstest::rstest;
use serde_json::{Value, json};

use super::*;

/// A byte-level tokenizer with fields replaced.
fn file(changes: &[(&str, Value)]) -> String {
    let mut file = json!({
        "added_tokens": [{"id": 3, "content": "<end>", "special": true}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
    });
    for (path, value) in changes {
        *file.pointer_mut(path).unwrap_or(&mut Value::Null) = value.clone();
    }
    file.to_string()
}

#[test]
fn names_and_numbers_are_read() {
    let tokenizer = TokenizerJson::check(&file(&[])).unwrap();
    assert_eq!((tokenizer.spelling, tokenizer.tokens), (Spelling::ByteLevel, 4));
    assert_eq!((tokenizer.added("<end>"), tokenizer.added("a")), (Some(3), None));
}

#[rstest]
#[case(json!({"type": "Prepend", "prepend": "▁"}), Value::Null, true)]
#[case(Value::Null, json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}), true)]
#[case(Value::Null, json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never"}), false)]
#[case(Value::Null, json!({"type": "Metaspace", "replacement": "▁", "add_prefix_space": true}), true)]
fn sentencepiece_is_known(#[case] normalizer: Value, #[case] pre_tokenizer: Value, #[case] leading_space: bool) {
    let decoder = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]});
    let changes = [
        ("/normalizer", normalizer),
        ("/pre_tokenizer", pre_tokenizer),
        ("/decoder", decoder),
    ];
    let tokenizer = TokenizerJson::check(&file(&changes)).unwrap();
    assert_eq!(tokenizer.spelling, Spelling::Metaspace { leading_space });
}

#[rstest]
#[case("/model/type", json!("Unigram"), "model.type")]
#[case("/model/vocab/ab", json!(4_294_967_295u32), "above")]
#[case("/model/vocab/ab", json!(-1), "invalid value")]
#[case("/model/vocab", json!([]), "an object of tokens")]
#[case("/decoder", json!({"type": "CTC"}), "\"decoder\"")]
#[case("/decoder", Value::Null, "\"decoder\"")]
#[case("/normalizer", json!({"type": "Precompiled"}), "\"normalizer\"")]
#[case("/normalizer", json!({"pattern": 1}), "no type")]
#[case(
    "/pre_tokenizer",
    json!({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false}),
    "(a+)+$"
)]
#[case(
    "/pre_tokenizer",
    json!({"type": "Sequence", "pretokenizers": [{"type": "Sequence", "pretokenizers": []}]}),
    "Sequence"
)]
#[case("/post_processor", json!({"type": "TemplateProcessing", "single": "x".repeat(70_000)}), "bytes")]
#[case("/normalizer", json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}), "times longer")]
#[case("/normalizer", json!({"type": "Replace", "pattern": {"String": ""}, "content": "a"}), "times longer")]
#[case(
    "/post_processor",
    json!({"type": "TemplateProcessing", "single": vec![json!({"Sequence": {"id": "A", "type_id": 0}}); 2]}),
    "times longer"
)]
#[case(
    "/post_processor",
    json!({"type": "TemplateProcessing", "pair": vec![json!({"SpecialToken": {"id": "x", "type_id": 0}}); 17]}),
    "times longer"
)]
#[case(
    "/post_processor",
    json!({"type": "TemplateProcessing", "special_tokens": {"x": {"id": "x", "ids": vec![0; 17]}}}),
    "times longer"
)]
fn what_is_not_supported_is_named(#[case] path: &str, #[case] value: Value, #[case] says: &str) {
    let error = TokenizerJson::check(&file(&[(path, value)])).unwrap_err();
    assert!(error.contains(says) && error.len() < 400, "{error}");
}

#[test]
fn nesting_ends_before_the_stack_does() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for field in ["normalizer", "model"] {
        let text = file(&[]).replacen("{\"", &format!("{{\"{field}\":{deep},\""), 1);
        assert!(TokenizerJson::check(&text).is_err(), "{field}");
    }
}
