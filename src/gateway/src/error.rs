//! Every way a request can be refused, and how each is told to the caller.

use std::time::Duration;

use api::llmmodel::Task;
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use protocol::rooms::code;
use serde_json::{Value, json};

use crate::{metrics::Operation, trace::RefusalCode};

/// Why a request was refused. The text is for the caller: it never says more than the caller may know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the variants are")]
pub enum Error {
    #[error("no credentials: send a ServiceAccount token or an API key as \"Authorization: Bearer <token>\"")]
    MissingCredentials,
    #[error(
        "the token is invalid, expired, or not issued for the audience \"{audience}\"; \
         get one with: kubectl create token <serviceaccount> --audience {audience}"
    )]
    InvalidCredentials { audience: String },
    #[error("the token of {issuer} is invalid, expired, or not issued for the audience \"{audience}\"")]
    InvalidToken { issuer: String, audience: String },
    #[error("the token of {issuer} cannot be checked: the issuer's keys cannot be read; try again")]
    IssuerUnavailable { issuer: String },
    #[error("the API key is unknown, expired or revoked")]
    UnknownKey,
    #[error("failed to check the credentials: the Kubernetes API server does not answer; try again")]
    AuthenticationUnavailable,
    #[error("failed to check the permission: the Kubernetes API server does not answer; try again")]
    AuthorizationUnavailable,
    #[error("the model \"{model}\" does not exist or you may not use it (verb \"infer\" on llmmodels)")]
    ModelForbidden { model: String },
    #[error("the model \"{model}\" does not exist")]
    ModelNotFound { model: String },
    #[error("the model \"{model}\" does not serve the version \"{version}\"{}", current_hint(.current.as_deref()))]
    VersionNotFound {
        model: String,
        version: String,
        current: Option<String>,
    },
    #[error("the name \"{model}\" is used in several namespaces; say which you mean: {}", .candidates.join(", "))]
    ModelAmbiguous { model: String, candidates: Vec<String> },
    #[error("the model \"{model}\" {}: ask it at {}", purpose(*.task), path_for(*.task))]
    WrongTask { model: String, task: Task },
    #[error("\"{model}\" is not a model name: {reason}; write [namespace/]model[:adapter][@version]")]
    InvalidModelName { model: String, reason: &'static str },
    #[error("the request body is not valid JSON: {detail}")]
    InvalidJson { detail: String },
    #[error("the field \"{field}\" is missing")]
    MissingField { field: &'static str },
    #[error("the field \"{field}\" must be {expected}")]
    InvalidField {
        field: &'static str,
        expected: &'static str,
    },
    #[error("the request body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the request body did not arrive in time")]
    BodyTimeout,
    #[error("the client left before the answer ended")]
    ClientGone,
    #[error("the request body broke off before its end")]
    BodyBroken,
    #[error("the gateway holds as many request bodies as it may; try again")]
    Overloaded,
    #[error("the model \"{model}\" is not ready: {reason}: {message}")]
    ModelNotReady {
        model: String,
        reason: String,
        message: String,
    },
    #[error("the model \"{model}\" is starting, and as many requests wait for that as may; try again")]
    TooManyHeld { model: String },
    #[error(
        "{whom} may use {limit} {what} of the model \"{model}\" in any minute, and this would be more; try again in \
         {wait} s"
    )]
    RateLimited {
        model: String,
        whom: String,
        limit: u32,
        what: &'static str,
        wait: u64,
    },
    #[error(
        "{whom} may have {limit} requests for the model \"{model}\" under way at once; try again when one has ended"
    )]
    ConcurrencyLimited { model: String, whom: String, limit: u32 },
    #[error(
        "{whom} may spend {limit} on the model \"{model}\" in a month, and this would be more; wait for the next month \
         (UTC), or have its spec.limits raised"
    )]
    QuotaExceeded { model: String, whom: String, limit: String },
    #[error("what was spent on the model \"{model}\" this month cannot be read at the moment; try again")]
    SpendingUnavailable { model: String },
    #[error("the limits of the model \"{model}\" cannot be kept to: {reason}")]
    LimitsUnusable { model: String, reason: &'static str },
    #[error("no worker of the model \"{model}\" took the request; try again")]
    UpstreamUnavailable { model: String },
    #[error("a worker of the model \"{model}\" broke off the request; try again")]
    UpstreamFailed { model: String },
    #[error("no worker of the model \"{model}\" answered in time")]
    UpstreamTimeout { model: String },
    #[error("a Secret of the model \"{model}\" cannot be used: {reason}")]
    ProviderCredentials { model: String, reason: String },
    #[error("the provider of the model \"{model}\" does not accept the key that the LlmModel names")]
    ProviderRefusedKey { model: String },
    #[error("the provider of the model \"{model}\" takes no more requests for now; try again later")]
    ProviderLimited {
        model: String,
        retry_after: Option<HeaderValue>,
    },
    #[error("the provider does not accept the request: {message}")]
    ProviderInvalid { message: String },
    #[error("the provider does not know what the LlmModel \"{model}\" points at: {message}")]
    ProviderUnknownModel { model: String, message: String },
    #[error("the provider of the model \"{model}\" failed or broke off; try again")]
    ProviderFailed { model: String },
    #[error(
        "the provider of the model \"{model}\" is at an address where none may be: a worker of this cluster, \
         loopback or link-local"
    )]
    ProviderAddress { model: String },
    #[error("the provider of the model \"{model}\" cannot be reached; try again")]
    ProviderUnreachable { model: String },
    #[error("the provider of the model \"{model}\" did not answer in time")]
    ProviderTimeout { model: String },
    #[error("{service} has no equivalent of {}: leave it out", .fields.join(", "))]
    ProviderLacks { service: &'static str, fields: Vec<String> },
    #[error("{service} does not serve {path}")]
    ProviderLacksPath { service: &'static str, path: &'static str },
    #[error("the field \"{field}\" must be {expected}")]
    InvalidValue { field: String, expected: &'static str },
    #[error("the model refused the request")]
    Refused,
    #[error("the Room \"{room}\" does not exist, or you may not do this in it")]
    RoomNotFound { room: String },
    #[error("there is no such thing in the Room, or you may not see it")]
    RoomContentNotFound,
    #[error("Rooms cannot be read at the moment; try again")]
    RoomsUnavailable,
    #[error("Rooms cannot be read at the moment; try again")]
    RoomDisagreement,
    #[error("this gateway has no database, so it has no Rooms: set --database-url-file")]
    RoomsOff,
    #[error(
        "what is known of access rights in the Room is older than it may be; wait until its sources are read again"
    )]
    RoomStale,
    #[error("nothing of the Room has been read yet; wait for its first synchronization")]
    RoomEmpty,
    #[error("the Room answers nobody: its adversarial tests found a leak; see its condition RedTeamPassed")]
    RoomClosed,
    #[error("the Room answers once its adversarial tests have passed; see its condition RedTeamPassed")]
    RoomUntested,
    #[error("the Room has no model to ask: it can only be searched")]
    RoomHasNoModel,
    #[error(
        "the model \"{model}\" does not tell how probable its tokens are (logprobs), which the detector Confidence needs: \
         take it out of the Room's spec.answer.detectors, or name a model in spec.model that tells it"
    )]
    RoomModelUnsure { model: String },
    #[error("the Room is not being deleted, so it is not purged")]
    RoomNotDeleted,
    #[error("the generation {number} is not there, or it is not one for this")]
    GenerationNotFound { number: i64 },
    #[error("another writer fills the Room, or the generation was given up: stop")]
    GenerationFenced,
    #[error("the generation is not verified, or something was written since")]
    GenerationUnverified,
    #[error("{documents} documents of the generation lack chunks, and {vectors} vectors have another dimension")]
    GenerationIncomplete { documents: i64, vectors: i64 },
    #[error("{detail}")]
    Unfit { detail: String },
    #[error(
        "the source takes no more documents: all of them together may have {limit} bytes; remove some, or have \
         spec.sources[].upload.maxTotalSize of the Room raised"
    )]
    RoomSourceFull { limit: u64 },
    #[error("the request fails the check \"{check}\" of the model \"{model}\"")]
    GuardrailViolation { model: String, check: String },
    #[error(
        "this release of the gateway cannot apply the guardrails of the model \"{model}\", so it answers nothing; \
         see its condition Ready"
    )]
    GuardrailsUnusable { model: String },
    #[error("the check \"{check}\" of the model \"{model}\" cannot be made at the moment; try again")]
    GuardrailUnavailable { model: String, check: String },
    #[error("the answer of the model \"{model}\" is in a form that its guardrails cannot look at")]
    Unguarded { model: String },
    #[error("the field \"{field}\" cannot be used with the guardrails of the model: {instead}")]
    NotWithGuardrails { field: &'static str, instead: &'static str },
    #[error("what happens here must be written down, and cannot be at the moment; try again")]
    AuditUnavailable,
    #[error("there is no answer \"{id}\" of yours; one that has just ended may take a moment")]
    AnswerNotFound { id: String },
    #[error("feedback cannot be kept at the moment; try again")]
    FeedbackUnavailable,
    #[error(
        "this gateway keeps no feedback: it has no database, or no audit trail (--database-url-file, --audit-mode)"
    )]
    FeedbackOff,
    #[error(
        "the ShadowDeployment \"{shadow}\" does not exist or you may not collect its pairs (verb \"collect\" on \
         shadowdeployments) or read its report (verb \"get\")"
    )]
    ShadowNotFound { shadow: String },
    #[error("the ShadowDeployment \"{shadow}\" has no report yet: there is one with its verdict")]
    ShadowReportNotFound { shadow: String },
    #[error("pairs of ShadowDeployments cannot be reached at the moment; try again")]
    ShadowsUnavailable,
    #[error("this gateway mirrors nothing: it has no database (--database-url-file)")]
    ShadowsOff,
    #[error("there is nothing at this path")]
    RouteNotFound,
    #[error("the method is not allowed at this path")]
    MethodNotAllowed,
}

