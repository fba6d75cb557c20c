//! Requests.

use rstest::rstest;
use serde_json::{Map, Value, json};

use super::{chat, each, origins, provider};
use crate::{
    metrics::Operation,
    provider::{Outgoing, Refusal, Service},
};

/// A request as it leaves, and the fields that had to be left out of it.
fn golden(outgoing: &Outgoing, without: &[String]) -> Value {
    let headers: Map<_, _> = outgoing
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
        .collect();
    json!({"without": without, "url": outgoing.url, "headers": headers, "body": outgoing.body})
}

#[test]
fn every_provider_is_asked_in_its_own_form() {
    each(|name, service| {
        let mut body = chat();
        let mut without = Vec::new();
        let outgoing = loop {
            match service.request(&origins(), Operation::Chat, body.clone()) {
                Ok(outgoing) => break outgoing,
                Err(Refusal::Fields(fields)) => {
                    for field in fields {
                        assert!(
                            body.shift_remove(&field).is_some(),
                            "{name} refuses {field}, which is not there"
                        );
                        without.push(field);
                    }
                }
                Err(other) => panic!("{name}: {other:?}"),
            }
        };
        insta::assert_json_snapshot!(format!("request_{name}"), golden(&outgoing, &without));
    });
}

#[test]
fn every_provider_with_vectors_is_asked_for_them() {
    let body = json!({"model": "m", "input": ["a", "b"], "dimensions": 8, "encoding_format": "base64", "user": "u"});
    let Value::Object(body) = body else { unreachable!() };
    each(
        |name, service| match service.request(&origins(), Operation::Embeddings, body.clone()) {
            Ok(outgoing) => insta::assert_json_snapshot!(format!("embeddings_{name}"), golden(&outgoing, &[])),
            Err(refusal) => assert_eq!((name, refusal), ("anthropic", Refusal::Operation)),
        },
    );
}

#[test]
fn plain_continuation_is_for_compatible_services() {
    let body = json!({"model": "m", "prompt": "x", "stream": true, "stream_options": null});
    let Value::Object(body) = body else { unreachable!() };
    each(|name, service| {
        let outgoing = service.request(&origins(), Operation::TextCompletion, body.clone());
        if name == "openAICompatible" {
            let outgoing = outgoing.unwrap();
            assert_eq!(outgoing.url, "http://models.ns.svc:8000/v1/completions");
            assert_eq!(outgoing.body["stream_options"], json!({"include_usage": true}));
        } else {
            assert_eq!(outgoing, Err(Refusal::Operation), "{name}");
        }
        let ranking = service.request(&origins(), Operation::Rerank, body.clone());
        assert_eq!(ranking, Err(Refusal::Operation), "{name}");
    });
}

fn refused(name: &str, body: Value) -> Refusal {
    let provider = provider(name);
    let Value::Object(body) = body else { panic!("{body}") };
    let service = Service::of(&provider).unwrap();
    service.request(&origins(), Operation::Chat, body).unwrap_err()
}

#[rstest]
#[case("anthropic", json!({"response_format": {"type": "json_object"}}), "response_format json_object")]
#[case("anthropic", json!({"n": 2}), "n")]
#[case("anthropic", json!({"seed": 1}), "seed")]
#[case("anthropic", json!({"logprobs": true}), "logprobs")]
#[case("anthropic", json!({"frequency_penalty": 0.1}), "frequency_penalty")]
#[case("anthropic", json!({"functions": []}), "functions")]
#[case("gemini", json!({"parallel_tool_calls": false}), "parallel_tool_calls")]
#[case("gemini", json!({"logit_bias": {"1": 5}}), "logit_bias")]
#[case("gemini", json!({"store": true}), "store")]
fn what_a_provider_does_not_have_is_refused_by_name(#[case] name: &str, #[case] fields: Value, #[case] field: &str) {
    let mut body = json!({"messages": []});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    assert_eq!(refused(name, body), Refusal::Fields(vec![field.into()]));
}

#[rstest]
#[case("anthropic", json!({"tools": [{"type": "custom"}]}), "tools[0].type")]
#[case("gemini", json!({"tool_choice": "maybe"}), "tool_choice")]
#[case("gemini", json!({"response_format": {"type": "grammar"}}), "response_format.type")]
#[case("gemini", json!({"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}), "messages[0].tool_call_id")]
#[case(
    "gemini",
    json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://h/i.png"}}]}]}),
    "messages[0].content[].image_url.url"
)]
fn what_cannot_be_read_is_refused_with_its_place(#[case] name: &str, #[case] fields: Value, #[case] at: &str) {
    let mut body = json!({"messages": []});
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    match refused(name, body) {
        Refusal::Invalid { field, .. } => assert_eq!(field, at),
        other => panic!("{other:?}"),
    }
}

#[test]
fn gemini_sees_its_signatures_again() {
    let call = json!({
        "id": "c", "type": "function", "function": {"name": "f", "arguments": ""},
        "extra_content": {"google": {"thought_signature": "sig"}},
    });
    let body = json!({"messages": [{"role": "assistant", "tool_calls": [call]}]});
    let Value::Object(body) = body else { unreachable!() };
    let provider = provider("gemini");
    let service = Service::of(&provider).unwrap();
    let outgoing = service.request(&origins(), Operation::Chat, body).unwrap();
    let part = &outgoing.body["contents"][0]["parts"][0];
    assert_eq!(
        part,
        &json!({"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "sig"})
    );
}

#[test]
fn addresses_of_images_go_to_those_who_fetch_them() {
    let content = json!([{"type": "image_url", "image_url": {"url": "https://h/i.png"}}]);
    let body = json!({"messages": [{"role": "user", "content": content}]});
    let Value::Object(body) = body else { unreachable!() };
    let provider = provider("anthropic");
    let service = Service::of(&provider).unwrap();
    let outgoing = service.request(&origins(), Operation::Chat, body).unwrap();
    let source = &outgoing.body["messages"][0]["content"][0]["source"];
    assert_eq!(source, &json!({"type": "url", "url": "https://h/i.png"}));
}
