use rstest::rstest;
use serde_json::json;

use super::*;

#[rstest]
#[case::ours(json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "extra": 1}),
    r#"[{"role":"system","content":"s"},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]"#)]
#[case::parts(json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "text", "text": "r"}]}, {"role": "assistant", "content": "a"}]}),
    r#"[{"role":"user","content":"q\nr"},{"role":"assistant","content":"a"}]"#)]
#[case::json_in_a_table(json!({"messages": r#"[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]"#}),
    r#"[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]"#)]
#[case::sharegpt(json!({"system": "s", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}),
    r#"[{"role":"system","content":"s"},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]"#)]
#[case::alpaca(json!({"instruction": "q", "input": "", "output": "a"}),
    r#"[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]"#)]
fn conversations_come_in_several_forms(#[case] value: Value, #[case] messages: &str) {
    let record = Record::of(value, DataFormat::Chat).unwrap();
    assert_eq!(record.content(), format!(r#"{{"messages":{messages}}}"#));
}

#[rstest]
#[case(json!({"prompt": "q", "completion": 42}), DataFormat::PromptCompletion, r#"{"prompt":"q","completion":"42"}"#)]
#[case(json!({"instruction": "q", "input": "i", "output": "a"}), DataFormat::PromptCompletion, r#"{"prompt":"q\n\ni","completion":"a"}"#)]
#[case(json!({"rejected": "c", "chosen": "b", "prompt": "a"}), DataFormat::Preference, r#"{"prompt":"a","chosen":"b","rejected":"c"}"#)]
#[case(json!({"text": "t", "url": "u"}), DataFormat::Text, r#"{"text":"t"}"#)]
fn fields_of_the_other_formats(#[case] value: Value, #[case] format: DataFormat, #[case] content: &str) {
    assert_eq!(Record::of(value, format).unwrap().content(), content);
}

#[rstest]
#[case(json!({"question": "q", "answer": "a"}), DataFormat::Chat, reasons::MISSING_FIELD, "has no field `messages` (it has `question`, `answer`)")]
#[case(json!({}), DataFormat::Text, reasons::MISSING_FIELD, "it has none")]
#[case(json!([1]), DataFormat::Text, reasons::MISSING_FIELD, "is a list and no object")]
#[case(json!({"text": ["a"]}), DataFormat::Text, reasons::MISSING_FIELD, "`text` that is a list")]
#[case(json!({"messages": 3}), DataFormat::Chat, reasons::MISSING_FIELD, "`messages` that is a number")]
#[case(json!({"messages": "hello"}), DataFormat::Chat, reasons::MISSING_FIELD, "no list in JSON")]
#[case(json!({"messages": [{"role": "user"}]}), DataFormat::Chat, reasons::MISSING_FIELD, "`content` (it has `role`) in `messages[0]`")]
#[case(json!({"messages": [{"role": "judge", "content": "x"}]}), DataFormat::Chat, reasons::INVALID_ROLE, "\"judge\" in `messages[0]`")]
#[case(json!({"conversations": [{"from": "alien", "value": "x"}]}), DataFormat::Chat, reasons::INVALID_ROLE, "alien")]
#[case(json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}), DataFormat::Chat, reasons::MISSING_FIELD, "no text")]
#[case(json!({"messages": [{"role": "user", "content": "q"}]}), DataFormat::Chat, reasons::EMPTY, "assistant")]
#[case(json!({"messages": []}), DataFormat::Chat, reasons::EMPTY, "assistant")]
#[case(json!({"prompt": "q", "completion": " \n"}), DataFormat::PromptCompletion, reasons::EMPTY, "`completion`")]
#[case(json!({"prompt": "q", "chosen": "a", "rejected": ""}), DataFormat::Preference, reasons::EMPTY, "`rejected`")]
fn what_is_no_record_says_why(
    #[case] value: Value,
    #[case] format: DataFormat,
    #[case] reason: &str,
    #[case] says: &str,
) {
    let bad = Record::of(value, format).unwrap_err();
    assert_eq!(bad.reason, reason, "{}", bad.what);
    assert!(bad.what.contains(says), "{}", bad.what);
}

#[test]
fn dialogues_are_chats_or_pairs() {
    let dialogue = || Dialogue(["q", "a", "r", "b", "end"].map(str::to_owned).to_vec());
    let chat = dialogue().values(DataFormat::Chat);
    assert_eq!(chat.len(), 1);
    assert_eq!(chat[0]["messages"].as_array().unwrap().len(), 4);
    assert_eq!(chat[0]["messages"][3], json!({"role": "assistant", "content": "b"}));
    let pairs = dialogue().values(DataFormat::PromptCompletion);
    assert_eq!(pairs[1], json!({"prompt": "r", "completion": "b"}));
}

#[test]
fn a_line_begins_with_what_tells_records_apart() {
    let record = Record::of_text("hello".into()).unwrap();
    let content = record.content();
    let text = line(&content, "a \"b\"");
    // printf '{"text":"hello"}' | sha256sum
    let id = hex::encode(&Sha256::digest(br#"{"text":"hello"}"#)[..8]);
    assert_eq!(text, format!(r#"{{"id":"{id}","source":"a \"b\"","text":"hello"}}"#));
}
