//! A Room's models, asked on behalf of whoever may enter it.
//!
//! Whoever may search or ask in a Room uses its models with that right; `infer` on them is not asked for. All else that holds
//! for a model holds here as well: limits of the user, guardrails, fallbacks, and which worker gets a request.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode},
};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ask::certainty, request::Knock};
use crate::{
    catalog::Model,
    complete::{Inner, ask_model},
    error::Error,
    headers::REQUEST_ID,
    identity::Identity,
    metrics::Operation,
    routes::Gateway,
    trace::Trace,
};

/// A longer answer of an embedding model or a reranker is not read.
const MAX_ANSWER: usize = 16 << 20;
/// Nor is a longer refusal.
const MAX_REFUSAL: usize = 64 << 10;

/// Whoever asks the models of a Room's namespace.
#[derive(Clone)]
pub struct Asker {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// For whom.
    pub identity: Arc<Identity>,
    /// The id of their request.
    headers: HeaderMap,
    /// The Room's namespace.
    namespace: String,
    trace: Trace,
}

#[derive(Deserialize)]
struct Embeddings {
    data: Vec<Embedded>,
}

#[derive(Deserialize)]
struct Embedded {
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Ranking {
    results: Vec<Ranked>,
}

#[derive(Deserialize)]
struct Ranked {
    index: usize,
    relevance_score: f64,
}

impl Asker {
    /// For whoever knocks.
    pub fn of(knock: &Knock) -> Self {
        let mut headers = HeaderMap::new();
        if let Some(id) = knock.parts.headers.get(REQUEST_ID) {
            headers.insert(REQUEST_ID, id.clone());
        }
        Self {
            gateway: knock.gateway.clone(),
            identity: knock.caller.identity.clone(),
            headers,
            namespace: knock.namespace.clone(),
            trace: Trace::of(&knock.parts.extensions),
        }
    }

    fn model(&self, name: &str) -> Result<Arc<Model>, Error> {
        let model = self.gateway.catalog.model(&self.namespace, name);
        model.ok_or_else(|| Error::ModelNotFound {
            model: format!("{}/{name}", self.namespace),
        })
    }

    /// The answer of a model of the Room's namespace, as it comes.
    ///
    /// # Errors
    /// When it does not answer well.
    pub async fn ask(
        &self,
        operation: Operation,
        name: &str,
        version: Option<&str>,
        mut body: Value,
    ) -> Result<Response<Body>, Error> {
        let model = self.model(name)?;
        body["model"] = match version {
            Some(version) => format!("{}@{version}", model.qualified()).into(),
            None => model.qualified().into(),
        };
        let inner = Inner {
            operation,
            caller: self.identity.clone(),
            headers: self.headers.clone(),
            body: body.to_string().into(),
            received: Instant::now(),
            trace: self.trace.clone(),
        };
        let wants_certainty = body[certainty::FIELD] == true;
        let unsure = || Error::RoomModelUnsure {
            model: model.qualified(),
        };
        let answer = ask_model(&self.gateway, &model, inner).await;
        let mut answer = answer.map_err(|error| match wants_certainty && certainty::is_lacking(&error) {
            true => unsure(),
            false => error,
        })?;
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
                if wants_certainty && names_certainty(answer.body_mut()).await =>
            {
                Err(unsure())
            }
            // In whatever words: they may quote what was asked.
            status => {
                tracing::debug!(model = model.qualified(), %status, "a model of a Room does not answer");
                Err(Error::UpstreamFailed {
                    model: model.qualified(),
                })
            }
        }
    }

    async fn whole<T: for<'de> Deserialize<'de>>(&self, name: &str, answer: Response<Body>) -> Result<T, Error> {
        let failed = || Error::UpstreamFailed {
            model: format!("{}/{name}", self.namespace),
        };
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let bytes = body.map_err(|_| failed())?.to_bytes();
        serde_json::from_slice(&bytes).map_err(|_| failed())
    }

    /// The vector of a text, by the embedding model that made an index: `digest` says which version of it, if it names
    /// one.
    ///
    /// # Errors
    /// When the model does not answer well.
    pub async fn embed(&self, name: &str, digest: &str, text: &str) -> Result<Vec<f32>, Error> {
        let version = is_version(digest).then_some(digest);
        let body = json!({"input": [text]});
        let answer = self.ask(Operation::Embeddings, name, version, body).await?;
        let vectors: Embeddings = self.whole(name, answer).await?;
        let vector = vectors.data.into_iter().next().map(|one| one.embedding);
        vector.ok_or_else(|| Error::UpstreamFailed {
            model: format!("{}/{name}", self.namespace),
        })
    }

    /// What a model writes when it is told these, at once.
    ///
    /// # Errors
    /// When the model does not answer well.
    pub async fn write(&self, name: &str, system: &str, user: &str, most: u32) -> Result<String, Error> {
        let body = json!({
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "max_tokens": most, "temperature": 0,
        });
        let answer = self.ask(Operation::Chat, name, None, body).await?;
        let completion: Completion = self.whole(name, answer).await?;
        let said = completion.choices.into_iter().next().map(|choice| choice.message);
        Ok(said.and_then(|said| said.content).unwrap_or_default())
    }

    /// Scores of texts for a question, in their order, by a reranker.
    ///
    /// # Errors
    /// When the model does not answer well.
    pub async fn rerank(&self, name: &str, question: &str, texts: &[&str]) -> Result<Vec<f64>, Error> {
        let body = json!({"query": question, "documents": texts});
        let answer = self.ask(Operation::Rerank, name, None, body).await?;
        let ranking: Ranking = self.whole(name, answer).await?;
        let mut scores = vec![f64::NEG_INFINITY; texts.len()];
        for one in ranking.results {
            if let Some(score) = scores.get_mut(one.index) {
                *score = one.relevance_score;
            }
        }
        Ok(scores)
    }
}

/// Whether a refusal is about the probabilities that were asked for.
async fn names_certainty(body: &mut Body) -> bool {
    let body = Limited::new(std::mem::take(body), MAX_REFUSAL).collect().await;
    body.is_ok_and(|body| String::from_utf8_lossy(&body.to_bytes()).contains(certainty::FIELD))
}

/// Whether a text is the name of a version, which a question can be sent to.
fn is_version(text: &str) -> bool {
    let digits = text.strip_prefix("v-").unwrap_or_default();
    digits.len() == 10
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
