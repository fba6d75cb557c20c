//! A bound for schemas that multiply: `allOf` over `anyOf` makes the compiler write every combination
//! down, and a short schema can have more of them than fit into memory.

use std::collections::HashMap;

use serde_json::Value;

/// Most combinations.
const MOST: u64 = 50_000;

/// Checks that a schema has not too many combinations of alternatives.
///
/// # Errors
/// When it may have.
pub fn check(schema: &Value) -> Result<(), String> {
    let mut counter = Counter {
        root: schema,
        known: HashMap::new(),
    };
    match counter.combinations(schema) {
        0..=MOST => Ok(()),
        _ => Err(format!(
            "allOf, anyOf, oneOf and $ref in it make more than {MOST} combinations; make it simpler"
        )),
    }
}

struct Counter<'a> {
    root: &'a Value,
    /// Combinations of references; those being counted have one.
    known: HashMap<&'a str, u64>,
}

impl<'a> Counter<'a> {
    /// An upper bound. Parts that apply to the same value multiply, parts of a value add up.
    fn combinations(&mut self, schema: &'a Value) -> u64 {
        let Value::Object(schema) = schema else { return 1 };
        let (mut same_value, mut parts) = (1u64, 0u64);
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                ("allOf", Value::Array(all)) => {
                    for schema in all {
                        same_value = same_value.saturating_mul(self.combinations(schema));
                    }
                }
                ("anyOf" | "oneOf", Value::Array(alternatives)) => {
                    let sum = alternatives.iter().map(|schema| self.combinations(schema));
                    same_value = same_value.saturating_mul(sum.fold(0, u64::saturating_add).max(1));
                }
                ("$ref", Value::String(reference)) => {
                    same_value = same_value.saturating_mul(self.of_reference(reference));
                }
                // Counted where they are referred to.
                ("$defs" | "definitions" | "const" | "enum" | "default" | "examples", _) => {}
                (_, Value::Object(inner)) if matches!(keyword.as_str(), "properties" | "patternProperties") => {
                    for schema in inner.values() {
                        parts = parts.saturating_add(self.combinations(schema) - 1);
                    }
                }
                (_, Value::Array(inner)) => {
                    for schema in inner {
                        parts = parts.saturating_add(self.combinations(schema) - 1);
                    }
                }
                (_, inner) => parts = parts.saturating_add(self.combinations(inner) - 1),
            }
        }
        same_value.saturating_mul(parts.saturating_add(1))
    }

    fn of_reference(&mut self, reference: &'a str) -> u64 {
        if let Some(known) = self.known.get(reference) {
            return *known;
        }
        self.known.insert(reference, 1);
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        let count = target.map_or(1, |target| self.combinations(target));
        self.known.insert(reference, count);
        count
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn any_of(count: usize) -> Value {
        json!({"anyOf": vec![json!({"type": "string"}); count]})
    }

    #[rstest]
    #[case(json!(true), true)]
    #[case(json!({"allOf": vec![any_of(10); 4]}), true)]
    #[case(json!({"allOf": vec![any_of(10); 6]}), false)]
    #[case(json!({"properties": {"a": any_of(300), "b": any_of(300), "c": any_of(300)}}), true)]
    #[case(json!({"allOf": vec![json!({"properties": {"a": any_of(10)}}); 6]}), false)]
    #[case(json!({"$defs": {"x": any_of(10)}, "allOf": vec![json!({"$ref": "#/$defs/x"}); 6]}), false)]
    #[case(json!({"properties": {"next": {"$ref": "#"}}, "anyOf": [{}, {}]}), true)]
    fn what_multiplies_is_bounded(#[case] schema: Value, #[case] good: bool) {
        assert_eq!(check(&schema).is_ok(), good, "{schema}");
    }

    #[test]
    fn doubling_references_are_counted_without_walking_them() {
        let mut defs = serde_json::Map::new();
        for level in 0..60 {
            let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
            defs.insert(format!("d{level}"), json!({"anyOf": [next, next]}));
        }
        assert!(check(&json!({"$defs": defs, "$ref": "#/$defs/d0"})).is_err());
    }
}
