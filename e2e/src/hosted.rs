//! A service with OpenAI's API on this machine, which pods reach: it stands in for a hosted one.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::settings::HOST_ADDRESS;

/// What the service calls its only model.
pub const MODEL: &str = "large-2026";

/// A running service; it ends with this value.
pub struct Hosted {
    url: String,
    seen: Seen,
    task: JoinHandle<()>,
}

/// The requests that had the right key.
type Seen = Arc<Mutex<Vec<Value>>>;

#[derive(Clone)]
struct Service {
    expected: String,
    seen: Seen,
}

impl Hosted {
    /// A service that wants to see `key`.
    pub async fn start(key: &str) -> Result<Self> {
        let seen = Seen::default();
        let service = Service {
            expected: format!("Bearer {key}"),
            seen: seen.clone(),
        };
        let router = Router::new()
            .route("/v1/chat/completions", post(chat))
            .with_state(service);
        let listener = TcpListener::bind((HOST_ADDRESS, 0))
            .await
            .context("failed to listen where pods reach this machine")?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let task = tokio::spawn(async move {
            // It ends when the task is aborted.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, seen, task })
    }

    /// A spec whose key is `api` of the Secret `keys`.
    pub fn spec(&self) -> Value {
        let key = json!({"name": "keys", "key": "api"});
        let model = json!({"url": self.url, "model": MODEL, "credentialsSecretRef": key});
        json!({"source": {"provider": {"openAICompatible": model}}})
    }

    /// The requests so far that had the right key.
    pub fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn chat(State(service): State<Service>, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let shown = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    if shown != Some(&service.expected) {
        let message = format!("Incorrect API key provided: {}", shown.unwrap_or("none"));
        let body = json!({"error": {"message": message, "type": "invalid_request_error", "code": "invalid_api_key"}});
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    let streams = request["stream"] == true;
    service
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request);
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9});
    if !streams {
        let message = json!({"role": "assistant", "content": "Hello there"});
        let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
        return Json(json!({"id": "chatcmpl-1", "model": MODEL, "choices": choices, "usage": usage})).into_response();
    }
    let chunk = |choices: Value| json!({"id": "chatcmpl-1", "model": MODEL, "choices": choices});
    let mut last = chunk(json!([]));
    last["usage"] = usage;
    let chunks = [
        chunk(json!([{"index": 0, "delta": {"role": "assistant", "content": "Hello "}, "finish_reason": null}])),
        chunk(json!([{"index": 0, "delta": {"content": "there"}, "finish_reason": null}])),
        chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])),
        last,
    ];
    let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let events = events + "data: [DONE]\n\n";
    ([(header::CONTENT_TYPE, "text/event-stream")], events).into_response()
}