fn current_hint(current: Option<&str>) -> String {
    current
        .map(|version| format!("; it serves \"{version}\""))
        .unwrap_or_default()
}

fn purpose(task: Task) -> &'static str {
    match task {
        Task::Generate => "continues text",
        Task::Embed => "turns text into vectors",
        Task::Rerank => "ranks documents",
    }
}

fn path_for(task: Task) -> &'static str {
    match task {
        Task::Generate => Operation::Chat.path(),
        Task::Embed => Operation::Embeddings.path(),
        Task::Rerank => Operation::Rerank.path(),
    }
}

const INVALID: &str = "invalid_request_error";
const PERMISSION: &str = "permission_error";
const LIMIT: &str = "rate_limit_error";
const SERVER: &str = "server_error";

/// One row of the error table.
struct Row {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    param: Option<String>,
    retry_after: Option<Duration>,
}

fn row(status: StatusCode, kind: &'static str, code: &'static str) -> Row {
    Row {
        status,
        kind,
        code,
        param: None,
        retry_after: None,
    }
}

impl Row {
    fn about(mut self, param: &str) -> Self {
        self.param = Some(param.into());
        self
    }

    fn retry(mut self, seconds: u64) -> Self {
        self.retry_after = Some(Duration::from_secs(seconds));
        self
    }
}

