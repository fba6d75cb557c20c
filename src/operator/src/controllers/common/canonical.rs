//! One spelling for equal JSON, so that equal things have equal digests.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The first `digits` hex digits of the SHA-256 over `value` as JSON with sorted keys and no spaces.
pub fn digest(value: &impl Serialize, digits: usize) -> String {
    let value = serde_json::to_value(value).expect("our own types are representable as JSON");
    let mut text = String::new();
    write(&value, &mut text);
    let mut hex = hex::encode(Sha256::digest(text));
    hex.truncate(digits);
    hex
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter_and_everything_else_does() {
        let digest = |value: Value| digest(&value, 10);
        let one = digest(json!({"a": 1, "b": {"c": [1, 2], "d": "x\"y"}}));
        assert_eq!(one, digest(json!({"b": {"d": "x\"y", "c": [1, 2]}, "a": 1})));
        assert_ne!(one, digest(json!({"a": 1, "b": {"c": [2, 1], "d": "x\"y"}})));
        assert_eq!(one.len(), 10);
    }
}
