//! Webhooks that judge requests and answers: real HTTP on loopback.

mod faults;
mod requests;
mod streams;
mod trust;

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::State, http::HeaderMap, response::Response};
use tokio::net::TcpListener;

use super::*;

/// Where webhooks listen: the workers of these tests are at 127.0.0.1, and no webhook may be where a worker is.
const ELSEWHERE: &str = "127.0.0.2:0";

/// A webhook, and the questions that it was asked.
struct Judge {
    address: SocketAddr,
    asked: Asked,
}

type Asked = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

impl Judge {
    /// Answers by `judge`, which sees the question.
    async fn start<F, A>(judge: F) -> Self
    where
        F: Fn(Value) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let asked = Asked::default();
        let answer = async move |State(asked): State<Asked>, headers: HeaderMap, Json(question): Json<Value>| {
            asked.lock().unwrap().push((headers, question.clone()));
            judge(question).await
        };
        let router = Router::new().fallback(answer).with_state(asked.clone());
        let listener = TcpListener::bind(ELSEWHERE).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    /// Finds `word` wherever it is, and says so with this verdict.
    async fn finding(word: &'static str, verdict: &'static str) -> Self {
        Self::start(move |question: Value| async move {
            let texts = question["texts"].as_array().unwrap().iter().enumerate();
            let spans: Vec<_> = texts
                .flat_map(|(i, text)| spans(i, text["text"].as_str().unwrap(), word))
                .collect();
            let verdict = if spans.is_empty() { "allow" } else { verdict };
            said(&json!({"verdict": verdict, "spans": spans}))
        })
        .await
    }

    /// The questions so far.
    fn asked(&self) -> Vec<(HeaderMap, Value)> {
        self.asked.lock().unwrap().clone()
    }

    /// A check that asks it.
    fn check(&self) -> Value {
        json!({"name": "ours", "detector": "Webhook", "webhook": {"url": format!("http://{}/judge", self.address)}})
    }

    /// Guardrails that ask it, in one direction.
    fn guardrails(&self, direction: &str) -> Value {
        json!({direction: [self.check()]})
    }
}

fn said(verdict: &Value) -> Response {
    Response::new(verdict.to_string().into())
}

/// Where `word` is in a text, in characters.
fn spans(text: usize, within: &str, word: &str) -> Vec<Value> {
    let place = |(bytes, _): (usize, &str)| within[..bytes].chars().count();
    let finds = within.match_indices(word).map(place);
    finds
        .map(|start| json!({"text": text, "start": start, "end": start + word.chars().count(), "kind": "WORD"}))
        .collect()
}

/// How often the webhook said something, or nothing.
fn verdicts(gateway: &TestGateway, outcome: &str) -> u64 {
    let labels = ["ns", "m", "ours", outcome];
    gateway.metrics.webhook_verdicts.with_label_values(&labels).get()
}
