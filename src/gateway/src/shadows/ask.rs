//! Asking in the dark: by connections of its own, once, and counted nowhere but here.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use ::shadow::{
    answer::{Answer, Failure},
    copy,
};
use api::shadowdeployment::Candidate;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, header},
};
use http_body_util::{BodyExt, Limited};
use protocol::score::{self, Scored};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::hearing::Hearing;
use crate::{
    body::HeldBody,
    catalog::{Catalog, Model},
    deadline::Deadline,
    hosted::{self, Hosts},
    identity::Identity,
    metrics::{Metrics, Operation},
    price::Price,
    trace::Trace,
    upstream::{self, Upstream, UpstreamTimeouts},
    usage::Usage,
};

/// A longer list of vectors is not read.
const MAX_VECTORS: usize = 16 << 20;
/// A longer word on an answer is not read.
const MAX_SCORED: usize = 4 << 10;
/// For whom copies are sent, where somebody has to be named.
const OWN: &str = "atelier:gateway";

/// Where a model answers.
pub enum Place {
    /// A worker, and what it calls the model.
    Worker(SocketAddr, String),
    /// Its provider.
    Provider(Arc<Model>),
}

/// Asks models.
pub struct Asking {
    models: Arc<Catalog>,
    upstream: Upstream,
    hosts: Hosts,
    /// Where providers' answers are observed: nobody looks at it, for copies are none of the live requests.
    unseen: Metrics,
}

#[derive(Deserialize)]
struct Vectors {
    data: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    embedding: Vec<f32>,
}

impl Asking {
    /// Asks workers in `models` by new connections, and providers through `hosts`.
    pub fn new(models: Arc<Catalog>, hosts: Hosts, timeouts: UpstreamTimeouts) -> Self {
        Self {
            models,
            upstream: Upstream::new(timeouts),
            hosts,
            unseen: Metrics::default(),
        }
    }

    /// Where a candidate answers, for what is kept together as `cluster`; none where it cannot for now.
    pub fn candidate(&self, model: &Model, candidate: &Candidate, cluster: &str) -> Option<Place> {
        match (&candidate.version, &candidate.model) {
            (Some(version), _) => self.version(model, version, cluster),
            (None, Some(name)) => self.model(&model.namespace, name, cluster),
            (None, None) => None,
        }
    }

    /// Where a version of a model answers.
    pub fn version(&self, model: &Model, version: &str, cluster: &str) -> Option<Place> {
        let mut prefix = [0; 16];
        let bytes = cluster.as_bytes();
        let length = bytes.len().min(prefix.len());
        prefix[..length].copy_from_slice(&bytes[..length]);
        let address = self.models.nearest(&model.served(version), prefix)?;
        Some(Place::Worker(address, model.name.clone()))
    }

    /// Where the model of that name answers. One that sleeps is not woken.
    pub fn model(&self, namespace: &str, name: &str, cluster: &str) -> Option<Place> {
        let model = self.models.model(namespace, name)?;
        match (&model.hosted, &model.current_version) {
            (Some(_), _) => model.readiness.ready.then_some(Place::Provider(model)),
            (None, Some(version)) => self.version(&model, version, cluster),
            (None, None) => None,
        }
    }

    /// The answer to a request, within `patience` from now to its end.
    pub async fn ask(
        &self,
        place: &Place,
        operation: Operation,
        body: &Value,
        pair: &str,
        patience: Duration,
    ) -> Answer {
        let started = Instant::now();
        let seconds = || started.elapsed().as_secs_f64();
        let answering = async {
            match self.send(place, operation, body, pair, patience).await {
                Ok(response) => hear(response, started).await,
                Err(failure) => Answer::failed(failure, seconds()),
            }
        };
        let answer = timeout(patience, answering).await;
        answer.unwrap_or_else(|_| Answer::failed(Failure::Timeout, seconds()))
    }