impl Error {
    fn row(&self) -> Row {
        use StatusCode as S;
        match self {
            Self::MissingCredentials
            | Self::InvalidCredentials { .. }
            | Self::InvalidToken { .. }
            | Self::UnknownKey => row(S::UNAUTHORIZED, INVALID, "invalid_api_key"),
            Self::AuthenticationUnavailable | Self::IssuerUnavailable { .. } => {
                row(S::SERVICE_UNAVAILABLE, SERVER, "authentication_unavailable").retry(2)
            }
            Self::AuthorizationUnavailable => row(S::SERVICE_UNAVAILABLE, SERVER, "authorization_unavailable").retry(2),
            Self::ModelForbidden { .. } => row(S::FORBIDDEN, PERMISSION, "model_forbidden").about("model"),
            Self::ModelNotFound { .. } => row(S::NOT_FOUND, INVALID, "model_not_found").about("model"),
            Self::VersionNotFound { .. } => row(S::NOT_FOUND, INVALID, "version_not_found").about("model"),
            Self::ModelAmbiguous { .. } => row(S::BAD_REQUEST, INVALID, "model_ambiguous").about("model"),
            Self::WrongTask { .. } => row(S::BAD_REQUEST, INVALID, "wrong_task").about("model"),
            Self::InvalidModelName { .. } => row(S::BAD_REQUEST, INVALID, "invalid_model_name").about("model"),
            Self::InvalidJson { .. } => row(S::BAD_REQUEST, INVALID, "invalid_json"),
            Self::MissingField { field } => row(S::BAD_REQUEST, INVALID, "missing_field").about(field),
            Self::InvalidField { field, .. } => row(S::BAD_REQUEST, INVALID, "invalid_field").about(field),
            Self::BodyTooLarge { .. } => row(S::PAYLOAD_TOO_LARGE, INVALID, "request_too_large"),
            Self::BodyTimeout => row(S::REQUEST_TIMEOUT, INVALID, "request_timeout"),
            Self::ClientGone => row(S::BAD_REQUEST, INVALID, "client_gone"),
            Self::BodyBroken => row(S::BAD_REQUEST, INVALID, "request_incomplete"),
            Self::Overloaded => row(S::SERVICE_UNAVAILABLE, SERVER, "gateway_overloaded").retry(1),
            Self::ModelNotReady { .. } => row(S::SERVICE_UNAVAILABLE, SERVER, "model_not_ready").retry(5),
            Self::TooManyHeld { .. } => row(S::SERVICE_UNAVAILABLE, SERVER, "too_many_held").retry(5),
            Self::RateLimited { wait, .. } => row(S::TOO_MANY_REQUESTS, LIMIT, "rate_limit_exceeded").retry(*wait),
            Self::ConcurrencyLimited { .. } => row(S::TOO_MANY_REQUESTS, LIMIT, "concurrency_limit_exceeded").retry(1),
            // As OpenAI has it: type and code.
            Self::QuotaExceeded { .. } => row(S::TOO_MANY_REQUESTS, "insufficient_quota", "insufficient_quota"),
            Self::SpendingUnavailable { .. } => row(S::SERVICE_UNAVAILABLE, SERVER, "spending_unavailable").retry(2),
            Self::LimitsUnusable { .. } => row(S::SERVICE_UNAVAILABLE, SERVER, "limits_unusable"),
            Self::UpstreamUnavailable { .. } => row(S::SERVICE_UNAVAILABLE, SERVER, "upstream_unavailable").retry(1),
            Self::UpstreamFailed { .. } => row(S::BAD_GATEWAY, SERVER, "upstream_failed"),
            Self::UpstreamTimeout { .. } => row(S::GATEWAY_TIMEOUT, SERVER, "upstream_timeout"),
            Self::ProviderCredentials { .. } => row(S::SERVICE_UNAVAILABLE, SERVER, "provider_credentials"),
            Self::ProviderRefusedKey { .. } => row(S::BAD_GATEWAY, SERVER, "provider_refused_key"),
            Self::ProviderLimited { .. } => row(S::TOO_MANY_REQUESTS, LIMIT, "provider_rate_limited"),
            Self::ProviderInvalid { .. } => row(S::BAD_REQUEST, INVALID, "provider_invalid_request"),
            Self::ProviderUnknownModel { .. } => row(S::BAD_GATEWAY, SERVER, "provider_unknown_model"),
            Self::ProviderFailed { .. } => row(S::BAD_GATEWAY, SERVER, "provider_failed"),
            Self::ProviderAddress { .. } => row(S::BAD_GATEWAY, SERVER, "provider_address"),
            Self::ProviderUnreachable { .. } => row(S::BAD_GATEWAY, SERVER, "provider_unreachable"),
            Self::ProviderTimeout { .. } => row(S::GATEWAY_TIMEOUT, SERVER, "provider_timeout"),
            Self::ProviderLacks { fields, .. } => {
                let row = row(S::BAD_REQUEST, INVALID, "unsupported_by_provider");
                match fields.first() {
                    Some(field) => row.about(field),
                    None => row,
                }
            }
            Self::ProviderLacksPath { .. } => row(S::BAD_REQUEST, INVALID, "unsupported_by_provider").about("model"),
            Self::InvalidValue { field, .. } => row(S::BAD_REQUEST, INVALID, "invalid_field").about(field),
            Self::Refused => row(S::BAD_GATEWAY, SERVER, "request_refused"),
            Self::GuardrailViolation { .. } => row(S::BAD_REQUEST, INVALID, "guardrail_violation"),
            Self::GuardrailsUnusable { .. } => row(S::SERVICE_UNAVAILABLE, SERVER, "guardrails_unusable"),
            Self::GuardrailUnavailable { .. } => row(S::SERVICE_UNAVAILABLE, SERVER, "guardrail_unavailable").retry(2),
            Self::Unguarded { .. } => row(S::BAD_GATEWAY, SERVER, "answer_unchecked"),
            Self::NotWithGuardrails { field, .. } => {
                row(S::BAD_REQUEST, INVALID, "unsupported_with_guardrails").about(field)
            }
            Self::AuditUnavailable => row(S::SERVICE_UNAVAILABLE, SERVER, "audit_unavailable").retry(2),
            Self::AnswerNotFound { .. } => row(S::NOT_FOUND, INVALID, "answer_not_found").about("id"),
            Self::FeedbackUnavailable => row(S::SERVICE_UNAVAILABLE, SERVER, "feedback_unavailable").retry(2),
            Self::FeedbackOff => row(S::NOT_IMPLEMENTED, INVALID, "feedback_off"),
            Self::RoomNotFound { .. } => row(S::NOT_FOUND, INVALID, code::NOT_FOUND),
            Self::RoomContentNotFound => row(S::NOT_FOUND, INVALID, code::NO_SUCH_THING),
            Self::RoomsUnavailable | Self::RoomDisagreement => {
                row(S::SERVICE_UNAVAILABLE, SERVER, code::UNAVAILABLE).retry(2)
            }
            Self::RoomsOff => row(S::NOT_IMPLEMENTED, INVALID, code::OFF),
            Self::RoomStale => row(S::SERVICE_UNAVAILABLE, SERVER, code::STALE).retry(30),
            Self::RoomEmpty => row(S::SERVICE_UNAVAILABLE, SERVER, code::EMPTY).retry(30),
            Self::RoomClosed => row(S::SERVICE_UNAVAILABLE, SERVER, code::CLOSED),
            Self::RoomUntested => row(S::SERVICE_UNAVAILABLE, SERVER, code::UNTESTED).retry(30),
            Self::RoomHasNoModel => row(S::NOT_IMPLEMENTED, INVALID, code::NO_MODEL),
            Self::RoomModelUnsure { .. } => row(S::NOT_IMPLEMENTED, INVALID, code::MODEL_UNSURE),
            Self::RoomNotDeleted => row(S::CONFLICT, INVALID, code::NOT_DELETED),
            Self::GenerationNotFound { .. } => row(S::NOT_FOUND, INVALID, code::NO_SUCH_THING),
            Self::GenerationFenced => row(S::CONFLICT, INVALID, code::FENCED),
            Self::GenerationUnverified => row(S::CONFLICT, INVALID, code::UNVERIFIED),
            Self::GenerationIncomplete { .. } => row(S::CONFLICT, INVALID, code::INCOMPLETE),
            Self::Unfit { .. } => row(S::UNPROCESSABLE_ENTITY, INVALID, code::UNFIT),
            Self::RoomSourceFull { .. } => row(S::INSUFFICIENT_STORAGE, INVALID, code::FULL),
            Self::ShadowNotFound { .. } => row(S::NOT_FOUND, INVALID, "shadow_not_found"),
            Self::ShadowReportNotFound { .. } => row(S::NOT_FOUND, INVALID, "shadow_report_not_found"),
            Self::ShadowsUnavailable => row(S::SERVICE_UNAVAILABLE, SERVER, "shadows_unavailable").retry(2),
            Self::ShadowsOff => row(S::NOT_IMPLEMENTED, INVALID, "shadows_off"),
            Self::RouteNotFound => row(S::NOT_FOUND, INVALID, "not_found"),
            Self::MethodNotAllowed => row(S::METHOD_NOT_ALLOWED, INVALID, "method_not_allowed"),
        }
    }

