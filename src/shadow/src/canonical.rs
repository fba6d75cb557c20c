//! One spelling for equal JSON, so that equal things have equal digests.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// `value` with sorted keys and without spaces. Numbers are equal when their values are: `1.0` is written as `1`
/// (RFC 8785, 3.2.2.3, for whole numbers up to 2^53).
pub fn json(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// `sha256:` and the 64 hex digits of the SHA-256 over `text`.
pub fn digest(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// Whole numbers up to here have one representation as a float.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

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
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float.abs() <= MAX_WHOLE => {
                text.push_str(&(float as i64).to_string());
            }
            _ => text.push_str(&number.to_string()),
        },
        plain => text.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn neither_the_order_of_keys_nor_the_spelling_of_numbers_matters() {
        let one = json(&json!({"a": 1, "b": {"c": [1, 2.5], "d": "x\"y"}}));
        assert_eq!(one, r#"{"a":1,"b":{"c":[1,2.5],"d":"x\"y"}}"#);
        assert_eq!(one, json(&json!({"b": {"d": "x\"y", "c": [1.0, 2.5]}, "a": 1.0})));
        assert_eq!(json(&json!(-0.0)), "0");
    }

    #[test]
    fn whatever_else_differs_is_different() {
        let one = json(&json!({"a": [1, 2]}));
        for other in [
            json!({"a": [2, 1]}),
            json!({"a": ["1", 2]}),
            json!({"b": [1, 2]}),
            json!([1, 2]),
        ] {
            assert_ne!(one, json(&other));
        }
    }

    #[test]
    fn a_digest_is_that_of_the_standard() {
        // FIPS 180-2, B.1.
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest("abc"), expected);
    }
}
