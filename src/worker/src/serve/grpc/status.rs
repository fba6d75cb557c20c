//! Errors as gRPC has them, with the messages of the HTTP API.

use tonic::{Code, Status, metadata::MetadataValue};

use crate::{cli::Task, serve::api::Error};

/// Metadata that carries the code of the HTTP API, such as `queue_full`.
const CODE: &str = "x-atelier-code";

impl From<rpc::body::NoJson> for Error {
    fn from(no_json: rpc::body::NoJson) -> Self {
        Self::InvalidField {
            field: no_json.field,
            expected: no_json.expected,
        }
    }
}

/// The status of an error.
pub fn status(error: &Error) -> Status {
    let code = match error.status().as_u16() {
        404 => Code::NotFound,
        429 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        400..=499 => Code::InvalidArgument,
        _ => Code::Internal,
    };
    coded(Status::new(code, error.to_string()), error)
}

/// The status of a method that a model which `serves` one task does not have.
pub fn wrong_task(serves: Task, asked: Task) -> Status {
    let message = format!("this worker serves task {serves:?}, not {asked:?}");
    coded(Status::unimplemented(message), &Error::WrongTask { task: serves })
}

fn coded(mut status: Status, error: &Error) -> Status {
    let name = MetadataValue::from_static(error.code());
    status.metadata_mut().insert(CODE, name);
    status
}

#[cfg(test)]
mod tests {
    use engine::SubmitError;

    use super::*;

    #[test]
    fn callers_know_whether_to_try_again() {
        let code = |error| status(&error).code();
        assert_eq!(
            code(SubmitError::QueueFull { waiting: 1 }.into()),
            Code::ResourceExhausted
        );
        assert_eq!(code(SubmitError::EmptyPrompt.into()), Code::InvalidArgument);
        assert_eq!(code(SubmitError::Stopped.into()), Code::Internal);
        assert_eq!(code(Error::Stopping), Code::Unavailable);
        let missing = status(&Error::ModelNotFound { model: "x".into() });
        assert_eq!(
            (missing.code(), missing.message()),
            (Code::NotFound, "the model \"x\" is not served here")
        );
        assert_eq!(missing.metadata().get(CODE).unwrap(), "model_not_found");
    }
}
