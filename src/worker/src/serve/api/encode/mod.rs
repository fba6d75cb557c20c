//! The API of an encoder: `/v1/embeddings` or `/v1/rerank`, whichever the model is for.

mod embeddings;
mod input;
mod rerank;

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, State},
    middleware,
    routing::{get, post},
};
use engine::{Failure, encoder::Encoded};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{MAX_BODY, answer::unix_time, error::Error, refuse_when_stopping};
use crate::{
    cli::Task,
    serve::{encode::LoadedEncoder, encode_metrics::EncodeMetrics, generation::Broken},
};

/// Most tokens of one request, as OpenAI has it.
const MAX_TOKENS: usize = 300_000;

/// What handlers work with.
pub struct EncodeApi {
    model: LoadedEncoder,
    metrics: EncodeMetrics,
    started: u64,
}

impl EncodeApi {
    /// An API over a loaded encoder.
    pub fn new(model: LoadedEncoder, metrics: EncodeMetrics) -> Self {
        Self {
            model,
            metrics,
            started: unix_time(),
        }
    }

    fn check_model(&self, name: &str) -> Result<(), Error> {
        match name == self.model.served_name {
            true => Ok(()),
            false => Err(Error::ModelNotFound { model: name.into() }),
        }
    }

    /// Computes texts that were given in `field`; returns their rows and how many tokens they have.
    async fn encode(&self, field: &str, texts: Vec<Encoded>) -> Result<(Vec<Vec<f32>>, usize), Error> {
        let received = Instant::now();
        let (count, tokens) = (texts.len(), texts.iter().map(|text| text.tokens.len()).sum());
        if tokens > MAX_TOKENS {
            return Err(Error::InvalidField {
                field: field.into(),
                expected: format!("at most {MAX_TOKENS} tokens together, it has {tokens}"),
            });
        }
        let stopped = |_| Broken::Stopped;
        let rows = self
            .model
            .encoder
            .submit(texts)?
            .await
            .map_err(stopped)?
            .map_err(|message| Broken::Failed(Failure::Computation(message)))?;
        self.metrics.answered(received, count, tokens);
        Ok((rows, tokens))
    }
}

/// All routes. Once `stop` is cancelled, new requests are refused.
pub fn router(api: Arc<EncodeApi>, stop: CancellationToken) -> Router {
    let task = api.model.task;
    let (own, others) = match task {
        Task::Rerank => (("/v1/rerank", post(rerank::handle)), "/v1/embeddings"),
        _ => (("/v1/embeddings", post(embeddings::handle)), "/v1/rerank"),
    };
    let other_task = move || async move { Error::WrongTask { task } };
    let mut router = Router::new()
        .route("/v1/models", get(list))
        .route("/v1/models/{model}", get(describe_one))
        .route(own.0, own.1);
    for path in [others, "/v1/chat/completions", "/v1/completions"] {
        router = router.route(path, post(other_task));
    }
    router
        .fallback(|| async { Error::NoRoute })
        .method_not_allowed_fallback(|| async { Error::WrongMethod })
        .layer(middleware::from_fn_with_state(stop, refuse_when_stopping))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(api)
}

/// `GET /v1/models`
async fn list(State(api): State<Arc<EncodeApi>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [describe(&api)]}))
}

/// `GET /v1/models/{model}`
async fn describe_one(State(api): State<Arc<EncodeApi>>, Path(model): Path<String>) -> Result<Json<Value>, Error> {
    api.check_model(&model)?;
    Ok(Json(describe(&api)))
}

fn describe(api: &EncodeApi) -> Value {
    json!({
        "id": api.model.served_name,
        "object": "model",
        "created": api.started,
        "owned_by": "atelier",
        "max_model_len": api.model.encoder.options().max_length,
    })
}
