//! Values that a schema of a CRD allows, as the API server checks them without its CEL rules.

use proptest::{prelude::*, sample::select, string::string_regex};
use serde_json::{Map, Value, json};

/// Entries of a list or a map at most: enough to meet each other.
const MANY: u64 = 3;
/// Characters of a text that no pattern binds.
const LONG: usize = 24;
/// How often an optional field is there.
const OFTEN: f64 = 0.35;

/// Values for `schema`.
pub fn of(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(variants) = schema["enum"].as_array() {
        return select(variants.clone()).boxed();
    }
    if schema["x-kubernetes-int-or-string"] == json!(true) {
        return prop_oneof![(0..9000_i64).prop_map(Value::from), "[a-z]{1,8}".prop_map(Value::from)].boxed();
    }
    match schema["type"].as_str() {
        Some("object") => object(schema),
        Some("array") => list(schema),
        Some("string") => text(schema),
        Some("integer") => integer(schema),
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        other => panic!("a field of type {other:?} in {schema}"),
    }
}

fn object(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(entries) = schema.get("additionalProperties") {
        let entries = prop::collection::btree_map("[a-z][a-z0-9]{0,8}", of(entries), 0..=MANY as usize);
        return entries.prop_map(|entries| entries.into_iter().collect()).boxed();
    }
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let fields = properties.iter().map(|(name, schema)| {
        let name = name.clone();
        let value = of(schema);
        let value = match required.contains(&name.as_str()) {
            true => value.prop_map(Some).boxed(),
            false => prop::option::weighted(OFTEN, value).boxed(),
        };
        value
            .prop_map(move |value| value.map(|value| (name.clone(), value)))
            .boxed()
    });
    let fields: Vec<_> = fields.collect();
    fields.prop_map(|fields| fields.into_iter().flatten().collect()).boxed()
}

fn list(schema: &Value) -> BoxedStrategy<Value> {
    let least = schema["minItems"].as_u64().unwrap_or(0);
    let most = schema["maxItems"]
        .as_u64()
        .unwrap_or(MANY)
        .clamp(least, MANY.max(least));
    prop::collection::vec(of(&schema["items"]), least as usize..=most as usize)
        .prop_map(Value::from)
        .boxed()
}

fn text(schema: &Value) -> BoxedStrategy<Value> {
    let least = schema["minLength"].as_u64().unwrap_or(0) as usize;
    let most = schema["maxLength"].as_u64().map_or(LONG, |most| most as usize);
    let texts = match schema["pattern"].as_str() {
        Some(pattern) => string_regex(pattern.trim_start_matches('^').trim_end_matches('$'))
            .unwrap()
            .boxed(),
        None => {
            let (least, most) = (least, most.min(LONG).max(least));
            string_regex(&format!("[ -~\u{e4}\u{4e2d}\n]{{{least},{most}}}"))
                .unwrap()
                .boxed()
        }
    };
    texts
        .prop_map(move |text| text.chars().take(most).collect::<String>())
        .prop_map(Value::from)
        .boxed()
}

fn integer(schema: &Value) -> BoxedStrategy<Value> {
    let bound = |name: &str| schema[name].as_f64().map(|bound| bound as i64);
    let widest = match schema["format"].as_str() {
        Some("int64") => i64::MIN..=i64::MAX,
        _ => i64::from(i32::MIN)..=i64::from(i32::MAX),
    };
    let least = bound("minimum").unwrap_or(*widest.start());
    let most = bound("maximum").unwrap_or(*widest.end());
    prop_oneof![Just(least), Just(most), least..=most]
        .prop_map(Value::from)
        .boxed()
}
