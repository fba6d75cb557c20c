//! Why a request to the admin port is refused, in the shape that the API uses too.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::lora::RegistryError;
use serde_json::json;

/// A refused request.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    param: Option<&'static str>,
    message: String,
}

impl Refusal {
    /// The model is not loaded yet.
    pub fn loading() -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "loading",
            param: None,
            message: "the base model is being loaded; try again".into(),
        }
    }

    /// The body is not what it should be.
    pub fn body(problem: impl ToString) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "invalid_json",
            param: None,
            message: format!(
                "the request body must be {{\"name\": ..., \"path\": ...}}, or empty to look through --adapters-dir: {}",
                problem.to_string()
            ),
        }
    }

    /// It is not known where the adapter is.
    pub fn no_path() -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "missing_field",
            param: Some("path"),
            message:
                "the field \"path\" is missing: the directory of the adapter (without it, the adapter is looked for in \
                      --adapters-dir, which this worker was started without)"
                    .into(),
        }
    }

    /// Something that is no fault of the request.
    pub fn internal(problem: impl ToString) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "internal",
            param: None,
            message: problem.to_string(),
        }
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        use StatusCode as S;
        let (status, code, param) = match &error {
            RegistryError::Unknown { .. } => (S::NOT_FOUND, "adapter_not_found", Some("name")),
            RegistryError::Name { .. } => (S::BAD_REQUEST, "invalid_field", Some("name")),
            RegistryError::TooMany { .. } => (S::CONFLICT, "too_many_adapters", None),
            RegistryError::TooLarge { .. } => (S::BAD_REQUEST, "adapter_too_large", Some("path")),
            RegistryError::Busy { .. } => (S::SERVICE_UNAVAILABLE, "adapter_memory_full", Some("path")),
            RegistryError::Adapter(_) => (S::BAD_REQUEST, "invalid_adapter", Some("path")),
        };
        Self {
            status,
            code,
            param,
            message: error.to_string(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = match self.status.is_client_error() {
            true => "invalid_request_error",
            false => "server_error",
        };
        let body = json!({
            "error": {"message": self.message, "type": kind, "param": self.param, "code": self.code},
        });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
