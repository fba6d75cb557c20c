//! The CustomResourceDefinitions as they are published.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use crate::{FineTuneJob, LlmModel, Room, ShadowDeployment};

#[cfg(test)]
pub(crate) mod structural;

#[cfg(test)]
mod examples;

/// Kinds, by plural, whose controllers exist: the chart installs these and no others.
pub const INSTALLED: &[&str] = &["llmmodels", "finetunejobs", "rooms", "shadowdeployments"];

/// All definitions, as JSON.
pub fn all() -> Vec<Value> {
    [
        LlmModel::crd(),
        FineTuneJob::crd(),
        ShadowDeployment::crd(),
        Room::crd(),
    ]
    .iter()
    .map(publish)
    .collect()
}

/// Plural of the kind that a definition defines.
pub fn plural(crd: &Value) -> &str {
    crd.pointer("/spec/names/plural")
        .and_then(Value::as_str)
        .expect("every definition names its plural")
}

/// The schema of a definition's only version.
pub fn schema(crd: &Value) -> &Value {
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema")
        .expect("every definition has a schema")
}

/// Calls `visit` for each schema below and including `schema`, with its path: `.spec.steps[].weight`.
pub fn walk<'a>(schema: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(path, schema);
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        walk(property, &format!("{path}.{name}"), visit);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) {
            walk(inner, &format!("{path}{suffix}"), visit);
        }
    }
}

fn publish(crd: &CustomResourceDefinition) -> Value {
    let mut crd = serde_json::to_value(crd).expect("definitions are plain data");
    let schema = crd
        .pointer_mut("/spec/versions/0/schema/openAPIV3Schema")
        .expect("every definition has a schema");
    tidy(schema);
    crd
}

/// Makes a derived schema say what we mean.
///
/// An optional field is one that may be left out, not one that may be `null`: without `nullable` the API
/// server drops nulls before it applies defaults. Line breaks inside the paragraphs of doc comments are
/// joined, because `kubectl explain` wraps lines itself.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.remove("nullable");
            if let Some(Value::String(description)) = object.get_mut("description") {
                let paragraphs: Vec<_> = description.split("\n\n").map(|text| text.replace('\n', " ")).collect();
                *description = paragraphs.join("\n\n");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths under `.spec` of which `complaint` returns something.
    fn complaints(complaint: impl Fn(&Value) -> Option<&'static str>) -> Vec<String> {
        let mut found = Vec::new();
        for crd in all() {
            walk(schema(&crd), plural(&crd), &mut |path, schema| {
                if path.contains(".spec")
                    && let Some(text) = complaint(schema)
                {
                    found.push(format!("{path}: {text}"));
                }
            });
        }
        found
    }

    #[test]
    fn everything_in_a_spec_is_bounded() {
        let unbounded = complaints(|schema| {
            let has = |key: &str| schema.get(key).is_some();
            match schema.get("type").and_then(Value::as_str)? {
                "string" if !has("maxLength") && !has("enum") => Some("no maxLength"),
                "array" if !has("maxItems") => Some("no maxItems"),
                "object" if has("additionalProperties") && !has("maxProperties") => Some("no maxProperties"),
                "integer" if !has("minimum") => Some("no minimum"),
                "number" => Some("floating point"),
                _ => None,
            }
        });
        assert!(unbounded.is_empty(), "{}", unbounded.join("\n"));
    }

    #[test]
    fn every_field_is_described() {
        let silent = complaints(|schema| {
            let described = schema
                .get("description")
                .and_then(Value::as_str)
                .is_some_and(|text| !text.is_empty());
            (schema.get("properties").is_some() && !described).then_some("no description")
        });
        assert!(silent.is_empty(), "{}", silent.join("\n"));
        for crd in all() {
            let text = schema(&crd).to_string();
            assert!(!text.contains("Auto-generated"), "{}", plural(&crd));
        }
    }

    #[test]
    fn schemas_use_kubernetes_formats_only() {
        for crd in all() {
            walk(schema(&crd), plural(&crd), &mut |path, schema| {
                assert!(schema.get("nullable").is_none(), "{path} is nullable");
                let format = schema.get("format").and_then(Value::as_str);
                assert!(
                    matches!(format, None | Some("int32" | "int64" | "date-time")),
                    "{path}: {format:?}"
                );
                assert_ne!(schema.get("default"), Some(&Value::Null), "{path} defaults to null");
            });
        }
    }

    #[test]
    fn lists_of_named_things_are_keyed() {
        for crd in all() {
            walk(schema(&crd), plural(&crd), &mut |path, schema| {
                let Some(item) = schema.get("items").and_then(|items| items.get("properties")) else {
                    return;
                };
                if ["name", "type", "metric"].iter().any(|key| item.get(key).is_some()) {
                    // A key must be there in each element: where it need not be, a rule compares whole elements.
                    let rule = schema["x-kubernetes-validations"][0]["rule"]
                        .as_str()
                        .unwrap_or_default();
                    let is_map = schema["x-kubernetes-list-type"] == "map";
                    // One writer alone tells of trials, too many to note down who wrote which field of which.
                    let is_told = path == "finetunejobs.status.trials" && schema["x-kubernetes-list-type"] == "atomic";
                    let is_set = rule == "self.all(p, self.exists_one(q, q == p))";
                    assert!(is_map || is_set || is_told, "{path}");
                }
            });
        }
    }

    #[test]
    fn definitions_fit_the_last_applied_annotation() {
        for crd in all() {
            let size = crd.to_string().len();
            assert!(size < 256 * 1024, "{}: {size} bytes", plural(&crd));
        }
    }

    #[test]
    fn installed_kinds_exist() {
        let all = all();
        for installed in INSTALLED {
            assert!(all.iter().any(|crd| plural(crd) == *installed), "{installed}");
        }
    }
}
