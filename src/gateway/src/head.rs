//! The little the gateway reads of a request body. All else passes through byte for byte.

use std::ops::Range;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};

use crate::{error::Error, name, openapi};

/// What the gateway acts on in a completion request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The model the caller named.
    pub model: String,
    /// Whether the answer shall come as a stream.
    pub stream: bool,
    /// Longest answer in tokens that is asked for.
    pub max_tokens: Option<u64>,
    /// Where the value of `model` lies in the body.
    model_span: Range<usize>,
    /// Where the numbers lie that say how long the answer may be; the second is OpenAI's new name for the first.
    token_spans: [Option<Range<usize>>; 2],
}

/// What is read of a body.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("required" = ["model"], "additionalProperties" = true))]
struct Fields<'a> {
    /// The model: `[namespace/]model[:adapter][@version]`.
    #[serde(borrow, default, deserialize_with = "present")]
    #[schemars(with = "String", length(min = 1, max = 512), regex(pattern = name::PATTERN))]
    model: Option<&'a RawValue>,
    /// Whether the answer shall come as server-sent events. Default: false.
    #[serde(borrow, default, deserialize_with = "present")]
    #[schemars(with = "Option<bool>")]
    stream: Option<&'a RawValue>,
    /// Longest answer, in tokens. The model may have a lower limit.
    #[serde(borrow, default, deserialize_with = "present")]
    #[schemars(with = "Option<u32>", extend("maximum" = u32::MAX))]
    max_tokens: Option<&'a RawValue>,
    /// The same, by its newer name.
    #[serde(borrow, default, deserialize_with = "present")]
    #[schemars(with = "Option<u32>", extend("maximum" = u32::MAX))]
    max_completion_tokens: Option<&'a RawValue>,
}

/// The JSON schema of what is read of a body.
pub fn schema() -> Value {
    openapi::schema_of::<Fields<'static>>()
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
        let span = |value: &RawValue| {
            let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
            start..start + value.get().len()
        };
        let limits = [fields.max_tokens, fields.max_completion_tokens];
        let counts = [
            count("max_tokens", fields.max_tokens)?,
            count("max_completion_tokens", fields.max_completion_tokens)?,
        ];
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
            max_tokens: counts.into_iter().flatten().min().map(u64::from),
            model_span: span(model),
            token_spans: limits.map(|limit| limit.map(span)),
        })
    }

    /// `body` with `name` for the model and an answer of at most `max_tokens`, and no other byte changed. `field` is
    /// what the limit is called where the request sets none.
    pub fn rewrite(&self, body: Bytes, name: &str, max_tokens: Option<u32>, field: &str) -> Bytes {
        let mut edits = Vec::new();
        if self.model != name {
            edits.push((self.model_span.clone(), serde_json::Value::from(name).to_string()));
        }
        if let Some(limit) = max_tokens {
            let set = self
                .token_spans
                .iter()
                .flatten()
                .filter(|span| !is_null(&body[(*span).clone()]));
            for span in set.clone() {
                let asked = whole(&body[span.clone()]);
                if asked.is_some_and(|asked| asked > limit) {
                    edits.push((span.clone(), limit.to_string()));
                }
            }
            match (set.count(), self.token_spans.iter().flatten().next()) {
                (1.., _) => {}
                (0, Some(null)) => edits.push((null.clone(), limit.to_string())),
                (0, None) => edits.push((
                    self.model_span.end..self.model_span.end,
                    format!(",\"{field}\":{limit}"),
                )),
            }
        }
        apply(body, edits)
    }
}

/// A number of tokens. Servers take texts for numbers, too, and would pass the model's limit with what nobody here
/// has compared.
fn count(field: &'static str, value: Option<&RawValue>) -> Result<Option<u32>, Error> {
    let Some(value) = value.map(RawValue::get).filter(|value| *value != "null") else {
        return Ok(None);
    };
    let expected = "a whole number";
    whole(value.as_bytes())
        .map(Some)
        .ok_or(Error::InvalidField { field, expected })
}

