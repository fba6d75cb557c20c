use std::collections::BTreeSet;

use jsonschema::Validator;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::{feedback, head::Head, metrics::Operation, name::ModelName, routes::surface};

/// What is at the admin port.
const ADMIN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

fn schema(name: &str) -> Validator {
    let mut root = json!({"$ref": format!("#/components/schemas/{name}")});
    root["components"] = document()["components"].clone();
    jsonschema::validator_for(&root).unwrap()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let described = document();
    let described = described["paths"].as_object().unwrap().keys();
    let described: BTreeSet<_> = described.map(String::as_str).collect();
    let paths: Vec<_> = surface().iter().map(|(path, _)| path.replace("{*", "{")).collect();
    let served: BTreeSet<_> = paths.iter().map(String::as_str).chain(ADMIN).collect();
    assert_eq!(described, served);
}

#[test]
fn all_references_lead_somewhere() {
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str().filter(|_| name == "$ref") {
                        Some(reference) => found.push(reference.into()),
                        None => walk(value, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let (document, mut references) = (document(), Vec::new());
    walk(&document, &mut references);
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}

#[rstest]
#[case(json!({"model": "m"}), true)]
#[case(json!({"model": "ns/m:a@v-0123456789", "messages": 5, "something_new": {"a": []}}), true)]
#[case(json!({"model": "m", "stream": null, "max_tokens": null, "max_completion_tokens": 7}), true)]
#[case(json!({"model": "m", "max_tokens": 0}), true)]
#[case(json!({"model": "m", "max_tokens": 8.0}), true)]
#[case(json!({}), false)]
#[case(json!([]), false)]
#[case(json!({"model": 7}), false)]
#[case(json!({"model": null}), false)]
#[case(json!({"model": "a/b/c"}), false)]
#[case(json!({"model": "a b"}), false)]
#[case(json!({"model": "m@"}), false)]
#[case(json!({"model": "m", "stream": "yes"}), false)]
#[case(json!({"model": "m", "stream": 1}), false)]
#[case(json!({"model": "m", "max_tokens": "9"}), false)]
#[case(json!({"model": "m", "max_tokens": 0.5}), false)]
#[case(json!({"model": "m", "max_tokens": -1}), false)]
#[case(json!({"model": "m", "max_completion_tokens": 4_294_967_296_u64}), false)]
fn schemas_of_requests_say_what_is_read(#[case] body: Value, #[case] passes: bool) {
    let operations = ["ChatRequest", "CompletionRequest", "EmbeddingsRequest", "RerankRequest"];
    for name in operations {
        assert_eq!(schema(name).is_valid(&body), passes, "{name}");
    }
    let read = Head::parse(body.to_string().as_bytes());
    let read = read.and_then(|head| ModelName::parse(&head.model));
    assert_eq!(read.is_ok(), passes);
}

#[rstest]
#[case(json!({"id": "r", "kind": "thumbs", "value": "up"}), true)]
#[case(json!({"id": "r", "kind": "rating", "value": 5, "comment": null}), true)]
#[case(json!({"id": "é".repeat(128), "kind": "error_report", "value": "wrong"}), true)]
#[case(json!({"id": "r", "kind": "correction", "value": "é".repeat(32 << 10), "comment": "é"}), true)]
#[case(json!({"id": "r", "kind": "thumbs", "value": 5}), false)]
#[case(json!({"id": "r", "kind": "rating", "value": 6}), false)]
#[case(json!({"id": "r", "kind": "rating", "value": "5"}), false)]
#[case(json!({"id": "r", "kind": "stars", "value": "up"}), false)]
#[case(json!({"id": "", "kind": "thumbs", "value": "up"}), false)]
#[case(json!({"id": "r\u{0}", "kind": "thumbs", "value": "up"}), false)]
#[case(json!({"id": "é".repeat(129), "kind": "thumbs", "value": "up"}), false)]
#[case(json!({"id": "r", "kind": "error_report", "value": ""}), false)]
#[case(json!({"id": "r", "kind": "thumbs", "value": "up", "comment": ""}), false)]
#[case(json!({"id": "r", "kind": "thumbs", "value": "up", "user": "joe"}), false)]
#[case(json!({"id": "r", "kind": "thumbs"}), false)]
fn the_schema_of_feedback_says_what_is_read(#[case] body: Value, #[case] passes: bool) {
    assert_eq!(schema("Feedback").is_valid(&body), passes);
    assert_eq!(feedback::is_understood(body.to_string().as_bytes()), passes);
}

#[test]
fn requests_name_what_the_gateway_acts_on() {
    let document = document();
    for operation in [
        Operation::Chat,
        Operation::TextCompletion,
        Operation::Embeddings,
        Operation::Rerank,
    ] {
        let post = &document["paths"][operation.path()]["post"];
        let name = post["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            .as_str()
            .unwrap();
        let schema = document.pointer(name.strip_prefix('#').unwrap()).unwrap();
        assert_eq!(schema["additionalProperties"], true);
        for field in ["model", "stream", "max_tokens", "max_completion_tokens"] {
            assert!(schema["properties"][field]["description"].is_string(), "{field}");
        }
    }
}
