//! `/v1/feedback`: what callers say about answers that they got.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{
    Database, Unreachable,
    audit::Place,
    feedback::{self, Feedback, Kept},
};

use crate::{error::Error, identity::Identity, openapi};

/// Ids of requests and answers are shorter. All are characters.
const LONGEST_ID: usize = 128;
const LONGEST_REASON: usize = 64;
const LONGEST_COMMENT: usize = 4096;
const LONGEST_CORRECTION: usize = 32 << 10;

/// What a caller sends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = completed)]
struct Body {
    /// The `x-request-id` or the `id` of an answer.
    #[schemars(with = "String", length(min = 1, max = LONGEST_ID), regex(pattern = NO_NUL))]
    id: Option<Value>,
    /// What is said.
    #[schemars(with = "String")]
    kind: Option<Value>,
    /// What is meant, as the kind wants it.
    value: Option<Value>,
    /// More about it.
    #[schemars(with = "Option<String>", length(min = 1, max = LONGEST_COMMENT), regex(pattern = NO_NUL))]
    comment: Option<Value>,
}

/// The database takes no others.
const NO_NUL: &str = "^[^\\u0000]*$";

/// What values go with what kinds.
fn completed(schema: &mut schemars::Schema) {
    let text = |longest: usize| json!({"type": "string", "minLength": 1, "maxLength": longest, "pattern": NO_NUL});
    let kinds = [
        ("thumbs", json!({"enum": ["up", "down"]})),
        ("rating", json!({"enum": [1, 2, 3, 4, 5]})),
        ("error_report", text(LONGEST_REASON)),
        ("correction", text(LONGEST_CORRECTION)),
    ];
    let of_kind = kinds.map(|(kind, value)| json!({"properties": {"kind": {"const": kind}, "value": value}}));
    schema.insert("oneOf".into(), json!(of_kind));
    schema.insert("required".into(), json!(["id", "kind", "value"]));
}

/// The JSON schema of what a caller sends.
pub fn schema() -> Value {
    openapi::schema_of::<Body>()
}

/// Feedback that makes sense, about the answer with an id.
#[derive(Debug, PartialEq, Eq)]
pub struct Given {
    /// The id of the answer.
    pub id: String,
    feedback: Feedback,
}

/// Keeps what `caller` says, and tells what was kept. There is nothing to say without a `database`.
///
/// # Errors
/// When it makes no sense, or is about no answer of theirs; both when there is no such answer and when it is another
/// one's.
pub async fn give(database: Option<&Database>, caller: &Identity, body: &[u8]) -> Result<Value, Error> {
    let database = database.ok_or(Error::FeedbackOff)?;
    let given = parse(body)?;
    let kept = feedback::give(database, caller.user(), &given.id, &given.feedback).await;
    told(kept, given)
}

/// Keeps what `caller` says about the answer at a place, if there is one.
///
/// # Errors
/// As [`give`].
pub async fn keep_at(
    database: &Database,
    caller: &Identity,
    place: Option<&Place>,
    given: Given,
) -> Result<Value, Error> {
    let kept = match place {
        Some(place) => feedback::give_at(database, caller.user(), place, &given.feedback).await,
        None => Ok(None),
    };
    told(kept, given)
}

fn told(kept: Result<Option<Kept>, Unreachable>, Given { id, feedback }: Given) -> Result<Value, Error> {
    let kept = kept.map_err(|error| {
        tracing::warn!(%error, "feedback cannot be kept");
        Error::FeedbackUnavailable
    })?;
    let Some(Kept { answer, revision }) = kept else {
        return Err(Error::AnswerNotFound { id });
    };
    Ok(json!({
        "object": "feedback",
        "id": answer.request,
        "kind": feedback.kind,
        "value": feedback.value,
        "comment": feedback.comment,
        "model": format!("{}/{}", answer.namespace, answer.model),
        "adapter": answer.adapter,
        "version": answer.version,
        "revision": revision,
    }))
}

/// Whether a body makes sense.
#[cfg(test)]
pub fn is_understood(body: &[u8]) -> bool {
    parse(body).is_ok()
}

