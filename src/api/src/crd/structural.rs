//! The API server's checks of structure, without validation rules: enough to test our own examples.

use regex::Regex;
use serde_json::Value;

/// What is wrong with `object`, with paths. Fields that the schema does not know are errors, as under
/// `--validate=strict`.
pub fn errors(schema: &Value, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, object, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let mut complain = |text: String| found.push(format!("{path}: {text}"));
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let within = |what: &str, size: f64| {
        let (least, most) = (number(&format!("min{what}")), number(&format!("max{what}")));
        least.is_none_or(|least| size >= least) && most.is_none_or(|most| size <= most)
    };
    if let Some(options) = schema.get("enum").and_then(Value::as_array)
        && !options.contains(value)
    {
        complain(format!("{value} is none of {options:?}"));
    }
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(fields)) => {
            if !within("Properties", fields.len() as f64) {
                complain("wrong number of fields".into());
            }
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                if !fields.contains_key(name.as_str().unwrap_or_default()) {
                    complain(format!("{name} is missing"));
                }
            }
            fields
                .iter()
                .for_each(|(name, inner)| field(schema, name, inner, path, found));
        }
        (Some("array"), Value::Array(items)) => {
            if !within("Items", items.len() as f64) {
                complain("wrong number of items".into());
            }
            if let Some(twice) = repeated(schema, items) {
                complain(format!("{twice} occurs more than once"));
            }
            for (index, item) in items.iter().enumerate() {
                check(&schema["items"], item, &format!("{path}[{index}]"), found);
            }
        }
        (Some("string"), Value::String(text)) => {
            if !within("Length", text.chars().count() as f64) {
                complain(format!("wrong length of {text:?}"));
            }
            if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
                && !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
            {
                complain(format!("{text:?} does not match {pattern}"));
            }
        }
        (Some("integer"), Value::Number(count)) if count.is_i64() => {
            let count = count.as_f64().unwrap_or_default();
            let least = number("minimum").is_none_or(|least| count >= least);
            let most = number("maximum").is_none_or(|most| count <= most);
            if !least || !most {
                complain(format!("{count} is out of range"));
            }
        }
        (Some("boolean"), Value::Bool(_)) => {}
        (type_, _) => complain(format!("{value} is not of type {type_:?}")),
    }
}

fn field(schema: &Value, name: &str, value: &Value, path: &str, found: &mut Vec<String>) {
    // At the root, the server adds what all kinds have.
    if path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name) {
        return;
    }
    let path = format!("{path}.{name}");
    let known = schema.get("properties").and_then(|properties| properties.get(name));
    match known.or(schema.get("additionalProperties")) {
        Some(inner) => check(inner, value, &path, found),
        None => found.push(format!("{path}: unknown field")),
    }
}

/// The key of a list of type `map`, or the item of one of type `set`, that is there twice.
fn repeated(schema: &Value, items: &[Value]) -> Option<String> {
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let is_set = schema["x-kubernetes-list-type"] == "set";
    let identity = |item: &Value| match keys {
        Some(keys) => {
            let values: Vec<_> = keys
                .iter()
                .map(|key| item.get(key.as_str().unwrap_or_default()))
                .collect();
            Some(format!("{values:?}"))
        }
        None => is_set.then(|| item.to_string()),
    };
    let mut seen = std::collections::BTreeSet::new();
    items.iter().filter_map(identity).find(|it| !seen.insert(it.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd;
    use serde_json::json;

    fn model(spec: Value) -> Vec<String> {
        let definition = crd::all().remove(0);
        let object =
            json!({"apiVersion": "atelier.dev/v1alpha1", "kind": "LlmModel", "metadata": {"name": "m"}, "spec": spec});
        errors(crd::schema(&definition), &object)
    }

    #[test]
    fn wrong_structure_is_found() {
        let source = json!({"oci": {"image": "a"}});
        assert_eq!(model(json!({"source": source})), [""; 0]);
        for (spec, complaint) in [
            (json!({}), "\"source\" is missing"),
            (json!({"source": source, "sauce": 1}), ".spec.sauce: unknown field"),
            (
                json!({"source": {"oci": {"image": 1}}}),
                ".spec.source.oci.image: 1 is not",
            ),
            (json!({"source": {"oci": {"image": "a".repeat(513)}}}), "wrong length"),
            (json!({"source": {"oci": {"image": "a b"}}}), "does not match"),
            (json!({"source": source, "task": "Sing"}), "is none of"),
            (json!({"source": source, "replicas": -1}), "out of range"),
            (json!({"source": source, "replicas": 1.5}), "is not of type"),
            (
                json!({"source": source, "fallback": [{"model": "a"}, {"model": "a"}]}),
                "more than once",
            ),
            (
                json!({"source": source, "placement": {"zones": ["a", "a"]}}),
                "more than once",
            ),
        ] {
            let errors = model(spec);
            assert!(
                errors.len() == 1 && errors[0].contains(complaint),
                "{complaint}: {errors:?}"
            );
        }
    }
}
