//! The little the gateway reads of a request body. All else passes through byte for byte.

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::Error;

/// What the gateway acts on in a completion request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The model the caller named.
    pub model: String,
    /// Whether the answer shall come as a stream.
    pub stream: bool,
    /// Where the value of `model` lies in the body.
    model_span: std::ops::Range<usize>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    stream: Option<&'a RawValue>,
}

/// Keeps `null` apart from an absent field.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Head {
    /// Reads `body`, which must be one JSON object. Fields given twice are refused: the worker
    /// might take the other one.
    ///
    /// # Errors
    /// What is wrong with the body, and where.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let invalid = |detail: String| Error::InvalidJson { detail };
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            None => return Err(invalid("it is empty".into())),
            Some(b'{') => {}
            Some(_) => return Err(invalid("expected an object, at line 1 column 1".into())),
        }
        let text = std::str::from_utf8(body)
            .map_err(|error| invalid(format!("not UTF-8 after byte {}", error.valid_up_to())))?;
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let model = fields.model.ok_or(Error::MissingField { field: "model" })?;
        let start = model.get().as_ptr() as usize - text.as_ptr() as usize;
        let stream = fields.stream.map_or("null", RawValue::get);
        Ok(Self {
            model: serde_json::from_str(model.get()).map_err(|_| Error::InvalidField {
                field: "model",
                expected: "a string",
            })?,
            stream: serde_json::from_str::<Option<bool>>(stream)
                .map_err(|_| Error::InvalidField {
                    field: "stream",
                    expected: "true or false",
                })?
                .unwrap_or(false),
            model_span: start..start + model.get().len(),
        })
    }

    /// `body` with `name` for the model, and no other byte changed.
    pub fn rename(&self, body: Bytes, name: &str) -> Bytes {
        if self.model == name {
            return body;
        }
        let name = serde_json::Value::from(name).to_string();
        [
            &body[..self.model_span.start],
            name.as_bytes(),
            &body[self.model_span.end..],
        ]
        .concat()
        .into()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"model":"m"}"#, "m", false)]
    #[case(r#" {"stream":true , "model" : "ns/m"} "#, "ns/m", true)]
    #[case(r#"{"stream":null,"x":{"model":"inner"},"model":"m"}"#, "m", false)]
    #[case("{\"mod\\u0065l\":\"\\u006d\"}", "m", false)]
    #[case(r#"{"model":"é","n":1e999}"#, "é", false)]
    fn the_head_is_found(#[case] body: &str, #[case] model: &str, #[case] stream: bool) {
        let head = Head::parse(body.as_bytes()).unwrap();
        assert_eq!((head.model.as_str(), head.stream), (model, stream));
    }

    #[rstest]
    #[case("", "invalid_json", "empty")]
    #[case("  \n", "invalid_json", "empty")]
    #[case("[1]", "invalid_json", "expected an object")]
    #[case("\"model\"", "invalid_json", "expected an object")]
    #[case("{\"model\":\"m\",\n  \"x\":}", "invalid_json", "line 2 column 7")]
    #[case(r#"{"model":"m"} x"#, "invalid_json", "line 1 column 15")]
    #[case(r#"{"model":"m""#, "invalid_json", "EOF")]
    #[case(r#"{"model":"a","model":"b"}"#, "invalid_json", "duplicate field `model`")]
    #[case(r#"{"messages":[]}"#, "missing_field", "\"model\" is missing")]
    #[case(r#"{"model":null}"#, "invalid_field", "\"model\" must be a string")]
    #[case(r#"{"model":7}"#, "invalid_field", "\"model\" must be a string")]
    #[case(
        r#"{"model":"m","stream":"yes"}"#,
        "invalid_field",
        "\"stream\" must be true or false"
    )]
    fn what_is_wrong_is_said(#[case] body: &str, #[case] code: &str, #[case] text: &str) {
        let error = Head::parse(body.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_place() {
        let error = Head::parse(b"{\"model\":\"m\",\"x\":\"\xff\"}").unwrap_err();
        assert!(error.to_string().contains("after byte 18"), "{error}");
    }

    #[test]
    fn deep_nesting_is_only_skipped() {
        let body = format!(r#"{{"model":"m","x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        // Either answer is fine as long as it is one.
        let _ = Head::parse(body.as_bytes());
    }

    #[rstest]
    #[case(
        r#"{ "x" : 1.50, "model" : "ns/m@v-1", "y":"\u00e9" }"#,
        r#"{ "x" : 1.50, "model" : "m", "y":"\u00e9" }"#
    )]
    #[case(r#"{"mod\u0065l":"ns\/m"}"#, r#"{"mod\u0065l":"m"}"#)]
    #[case(r#"{"model":"\u006d"}"#, r#"{"model":"\u006d"}"#)]
    fn renaming_changes_nothing_else(#[case] body: &str, #[case] renamed: &str) {
        let head = Head::parse(body.as_bytes()).unwrap();
        assert_eq!(head.rename(Bytes::copy_from_slice(body.as_bytes()), "m"), renamed);
    }
}