/// A whole number, however it is written: `16`, `16.0` and `1.6e1` are the same in JSON.
fn whole(value: &[u8]) -> Option<u32> {
    if let Ok(number) = serde_json::from_slice(value) {
        return Some(number);
    }
    let number: f64 = serde_json::from_slice(value).ok()?;
    let fits = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    fits.then_some(number as u32)
}

fn is_null(value: &[u8]) -> bool {
    value == b"null"
}

/// `body` with the text of each edit in the place of its range; ranges do not overlap.
fn apply(body: Bytes, mut edits: Vec<(Range<usize>, String)>) -> Bytes {
    if edits.is_empty() {
        return body;
    }
    edits.sort_by_key(|(range, _)| range.end);
    let mut edited = Vec::with_capacity(body.len() + 64);
    let mut done = 0;
    for (range, text) in edits {
        edited.extend_from_slice(&body[done..range.start]);
        edited.extend_from_slice(text.as_bytes());
        done = range.end;
    }
    edited.extend_from_slice(&body[done..]);
    edited.into()
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
    // Else it would pass a limit that only numbers are compared with.
    #[case(
        r#"{"model":"m","max_tokens":"99"}"#,
        "invalid_field",
        "\"max_tokens\" must be a whole number"
    )]
    #[case(r#"{"model":"m","max_tokens":99.5}"#, "invalid_field", "\"max_tokens\"")]
    #[case(r#"{"model":"m","max_tokens":1e300}"#, "invalid_field", "\"max_tokens\"")]
    #[case(
        r#"{"model":"m","max_completion_tokens":-1}"#,
        "invalid_field",
        "\"max_completion_tokens\""
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
        let body = Bytes::copy_from_slice(body.as_bytes());
        assert_eq!(head.rewrite(body, "m", None, "max_tokens"), renamed);
    }

    #[rstest]
    #[case(r#"{"max_tokens":9,"model":"m"}"#, r#"{"max_tokens":9,"model":"m"}"#, Some(9))]
    #[case(r#"{"max_tokens":11,"model":"ns/m"}"#, r#"{"max_tokens":10,"model":"m"}"#, Some(11))]
    #[case(
        r#"{"model":"m","max_completion_tokens": 999 ,"max_tokens":3}"#,
        r#"{"model":"m","max_completion_tokens": 10 ,"max_tokens":3}"#,
        Some(3)
    )]
    #[case(r#"{"model":"ns/m"}"#, r#"{"model":"m","max_tokens":10}"#, None)]
    #[case(
        r#"{"model":"m","stream":true}"#,
        r#"{"model":"m","max_tokens":10,"stream":true}"#,
        None
    )]
    #[case(r#"{"max_tokens":null,"model":"m"}"#, r#"{"max_tokens":10,"model":"m"}"#, None)]
    #[case(
        r#"{"max_tokens":null,"max_completion_tokens":5,"model":"m"}"#,
        r#"{"max_tokens":null,"max_completion_tokens":5,"model":"m"}"#,
        Some(5)
    )]
    #[case(r#"{"max_tokens":1.1e1,"model":"m"}"#, r#"{"max_tokens":10,"model":"m"}"#, Some(11))]
    #[case(r#"{"max_tokens":9.0,"model":"m"}"#, r#"{"max_tokens":9.0,"model":"m"}"#, Some(9))]
    fn answers_are_cut_to_the_limit(#[case] body: &str, #[case] cut: &str, #[case] asked: Option<u64>) {
        let head = Head::parse(body.as_bytes()).unwrap();
        assert_eq!(head.max_tokens, asked);
        let body = Bytes::copy_from_slice(body.as_bytes());
        assert_eq!(head.rewrite(body, "m", Some(10), "max_tokens"), cut);
    }
}
