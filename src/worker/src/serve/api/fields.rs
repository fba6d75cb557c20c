//! Reading the fields of a request one by one, so that each fault names its field. `null` is the
//! same as leaving a field out, as OpenAI's clients have it.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::error::Error;

/// A JSON object of a request.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Its own place in the request, empty or ending in a dot.
    path: &'a str,
}

impl<'a> Fields<'a> {
    /// The request's own fields.
    pub fn new(object: &'a Map<String, Value>) -> Self {
        Self { object, path: "" }
    }

    /// The fields of an object inside the request; `path` ends in a dot.
    pub fn inside(object: &'a Map<String, Value>, path: &'a str) -> Self {
        Self { object, path }
    }

    /// The value of a field, if it has one.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    /// The error of a field that is not as `expected`.
    pub fn invalid(&self, field: &str, expected: impl Into<String>) -> Error {
        Error::InvalidField {
            field: self.path_of(field),
            expected: expected.into(),
        }
    }

    /// The place of a field in the request.
    pub fn path_of(&self, field: &str) -> String {
        format!("{}{field}", self.path)
    }

    /// A text.
    pub fn text(&self, field: &str) -> Result<Option<&'a str>, Error> {
        let read = |value: &'a Value| value.as_str().ok_or_else(|| self.invalid(field, "a string"));
        self.get(field).map(read).transpose()
    }

    /// True or false; false when left out.
    pub fn flag(&self, field: &str) -> Result<bool, Error> {
        match self.get(field) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(self.invalid(field, "true or false")),
        }
    }

    /// A number within bounds.
    pub fn number(&self, field: &str, bounds: RangeInclusive<f32>) -> Result<Option<f32>, Error> {
        let read = |value: &Value| {
            let number = value.as_f64().map(|number| number as f32);
            let fault = || self.invalid(field, format!("a number from {} to {}", bounds.start(), bounds.end()));
            number.filter(|number| bounds.contains(number)).ok_or_else(fault)
        };
        self.get(field).map(read).transpose()
    }

    /// A whole number within bounds.
    pub fn integer(&self, field: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>, Error> {
        let read = |value: &Value| {
            let fault = || match *bounds.end() {
                u64::MAX => self.invalid(field, format!("a whole number of at least {}", bounds.start())),
                end => self.invalid(field, format!("a whole number from {} to {end}", bounds.start())),
            };
            value
                .as_u64()
                .filter(|number| bounds.contains(number))
                .ok_or_else(fault)
        };
        self.get(field).map(read).transpose()
    }

    /// A whole number of either sign, as seeds are.
    pub fn seed(&self, field: &str) -> Result<Option<u64>, Error> {
        let read = |value: &Value| {
            let number = value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned));
            number.ok_or_else(|| self.invalid(field, "a whole number"))
        };
        self.get(field).map(read).transpose()
    }

    /// Refuses fields that would change the answer if they were understood.
    pub fn refuse(&self, unsupported: &[(&str, &'static str)]) -> Result<(), Error> {
        for (field, hint) in unsupported {
            let harmless = |value: &Value| match value {
                Value::Array(items) => items.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                Value::Bool(value) => !value,
                _ => false,
            };
            if self.get(field).is_some_and(|value| !harmless(value)) {
                return Err(Error::UnsupportedField {
                    field: self.path_of(field),
                    hint,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn read(value: Value, read: impl Fn(Fields<'_>) -> Result<(), Error>) -> String {
        let Value::Object(object) = value else { unreachable!() };
        match read(Fields::new(&object)) {
            Ok(()) => "ok".into(),
            Err(error) => error.to_string(),
        }
    }

    #[rstest]
    #[case(json!({}), "ok")]
    #[case(json!({"x": null}), "ok")]
    #[case(json!({"x": 2}), "ok")]
    #[case(json!({"x": 2.01}), "the field \"x\" must be a number from 0 to 2")]
    #[case(json!({"x": "1"}), "the field \"x\" must be a number from 0 to 2")]
    fn numbers_have_bounds(#[case] value: Value, #[case] expected: &str) {
        assert_eq!(read(value, |fields| fields.number("x", 0.0..=2.0).map(drop)), expected);
    }

    #[rstest]
    #[case(json!({"x": 1}), "ok")]
    #[case(json!({"x": 0}), "the field \"x\" must be a whole number of at least 1")]
    #[case(json!({"x": 1.5}), "the field \"x\" must be a whole number of at least 1")]
    #[case(json!({"x": -1}), "the field \"x\" must be a whole number of at least 1")]
    fn integers_have_bounds(#[case] value: Value, #[case] expected: &str) {
        assert_eq!(
            read(value, |fields| fields.integer("x", 1..=u64::MAX).map(drop)),
            expected
        );
    }

    #[rstest]
    #[case(json!({"x": []}), "ok")]
    #[case(json!({"x": false}), "ok")]
    #[case(json!({"x": [1]}), "the field \"x\" is not supported: use y")]
    #[case(json!({"x": "auto"}), "the field \"x\" is not supported: use y")]
    fn what_we_cannot_do_is_refused_and_defaults_are_not(#[case] value: Value, #[case] expected: &str) {
        assert_eq!(read(value, |fields| fields.refuse(&[("x", "use y")])), expected);
    }

    #[test]
    fn seeds_may_be_negative() {
        let value = json!({"seed": -1});
        assert_eq!(Fields::new(value.as_object().unwrap()).seed("seed"), Ok(Some(u64::MAX)));
    }
}
