//! The API of an encoder: embeddings or reranking, whichever the model is for.

mod embeddings;
pub(super) mod input;
pub(super) mod rerank;

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

pub use self::{
    embeddings::{Embeddings, embed},
    rerank::{Ranking, rank},
};
use super::{MAX_BODY, answer::unix_time, error::Error, models::Model, refuse_when_stopping};
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
    stop: CancellationToken,
    started: u64,
}

impl EncodeApi {
    /// An API over a loaded encoder. Once `stop` is cancelled, new requests are refused.
    pub fn new(model: LoadedEncoder, metrics: EncodeMetrics, stop: CancellationToken) -> Self {
        Self {
            model,
            metrics,
            stop,
            started: unix_time(),
        }
    }

    /// Whether new requests are refused.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// What the model is for.
    pub fn task(&self) -> Task {
        self.model.task
    }

    /// The model that is served.
    pub fn describe(&self) -> Model {
        Model {
            id: self.model.served_name.clone(),
            created: self.started,
            max_model_len: self.model.encoder.options().max_length,
            parent: None,
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

/// All routes.
pub fn router(api: Arc<EncodeApi>) -> Router {
    let (task, stop) = (api.task(), api.stop.clone());
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
    Json(json!({"object": "list", "data": [api.describe().json()]}))
}

/// `GET /v1/models/{model}`
async fn describe_one(State(api): State<Arc<EncodeApi>>, Path(model): Path<String>) -> Result<Json<Value>, Error> {
    api.check_model(&model)?;
    Ok(Json(api.describe().json()))
}