    /// Vectors of texts by an embedding model; none where it does not answer well.
    pub async fn embed(&self, place: &Place, texts: &[&str], pair: &str, patience: Duration) -> Option<Vec<Vec<f32>>> {
        let body = json!({"model": place.called(), "input": texts, "encoding_format": "float"});
        let embedding = async {
            let response = self
                .send(place, Operation::Embeddings, &body, pair, patience)
                .await
                .ok()?;
            if !response.status().is_success() {
                return None;
            }
            let bytes = Limited::new(response.into_body(), MAX_VECTORS).collect().await.ok()?;
            serde_json::from_slice::<Vectors>(&bytes.to_bytes()).ok()
        };
        let vectors = timeout(patience, embedding).await.ok()??;
        let vectors: Vec<_> = vectors.data.into_iter().map(|vector| vector.embedding).collect();
        (vectors.len() == texts.len()).then_some(vectors)
    }

    /// How likely a worker finds an answer; none where nobody answers well, as engines of others do.
    pub async fn score(&self, place: &Place, body: &Value, pair: &str, patience: Duration) -> Option<Scored> {
        let Place::Worker(address, _) = place else { return None };
        let scoring = async {
            let posted = self
                .upstream
                .post(*address, score::PATH, headers(pair), body.to_string().into(), patience);
            let response = posted.await.ok()?;
            if !response.status().is_success() {
                tracing::debug!(%address, status = %response.status(), "an answer is not scored");
                return None;
            }
            let bytes = Limited::new(response.into_body(), MAX_SCORED).collect().await.ok()?;
            let scored: Scored = serde_json::from_slice(&bytes.to_bytes()).ok()?;
            scored.nll.is_finite().then_some(scored)
        };
        timeout(patience, scoring).await.ok()?
    }

    async fn send(
        &self,
        place: &Place,
        operation: Operation,
        body: &Value,
        pair: &str,
        patience: Duration,
    ) -> Result<Response<Body>, Failure> {
        match place {
            Place::Worker(address, _) => {
                let posted = self.upstream.post(
                    *address,
                    operation.path(),
                    headers(pair),
                    body.to_string().into(),
                    patience,
                );
                let response = posted.await.map_err(|failure| match failure {
                    upstream::Failure::Connect => Failure::Unavailable,
                    upstream::Failure::Broken => Failure::Broken,
                    upstream::Failure::Timeout => Failure::Timeout,
                })?;
                Ok(response.map(Body::new))
            }
            Place::Provider(model) => {
                let now = Instant::now();
                let request = hosted::Request {
                    operation,
                    model: model.clone(),
                    called: model.qualified(),
                    adapter: None,
                    version: None,
                    stream: body["stream"] == true,
                    body: HeldBody::of(body.to_string().into()),
                    received: now,
                    deadline: Deadline::of(&HeaderMap::new(), now.into(), patience, true),
                    trace: Trace::default(),
                };
                let nobody = Identity::new(OWN.into(), String::new(), Vec::new(), BTreeMap::new());
                let observation = self.unseen.observe(operation, model, now).asked_by(&nobody, OWN);
                let answer = self.hosts.forward(request, observation).await;
                answer.map_err(|error| Failure::of_status(error.status().as_u16()))
            }
        }
    }
}

impl Place {
    /// What the model is called there.
    pub fn called(&self) -> &str {
        match self {
            Self::Worker(_, name) => name,
            Self::Provider(model) => &model.name,
        }
    }

    /// What an answer costs there, in billionths of the currency's unit.
    pub fn cost(&self, answer: &Answer) -> Option<i64> {
        let Self::Provider(model) = self else { return None };
        let price = Price::of(model.hosted.as_ref()?.pricing.as_ref()?)?;
        let usage = Usage {
            prompt_tokens: answer.tokens_in.unwrap_or_default(),
            completion_tokens: answer.tokens_out.unwrap_or_default(),
        };
        // Rounded up: a budget is an upper bound. What is too large for the number is at its end.
        Some((price.of_answer(usage) * 1e9).ceil() as i64)
    }
}

fn headers(pair: &str) -> HeaderMap {
    let headers = copy::headers(pair).into_iter();
    headers
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?)))
        .collect()
}

async fn hear(response: Response<Body>, started: Instant) -> Answer {
    let seconds = || started.elapsed().as_secs_f64();
    if !response.status().is_success() {
        return Answer::failed(Failure::of_status(response.status().as_u16()), seconds());
    }
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let mut hearing = Hearing::new(kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")));
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Answer::failed(Failure::Broken, seconds());
        };
        if let Some(data) = frame.data_ref()
            && !hearing.piece(data, seconds())
        {
            break;
        }
    }
    hearing.finish(seconds())
}
