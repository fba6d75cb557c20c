//! The OpenAI-compatible HTTP API, and what gRPC shares with it.

mod answer;
mod caller;
mod chat;
mod completions;
mod constraint;
mod encode;
mod error;
mod fields;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod logprobs;
mod models;
mod sampling;
mod score;
mod stream;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Request, State, rejection::BytesRejection},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use engine::{
    lora::{Adapter, RegistryError},
    text::Tokenizer,
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

pub use self::{
    answer::{Finish, Frame, Usage, Whole, whole},
    caller::Caller,
    chat::{CallDelta, Chat, Delta, Reply, begin as begin_chat},
    completions::{Completions, begin as begin_completions},
    encode::{Embeddings, EncodeApi, Ranking, embed, rank, router as encode_router},
    error::Error,
    models::Model,
    stream::{Steps, steps},
};
use super::{Loaded, metrics::Metrics};
use crate::cli::Task;

/// Largest request body in bytes.
pub const MAX_BODY: usize = 8 << 20;

/// What handlers work with.
pub struct Api {
    model: Loaded,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    started: u64,
}

impl Api {
    /// An API over a loaded model. Once `stop` is cancelled, new requests are refused.
    pub fn new(model: Loaded, metrics: Arc<Metrics>, stop: CancellationToken) -> Self {
        Self {
            model,
            metrics,
            stop,
            started: answer::unix_time(),
        }
    }

    /// Whether new requests are refused.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Between text and tokens.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.model.tokenizer
    }

    /// Tokens that the model knows.
    fn vocabulary(&self) -> usize {
        self.model.engine.config().vocabulary_size as usize
    }

    /// The model that a request asks for: the one that is served here, or one of its adapters.
    async fn find_model(&self, name: &str) -> Result<Served, Error> {
        let adapter = match self.adapter_name(name)? {
            Some(adapter) => Some(self.model.adapters.get(adapter).await.map_err(|error| match error {
                RegistryError::Unknown { .. } => Error::ModelNotFound { model: name.into() },
                error @ RegistryError::Busy { .. } => Error::AdapterBusy(error.to_string()),
                error => Error::AdapterBroken(error.to_string()),
            })?),
            None => self.model.tuned.clone(),
        };
        Ok(Served {
            name: name.into(),
            adapter,
        })
    }

    /// The adapter that a model's name ends in, if it asks for one.
    fn adapter_name<'a>(&self, name: &'a str) -> Result<Option<&'a str>, Error> {
        let rest = name.strip_prefix(&self.model.served_name);
        match rest.map(|rest| (rest, rest.strip_prefix(':'))) {
            Some(("", _)) => Ok(None),
            Some((_, Some(adapter))) => Ok(Some(adapter)),
            _ => Err(Error::ModelNotFound { model: name.into() }),
        }
    }
}

/// What answers a request.
pub struct Served {
    /// Its name, which the answer repeats.
    name: String,
    /// The adapter beside the base model, which may belong to what is served.
    adapter: Option<Arc<Adapter>>,
}

/// All routes. Once `stop` is cancelled, new requests are refused.
pub fn router(api: Arc<Api>, stop: CancellationToken) -> Router {
    let other_task = || async { Error::WrongTask { task: Task::Generate } };
    Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{model}", get(models::get))
        .route("/v1/chat/completions", post(chat::handle))
        .route("/v1/completions", post(completions::handle))
        .route(protocol::score::PATH, post(score::handle))
        .route("/v1/embeddings", post(other_task))
        .route("/v1/rerank", post(other_task))
        .fallback(|| async { Error::NoRoute })
        .method_not_allowed_fallback(|| async { Error::WrongMethod })
        .layer(middleware::from_fn_with_state(stop, refuse_when_stopping))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(api)
}

/// Connections stay open while the last answers are written: what comes over them now is for
/// another worker.
async fn refuse_when_stopping(State(stop): State<CancellationToken>, request: Request, next: Next) -> Response {
    match stop.is_cancelled() {
        true => Error::Stopping.into_response(),
        false => next.run(request).await,
    }
}

/// A request body that is one JSON object.
struct Json(Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| match rejection {
                BytesRejection::FailedToBufferBody(failed) if failed.status() == 413 => {
                    Error::BodyTooLarge { limit: MAX_BODY }
                }
                _ => Error::BodyBroken,
            })?;
        match serde_json::from_slice(&body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Error::InvalidJson("expected an object".into())),
            Err(error) => Err(Error::InvalidJson(error.to_string())),
        }
    }
}