/// What a body says.
///
/// # Errors
/// When it makes no sense.
pub fn parse(body: &[u8]) -> Result<Given, Error> {
    let body: Body = serde_json::from_slice(body).map_err(|error| Error::InvalidJson {
        detail: error.to_string(),
    })?;
    let id = text("id", body.id, LONGEST_ID, "the x-request-id or the id of an answer")?;
    let kind = text("kind", body.kind, LONGEST_REASON, KINDS)?;
    let value = body.value.ok_or(Error::MissingField { field: "value" })?;
    let invalid = |expected| Error::InvalidField {
        field: "value",
        expected,
    };
    let value = match &*kind {
        "thumbs" => match value.as_str() {
            Some(thumb @ ("up" | "down")) => thumb.into(),
            _ => return Err(invalid("\"up\" or \"down\"")),
        },
        "rating" => match value.as_u64() {
            Some(rating @ 1..=5) => rating.to_string(),
            _ => return Err(invalid("a whole number from 1 to 5")),
        },
        "error_report" => text(
            "value",
            Some(value),
            LONGEST_REASON,
            "a reason, of 64 characters at most",
        )?,
        "correction" => text(
            "value",
            Some(value),
            LONGEST_CORRECTION,
            "a better answer, of 32768 characters at most",
        )?,
        _ => {
            return Err(Error::InvalidField {
                field: "kind",
                expected: KINDS,
            });
        }
    };
    let comment = body.comment.filter(|comment| !comment.is_null());
    let comment = comment.map(|comment| {
        text(
            "comment",
            Some(comment),
            LONGEST_COMMENT,
            "a text of 4096 characters at most",
        )
    });
    Ok(Given {
        id,
        feedback: Feedback {
            kind,
            value,
            comment: comment.transpose()?,
        },
    })
}

const KINDS: &str = "\"thumbs\", \"rating\", \"error_report\" or \"correction\"";

/// A text that is none too long, and that the database takes.
fn text(field: &'static str, value: Option<Value>, longest: usize, expected: &'static str) -> Result<String, Error> {
    match value.ok_or(Error::MissingField { field })? {
        Value::String(text) if (1..=longest).contains(&text.chars().count()) && !text.contains('\0') => Ok(text),
        _ => Err(Error::InvalidField { field, expected }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"id":"r","kind":"thumbs","value":"up"}"#, "up", None)]
    #[case(r#"{"id":"r","kind":"rating","value":5,"comment":"good"}"#, "5", Some("good"))]
    #[case(r#"{"id":"r","kind":"error_report","value":"wrong","comment":null}"#, "wrong", None)]
    #[case(r#"{"id":"r","kind":"correction","value":"It is 42."}"#, "It is 42.", None)]
    fn feedback_is_understood(#[case] body: &str, #[case] value: &str, #[case] comment: Option<&str>) {
        let given = parse(body.as_bytes()).unwrap();
        assert_eq!((given.id.as_str(), given.feedback.value.as_str()), ("r", value));
        assert_eq!(given.feedback.comment.as_deref(), comment);
    }

    #[rstest]
    #[case("", "invalid_json", "EOF")]
    #[case("[]", "invalid_json", "")]
    #[case(r#"{"id":"r","kind":"thumbs","value":"up","user":"joe"}"#, "invalid_json", "user")]
    #[case(r#"{"id":"r","id":"s","kind":"thumbs","value":"up"}"#, "invalid_json", "duplicate")]
    #[case(r#"{"kind":"thumbs","value":"up"}"#, "missing_field", "\"id\"")]
    #[case(r#"{"id":"r","value":"up"}"#, "missing_field", "\"kind\"")]
    #[case(r#"{"id":"r","kind":"thumbs"}"#, "missing_field", "\"value\"")]
    #[case(r#"{"id":"","kind":"thumbs","value":"up"}"#, "invalid_field", "\"id\"")]
    #[case(r#"{"id":"r\u0000","kind":"thumbs","value":"up"}"#, "invalid_field", "\"id\"")]
    #[case(r#"{"id":"r","kind":"stars","value":"up"}"#, "invalid_field", "\"kind\"")]
    #[case(r#"{"id":"r","kind":"thumbs","value":"sideways"}"#, "invalid_field", "\"up\"")]
    #[case(r#"{"id":"r","kind":"rating","value":6}"#, "invalid_field", "1 to 5")]
    #[case(r#"{"id":"r","kind":"rating","value":4.5}"#, "invalid_field", "1 to 5")]
    #[case(r#"{"id":"r","kind":"error_report","value":""}"#, "invalid_field", "reason")]
    #[case(
        r#"{"id":"r","kind":"thumbs","value":"up","comment":7}"#,
        "invalid_field",
        "\"comment\""
    )]
    fn what_makes_no_sense_is_refused_by_field(#[case] body: &str, #[case] code: &str, #[case] named: &str) {
        let error = parse(body.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
}
