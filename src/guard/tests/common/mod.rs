//! What tests of detectors have in common.

use guard::{Guardrails, Refusal, Stream};
use serde_json::{Value, json};

/// Guardrails of one check, which looks at answers.
pub fn rails(check: Value) -> Guardrails {
    let mut check = check;
    check["name"] = json!("check");
    let spec = serde_json::from_value(json!({"output": [check]})).expect("a spec");
    Guardrails::compile(&spec).expect("a spec without faults")
}

/// Takes `pieces` of a text through `stream`, which may refuse the rest.
#[allow(dead_code, reason = "not every test needs it")]
pub fn pass<'a>(mut stream: Stream, pieces: impl IntoIterator<Item = &'a str>) -> (String, Option<Refusal>, Stream) {
    let mut out = String::new();
    for piece in pieces {
        if let Err(refusal) = stream.push(piece, &mut out) {
            return (out, Some(refusal), stream);
        }
    }
    let refusal = stream.finish(&mut out).err();
    (out, refusal, stream)
}

/// `text` without what the check finds.
#[allow(dead_code, reason = "not every test needs it")]
pub fn redacted(check: Value, text: &str) -> String {
    let mut check = check;
    check["onViolation"] = json!("Redact");
    let (out, refusal, _) = pass(rails(check).output.whole(), [text]);
    assert_eq!(refusal, None, "{text}");
    out
}