    /// The stable code, for clients and for metric labels.
    pub fn code(&self) -> &'static str {
        self.row().code
    }

    /// What the audit trail calls it: more than a caller is told.
    pub fn audit_code(&self) -> &'static str {
        match self {
            Self::RoomDisagreement => "room_disagreement",
            error => error.code(),
        }
    }

    /// Whether the model cannot answer for now, so that another may be asked. What is the caller's own doing is no
    /// outage: another model would only hide it. Neither is a request that workers broke under: others might as well.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::ModelNotReady { .. }
                | Self::TooManyHeld { .. }
                | Self::UpstreamUnavailable { .. }
                | Self::UpstreamTimeout { .. }
                | Self::ProviderCredentials { .. }
                | Self::ProviderRefusedKey { .. }
                | Self::ProviderLimited { .. }
                | Self::ProviderUnknownModel { .. }
                | Self::ProviderFailed { .. }
                | Self::ProviderAddress { .. }
                | Self::ProviderUnreachable { .. }
                | Self::ProviderTimeout { .. }
        )
    }

    /// Whether a limit of the caller's stands in the way, or cannot be kept to.
    pub fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::ConcurrencyLimited { .. }
                | Self::QuotaExceeded { .. }
                | Self::SpendingUnavailable { .. }
                | Self::LimitsUnusable { .. }
        )
    }

    /// The status of the answer that tells it.
    pub fn status(&self) -> StatusCode {
        self.row().status
    }

    /// The OpenAI error object, `{"error": {message, type, param, code}}`.
    pub fn body(&self) -> Value {
        let Row { kind, code, param, .. } = self.row();
        json!({"error": {"message": self.to_string(), "type": kind, "param": param, "code": code}})
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response<Body> {
        let Row {
            status, retry_after, ..
        } = self.row();
        let mut response = Response::new(Body::from(self.body().to_string()));
        *response.status_mut() = status;
        response.extensions_mut().insert(RefusalCode(self.code()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(after) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
        }
        match self {
            // In the provider's words, seconds or a date.
            Self::ProviderLimited {
                retry_after: Some(after),
                ..
            } => {
                headers.insert(header::RETRY_AFTER, after);
            }
            // OpenAI's clients would ask three times.
            Self::QuotaExceeded { .. } | Self::LimitsUnusable { .. } => {
                headers.insert("x-should-retry", HeaderValue::from_static("false"));
            }
            Self::MissingCredentials => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::InvalidCredentials { .. } | Self::InvalidToken { .. } | Self::UnknownKey => {
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            // The rest of the body is not worth reading.
            Self::BodyTooLarge { .. } | Self::BodyTimeout => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests;
