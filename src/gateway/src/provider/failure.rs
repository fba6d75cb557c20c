//! What a provider's refusal means.

use serde_json::Value;

use super::Service;

/// Why a provider did not answer as it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It does not take the key.
    Credentials {
        /// The key is none: another one might be taken.
        is_unknown: bool,
    },
    /// It takes no more for now; when to come back, as it said it.
    Limited(Option<String>),
    /// The request has something wrong, in its words.
    Invalid(String),
    /// It does not know the model, in its words.
    UnknownModel(String),
    /// It failed.
    Failed,
}

/// Longest text of a provider that is passed on, in characters.
const MAX_MESSAGE: usize = 1024;

/// Reads the answer to a request that was not granted. `secret` is removed from whatever is told of it.
pub fn read(service: Service<'_>, status: u16, retry_after: Option<&str>, body: &[u8], secret: &str) -> Failure {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    // Gemini wraps the errors of streams in a list.
    let error = match &body {
        Value::Array(list) => list.first().map_or(&Value::Null, |first| &first["error"]),
        body => &body["error"],
    };
    let texts = [&error["message"], error, &body["message"], &body["detail"]];
    let text = texts.into_iter().find_map(Value::as_str);
    let message = text.map_or_else(|| format!("HTTP status {status}"), |text| harmless(text, secret));
    let is_bad_key = |detail: &Value| detail["reason"] == "API_KEY_INVALID";
    let details = error["details"].as_array();
    if matches!(service, Service::Gemini(_)) && details.is_some_and(|it| it.iter().any(is_bad_key)) {
        return Failure::Credentials { is_unknown: true };
    }
    match status {
        401 => Failure::Credentials { is_unknown: true },
        403 => Failure::Credentials { is_unknown: false },
        404 => Failure::UnknownModel(message),
        429 => Failure::Limited(retry_after.map(Into::into)),
        400 | 406 | 413..=415 | 422 | 431 => Failure::Invalid(message),
        _ => Failure::Failed,
    }
}

/// `text` without `secret`, and not endless.
fn harmless(text: &str, secret: &str) -> String {
    let text = match secret.is_empty() {
        true => text.to_owned(),
        false => text.replace(secret, "[redacted]"),
    };
    text.chars().take(MAX_MESSAGE).collect()
}
