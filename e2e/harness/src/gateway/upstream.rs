//! A worker that answers at once, with the same words always.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{net::TcpListener, task::AbortHandle, time::sleep};

use super::http::Connection;

/// Events of one stream.
pub const EVENTS: usize = 1000;
/// What ends a stream.
pub const END: &[u8] = b"data: [DONE]\n\n";
/// A listening upstream, until it is dropped.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    serving: AbortHandle,
}

impl Upstream {
    /// Listens on any port of `address`; events of streams come at a `pace`.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn start(address: IpAddr, pace: Duration) -> Result<Self> {
        let listener = TcpListener::bind((address, 0)).await.context("failed to listen")?;
        let address = listener.local_addr().context("failed to read a port")?;
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(connection) = Connection::new(stream) {
                    tokio::spawn(answer(connection, pace));
                }
            }
        });
        Ok(Self {
            address,
            serving: serving.abort_handle(),
        })
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers until the other side is gone; what is asked for at `/v1/completions` is a stream.
async fn answer(mut connection: Connection, pace: Duration) {
    let whole = whole();
    while let Ok(Some(first)) = connection.receive().await {
        let sent = match first.contains("/v1/completions") {
            true => stream(&mut connection, pace).await,
            false => connection.send(&whole).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// An answer of about a kilobyte.
fn whole() -> Vec<u8> {
    let text = "All work and no play makes Jack a dull boy. ".repeat(18);
    let message = serde_json::json!({"role": "assistant", "content": text});
    let usage = serde_json::json!({"prompt_tokens": 200, "completion_tokens": 200, "total_tokens": 400});
    let choice = serde_json::json!({"index": 0, "message": message, "finish_reason": "stop"});
    let body = serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage,
    })
    .to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

async fn stream(connection: &mut Connection, pace: Duration) -> Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    connection.send(head.as_bytes()).await?;
    let choice = serde_json::json!({"index": 0, "text": " word", "finish_reason": null});
    let event = serde_json::json!({"id": "c", "object": "text_completion", "model": "m", "choices": [choice]});
    let event = chunk(format!("data: {event}\n\n").as_bytes());
    for _ in 0..EVENTS {
        connection.send(&event).await?;
        sleep(pace).await;
    }
    connection.send(&chunk(END)).await?;
    connection.send(b"0\r\n\r\n").await
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
