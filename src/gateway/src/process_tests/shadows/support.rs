//! A model, a candidate, and a place for pairs.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Response, header},
};
use k8s_openapi::api::coordination::v1::Lease;
use protocol::shadows::Pairs;
use reqwest::Method;
use serde_json::{Value, json};
use store::testing::{Postgres, TestDatabase};

use super::super::within;
use crate::{
    shadows::{Shadow, spec::testing},
    testing::{Received, TestGateway, Timing, Worker},
};

pub const CANDIDATE: &str = "v-9876543210";
/// Who collects.
pub const OPERATOR: &str = "operator";

pub use crate::testing::VERSION as LIVE;
pub use testing::{spec, watched};

/// A model with one worker, a candidate with another, and a database.
pub struct Stage {
    pub gateway: TestGateway,
    pub test: TestDatabase,
}

/// What a model streams.
pub fn events(words: &[&str]) -> String {
    let mut events = String::new();
    for word in words {
        let event = json!({"id": "a-1", "choices": [{"index": 0, "delta": {"content": word}}]});
        events += &format!("data: {event}\n\n");
    }
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": words.len()}});
    format!("{events}data: {end}\n\ndata: {usage}\n\ndata: [DONE]\n\n")
}

/// An answer that streams if it is asked to, as workers do.
pub fn says(words: &'static [&'static str]) -> impl Fn(&Received) -> Response<Body> + Send + Sync + 'static {
    move |received| {
        let body: Value = serde_json::from_str(&received.body).unwrap();
        if body["stream"] == true {
            return Response::builder()
                .header(header::CONTENT_TYPE, "text/event-stream")
                .body(Body::from(events(words)))
                .unwrap();
        }
        let answer = json!({
            "id": "a-1",
            "choices": [{"index": 0, "message": {"content": words.concat()}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": words.len()},
        });
        Response::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(answer.to_string()))
            .unwrap()
    }
}

pub fn question(text: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": text}]})
}

impl Stage {
    /// With the shadow `s`, which copies everything.
    pub async fn set(live: &Worker, candidate: &Worker) -> Self {
        let stage = Self::start(live, candidate, |_| {}).await;
        stage.shadow("s", spec(CANDIDATE), json!({}));
        stage
    }

    /// Without a shadow.
    pub async fn start(live: &Worker, candidate: &Worker, adjust: impl FnOnce(&mut Timing)) -> Self {
        let test = Postgres::shared().database().await;
        // Once the server takes connections.
        drop(test.database.migrate().await.unwrap());
        let database = test.database.clone();
        let gateway = TestGateway::start(&[live], |timing| {
            timing.database = Some(database);
            adjust(timing);
        })
        .await;
        gateway.set_workers("m", CANDIDATE, &[candidate.address]);
        let stage = Self { gateway, test };
        stage.renew("2026-01-01T00:00:00.000000Z");
        let counting = stage.gateway.gateway.shadows.clone();
        tokio::spawn(async move { counting.keep_counting().await });
        for name in ["s", "other"] {
            stage.gateway.reviewer.allow_in("operator-user", "collect", "ns", name);
        }
        stage.gateway.reviewer.know(OPERATOR, "operator-user");
        stage
    }

    /// The operator renews its Lease.
    pub fn renew(&self, at: &str) {
        let lease = json!({"spec": {"holderIdentity": "one", "renewTime": at}});
        let lease: Lease = serde_json::from_value(lease).unwrap();
        self.gateway.gateway.shadows.alive.see(&lease);
    }

    /// A ShadowDeployment is there, or has changed.
    pub fn shadow(&self, name: &str, spec: Value, status: Value) {
        let shadow: Shadow = watched(name, &format!("uid-{name}"), spec, status).into();
        self.gateway.gateway.shadows.apply(shadow);
    }

    /// The answer to a request.
    pub async fn ask(&self, body: &Value) -> (u16, String) {
        let response = within(self.gateway.chat(&body.to_string())).await;
        (response.status().as_u16(), within(response.text()).await.unwrap())
    }

    /// What the operator gets of a shadow.
    pub async fn collect(&self, name: &str, after: i64) -> Pairs {
        let response = self.collecting(name, after).await;
        assert_eq!(response.status(), 200);
        within(response.json()).await.unwrap()
    }

    async fn collecting(&self, name: &str, after: i64) -> reqwest::Response {
        let path = format!("/v1/shadows/ns/{name}/pairs?uid=uid-{name}&after={after}");
        self.send(OPERATOR, Method::GET, &path).await
    }

    pub async fn send(&self, token: &str, method: Method, path: &str) -> reqwest::Response {
        let url = format!("http://{}{path}", self.gateway.address);
        let request = self.gateway.client.request(method, url).bearer_auth(token);
        within(request.send()).await.unwrap()
    }

    /// What the operator gets once it is as wished.
    pub async fn collected(&self, name: &str, is_good: impl Fn(&Pairs) -> bool) -> Pairs {
        let mut last = Pairs::default();
        let waiting = async {
            loop {
                // A database that was away may take a moment.
                let response = self.collecting(name, 0).await;
                if response.status().is_success() {
                    last = within(response.json()).await.unwrap();
                    if is_good(&last) {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        assert!(waited.is_ok(), "it does not come to this: {last:?}");
        last
    }

    /// Copies of a shadow that had this outcome.
    pub fn copies(&self, name: &str, outcome: &str) -> u64 {
        let shadows = &self.gateway.gateway.shadows;
        shadows.catalog.metrics().copies("ns", name, outcome)
    }

    /// Waits until so many copies had this outcome.
    pub async fn until(&self, name: &str, outcome: &str, count: u64) {
        within(async {
            while self.copies(name, outcome) < count {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        assert_eq!(self.copies(name, outcome), count, "{outcome}");
    }
}

/// The question that a worker was asked.
pub fn asked(received: &Received) -> Value {
    serde_json::from_str(&received.body).unwrap()
}

/// Requests that are copies.
pub fn copied(worker: &Worker) -> Vec<Received> {
    let is_copy = |received: &Received| received.headers.contains_key(::shadow::copy::PAIR);
    worker.received().into_iter().filter(is_copy).collect()
}
