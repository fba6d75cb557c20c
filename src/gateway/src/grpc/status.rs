//! Refusals as gRPC has them, with the messages of the HTTP API.

use axum::{
    body::Body,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use tonic::{Code, Status, metadata::MetadataValue};

use crate::error::Error;

/// Metadata that carries the code of the HTTP API, such as `model_not_ready`.
const CODE: &str = "x-atelier-code";
/// A longer refusal is not read.
const MAX_REFUSAL: usize = 64 << 10;

/// The status of an error.
pub fn of(error: Error) -> Status {
    let told = error.body();
    let status = error.into_response().status();
    told_by(status, &told)
}

/// The status of an answer that is none.
pub async fn of_response(response: Response<Body>) -> Status {
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_REFUSAL).collect().await;
    let told = body.map(|body| serde_json::from_slice(&body.to_bytes()).unwrap_or_default());
    told_by(status, &told.unwrap_or_default())
}

/// The status of an `error` object of the HTTP API.
pub fn told_by(status: StatusCode, told: &Value) -> Status {
    let error = &told["error"];
    let message = error["message"].as_str().unwrap_or("the model refused the request");
    let mut grpc = Status::new(code(status), message);
    if let Some(name) = error["code"]
        .as_str()
        .and_then(|name| MetadataValue::try_from(name).ok())
    {
        grpc.metadata_mut().insert(CODE, name);
    }
    grpc
}

/// The nearest code.
fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        429 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        400..=499 => Code::InvalidArgument,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn callers_know_whether_to_try_again() {
        let code = |error| of(error).code();
        assert_eq!(code(Error::MissingCredentials), Code::Unauthenticated);
        assert_eq!(
            code(Error::ModelForbidden { model: "m".into() }),
            Code::PermissionDenied
        );
        assert_eq!(code(Error::Overloaded), Code::Unavailable);
        let status = of_response(Error::ModelNotFound { model: "m".into() }.into_response()).await;
        assert_eq!(
            (status.code(), status.message()),
            (Code::NotFound, "the model \"m\" does not exist")
        );
        assert_eq!(status.metadata().get(CODE).unwrap(), "model_not_found");
        let status = of_response(Response::builder().status(500).body(Body::from("<html>")).unwrap()).await;
        assert_eq!(status.code(), Code::Internal);
    }
}
