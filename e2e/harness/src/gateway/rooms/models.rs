//! An embedding model and one that answers, both at once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Context, Result};
use kube::Client;
use serde_json::json;
use tokio::{net::TcpListener, task::AbortHandle};

use super::{
    super::{
        http::Connection,
        world::{own_address, serve_as},
    },
    filled::{DIMENSION, SENTENCE},
};

/// The embedding model.
pub const EMBEDDER: &str = "embedder";
/// The one that answers.
pub const CHAT: &str = "chat";

/// The server of both, until it is dropped.
pub struct Models {
    /// When the one that answers was asked last.
    asked: Arc<Mutex<Option<Instant>>>,
    serving: AbortHandle,
}

impl Drop for Models {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Models {
    /// Serves both, and tells the API server of them.
    ///
    /// # Errors
    /// When it cannot listen, or the API server refuses a model.
    pub async fn start(client: &Client) -> Result<Self> {
        let listener = TcpListener::bind((own_address()?, 0)).await;
        let listener = listener.context("failed to listen")?;
        let address = listener.local_addr().context("failed to read a port")?;
        serve_as(client, EMBEDDER, address, json!({"task": "Embed"})).await?;
        serve_as(client, CHAT, address, json!({})).await?;
        let asked = Arc::new(Mutex::new(None));
        let told = asked.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(connection) = Connection::new(stream) {
                    tokio::spawn(answer(connection, told.clone()));
                }
            }
        });
        Ok(Self {
            asked,
            serving: serving.abort_handle(),
        })
    }

    /// Seconds from `begun` until the model was asked last.
    ///
    /// # Errors
    /// When it was not since then.
    pub fn asked_since(&self, begun: Instant) -> Result<f64> {
        let asked = *self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = asked.and_then(|asked| asked.checked_duration_since(begun));
        Ok(asked.context("no model was asked")?.as_secs_f64())
    }
}

async fn answer(mut connection: Connection, asked: Arc<Mutex<Option<Instant>>>) {
    let (vector, sentence) = (vector(), sentence());
    while let Ok(Some(first)) = connection.receive().await {
        let sent = match first.contains("/v1/embeddings") {
            true => connection.send(&vector).await,
            false => {
                *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                connection.send(&sentence).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn vector() -> Vec<u8> {
    let vector: Vec<f32> = super::filled::vector(0);
    debug_assert_eq!(vector.len(), DIMENSION);
    let body = json!({
        "object": "list", "model": EMBEDDER, "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    });
    with_head("application/json", &body.to_string())
}

/// A stream that comes in one piece.
fn sentence() -> Vec<u8> {
    let event = |delta: serde_json::Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let event =
            json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": CHAT, "choices": [choice]});
        format!("data: {event}\n\n")
    };
    let said = event(
        json!({"role": "assistant", "content": format!("{SENTENCE} [1].")}),
        None,
    );
    let end = event(json!({}), Some("stop"));
    with_head("text/event-stream", &format!("{said}{end}data: [DONE]\n\n"))
}

fn with_head(kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}
