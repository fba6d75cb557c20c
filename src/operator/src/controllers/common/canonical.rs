//! Digests by which equal things have equal names.

use serde::Serialize;
use sha2::{Digest, Sha256};
use shadow::canonical;

/// The first `digits` hex digits of the SHA-256 over `value` as JSON with sorted keys and no spaces.
pub fn digest(value: &impl Serialize, digits: usize) -> String {
    let value = serde_json::to_value(value).expect("our own types are representable as JSON");
    let mut hex = hex::encode(Sha256::digest(canonical::json(&value)));
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
