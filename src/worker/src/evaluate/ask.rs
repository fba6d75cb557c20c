//! Asking: the routes of `serve`, called in this process.

use std::sync::Arc;

use anyhow::Result;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header},
};
use futures::{StreamExt, TryStreamExt, stream};
use prometheus::Registry;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::suite::Question;
use crate::{
    cli,
    serve::{self, Api, Metrics},
};

/// The name that requests ask for.
const NAME: &str = "candidate";
/// Largest answer, in bytes.
const MAX_ANSWER: usize = 256 << 20;

/// A model that answers.
pub struct Model {
    routes: Router,
    at_once: usize,
}

impl Model {
    /// Loads a model as `serve` does.
    ///
    /// # Errors
    /// As there.
    pub fn load(model: cli::Model) -> Result<Self> {
        let at_once = usize::try_from(model.max_concurrent_sequences).unwrap_or(1);
        let loaded = serve::load_to_evaluate(model, NAME)?;
        let metrics = Metrics::new(&Registry::new(), NAME, loaded.engine())?;
        let stop = CancellationToken::new();
        let api = Arc::new(Api::new(loaded, Arc::new(metrics), stop.clone()));
        Ok(Self {
            routes: serve::router(api, stop),
            at_once,
        })
    }

    /// The share of questions that are answered right, and the ids of the others.
    ///
    /// # Errors
    /// When a question cannot be asked.
    pub async fn right_answers(&self, questions: Vec<Question>) -> Result<(f64, Vec<String>), String> {
        let count = questions.len();
        let asked = questions.into_iter().map(async |question| {
            let body = json!({
                "model": NAME, "messages": question.messages, "max_tokens": question.max_tokens, "temperature": 0,
            });
            let answer = self.post("/v1/chat/completions", &body).await;
            let answer = answer.map_err(|why| format!("question {}: {why}", question.id))?;
            let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
            Ok::<_, String>((!question.check.holds(text)).then_some(question.id))
        });
        let wrong: Vec<String> = stream::iter(asked)
            .buffered(self.at_once)
            .try_filter_map(async |wrong| Ok(wrong))
            .try_collect()
            .await?;
        Ok(((count - wrong.len()) as f64 / count as f64, wrong))
    }

    /// The geometric mean of the probabilities of all tokens but the first of each text.
    ///
    /// # Errors
    /// When a text cannot be asked, as one that is longer than the context.
    pub async fn likelihood(&self, texts: Vec<String>) -> Result<(f64, Vec<String>), String> {
        let asked = texts.into_iter().enumerate().map(async |(at, text)| {
            let body = json!({
                "model": NAME, "prompt": text, "max_tokens": 0, "echo": true, "logprobs": 1, "temperature": 0,
            });
            let answer = self.post("/v1/completions", &body).await;
            let answer = answer.map_err(|why| format!("text {}: {why}", at + 1))?;
            let tokens = answer["choices"][0]["logprobs"]["token_logprobs"].as_array();
            let known: Vec<f64> = tokens.into_iter().flatten().filter_map(Value::as_f64).collect();
            Ok::<_, String>((known.iter().sum::<f64>(), known.len()))
        });
        let sums: Vec<(f64, usize)> = stream::iter(asked).buffered(self.at_once).try_collect().await?;
        let (sum, tokens) = sums
            .iter()
            .fold((0.0, 0), |(sum, tokens), (part, count)| (sum + part, tokens + count));
        match tokens {
            0 => Err("its texts have no token to predict".into()),
            tokens => Ok(((sum / tokens as f64).exp(), Vec::new())),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .map_err(|error| error.to_string())?;
        let Ok(response) = self.routes.clone().oneshot(request).await;
        let status = response.status();
        let body = to_bytes(response.into_body(), MAX_ANSWER).await;
        let body = body.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        match status.is_success() {
            true => Ok(answer),
            false => Err(answer["error"]["message"]
                .as_str()
                .unwrap_or("no reason is given")
                .into()),
        }
    }
}
