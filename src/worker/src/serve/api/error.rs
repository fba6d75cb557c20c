//! Every way a request can be refused, and how each is told to the client.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::{Failure, SubmitError};
use serde_json::{Value, json};

use crate::{cli::Task, serve::generation::Broken};

/// Seconds after which a refused request may be tried again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the request body is not valid JSON: {0}")]
    InvalidJson(String),
    #[error("the field \"{field}\" is missing")]
    MissingField { field: &'static str },
    #[error("the field \"{field}\" must be {expected}")]
    InvalidField { field: String, expected: String },
    #[error("the header \"{header}\" must be {expected}")]
    InvalidHeader {
        header: &'static str,
        expected: &'static str,
    },
    #[error("the field \"{field}\" is not supported: {hint}")]
    UnsupportedField { field: String, hint: &'static str },
    #[error("the field \"{field}\" cannot be compiled: {reason}")]
    Grammar { field: String, reason: String },
    #[error("the model \"{model}\" is not served here")]
    ModelNotFound { model: String },
    #[error("{0}")]
    AdapterBusy(String),
    #[error("the adapter cannot be loaded any more: {0}")]
    AdapterBroken(String),
    #[error("the model has no chat template: use /v1/completions, or set spec.prompt.templateOverride")]
    NoChatTemplate,
    #[error("the chat template refuses the conversation: {0}")]
    Template(String),
    #[error("failed to cut the text into tokens: {0}")]
    Tokenizer(String),
    #[error("{0}")]
    Submit(#[from] SubmitError),
    #[error("{0}")]
    Broken(#[from] Broken),
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the request body broke off before its end")]
    BodyBroken,
    #[error("this worker is stopping; try again")]
    Stopping,
    #[error("the model is served for {task}, not for this path: {}", paths(*.task))]
    WrongTask { task: Task },
    #[error("there is nothing at this path")]
    NoRoute,
    #[error("the method is not allowed at this path")]
    WrongMethod,
}

/// Where a task's requests go.
fn paths(task: Task) -> &'static str {
    match task {
        Task::Generate => "use /v1/chat/completions or /v1/completions",
        Task::Embed => "use /v1/embeddings",
        Task::Rerank => "use /v1/rerank",
    }
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

impl Error {
    /// Status, kind and code.
    fn row(&self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::InvalidJson(_) => (S::BAD_REQUEST, INVALID, "invalid_json"),
            Self::MissingField { .. } => (S::BAD_REQUEST, INVALID, "missing_field"),
            Self::InvalidField { .. } => (S::BAD_REQUEST, INVALID, "invalid_field"),
            Self::InvalidHeader { .. } => (S::BAD_REQUEST, INVALID, "invalid_header"),
            Self::UnsupportedField { .. } => (S::BAD_REQUEST, INVALID, "unsupported_field"),
            Self::Grammar { .. } => (S::BAD_REQUEST, INVALID, "invalid_grammar"),
            Self::ModelNotFound { .. } => (S::NOT_FOUND, INVALID, "model_not_found"),
            Self::AdapterBusy(_) => (S::SERVICE_UNAVAILABLE, SERVER, "adapter_memory_full"),
            Self::AdapterBroken(_) => (S::INTERNAL_SERVER_ERROR, SERVER, "adapter_broken"),
            Self::NoChatTemplate => (S::BAD_REQUEST, INVALID, "no_chat_template"),
            Self::Template(_) => (S::BAD_REQUEST, INVALID, "invalid_conversation"),
            Self::Tokenizer(_) => (S::BAD_REQUEST, INVALID, "invalid_text"),
            Self::Submit(SubmitError::EmptyPrompt) => (S::BAD_REQUEST, INVALID, "empty_prompt"),
            Self::Submit(SubmitError::UnknownToken { .. }) => (S::BAD_REQUEST, INVALID, "unknown_token"),
            Self::Submit(SubmitError::TooLong { .. } | SubmitError::TextTooLong { .. }) => {
                (S::BAD_REQUEST, INVALID, "context_length_exceeded")
            }
            Self::Submit(SubmitError::QueueFull { .. }) => (S::TOO_MANY_REQUESTS, "rate_limit_error", "queue_full"),
            // Too complex to be followed further: another request would fare the same.
            Self::Broken(Broken::Failed(Failure::Constraint(_))) => (S::BAD_REQUEST, INVALID, "constraint_failed"),
            Self::Submit(SubmitError::Stopped) | Self::Broken(_) => {
                (S::INTERNAL_SERVER_ERROR, SERVER, "computation_failed")
            }
            Self::BodyTooLarge { .. } => (S::PAYLOAD_TOO_LARGE, INVALID, "body_too_large"),
            Self::BodyBroken => (S::BAD_REQUEST, INVALID, "body_broken"),
            Self::Stopping => (S::SERVICE_UNAVAILABLE, SERVER, "stopping"),
            Self::WrongTask { .. } => (S::BAD_REQUEST, INVALID, "wrong_task"),
            Self::NoRoute => (S::NOT_FOUND, INVALID, "no_route"),
            Self::WrongMethod => (S::METHOD_NOT_ALLOWED, INVALID, "wrong_method"),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.row().0
    }

    /// The code that programs read.
    pub fn code(&self) -> &'static str {
        self.row().2
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::MissingField { field } => Some(field),
            Self::InvalidField { field, .. } | Self::UnsupportedField { field, .. } | Self::Grammar { field, .. } => {
                Some(field)
            }
            Self::ModelNotFound { .. } | Self::AdapterBusy(_) | Self::AdapterBroken(_) => Some("model"),
            Self::Template(_) => Some("messages"),
            _ => None,
        }
    }

    /// The body in OpenAI's shape, which is also what a broken stream says last.
    pub fn body(&self) -> Value {
        let (_, kind, code) = self.row();
        json!({"error": {"message": self.to_string(), "type": kind, "param": self.param(), "code": code}})
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(self.body())).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if matches!(self, Self::BodyTooLarge { .. } | Self::BodyBroken) {
            // The rest of the body is never read, so no other request can follow it.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}
