//! Where an answer goes: into a stream, or nowhere before it is whole.

use std::convert::Infallible;

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use futures::stream;
use protocol::rooms::ask::{Answer, Event};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::error::Error;

/// Events that wait for a slow reader.
const WAITING: usize = 8;

/// Takes an answer as it is made.
pub struct Sink(Option<mpsc::Sender<Bytes>>);

/// A sink, and the response that it fills if the answer is to be streamed.
pub fn begin(streams: bool) -> (Sink, Option<Response<Body>>) {
    if !streams {
        return (Sink(None), None);
    }
    let (sender, receiver) = mpsc::channel(WAITING);
    let events = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let response = (StatusCode::OK, headers, Body::from_stream(events)).into_response();
    (Sink(Some(sender)), Some(response))
}

impl Sink {
    /// Shows a piece of the answer.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub async fn show(&mut self, text: &str) -> Result<(), Error> {
        self.send(&Event::Delta { text: text.into() }).await
    }

    /// Tells how it ended.
    pub async fn end(&mut self, outcome: &Result<Answer, Error>) {
        let event = match outcome {
            Ok(answer) => Event::Done {
                answer: Box::new(answer.clone()),
            },
            Err(error) => Event::Error {
                error: error.body().get("error").cloned().unwrap_or(Value::Null),
            },
        };
        if self.send(&event).await.is_ok()
            && let Some(sender) = &self.0
        {
            let _ = sender.send(Bytes::from_static(b"data: [DONE]\n\n")).await;
        }
    }

    /// Returns once nobody reads any more, which of an answer that is not streamed nobody knows.
    pub async fn closed(&self) {
        match &self.0 {
            Some(sender) => sender.closed().await,
            None => std::future::pending().await,
        }
    }

    async fn send(&self, event: &Event) -> Result<(), Error> {
        let Some(sender) = &self.0 else { return Ok(()) };
        let text = serde_json::to_string(event).map_err(|_| Error::RoomsUnavailable)?;
        let event = Bytes::from(format!("data: {text}\n\n"));
        sender.send(event).await.map_err(|_| Error::ClientGone)
    }
}
